package leasetest

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/leasetest/kit"
	"github.com/quorate/quorate/internal/license"
)

// keeps checks that confirm, called in the middle of a lease, starts it anew:
// the handle outlives its first lease.
func keeps(t *testing.T, h Harness, confirm func(lease.Seats, lease.Request, lease.Ref) error) {
	s := kit.Claim(t, h.Store, "a")
	kit.Steady(t, func(stretch time.Duration) bool {
		life := 4 * kit.Short * stretch
		r := kit.Lasting(kit.Request(1), life)
		asked := time.Now()
		_, tok := kit.Access(t, s, r)
		defer func() { kit.OK(t, "Release", s.Release(t.Context(), tok)) }()
		granted := time.Now()
		<-time.After(life / 2)
		again := time.Now()
		if err := confirm(s, r, tok); err != nil {
			if time.Since(asked) > life {
				return true
			}
			t.Fatalf("within the lease: %v", err)
		}
		<-time.After(time.Until(granted.Add(life + time.Millisecond)))
		err := s.Check(t.Context(), tok)
		if err != nil && time.Since(again) > life {
			return true
		}
		kit.OK(t, "Check after the first lease", err)
		next, any, err := s.Next(t.Context())
		kit.OK(t, "Next", err)
		if !any || next > life {
			t.Fatalf("Next = %v, %v", next, any)
		}
		return false
	})
}

func renewalExtends(t *testing.T, h Harness) {
	keeps(t, h, func(s lease.Seats, _ lease.Request, tok lease.Ref) error {
		g, err := s.Renew(t.Context(), tok)
		if err == nil && (g.Handle != tok.Handle || g.Seat != tok.Seat || g.N != tok.N || g.Lease != tok.Lease || g.Epoch != s.Epoch()) {
			t.Fatalf("renewed as %+v, was %+v", g, tok)
		}
		return err
	})
	for _, e := range kit.AllEvents(t, h.Store) {
		if e.Kind != lease.Granted && e.Kind != lease.Released && e.Kind != lease.Expired {
			t.Fatalf("a renewal made an event: %+v", e)
		}
	}
}

func repeatExtends(t *testing.T, h Harness) {
	keeps(t, h, func(s lease.Seats, r lease.Request, _ lease.Ref) error {
		_, err := s.Access(t.Context(), r)
		return err
	})
}

func lateRenewal(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	_, tok := kit.Access(t, s, kit.Lasting(kit.Request(1), kit.Short))
	kit.Pass(kit.Short)
	for range 3 {
		_, err := s.Renew(t.Context(), tok)
		kit.WantCode(t, err, license.CodeHandleExpired)
		kit.WantCode(t, s.Check(t.Context(), tok), license.CodeHandleExpired)
	}
	kit.Access(t, s, kit.Request(1)) // the seat is another's
	_, err := s.Renew(t.Context(), tok)
	kit.WantCode(t, err, license.CodeHandleExpired)
	_, err = kit.Claim(t, h.Store, "b").Renew(t.Context(), tok)
	kit.WantCode(t, err, license.CodeHandleExpired)
}

func wrongN(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	_, tok := kit.Access(t, s, kit.Request(5))
	for name, change := range map[string]func(*lease.Ref){
		"newer n":      func(r *lease.Ref) { r.N++ },
		"older n":      func(r *lease.Ref) { r.N-- },
		"another seat": func(r *lease.Ref) { r.Seat++ },
		"unknown id":   func(r *lease.Ref) { r.Handle = "nobody" },
	} {
		c := tok
		change(&c)
		if _, err := s.Renew(t.Context(), c); license.CodeOf(err) != license.CodeHandleUnknown {
			t.Errorf("Renew with %s: %v", name, err)
		}
		if err := s.Check(t.Context(), c); license.CodeOf(err) != license.CodeHandleUnknown {
			t.Errorf("Check with %s: %v", name, err)
		}
	}
	kit.OK(t, "Check", s.Check(t.Context(), tok))
	kit.WantTaken(t, s, 1)
}

