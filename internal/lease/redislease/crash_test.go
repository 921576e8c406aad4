package redislease_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/leasetest"
	"github.com/quorate/quorate/internal/lease/redislease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/testenv"
)

var (
	group = license.Serial{Mask: 140, Number: 77}
	pool  = lease.Pool{Container: group, Product: license.Product{Firm: 6000010, Code: 14}}
)

func request(quantity uint32) lease.Request {
	return lease.Request{
		ID: uuid.NewString(), Pool: pool, Mode: license.UserLimit, Station: "station-7",
		Client: lease.Client{Address: "192.0.2.7", User: "ada"}, Quantity: quantity, Lease: time.Hour,
	}
}

func ref(r lease.Request, g lease.Grant) lease.Ref {
	return lease.Ref{
		Pool: g.Pool, Handle: g.Handle, Seat: g.Seat, Epoch: g.Epoch, N: g.N,
		Mode: g.Mode, Station: r.Station, Client: r.Client, Lease: g.Lease,
	}
}

func by(user string, r lease.Request) lease.Request {
	r.Client.User = user
	return r
}

func claim(t *testing.T, s lease.Store) lease.Seats {
	t.Helper()
	seats, err := s.Claim(t.Context(), group, "test")
	if err != nil {
		t.Fatal(err)
	}
	return seats
}

func wantCode(t *testing.T, err error, code license.Code) {
	t.Helper()
	if got := license.CodeOf(err); got != code {
		t.Fatalf("code %q (%v), want %q", got, err, code)
	}
}

