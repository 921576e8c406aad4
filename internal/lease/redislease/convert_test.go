package redislease_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
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

const prefix = "quorate:lease:{140-77}:"

// format1 gives a Redis with the keys that an earlier version wrote: two living
// handles and a lingering seat, one released and one removed handle, two handles
// without a seat, one whose lease had run out, and a handle of another product.
func format1(t *testing.T) (*redis.Client, *redislease.Store) {
	t.Helper()
	server := testenv.Redis(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { _ = client.Close() })
	content, err := os.ReadFile(filepath.Join("testdata", "format1.json"))
	if err != nil {
		t.Fatal(err)
	}
	var keys []struct {
		Key  string
		Dump []byte
	}
	if err := json.Unmarshal(content, &keys); err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if err := client.Restore(t.Context(), k.Key, 0, string(k.Dump)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	return client, connect(t, server.Addr, redislease.Options{EndedFor: 100 * 365 * 24 * time.Hour})
}

// old is a reference to a handle of the earlier version.
func old(id, user string, seat uint32, n, epoch uint64) lease.Ref {
	return lease.Ref{
		Pool: pool, Handle: id, Seat: seat, N: n, Epoch: epoch, Mode: license.UserLimit, Station: "station-" + user,
		Client: lease.Client{Address: "192.0.2.7", User: user, Process: 4711, Application: "chart"}, Lease: time.Hour,
	}
}

func TestEarlierFormat(t *testing.T) {
	client, s := format1(t)
	was, err := client.HGet(t.Context(), prefix+"meta", "epoch").Uint64()
	if err != nil {
		t.Fatal(err)
	}
	before, err := s.Events(t.Context(), group, 0, 100)
	if err != nil || len(before) != 13 || before[0].Station != "station-ada" || before[0].Licenses != 1 || before[0].Seq != 0 {
		t.Fatalf("%+v, %v", before, err)
	}
	seats := claim(t, s)
	if seats.Epoch() <= was {
		t.Fatalf("epoch %d after %d", seats.Epoch(), was)
	}
	// What had run out before is over once the claim's margin has passed.
	testenv.Eventually(t, 20*time.Second, func() error {
		if _, err := seats.Expire(t.Context()); err != nil {
			return err
		}
		if u, err := seats.Usage(t.Context(), pool); err != nil || u.Taken != 3 {
			return fmt.Errorf("usage %+v, %w", u, err)
		}
		return nil
	})
	u, err := seats.Usage(t.Context(), pool)
	want := lease.Usage{
		Taken: 3, Lingering: 1, ByMode: map[license.AccessMode]uint32{license.UserLimit: 2, license.NoUserLimit: 2},
		TakenByMode: map[license.AccessMode]uint32{license.UserLimit: 2}, ByTag: map[string]uint32{},
	}
	if err != nil || fmt.Sprint(u) != fmt.Sprint(want) {
		t.Errorf("usage %+v, %v, want %+v", u, err, want)
	}
	all, err := seats.List(t.Context(), pool)
	if err != nil || len(all) != 4 {
		t.Fatalf("%+v, %v", all, err)
	}
	for i, id := range []string{"living-1", "living-3", "free-1", "free-2"} {
		h := all[i]
		if h.Handle != id || !strings.HasPrefix(h.Station, "station-") || h.Client.User != strings.TrimPrefix(h.Station, "station-") ||
			h.Client.Process != 4711 || h.Licenses != 1 || h.Lease != lease.MostLease || h.Remaining < lease.MostLease-time.Hour ||
			(h.Takes == 1) != strings.HasPrefix(id, "living") {
			t.Errorf("%d: %+v", i, h)
		}
		if h.FirstAccess.Before(before[0].At) || h.FirstAccess.After(before[12].At) || h.LastAccess != h.FirstAccess {
			t.Errorf("%s: first access %v, last %v", id, h.FirstAccess, h.LastAccess)
		}
	}
	for _, ref := range []lease.Ref{
		old("living-1", "ada", 1, 1, was), old("living-3", "eve", 3, 1, was), old("free-1", "ada", 0, 1, was), old("free-2", "bob", 0, 2, was),
	} {
		g, err := seats.Renew(t.Context(), ref)
		if err != nil || g.Seat != ref.Seat || g.N != ref.N || g.Licenses != 1 {
			t.Errorf("%s: %+v, %v", ref.Handle, g, err)
		}
	}
	wantCode(t, seats.Check(t.Context(), old("released-4", "mia", 4, 1, was)), license.CodeHandleUnknown)
	wantCode(t, seats.Check(t.Context(), old("removed-5", "zoe", 5, 1, was)), license.CodeHandleRemoved)
	wantCode(t, seats.Check(t.Context(), old("lingering-2", "bob", 2, 1, was)), license.CodeHandleUnknown)

	access := func(user string, mode license.AccessMode) lease.Grant {
		t.Helper()
		r := by(user, request(4))
		r.Mode, r.Station, r.Client.Process, r.Client.Application = mode, "station-"+user, 1, "chart"
		g, err := seats.Access(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	if g := access("bob", license.UserLimit); g.Seat != 2 || g.N != 2 {
		t.Errorf("%+v, want the seat that lingered", g)
	}
	if g := access("mia", license.UserLimit); g.Seat != 4 || g.N <= 1 {
		t.Errorf("%+v, want the lowest free seat under a new n", g)
	}
	if g := access("max", license.NoUserLimit); g.Seat != 5 || g.N <= 1 {
		t.Errorf("%+v, want a seat of its own", g)
	}
	_, err = seats.Access(t.Context(), request(4))
	wantCode(t, err, license.CodeNoFreeSeat)
	r := request(4)
	r.Mode, r.Station = license.Exclusive, "station-ada"
	_, err = seats.Access(t.Context(), r)
	wantCode(t, err, license.CodeStationBusy)
	// A handle without a seat ends as others do.
	for _, ref := range []lease.Ref{old("free-1", "ada", 0, 1, was), old("living-1", "ada", 1, 1, was)} {
		ref.Linger = time.Hour
		if err := seats.Release(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
	}
	if u, err := seats.Usage(t.Context(), pool); err != nil || u.Taken != 4 || u.Lingering != 1 || u.ByMode[license.NoUserLimit] != 2 {
		t.Errorf("usage %+v, %v", u, err)
	}
	after, err := s.Events(t.Context(), group, before[12].Position, 100)
	if err != nil || len(after) == 0 {
		t.Fatalf("%v, %v", after, err)
	}
	for i, e := range after {
		if e.Seq != uint64(i)+1 {
			t.Errorf("event %d has the number %d", i, e.Seq)
		}
	}
}

// TestEarlierFormatIsFenced: versions that know no other format fail on the
// first key that they look at, and change nothing.
func TestEarlierFormatIsFenced(t *testing.T) {
	for name, client := range map[string]*redis.Client{
		"converted": func() *redis.Client {
			client, s := format1(t)
			claim(t, s)
			return client
		}(),
		"new": func() *redis.Client {
			server := testenv.Redis(t)
			claim(t, connect(t, server.Addr, redislease.Options{}))
			client := redis.NewClient(&redis.Options{Addr: server.Addr})
			t.Cleanup(func() { _ = client.Close() })
			return client
		}(),
	} {
		if err := client.HGet(t.Context(), prefix+"meta", "epoch").Err(); !redis.HasErrorPrefix(err, "WRONGTYPE") {
			t.Errorf("%s: the earlier version reads %v", name, err)
		}
		if n := client.Exists(t.Context(), prefix+"due", prefix+"over").Val(); n != 0 {
			t.Errorf("%s: %d keys of the earlier format are left", name, n)
		}
	}
	// Who joins converts too, and fences those who had joined before.
	client, s := format1(t)
	was, err := client.HGet(t.Context(), prefix+"meta", "epoch").Uint64()
	if err != nil {
		t.Fatal(err)
	}
	joined, err := s.Join(t.Context(), group, "b")
	if err != nil || joined.Epoch() <= was {
		t.Fatalf("joined %v after %d, %v", joined, was, err)
	}
	again, err := s.Join(t.Context(), group, "c")
	if err != nil || again.Epoch() != joined.Epoch() {
		t.Fatalf("joined again %v, %v", again, err)
	}
}

// TestManyOfEarlierFormat: many handles are converted in several steps, by
// whoever claims meanwhile.
func TestManyOfEarlierFormat(t *testing.T) {
	client, s := format1(t)
	const many = 1500
	err := client.Eval(t.Context(), `
		local p = '`+prefix+`'
		for i = 1, `+fmt.Sprint(many)+` do
			local id, due = 'many-' .. i, 1900000000000000 + i
			redis.call('HSET', p .. 'handles', id, cmsgpack.pack({'6000010:15', 'USER_LIMIT', i + 1, 3, 3600000000,
				1700000000000000 + i, 1700000000000000 + i, 1, 'content', '{"station":"s","user":"u' .. i .. '"}'}))
			redis.call('ZADD', p .. 'due', due, id)
			redis.call('ZADD', p .. 'due:6000010:15', due, id)
			redis.call('HSET', p .. 'seats', '6000010:15/' .. (i + 1), '3 ' .. id)
		end
		redis.call('HINCRBY', p .. 'pools', '6000010:15/taken', `+fmt.Sprint(many)+`)
		redis.call('HSET', p .. 'pools', '6000010:15/high', `+fmt.Sprint(many+1)+`)
		return 1`, nil).Err()
	if err != nil {
		t.Fatal(err)
	}
	epochs := map[uint64]bool{}
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range 4 {
		wg.Go(func() {
			seats, err := s.Claim(t.Context(), group, "a")
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
				return
			}
			epochs[seats.Epoch()] = true
		})
	}
	wg.Wait()
	if len(epochs) != 4 {
		t.Errorf("epochs %v", epochs)
	}
	seats := claim(t, s)
	other := pool
	other.Product.Code = 15
	if u, err := seats.Usage(t.Context(), other); err != nil || u.Taken != many+1 || u.ByMode[license.UserLimit] != many+1 {
		t.Errorf("usage %+v, %v", u, err)
	}
	all, err := seats.List(t.Context(), other)
	if err != nil || len(all) != many+1 {
		t.Fatalf("%d handles, %v", len(all), err)
	}
	for i, h := range all[:many] {
		if h.Handle != fmt.Sprintf("many-%d", i+1) || h.Seat != uint32(i)+2 || h.N != 3 || h.Client.User != fmt.Sprintf("u%d", i+1) {
			t.Fatalf("handle %d is %+v", i, h)
		}
	}
	r := request(many + 2)
	r.Pool = other
	if g, err := seats.Access(t.Context(), r); err != nil || g.Seat != many+2 || g.N != 1 {
		t.Errorf("%+v, %v", g, err)
	}
}