func newerEpoch(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	_, tok := kit.Access(t, s, kit.Request(5))
	tok.Epoch++
	_, err := s.Renew(t.Context(), tok)
	kit.WantCode(t, err, license.CodeNotLeader)
	kit.WantCode(t, s.Check(t.Context(), tok), license.CodeNotLeader)
	kit.WantCode(t, s.Release(t.Context(), tok), license.CodeNotLeader)
	kit.WantTaken(t, s, 1)
}

func olderEpoch(t *testing.T, h Harness) {
	_, tok := kit.Access(t, kit.Claim(t, h.Store, "a"), kit.Request(5))
	s := kit.Claim(t, h.Store, "b")
	kit.OK(t, "Check", s.Check(t.Context(), tok))
	g, err := s.Renew(t.Context(), tok)
	kit.OK(t, "Renew", err)
	if g.Epoch != s.Epoch() {
		t.Fatalf("renewed under epoch %d, the leader's is %d", g.Epoch, s.Epoch())
	}
	kit.OK(t, "Release", s.Release(t.Context(), tok))
	kit.WantTaken(t, s, 0)
}

// lost is a token whose handle the store does not know.
func lost(s lease.Seats, seat uint32, n uint64) lease.Ref {
	r := kit.Lasting(kit.Request(1), kit.Long)
	return kit.Ref(r, lease.Grant{Handle: r.ID, Pool: kit.Pool, Mode: r.Mode, Seat: seat, Epoch: s.Epoch() - 1, N: n, Lease: kit.Long})
}

func lostTakenIn(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	third, fifth := lost(s, 3, 9), lost(s, 5, 2)
	if h.Sure {
		_, err := s.Renew(t.Context(), third)
		kit.WantCode(t, err, license.CodeHandleUnknown)
		kit.WantCode(t, s.Check(t.Context(), third), license.CodeHandleUnknown)
		kit.OK(t, "Release of an unknown handle", s.Release(t.Context(), third))
		kit.WantTaken(t, s, 0)
		kit.WantKinds(t, h.Store)
		return
	}
	g, err := s.Renew(t.Context(), third)
	kit.OK(t, "Renew of a lost handle", err)
	if g.Seat != 3 || g.N != 9 || g.Handle != third.Handle || g.Lease != kit.Long || g.Epoch != s.Epoch() {
		t.Fatalf("taken in as %+v", g)
	}
	kit.OK(t, "Check of a lost handle", s.Check(t.Context(), fifth))
	kit.WantTaken(t, s, 2)
	kit.WantKinds(t, h.Store, lease.Granted, lease.Granted)
	for _, want := range []uint32{1, 2, 4, 6} {
		if g, _ := kit.Access(t, s, kit.Request(6)); g.Seat != want {
			t.Fatalf("seat %d, want %d", g.Seat, want)
		}
	}
	_, err = s.Access(t.Context(), kit.Request(6))
	kit.WantCode(t, err, license.CodeNoFreeSeat)
	kit.OK(t, "Release", s.Release(t.Context(), third))
	if g, _ := kit.Access(t, s, kit.Request(6)); g.Seat != 3 || g.N != 10 {
		t.Fatalf("grant %+v, want seat 3 with n 10", g)
	}
	// A lost handle that is released is not taken in by a late renewal.
	seventh := lost(s, 7, 4)
	kit.OK(t, "Release of a lost handle", s.Release(t.Context(), seventh))
	_, err = s.Renew(t.Context(), seventh)
	kit.WantCode(t, err, license.CodeHandleUnknown)
}

