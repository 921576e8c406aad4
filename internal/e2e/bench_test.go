package e2e

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/redislease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/testenv"
)

// BenchmarkPlainServer is access, renewal and release through a license server
// on Redis, all processes of their own. In the same run stand the scripts that
// the server calls, by redis-benchmark on the same Redis with as many
// connections, and seats by row lock in PostgreSQL; every answer of each of them
// is on disk. cost-growth is the time of a cycle by that with 10 handles
// outstanding.
func BenchmarkPlainServer(b *testing.B) {
	r := testenv.Redis(b, testenv.Durable()...)
	l := newLife(b)
	item := l.item(charts, "Charts")
	box := l.box("bench", "130-100", "Shipping Company", false)
	for range 2 {
		box.buy(item, 1_000_000)
	}
	box.byFiles("bench")
	l.platform.stop(b)
	box.args[slices.Index(box.args, "--leases")+1] = r.URL()
	box.args[slices.Index(box.args, "--lease")+1] = "12h" // no handle ends by itself: a script that renews none would be quick
	box.start()
	group, err := license.ParseSerial(box.serial)
	if err != nil {
		b.Fatal(err)
	}
	direct := newDirect(b, r, group)
	commands := captureScripts(b, box.url(), r.Addr)
	pg := newRowLock(b)

	first := map[int]float64{} // time of a cycle with 10 handles, by clients
	had := 0
	for _, held := range levels() {
		for _, clients := range clientCounts() {
			name := fmt.Sprintf("handles=%d/clients=%d", held, clients)
			var bare, locked rates
			var bareP99 time.Duration
			b.Run(name, func(b *testing.B) {
				if had < held {
					direct.quick(b, func() { hold(b, direct.seats, group, had, held) })
					pg.hold(b, held)
					had = held
				}
				workers := programWorkers(b, box.url(), clients)
				r := load(b, workers, part{"server", box.server.cmd.Process.Pid}, part{"redis", direct.pid(b)}, part{"programs", os.Getpid()})
				if bare[opAccess] == 0 { // not again for a longer run
					bare[opAccess], bareP99 = redisBenchmark(b, direct.addr, clients, commands.access)
					direct.quick(b, func() { direct.release(b, benchIDs) })
					bare[opRenew], _ = redisBenchmark(b, direct.addr, clients, commands.renew)
					direct.grants(b, commands.renew)
					locked = baseline(b, pg.workers(b, clients), operations)
				}
				if clients == 256 && b.Elapsed() > leastSaturated { // not for the short runs that come first
					paced(b, workers, float64(operations*b.N)/b.Elapsed().Seconds()/2)
				}
				b.ReportMetric(bare[opAccess], "bare-access/s")
				b.ReportMetric(bare[opRenew], "bare-renew/s")
				b.ReportMetric(float64(bareP99.Microseconds()), "bare-access-p99-µs")
				b.ReportMetric(r[opAccess]/bare[opAccess], "access-of-bare")
				b.ReportMetric(r[opRelease]/bare[opAccess], "release-of-bare-access")
				b.ReportMetric(r[opRenew]/bare[opRenew], "renew-of-bare")
				for op := range operations {
					b.ReportMetric(locked[op], "row-lock-"+opName(op)+"/s")
					b.ReportMetric(r[op]/locked[op], opName(op)+"-of-row-lock")
				}
				cycle := b.Elapsed().Seconds() / float64(b.N)
				if held == levels()[0] {
					first[clients] = cycle
				} else if first[clients] > 0 {
					b.ReportMetric(cycle/first[clients], "cost-growth")
				}
			})
		}
	}
}

// direct is the driver on the Redis of a server, beside it.
type direct struct {
	addr  string
	rdb   *redis.Client
	seats lease.Seats
	pool  lease.Pool
}

// pid is Redis's.
func (d *direct) pid(b *testing.B) int {
	b.Helper()
	info, err := d.rdb.InfoMap(context.Background(), "server").Result()
	if err != nil {
		b.Fatal(err)
	}
	pid, err := strconv.Atoi(info["Server"]["process_id"])
	if err != nil {
		b.Fatal(err)
	}
	return pid
}

func newDirect(b *testing.B, r *testenv.RedisServer, group license.Serial) *direct {
	b.Helper()
	d := &direct{addr: r.Addr, pool: lease.Pool{Container: group, Product: benchProduct()}}
	d.rdb = redis.NewClient(&redis.Options{Addr: r.Addr, PoolSize: 256})
	b.Cleanup(func() { _ = d.rdb.Close() })
	store := redislease.New(d.rdb, redislease.Options{})
	b.Cleanup(func() { _ = store.Close() })
	var err error
	if d.seats, err = store.Join(context.Background(), group, "bench"); err != nil {
		b.Fatal(err)
	}
	return d
}

// grants fails where a script that is measured does nothing.
func (d *direct) grants(b *testing.B, command []string) {
	b.Helper()
	args := make([]any, len(command))
	for i, a := range command {
		args[i] = a
	}
	answer, err := d.rdb.Do(context.Background(), args...).Slice()
	if err != nil || len(answer) == 0 || answer[0] != "OK" {
		b.Fatalf("a bare script answers %v, %v", answer, err)
	}
}

// quick has Redis write its file without waiting for the disk, while f prepares
// something that isn't measured.
func (d *direct) quick(b *testing.B, f func()) {
	b.Helper()
	set := func(when string) {
		if err := d.rdb.ConfigSet(context.Background(), "appendfsync", when).Err(); err != nil {
			b.Fatal(err)
		}
	}
	set("everysec")
	f()
	set("always")
}

// release ends the handles whose id begins so.
func (d *direct) release(b *testing.B, prefix string) {
	b.Helper()
	all, err := d.seats.List(context.Background(), d.pool)
	if err != nil {
		b.Fatal(err)
	}
	work := make(chan lease.Handle)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for h := range work {
				if err := d.seats.Release(context.Background(), lease.Ref{Pool: d.pool, Handle: h.Handle, Seat: h.Seat, Epoch: h.Epoch, N: h.N}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for _, h := range all {
		if strings.HasPrefix(h.Handle, prefix) {
			work <- h
		}
	}
	close(work)
	wg.Wait()
}
