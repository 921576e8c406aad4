package redislease_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/redislease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/testenv"
)

// mixed is request i of all modes but exclusive, on some stations.
func mixed(i int) lease.Request {
	r := request(1_000_000)
	r.Mode = []license.AccessMode{license.UserLimit, license.StationShare, license.NoUserLimit}[i%3]
	r.Station = fmt.Sprintf("station-%d", i%100)
	r.Limits = lease.Limits{
		Tags: []string{"team"}, Caps: []lease.Cap{{Tag: "team", Most: 1_000_000}}, Holds: []lease.Hold{{Tag: "chiefs", Least: 3}},
	}
	return r
}

// commands counts what Redis does while f runs.
func commands(t *testing.T, client *redis.Client, f func()) (total int) {
	t.Helper()
	if err := client.ConfigResetStat(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	f()
	info, err := client.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(info) {
		var n int
		if _, stats, ok := strings.Cut(line, ":calls="); ok && !strings.HasPrefix(line, "cmdstat_config") {
			if _, err := fmt.Sscanf(stats, "%d", &n); err != nil {
				t.Fatal(err)
			}
			total += n
		}
	}
	return total
}

// TestCommandsPerCall counts what Redis does for one call: no more with ten
// thousand handles than with ten.
func TestCommandsPerCall(t *testing.T) {
	server := testenv.Redis(t)
	s := connect(t, server.Addr, redislease.Options{MostEvents: 1000, MostEnded: 1000})
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer client.Close()
	seats := claim(t, s)
	commands := func(f func()) int { return commands(t, client, f) }
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var refs []lease.Ref
	grow := func(to int) {
		for i := len(refs); i < to; i++ {
			r := mixed(i)
			g, err := seats.Access(t.Context(), r)
			ok(err)
			tok := ref(r, g)
			refs = append(refs, tok)
		}
	}
	measure := func() map[string]int {
		figures := map[string]int{}
		for i := range 3 {
			r := mixed(i)
			var tok lease.Ref
			figures["access "+string(r.Mode)] = commands(func() {
				g, err := seats.Access(t.Context(), r)
				ok(err)
				tok = ref(r, g)
			})
			figures["repeat "+string(r.Mode)] = commands(func() {
				_, err := seats.Access(t.Context(), r)
				ok(err)
			})
			figures["renew "+string(r.Mode)] = commands(func() {
				_, err := seats.Renew(t.Context(), tok)
				ok(err)
			})
			figures["check "+string(r.Mode)] = commands(func() { ok(seats.Check(t.Context(), tok)) })
			figures["release "+string(r.Mode)] = commands(func() { ok(seats.Release(t.Context(), tok)) })
		}
		full := mixed(0)
		full.Quantity = 1
		figures["refusal"] = commands(func() {
			_, err := seats.Access(t.Context(), full)
			wantCode(t, err, license.CodeNoFreeSeat)
		})
		full.Wait = &lease.Wait{Until: time.Hour, Place: time.Hour}
		figures["queue"] = commands(func() {
			_, err := seats.Access(t.Context(), full)
			wantCode(t, err, license.CodeQueued)
		})
		figures["leave"] = commands(func() { ok(seats.Leave(t.Context(), pool, full.ID)) })
		figures["next"] = commands(func() {
			_, any, err := seats.Next(t.Context())
			if !any {
				t.Error("nothing to wait for")
			}
			ok(err)
		})
		figures["usage"] = commands(func() {
			_, err := seats.Usage(t.Context(), pool)
			ok(err)
		})
		figures["expire"] = commands(func() {
			_, err := seats.Expire(t.Context())
			ok(err)
		})
		figures["list, per handle"] = commands(func() {
			all, err := seats.List(t.Context(), pool)
			ok(err)
			if len(all) != len(refs) {
				t.Errorf("%d handles, want %d", len(all), len(refs))
			}
		}) / len(refs)
		figures["claim"] = commands(func() { seats = claim(t, s) })
		return figures
	}
	grow(10)
	measure() // what happens once only
	few := measure()
	many := 10_000
	if testing.Short() {
		many = 2000
	}
	grow(many)
	for what, n := range measure() {
		if n > few[what]+4 {
			t.Errorf("%s takes %d commands with %d handles, %d with ten", what, n, many, few[what])
		}
	}
	if few["renew USER_LIMIT"] > 5 {
		t.Errorf("a renewal takes %d commands", few["renew USER_LIMIT"])
	}
	t.Logf("%v", few)
}

// TestNextAfterRenewals: what was renewed since is looked at a few at a time. Next
// is early until then, never late, and right in the end.
func TestNextAfterRenewals(t *testing.T) {
	server := testenv.Redis(t)
	s := connect(t, server.Addr, redislease.Options{})
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer client.Close()
	seats := claim(t, s)
	const many = 300
	var refs []lease.Ref
	for range many {
		r := request(many)
		g, err := seats.Access(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, ref(r, g))
	}
	<-time.After(50 * time.Millisecond)
	first := time.Now()
	for _, tok := range refs {
		if _, err := seats.Renew(t.Context(), tok); err != nil {
			t.Fatal(err)
		}
	}
	for calls := 1; ; calls++ {
		var next time.Duration
		n := commands(t, client, func() {
			var any bool
			var err error
			if next, any, err = seats.Next(t.Context()); err != nil || !any {
				t.Fatalf("Next: %v, %v", any, err)
			}
		})
		if n > 250 {
			t.Errorf("Next takes %d commands", n)
		}
		if left := time.Hour - time.Since(first); next >= left {
			if next > time.Hour {
				t.Errorf("Next is %v", next)
			}
			break // the first that was renewed
		}
		if calls > many/20 {
			t.Fatalf("Next is still %v after %d calls", next, calls)
		}
		u, err := seats.Usage(t.Context(), pool)
		if err != nil || u.Taken != many {
			t.Fatalf("usage %+v, %v", u, err)
		}
	}
}

// TestQueueIsBounded: what one access costs with a full queue is bounded, and
// nobody is let into it any more.
func TestQueueIsBounded(t *testing.T) {
	server := testenv.Redis(t)
	s := connect(t, server.Addr, redislease.Options{})
	seats := claim(t, s)
	waits := func(quantity uint32) lease.Request {
		r := request(quantity)
		r.Licenses, r.Wait = 3, &lease.Wait{Until: time.Hour, Place: time.Hour}
		return r
	}
	if _, err := seats.Access(t.Context(), request(3)); err != nil {
		t.Fatal(err)
	}
	for range lease.MostWaiting {
		_, err := seats.Access(t.Context(), waits(3))
		wantCode(t, err, license.CodeQueued)
	}
	_, err := seats.Access(t.Context(), waits(3))
	wantCode(t, err, license.CodeNoFreeSeat)
	if all, err := seats.Waiting(t.Context(), pool); err != nil || len(all) != lease.MostWaiting {
		t.Fatalf("%d wait, %v", len(all), err)
	}
	// All who wait are looked at, and leave this one just enough.
	r := request(1 + 3*lease.MostWaiting + 1)
	began := time.Now()
	if _, err := seats.Access(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	r = request(1 + 3*lease.MostWaiting + 1)
	_, err = seats.Access(t.Context(), r)
	wantCode(t, err, license.CodeNoFreeSeat)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("two accesses behind a full queue took %v", took)
	}
}

// TestManyLapse: what has run out is ended in steps, and all of it before a
// request is refused.
func TestManyLapse(t *testing.T) {
	server := testenv.Redis(t)
	s := connect(t, server.Addr, redislease.Options{})
	seats := claim(t, s)
	const many = 700
	for i := range many {
		r := by(fmt.Sprint(i), request(many))
		r.Lease = 10 * time.Second
		if i%7 == 0 {
			r.Lease = time.Hour
		}
		g, err := seats.Access(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			tok := ref(r, g)
			tok.Linger = r.Lease
			if err := seats.Release(t.Context(), tok); err != nil {
				t.Fatal(err)
			}
		}
	}
	// As if the ten seconds had passed.
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer client.Close()
	err := client.Eval(t.Context(), `
		for _, key in ipairs(KEYS) do
			for _, id in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', '(' .. ARGV[1])) do
				redis.call('ZADD', key, 1, id)
				local packed = redis.call('HGET', '`+prefix+`handles', id)
				if packed then
					local r = cmsgpack.unpack(packed)
					r[8] = 1
					redis.call('HSET', '`+prefix+`handles', id, cmsgpack.pack(r))
				end
			end
		end
		redis.call('HSET', '`+prefix+`group', 'claimed', '0')
		return 1`, []string{prefix + "due:" + pool.Product.String(), prefix + "over:" + pool.Product.String()},
		time.Now().Add(time.Minute).UnixMicro()).Err()
	if err != nil {
		t.Fatal(err)
	}
	g, err := seats.Access(t.Context(), request(many/7+1))
	if err != nil || g.Seat != 2 || g.N != 2 {
		t.Fatalf("%+v, %v; want the second seat, which has run out", g, err)
	}
	if u, err := seats.Usage(t.Context(), pool); err != nil || u.Taken != many/7+1 || u.Lingering != many/14 {
		t.Errorf("usage %+v, %v", u, err)
	}
	if n, err := seats.Expire(t.Context()); err != nil || n != 0 {
		t.Errorf("%d were left, %v", n, err)
	}
}

// TestClaimsInARow: a claim concerns what was renewed before it, whenever that is
// looked at, also where the claim before had moved the deadline.
func TestClaimsInARow(t *testing.T) {
	s := connect(t, testenv.Redis(t).Addr, redislease.Options{})
	seats := claim(t, s)
	const life = time.Hour
	r := request(2)
	g, err := seats.Access(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	lone := by("bob", request(2))
	if _, err := seats.Access(t.Context(), lone); err != nil {
		t.Fatal(err)
	}
	shown := func(id string) lease.Handle {
		t.Helper()
		all, err := seats.List(t.Context(), pool)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range all {
			if h.Handle == id {
				return h
			}
		}
		t.Fatalf("%s is not in %+v", id, all)
		return lease.Handle{}
	}
	for range 3 {
		seats = claim(t, s)
		claimed := time.Now()
		for _, id := range []string{r.ID, lone.ID} {
			if left := shown(id).Remaining; left > life+lease.Margin || left < life+lease.Margin-time.Since(claimed)-10*time.Millisecond {
				t.Errorf("%v are left", left)
			}
		}
		<-time.After(2 * time.Millisecond)
		was := shown(r.ID)
		if _, err := seats.Renew(t.Context(), ref(r, g)); err != nil {
			t.Fatal(err)
		}
		h := shown(r.ID)
		if h.Remaining > was.Remaining || h.Remaining <= life {
			t.Errorf("%v are left after a renewal, %v before", h.Remaining, was.Remaining)
		}
		if !h.LastAccess.After(was.LastAccess) || h.LastAccess.After(time.Now().Add(time.Second)) {
			t.Errorf("last access %v, before it %v", h.LastAccess, was.LastAccess)
		}
		if h := shown(lone.ID); h.LastAccess != h.FirstAccess {
			t.Errorf("last access %v, first %v, never renewed", h.LastAccess, h.FirstAccess)
		}
		next, any, err := seats.Next(t.Context())
		if err != nil || !any || next > life+lease.Margin || next < life {
			t.Errorf("Next = %v, %v, %v", next, any, err)
		}
	}
}

// TestDenialsAreBounded: what is remembered to leave out denials like others has
// a bound, and goes when nothing is denied any more.
func TestDenialsAreBounded(t *testing.T) {
	server := testenv.Redis(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer client.Close()
	s := redislease.New(client, redislease.Options{})
	seats := claim(t, s)
	deny := func(user string) {
		t.Helper()
		if err := seats.(lease.Denier).Deny(t.Context(), by(user, request(1)), license.CodeNotAllowed, ""); err != nil {
			t.Fatal(err)
		}
	}
	deny("old")
	key := "quorate:lease:{" + group.String() + "}:denials"
	recent := float64(time.Now().UnixMicro()) // after the old one, before the new one
	others := make([]redis.Z, 5000)
	for i := range others {
		others[i] = redis.Z{Score: recent, Member: fmt.Sprint("other ", i)}
	}
	if err := client.ZAdd(t.Context(), key, others...).Err(); err != nil {
		t.Fatal(err)
	}
	deny("new")
	if n := client.ZCard(t.Context(), key).Val(); n != 4096 {
		t.Errorf("%d denials are remembered, want 4096", n)
	}
	if left := client.PTTL(t.Context(), key).Val(); left <= 0 || left > time.Minute {
		t.Errorf("they are kept for %v", left)
	}
	deny("new") // is remembered
	deny("old") // isn't any more
	if all, err := s.Events(t.Context(), group, 0, 10); err != nil || len(all) != 3 {
		t.Errorf("%d denials are on record, %v; want 3", len(all), err)
	}
}