func lostRefused(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	_, held := kit.Access(t, s, kit.Request(5))
	_, gone := kit.Access(t, s, kit.Request(5))
	kit.OK(t, "Release", s.Release(t.Context(), gone))
	for name, tok := range map[string]lease.Ref{
		"seat taken":        lost(s, held.Seat, held.N+1),
		"n used":            lost(s, gone.Seat, gone.N),
		"no n":              lost(s, 4, 0),
		"token too old":     func() lease.Ref { r := lost(s, 4, 1); r.Lease = 0; return r }(),
		"no seat":           lost(s, 0, 1),
		"no seat, no limit": func() lease.Ref { r := lost(s, 0, 1); r.Mode = license.NoUserLimit; return r }(),
	} {
		if _, err := s.Renew(t.Context(), tok); license.CodeOf(err) != license.CodeHandleUnknown {
			t.Errorf("%s: %v, want %s", name, err, license.CodeHandleUnknown)
		}
	}
	kit.WantTaken(t, s, 1)
}

func checkDoesNotRenew(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	kit.Steady(t, func(stretch time.Duration) bool {
		life := 4 * kit.Short * stretch
		asked := time.Now()
		_, tok := kit.Access(t, s, kit.Lasting(kit.Request(1), life))
		<-time.After(life / 2)
		err := s.Check(t.Context(), tok)
		if time.Since(asked) > life {
			kit.Pass(life)
			return true
		}
		kit.OK(t, "Check within the lease", err)
		<-time.After(life/2 + life/8)
		kit.WantCode(t, s.Check(t.Context(), tok), license.CodeHandleExpired)
		return false
	})
}

func released(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	r := kit.Request(1)
	_, tok := kit.Access(t, s, r)
	kit.OK(t, "Release", s.Release(t.Context(), tok))
	kit.WantTaken(t, s, 0)
	kit.WantCode(t, s.Check(t.Context(), tok), license.CodeHandleUnknown)
	g, _ := kit.Access(t, s, kit.Request(1))
	if g.Seat != 1 || g.N != 2 {
		t.Fatalf("grant %+v, want the released seat", g)
	}
	kit.WantKinds(t, h.Store, lease.Granted, lease.Released, lease.Granted)
}

func releasedTwice(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	_, tok := kit.Access(t, s, kit.Request(1))
	kit.OK(t, "Release", s.Release(t.Context(), tok))
	kit.OK(t, "second Release", s.Release(t.Context(), tok))
	_, next := kit.Access(t, s, kit.Request(1))
	kit.OK(t, "late Release", s.Release(t.Context(), tok))
	older := next
	older.N = tok.N
	kit.OK(t, "Release with an older n", s.Release(t.Context(), older))
	kit.OK(t, "Check of the next holder", s.Check(t.Context(), next))
	kit.WantKinds(t, h.Store, lease.Granted, lease.Released, lease.Granted)
}

func removed(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	_, tok := kit.Access(t, s, kit.Request(1))
	kit.OK(t, "Remove", s.Remove(t.Context(), kit.Pool, lease.Removal{Handle: tok.Handle, By: "grace"}))
	kit.OK(t, "second Remove", s.Remove(t.Context(), kit.Pool, lease.Removal{Handle: tok.Handle, By: "grace"}))
	kit.WantCode(t, s.Check(t.Context(), tok), license.CodeHandleRemoved)
	_, err := s.Renew(t.Context(), tok)
	kit.WantCode(t, err, license.CodeHandleRemoved)
	kit.OK(t, "Release of a removed handle", s.Release(t.Context(), tok))
	_, next := kit.Access(t, s, kit.Request(1))
	if next.Seat != tok.Seat || next.N <= tok.N {
		t.Fatalf("next %+v, removed %+v", next, tok)
	}
	kit.WantCode(t, s.Remove(t.Context(), kit.Pool, lease.Removal{Handle: "nobody", By: "grace"}), license.CodeHandleUnknown)
	all := kit.WantKinds(t, h.Store, lease.Granted, lease.Removed, lease.Granted)
	if all[1].By != "grace" || all[1].Handle != tok.Handle {
		t.Fatalf("the removal's event is %+v", all[1])
	}
}

