package e2e

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	_ "github.com/lib/pq"

	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/testenv"
)

var monitored = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)

// scripts are the commands that a server sends to Redis.
type scripts struct{ access, renew []string }

// captureScripts gives the commands that a server sends to Redis for an access
// and a renewal, as Redis sees them; that for an access takes a new handle each
// time that redis-benchmark sends it. The handle that is renewed lives until the
// benchmark's end.
func captureScripts(b *testing.B, server, addr string) scripts {
	b.Helper()
	probe := programWorkers(b, server, 1)[0]
	call := func(op int) {
		b.Helper()
		if err := probe(op, 0); err != nil {
			b.Fatal(err)
		}
	}
	testenv.Eventually(b, 10*time.Second, func() error { return probe(opAccess, 0) }) // it leads
	for op := range operations {                                                      // Redis knows all scripts from here on
		call(op)
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprint(conn, "MONITOR\r\n"); err != nil {
		b.Fatal(err)
	}
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, 1<<20)
	lines.Scan() // +OK: from here on nothing is missed
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	next := func(has string) (args []string) {
		b.Helper()
		var seen []string
		for lines.Scan() {
			seen = append(seen, lines.Text())
			if line := lines.Text(); !strings.Contains(strings.ToUpper(line), "EVALSHA") || !strings.Contains(line, has) {
				continue
			}
			for _, m := range monitored.FindAllString(lines.Text(), -1) {
				s, err := strconv.Unquote(m)
				if err != nil {
					b.Fatalf("%v: %s", err, m)
				}
				args = append(args, s)
			}
			return args
		}
		b.Fatalf("Redis showed no call with %q, but\n%s", has, strings.Join(seen, "\n"))
		return nil
	}
	call(opAccess)
	s := scripts{access: next("ws-bench-0")}
	id := ""
	for i, arg := range s.access {
		if len(arg) == len(uuid.UUID{}.String()) && uuid.Validate(arg) == nil {
			id, s.access[i] = arg, benchIDs+"__rand_int__"
		}
	}
	if id == "" {
		b.Fatalf("no handle's id in %q", s.access)
	}
	call(opRenew)
	s.renew = next(id)
	return s
}

// benchIDs begins the id of each handle that redis-benchmark takes.
const benchIDs = "bench-"

// quoted is a figure in a line of comma-separated values.
var quoted = regexp.MustCompile(`"([0-9.]+)"`)

// redisBenchmark gives the calls per second, and the 99th percentile of their
// times.
func redisBenchmark(b *testing.B, addr string, clients int, command []string) (rate float64, p99 time.Duration) {
	b.Helper()
	host, port, _ := net.SplitHostPort(addr)
	n := min(8_000, 2_000*clients)
	args := append([]string{"-h", host, "-p", port, "-c", strconv.Itoa(clients), "-n", strconv.Itoa(n), "-r", "1000000000", "--csv"}, command...)
	out, err := exec.Command("redis-benchmark", args...).CombinedOutput()
	if err != nil {
		b.Fatalf("redis-benchmark: %v\n%s", err, out)
	}
	// The command's name, calls per second, and times in ms: average, least, p50, p95, p99, most.
	all := quoted.FindAllStringSubmatch(string(out), -1)
	if len(all) < 7 {
		b.Fatalf("redis-benchmark printed\n%s", out)
	}
	figure := func(i int) float64 {
		f, err := strconv.ParseFloat(all[len(all)-i][1], 64)
		if err != nil {
			b.Fatal(err)
		}
		return f
	}
	return figure(7), time.Duration(figure(2) * float64(time.Millisecond))
}

// rowLock keeps seats in PostgreSQL as a user would write it himself: whoever
// takes or gives one back locks the pool's row.
type rowLock struct{ db *sql.DB }

const rowLockConnections = 16

func newRowLock(b *testing.B) *rowLock {
	b.Helper()
	db, err := sql.Open("postgres", testenv.DurablePostgres(b))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(rowLockConnections)
	db.SetMaxIdleConns(rowLockConnections)
	for _, s := range []string{
		`CREATE TABLE pool (id bigint PRIMARY KEY, quantity bigint NOT NULL, taken bigint NOT NULL)`,
		`CREATE TABLE handle (id uuid PRIMARY KEY, pool bigint NOT NULL REFERENCES pool, station text NOT NULL, client text NOT NULL, expires timestamptz NOT NULL)`,
		`CREATE INDEX ON handle (expires)`,
		`INSERT INTO pool VALUES (1, 1000000000, 0)`,
	} {
		if _, err := db.Exec(s); err != nil {
			b.Fatal(err)
		}
	}
	return &rowLock{db}
}