// TestKilledRedis: what was answered is there after a crash of Redis.
func TestKilledRedis(t *testing.T) {
	server := testenv.Redis(t, testenv.Durable()...)
	s := connect(t, server.Addr, redislease.Options{})
	if durable, err := s.Durable(t.Context()); !durable || err != nil {
		t.Fatalf("Durable = %v, %v", durable, err)
	}
	seats := claim(t, s)
	var alive, gone, lingers []lease.Ref
	for i := range 60 {
		r := by(fmt.Sprint(i), request(100))
		g, err := seats.Access(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if i%3 > 0 {
			alive = append(alive, ref(r, g))
			continue
		}
		tok := ref(r, g)
		if i%2 == 0 {
			tok.Linger = time.Hour
			lingers = append(lingers, tok)
		}
		if err := seats.Release(t.Context(), tok); err != nil {
			t.Fatal(err)
		}
		gone = append(gone, tok)
	}
	// Of the seats that lingered, one is taken up again and one freed.
	r := by("0", request(100))
	if g, err := seats.Access(t.Context(), r); err != nil || g.Seat != lingers[0].Seat {
		t.Fatalf("%+v, %v; want seat %d", g, err, lingers[0].Seat)
	}
	if err := seats.Remove(t.Context(), pool, lease.Removal{Handle: lingers[1].Handle, By: "root"}); err != nil {
		t.Fatal(err)
	}
	lingers = lingers[2:]
	before, err := s.Events(t.Context(), group, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	server.Kill()
	_, err = seats.Renew(t.Context(), alive[0])
	wantCode(t, err, license.CodeUnavailable)
	server.Restart()
	// The client pauses after it could not reach the server.
	testenv.Eventually(t, 20*time.Second, func() error { return seats.Check(t.Context(), alive[0]) })
	for _, r := range alive {
		if err := seats.Check(t.Context(), r); err != nil {
			t.Errorf("an answered grant is lost: %v", err)
		}
	}
	for _, r := range gone {
		wantCode(t, seats.Check(t.Context(), r), license.CodeHandleUnknown)
	}
	after, err := s.Events(t.Context(), group, 0, 1000)
	if err != nil || fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("%d events, %v; were %d", len(after), err, len(before))
	}
	next := claim(t, s)
	if next.Epoch() <= seats.Epoch() {
		t.Errorf("epoch %d after %d", next.Epoch(), seats.Epoch())
	}
	want := uint32(len(alive) + 1 + len(lingers))
	if u, err := next.Usage(t.Context(), pool); err != nil || u.Taken != want || u.Lingering != uint32(len(lingers)) {
		t.Errorf("usage %+v, %v; want %d taken, %d of them lingering", u, err, want, len(lingers))
	}
	for _, l := range lingers {
		g, err := next.Access(t.Context(), by(l.Client.User, request(want)))
		if err != nil || g.Seat != l.Seat || g.N != l.N+1 {
			t.Errorf("%+v, %v; want the lingering seat %d", g, err, l.Seat)
		}
	}
}

// TestHistoryWithKilledRedis runs programs while Redis is killed, restarted
// and held up.
func TestHistoryWithKilledRedis(t *testing.T) {
	server := testenv.Redis(t, testenv.Durable()...)
	client := redis.NewClient(&redis.Options{Addr: server.Addr, PoolSize: 100, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	length := 8 * time.Second
	if testing.Short() {
		length = 4 * time.Second
	}
	leasetest.Workload{
		Clients: 24, For: length, Lease: 800 * time.Millisecond, Linger: 400 * time.Millisecond, Mixed: true,
		Disturb: func(ctx context.Context) {
			tick := time.NewTicker(900 * time.Millisecond)
			defer tick.Stop()
			for i := 0; ; i++ {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				if i%2 == 0 {
					server.Kill()
					server.Restart()
					continue
				}
				server.Pause()
				<-time.After(150 * time.Millisecond)
				server.Resume()
			}
		},
	}.Run(t, redislease.New(client, redislease.Options{}))
}

// TestLostData: after Redis lost everything, the leader is fenced, the next
// epoch and positions are higher all the same, and tokens bring handles back.
func TestLostData(t *testing.T) {
	server := testenv.Redis(t)
	s := connect(t, server.Addr, redislease.Options{})
	if durable, err := s.Durable(t.Context()); durable || err != nil {
		t.Fatalf("Durable = %v, %v", durable, err)
	}
	old := claim(t, s)
	r := request(2)
	g, err := old.Access(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	before, err := s.Events(t.Context(), group, 0, 10)
	if err != nil || len(before) != 1 {
		t.Fatalf("%v, %v", before, err)
	}
	server.Restart()
	testenv.Eventually(t, 20*time.Second, func() error {
		if _, err := old.Renew(t.Context(), ref(r, g)); license.CodeOf(err) != license.CodeFenced {
			return fmt.Errorf("%w, want %s", err, license.CodeFenced)
		}
		return nil
	})
	seats := claim(t, s)
	if seats.Epoch() <= old.Epoch() {
		t.Fatalf("epoch %d after %d", seats.Epoch(), old.Epoch())
	}
	again, err := seats.Renew(t.Context(), ref(r, g))
	if err != nil || again.Seat != g.Seat || again.N != g.N {
		t.Fatalf("%+v, %v; was %+v", again, err, g)
	}
	after, err := s.Events(t.Context(), group, before[0].Position, 10)
	if err != nil || len(after) != 1 || after[0].Handle != r.ID {
		t.Fatalf("%v, %v; want the event of the handle that was taken in", after, err)
	}
}

func TestForgottenScripts(t *testing.T) {
	server := testenv.Redis(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer client.Close()
	seats := claim(t, redislease.New(client, redislease.Options{}))
	for range 3 {
		if _, err := seats.Access(t.Context(), request(5)); err != nil {
			t.Fatal(err)
		}
		if err := client.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBounds(t *testing.T) {
	server := testenv.Redis(t)
	s := connect(t, server.Addr, redislease.Options{MostEvents: 200, MostEnded: 20})
	seats := claim(t, s)
	var last lease.Request
	for range 600 {
		last = request(1)
		g, err := seats.Access(t.Context(), last)
		if err != nil {
			t.Fatal(err)
		}
		if err := seats.Release(t.Context(), ref(last, g)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := seats.Access(t.Context(), last)
	wantCode(t, err, license.CodeHandleUnknown)
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer client.Close()
	prefix := "quorate:lease:{" + group.String() + "}:"
	for key, most := range map[string]int64{"events": 400, "endings": 20} {
		n := client.ZCard(t.Context(), prefix+key).Val()
		if key == "events" {
			n = client.XLen(t.Context(), prefix+key).Val()
		}
		if n == 0 || n > most {
			t.Errorf("%d %s are kept, want up to %d", n, key, most)
		}
	}
	for key, want := range map[string]int64{"ended": 20, "handles": 0} {
		if n := client.HLen(t.Context(), prefix+key).Val(); n != want {
			t.Errorf("%d %s are kept, want %d", n, key, want)
		}
	}
	// What is remembered for a time only goes when the next handle ends.
	s = redislease.New(client, redislease.Options{EndedFor: time.Millisecond})
	seats = claim(t, s)
	for range 30 {
		r := request(1)
		g, err := seats.Access(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if err := seats.Release(t.Context(), ref(r, g)); err != nil {
			t.Fatal(err)
		}
	}
	if n := client.HLen(t.Context(), prefix+"ended").Val(); n >= 20 {
		t.Errorf("%d ended handles are remembered after their time", n)
	}
}

// TestLingerLeavesNothing: whatever comes of a lingering seat, no key keeps it,
// and its ended id stays ended as long as it lingers, even if forgotten.
func TestLingerLeavesNothing(t *testing.T) {
	server := testenv.Redis(t)
	s := connect(t, server.Addr, redislease.Options{MostEnded: 1})
	seats := claim(t, s)
	linger := func(user string, d time.Duration) (lease.Request, lease.Ref) {
		t.Helper()
		r := by(user, request(9))
		r.Limits.Tags, r.Borrowed = []string{"team"}, true
		if user == "eve" {
			r.Mode = license.StationShare
		}
		g, err := seats.Access(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		tok := ref(r, g)
		tok.Linger, tok.Tags, tok.Borrowed = d, r.Limits.Tags, true
		if err := seats.Release(t.Context(), tok); err != nil {
			t.Fatal(err)
		}
		return r, tok
	}
	first, tok := linger("ada", time.Hour)
	_, removed := linger("bob", time.Hour)
	linger("eve", time.Millisecond)
	_, err := seats.Access(t.Context(), first)
	wantCode(t, err, license.CodeHandleUnknown)
	_, err = seats.Access(t.Context(), by("eve", first))
	wantCode(t, err, license.CodeRequestMismatch)
	newer := tok
	newer.N++
	wantCode(t, seats.Check(t.Context(), newer), license.CodeHandleUnknown)
	if err := seats.Remove(t.Context(), pool, lease.Removal{Handle: removed.Handle, By: "root"}); err != nil {
		t.Fatal(err)
	}
	linger("ada", time.Millisecond) // came back
	testenv.Eventually(t, 20*time.Second, func() error {
		if _, err := seats.Expire(t.Context()); err != nil {
			return err
		}
		if _, any, err := seats.Next(t.Context()); any || err != nil {
			return errors.Join(errors.New("something is still to end"), err)
		}
		return nil
	})
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer client.Close()
	prefix := "quorate:lease:{" + group.String() + "}:"
	for _, key := range []string{
		"lingers", "over:" + pool.Product.String(), "own", "handles", "due:" + pool.Product.String(), "order:" + pool.Product.String(),
		"soon", "shares", "stations", "tags:" + pool.Product.String(), "waiters", "queue:" + pool.Product.String(), "places:" + pool.Product.String(),
	} {
		if n := client.Exists(t.Context(), prefix+key).Val(); n != 0 {
			t.Errorf("%s is still there", key)
		}
	}
	if u, err := seats.Usage(t.Context(), pool); err != nil || fmt.Sprint(u) != fmt.Sprint(lease.Usage{}) {
		t.Errorf("usage %+v, %v, want nothing", u, err)
	}
	if n := client.HGet(t.Context(), prefix+"group", "lingers").Val(); n != "0" {
		t.Errorf("%q linger still", n)
	}
	for seat, v := range client.HGetAll(t.Context(), prefix+"seats").Val() {
		if strings.Contains(v, " ") {
			t.Errorf("seat %s is still held: %q", seat, v)
		}
	}
}

// TestCluster runs every script on a cluster node. All keys of a group lie in one
// slot, so that they are on one node of any cluster.
func TestCluster(t *testing.T) {
	server := testenv.Redis(t, "--cluster-enabled", "yes")
	node := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer node.Close()
	if err := node.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, 20*time.Second, func() error {
		info, err := node.ClusterInfo(t.Context()).Result()
		if err == nil && !strings.Contains(info, "cluster_state:ok") {
			err = errors.New("the cluster is not ready")
		}
		return err
	})
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{server.Addr}, PoolSize: 50})
	defer client.Close()
	s := redislease.New(client, redislease.Options{})
	leasetest.Workload{Clients: 24, For: 3 * time.Second, Lease: 300 * time.Millisecond, Linger: 150 * time.Millisecond, Mixed: true}.Run(t, s)
	seats := claim(t, s)
	var refs []lease.Ref
	for i, mode := range []license.AccessMode{license.UserLimit, license.StationShare, license.Exclusive, license.NoUserLimit} {
		r := request(5)
		r.Mode, r.Station, r.Limits.Tags = mode, fmt.Sprint("desk-", i), []string{"team"}
		g, err := seats.Access(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, ref(r, g))
	}
	r := request(3)
	r.Station, r.Wait = "desk-9", &lease.Wait{Until: time.Hour, Place: time.Hour}
	_, err := seats.Access(t.Context(), r)
	wantCode(t, err, license.CodeQueued)
	if err := seats.Ask(t.Context(), pool, refs[3].Handle, lease.Notice{ID: "1"}); err != nil {
		t.Fatal(err)
	}
	if g, err := seats.Renew(t.Context(), refs[3]); err != nil || g.Notice == nil {
		t.Fatalf("Renew: %+v, %v", g, err)
	}
	refs[0].Linger = time.Hour
	if err := seats.Release(t.Context(), refs[0]); err != nil {
		t.Fatal(err)
	}
	if all, err := seats.List(t.Context(), pool); err != nil || len(all) != 3 {
		t.Fatalf("List: %v, %v", all, err)
	}
	if all, err := seats.Waiting(t.Context(), pool); err != nil || len(all) != 1 {
		t.Fatalf("Waiting: %v, %v", all, err)
	}
	if u, err := seats.Usage(t.Context(), pool); err != nil || u.Taken != 3 || u.ByTag["team"] != 3 {
		t.Fatalf("Usage: %+v, %v", u, err)
	}
	if _, any, err := seats.Next(t.Context()); err != nil || !any {
		t.Fatalf("Next: %v, %v", any, err)
	}
	if events, err := s.Events(t.Context(), group, 0, 10); err != nil || len(events) != 5 {
		t.Fatalf("Events: %v, %v", events, err)
	}
	keys, err := node.Keys(t.Context(), prefix+"*").Result()
	if err != nil || len(keys) < 18 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	slot := node.ClusterKeySlot(t.Context(), prefix+"group").Val()
	for _, key := range keys {
		if n := node.ClusterKeySlot(t.Context(), key).Val(); n != slot {
			t.Errorf("%s is in slot %d, not %d", key, n, slot)
		}
	}
	if err := seats.Leave(t.Context(), pool, r.ID); err != nil {
		t.Fatal(err)
	}
	if err := seats.Remove(t.Context(), pool, lease.Removal{Handle: refs[1].Handle, By: "root"}); err != nil {
		t.Fatal(err)
	}
	if n, err := seats.Expire(t.Context()); err != nil || n != 0 {
		t.Fatalf("Expire: %d, %v", n, err)
	}
	if _, err := s.Join(t.Context(), group, "b"); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkAccessRelease(b *testing.B) {
	for name, args := range map[string][]string{
		"no file": nil, "everysec": {"--appendonly", "yes"}, "always": testenv.Durable(),
	} {
		b.Run(name, func(b *testing.B) {
			s := connect(b, testenv.Redis(b, args...).Addr, redislease.Options{})
			seats, err := s.Claim(b.Context(), group, "bench")
			if err != nil {
				b.Fatal(err)
			}
			b.SetParallelism(16)
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					r := request(1000)
					g, err := seats.Access(context.Background(), r)
					if err == nil {
						err = seats.Release(context.Background(), ref(r, g))
					}
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
