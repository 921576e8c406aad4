package e2e

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// benchProduct is what the benchmarks take licenses of.
func benchProduct() license.Product { return license.Product{Firm: 6000010, Code: 14} }

// levels are how many handles are outstanding. A million takes minutes to
// prepare: QUORATE_BENCH_HANDLES=million asks for it.
func levels() []int {
	all := []int{10, 1_000, 100_000}
	if os.Getenv("QUORATE_BENCH_HANDLES") == "million" {
		all = append(all, 1_000_000)
	}
	return all
}

func clientCounts() []int { return []int{1, 16, 256} }

// operations are what a cycle of calls is made of. A baseline may lack some.
const (
	opAccess = iota
	opRenew
	opRelease
	operations
)

func opName(op int) string { return [operations]string{"access", "renew", "release"}[op] }

// round is how many cycles in a row each client makes with one operation before
// all go on with the next. So a rate is of one operation, and few handles are
// outstanding beside those that are held all the time.
const round = 16

// worker makes the calls of one client: operation op of its i-th handle.
type worker func(op, i int) error

// rates are operations per second.
type rates [operations]float64

// measure makes n cycles by all workers together, ops of each, and gives how
// long the calls took, in order, and how long they took together.
func measure(b *testing.B, n int, workers []worker, ops int) (calls [operations][]time.Duration, spent [operations]time.Duration) {
	b.Helper()
	took := make([][operations][]time.Duration, len(workers))
	var once sync.Once
	for left := n; left > 0 && !b.Failed(); {
		n := min(left, round*len(workers))
		left -= n
		for op := range ops {
			begin := time.Now()
			var wg sync.WaitGroup
			for w, do := range workers {
				wg.Go(func() {
					for i := 0; i < round && w+i*len(workers) < n; i++ {
						at := time.Now()
						if err := do(op, i); err != nil {
							once.Do(func() { b.Errorf("%s: %v", opName(op), err) })
							return
						}
						took[w][op] = append(took[w][op], time.Since(at))
					}
				})
			}
			wg.Wait()
			spent[op] += time.Since(begin)
		}
	}
	if b.Failed() {
		b.FailNow()
	}
	for op := range ops {
		for w := range took {
			calls[op] = append(calls[op], took[w][op]...)
		}
		slices.Sort(calls[op])
	}
	return calls, spent
}

// part is a process that takes part, whose processor time is told.
type part struct {
	name string
	pid  int
}

// load makes b.N cycles and reports them, and what processor time each call took
// of the parts.
func load(b *testing.B, workers []worker, parts ...part) rates {
	b.Helper()
	measure(b, len(workers), workers, operations) // all have their connections
	before := make([]time.Duration, len(parts))
	for i, p := range parts {
		before[i] = processor(b, p.pid)
	}
	b.ResetTimer()
	calls, spent := measure(b, b.N, workers, operations)
	b.StopTimer()
	for i, p := range parts {
		b.ReportMetric(float64((processor(b, p.pid)-before[i]).Microseconds())/float64(operations*b.N), p.name+"-cpu-µs/call")
	}
	var r rates
	for op, took := range calls {
		r[op] = float64(b.N) / spent[op].Seconds()
		b.ReportMetric(r[op], opName(op)+"/s")
		report(b, took, opName(op))
	}
	return r
}

func report(b *testing.B, took []time.Duration, name string) {
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), name+"-p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), name+"-p99-µs")
}

// pacedTime is how long calls are made at a rate, and leastSaturated how long a
// run is at least whose rate says how many can be answered.
const (
	pacedTime      = 3 * time.Second
	leastSaturated = 500 * time.Millisecond
)

// paced has the workers call at a rate together, whatever the answers take, and
// reports how long after the time at which each call was due it was answered.
func paced(b *testing.B, workers []worker, rate float64) {
	b.Helper()
	every := time.Duration(float64(len(workers)) / rate * float64(time.Second)) // of one worker
	n := max(1, int(pacedTime/every/operations))
	took := make([][operations][]time.Duration, len(workers))
	begin := time.Now().Add(10 * time.Millisecond)
	var wg sync.WaitGroup
	var once sync.Once
	for w, do := range workers {
		wg.Go(func() {
			due := begin.Add(every * time.Duration(w) / time.Duration(len(workers)))
			for range n {
				for op := range operations {
					time.Sleep(time.Until(due))
					if err := do(op, 0); err != nil {
						once.Do(func() { b.Errorf("%s: %v", opName(op), err) })
						return
					}
					took[w][op] = append(took[w][op], time.Since(due))
					due = due.Add(every)
				}
			}
		})
	}
	wg.Wait()
	if b.Failed() {
		b.FailNow()
	}
	b.ReportMetric(rate, "paced-calls/s")
	for op := range operations {
		var all []time.Duration
		for w := range took {
			all = append(all, took[w][op]...)
		}
		slices.Sort(all)
		report(b, all, "paced-"+opName(op))
	}
}

// baselineTime is about how long a baseline is measured.
const baselineTime = time.Second

// baseline gives the rates of a baseline's workers.
func baseline(b *testing.B, workers []worker, ops int) (r rates) {
	b.Helper()
	for n := round * len(workers); ; n *= 4 {
		begin := time.Now()
		_, spent := measure(b, n, workers, ops)
		for op := range ops {
			r[op] = float64(n) / spent[op].Seconds()
		}
		if time.Since(begin) > baselineTime/3 {
			return r
		}
	}
}

func accessRequest(user string) *quoratev1.AccessRequest {
	return &quoratev1.AccessRequest{
		RequestId: uuid.NewString(), Product: rpc.ProductProto(benchProduct()),
		Client: &quoratev1.Client{Address: "127.0.0.1", User: user, Process: 1, Application: "bench", Station: "ws-" + user},
	}
}

// hold takes handles in large parallel parts, by the store's driver, until n are
// outstanding.
func hold(b *testing.B, seats lease.Seats, group license.Serial, from, to int) {
	b.Helper()
	var next atomic.Int64
	next.Store(int64(from))
	errs := make(chan error, 1)
	var wg sync.WaitGroup
	for range 256 {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(to); i = next.Add(1) {
				_, err := seats.Access(context.Background(), lease.Request{
					ID: uuid.NewString(), Pool: lease.Pool{Container: group, Product: benchProduct()}, Mode: license.UserLimit,
					Station: fmt.Sprintf("held-%d", i), Client: lease.Client{Address: "192.0.2.1", User: "held", Application: "bench"},
					Quantity: 1 << 30, Lease: 6 * time.Hour,
				})
				if err != nil {
					select {
					case errs <- err:
					default:
					}
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		b.Fatal(err)
	default:
	}
}