// hold has n handles outstanding.
func (l *rowLock) hold(b *testing.B, n int) {
	b.Helper()
	for _, s := range []string{
		`INSERT INTO handle SELECT gen_random_uuid(), 1, 'held-' || i, 'held', now() + interval '6 hours' FROM pool, generate_series(taken + 1, $1::bigint) i`,
		`UPDATE pool SET taken = $1::bigint`,
	} {
		if _, err := l.db.Exec(s, n); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := l.db.Exec(`VACUUM ANALYZE`); err != nil {
		b.Fatal(err)
	}
}

func (l *rowLock) workers(b *testing.B, n int) []worker {
	b.Helper()
	prepare := func(s string) *sql.Stmt {
		p, err := l.db.Prepare(s)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = p.Close() })
		return p
	}
	lock := prepare(`SELECT quantity, taken FROM pool WHERE id = 1 FOR UPDATE`)
	count := prepare(`UPDATE pool SET taken = taken + $1 WHERE id = 1`)
	insert := prepare(`INSERT INTO handle VALUES ($1, 1, $2, 'bench', now() + interval '12 hours')`)
	renew := prepare(`UPDATE handle SET expires = now() + interval '12 hours' WHERE id = $1 AND expires > now()`)
	remove := prepare(`DELETE FROM handle WHERE id = $1`)
	// change locks the pool's row, makes one change and counts it.
	change := func(step int, s *sql.Stmt, args ...any) error {
		tx, err := l.db.Begin()
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		var quantity, taken int
		if err := tx.Stmt(lock).QueryRow().Scan(&quantity, &taken); err != nil {
			return err
		}
		if taken+step > quantity {
			return fmt.Errorf("%d of %d seats are taken", taken, quantity)
		}
		if _, err := tx.Stmt(s).Exec(args...); err != nil {
			return err
		}
		if _, err := tx.Stmt(count).Exec(step); err != nil {
			return err
		}
		return tx.Commit()
	}
	all := make([]worker, n)
	for w := range all {
		var ids [round]string
		all[w] = func(op, i int) (err error) {
			switch op {
			case opAccess:
				ids[i] = uuid.NewString()
				err = change(1, insert, ids[i], fmt.Sprintf("ws-%d", w))
			case opRenew:
				_, err = renew.Exec(ids[i])
			case opRelease:
				err = change(-1, remove, ids[i])
			}
			return err
		}
	}
	return all
}

// raw is a message's bytes, so that another server's gRPC needs no code of it.
type raw []byte

type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(m any) ([]byte, error) { return *m.(*raw), nil }

func (rawCodec) Unmarshal(b []byte, m any) error {
	*m.(*raw) = append(raw(nil), b...)
	return nil
}

// etcd starts three members on this machine; "" where etcd isn't installed.
func etcd(b *testing.B) (url string) {
	b.Helper()
	program, err := exec.LookPath("etcd")
	if err != nil {
		b.Log("etcd is not installed (Debian: apt-get install etcd-server): its leases are not measured")
		return ""
	}
	dir := b.TempDir()
	var peers, urls, members [3]string
	for i := range peers {
		urls[i], peers[i] = "http://"+testenv.FreeAddr(b), "http://"+testenv.FreeAddr(b)
		members[i] = fmt.Sprintf("m%d=%s", i, peers[i])
	}
	said, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = said.Close() })
	for i := range peers {
		cmd := exec.Command(program, "--name", fmt.Sprint("m", i), "--data-dir", filepath.Join(dir, fmt.Sprint("m", i)),
			"--listen-client-urls", urls[i], "--advertise-client-urls", urls[i],
			"--listen-peer-urls", peers[i], "--initial-advertise-peer-urls", peers[i],
			"--initial-cluster", strings.Join(members[:], ","), "--initial-cluster-state", "new")
		cmd.Stdout, cmd.Stderr = said, said
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	}
	testenv.Eventually(b, 30*time.Second, func() error { return grantEtcdLease(etcdLease(b, urls[0])) })
	return urls[0]
}

type leaseGrant = connect.Client[raw, raw]

func etcdLease(b *testing.B, url string) *leaseGrant {
	conn := rpc.NewClient(rpc.ClientConfig{Plain2: true})
	b.Cleanup(conn.Close)
	return connect.NewClient[raw, raw](conn, url+"/etcdserverpb.Lease/LeaseGrant", connect.WithGRPC(), connect.WithCodec(rawCodec{}))
}

// grantEtcdLease takes a lease of an hour.
func grantEtcdLease(c *leaseGrant) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	m := raw{1 << 3, 0x90, 0x1c} // field 1, TTL: 3600
	_, err := c.CallUnary(ctx, connect.NewRequest(&m))
	return err
}

// etcdWorkers grant leases, each over a connection of its own.
func etcdWorkers(b *testing.B, url string, n int) []worker {
	b.Helper()
	all := make([]worker, n)
	for w := range all {
		c := etcdLease(b, url)
		all[w] = func(int, int) error { return grantEtcdLease(c) }
	}
	return all
}