func expires(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	if _, any, err := s.Next(t.Context()); any || err != nil {
		t.Fatalf("Next of nothing: %v, %v", any, err)
	}
	kit.Access(t, s, kit.Request(5))
	next, any, err := s.Next(t.Context())
	kit.OK(t, "Next", err)
	if !any || next > kit.Long || next < kit.Long-time.Minute {
		t.Fatalf("Next = %v, %v; want about %v", next, any, kit.Long)
	}
	_, a := kit.Access(t, s, kit.Lasting(kit.Request(5), kit.Short))
	_, b := kit.Access(t, s, kit.Lasting(kit.Request(5), kit.Short))
	if next, any, err = s.Next(t.Context()); err != nil || !any || next > kit.Short {
		t.Fatalf("Next = %v, %v, %v; want at most %v", next, any, err, kit.Short)
	}
	kit.Pass(kit.Short)
	if next, any, err = s.Next(t.Context()); err != nil || any && next != 0 && next < kit.Long-time.Minute {
		t.Fatalf("Next = %v, %v, %v; want nothing more to wait for", next, any, err)
	}
	n, err := s.Expire(t.Context())
	kit.OK(t, "Expire", err)
	if n != 2 {
		t.Fatalf("Expire ended %d, want 2", n)
	}
	if n, err := s.Expire(t.Context()); n != 0 || err != nil {
		t.Fatalf("second Expire ended %d, %v", n, err)
	}
	all := kit.WantKinds(t, h.Store, lease.Granted, lease.Granted, lease.Granted, lease.Expired, lease.Expired)
	ended := map[string]bool{all[3].Handle: true, all[4].Handle: true}
	if !ended[a.Handle] || !ended[b.Handle] {
		t.Fatalf("ended %v", ended)
	}
	kit.WantTaken(t, s, 1)
}

func lists(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	if all, err := s.List(t.Context(), kit.Pool); len(all) != 0 || err != nil {
		t.Fatalf("List of nothing: %v, %v", all, err)
	}
	before := time.Now()
	var want []lease.Grant
	var requests []lease.Request
	for range 3 {
		r := kit.Request(5)
		g, _ := kit.Access(t, s, r)
		want, requests = append(want, g), append(requests, r)
		<-time.After(2 * time.Millisecond)
	}
	kit.Access(t, s, kit.Lasting(kit.Request(5), kit.Short))
	kit.Pass(kit.Short)
	_, err := s.Renew(t.Context(), kit.Ref(requests[0], want[0]))
	kit.OK(t, "Renew", err)
	all, err := s.List(t.Context(), kit.Pool)
	kit.OK(t, "List", err)
	if len(all) != 3 {
		t.Fatalf("%d handles, want the three living", len(all))
	}
	for i, got := range all {
		if got.Grant != want[i] || got.Client != requests[i].Client || got.Station != requests[i].Station || got.Accesses != 1 {
			t.Errorf("handle %d is %+v, want %+v", i, got, want[i])
		}
		if got.Remaining <= kit.Long-time.Minute || got.Remaining > kit.Long {
			t.Errorf("remaining %v", got.Remaining)
		}
		if got.FirstAccess.Before(before.Add(-time.Minute)) || got.FirstAccess.After(time.Now().Add(time.Minute)) {
			t.Errorf("first access %v, began %v", got.FirstAccess, before)
		}
		if renewed := got.LastAccess.After(got.FirstAccess); renewed != (i == 0) {
			t.Errorf("handle %d: last access %v, first %v", i, got.LastAccess, got.FirstAccess)
		}
	}
}

func usage(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	u, err := s.Usage(t.Context(), kit.Pool)
	if err != nil || u.Taken != 0 || len(u.ByMode) != 0 {
		t.Fatalf("usage of nothing: %+v, %v", u, err)
	}
	kit.Access(t, s, kit.Request(5))
	_, tok := kit.Access(t, s, kit.Request(5))
	kit.Access(t, s, kit.Lasting(kit.Request(5), kit.Short))
	kit.OK(t, "Release", s.Release(t.Context(), tok))
	kit.Pass(kit.Short)
	u, err = s.Usage(t.Context(), kit.Pool)
	if err != nil || u.Taken != 1 || len(u.ByMode) != 1 || u.ByMode[license.UserLimit] != 1 {
		t.Fatalf("usage %+v, %v; want one", u, err)
	}
}
