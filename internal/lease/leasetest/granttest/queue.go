package granttest

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/leasetest/kit"
	"github.com/quorate/quorate/internal/license"
)

// queues are the sentences about waiting.
func queues() map[string]func(*testing.T, kit.Harness) {
	return map[string]func(*testing.T, kit.Harness){
		"who finds no free license waits at a place that is told":      queueTells,
		"a freed license goes to who stands first":                     queueFirst,
		"higher priorities come first, then who came first":            queueOrder,
		"who does not wait stands behind all of his priority":          queueBehind,
		"a place that is not asked for is lost":                        queueLost,
		"waiting ends at the deadline of the first asking":             queueDeadline,
		"a place is given up by leaving, and by not waiting":           queueLeave,
		"a queue is bounded":                                           queueBounded,
		"more than there is can't be waited for":                       queueTooMuch,
		"who wants much is not passed by those who want little":        queueMuch,
		"who takes nothing passes the queue":                           queuePassed,
		"who is refused by station or cap holds nobody up":             queueBarred,
		"what is kept back for a tag is not held up by others waiting": queueReserved,
		"a station or a cap refuses who waits":                         queueRefused,
		"waiting requests are known, each pool has its own queue":      queueKnown,
		"a repeat of who got in from the queue is a repeat":            queueRepeats,
	}
}

func wantQueued(t *testing.T, s lease.Seats, r lease.Request, position, waiting uint32) map[string]any {
	t.Helper()
	d := denies(t, s, r, license.CodeQueued)
	if d["position"] != position || d["waiting"] != waiting {
		t.Fatalf("details %v, want position %d of %d", d, position, waiting)
	}
	return d
}

func wantWaiting(t *testing.T, s lease.Seats, want ...lease.Request) []lease.Waiter {
	t.Helper()
	all, err := s.Waiting(t.Context(), kit.Pool)
	kit.OK(t, "Waiting", err)
	match := len(all) == len(want)
	for i := 0; match && i < len(all); i++ {
		match = all[i].ID == want[i].ID
	}
	if !match {
		t.Fatalf("the queue is %+v, want %d", all, len(want))
	}
	u, err := s.Usage(t.Context(), kit.Pool)
	if err != nil || u.Waiting != uint32(len(want)) {
		t.Fatalf("usage %+v, %v; want %d waiting", u, err, len(want))
	}
	return all
}

func queueTells(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	before := time.Now().Add(-time.Minute)
	kit.Access(t, s, kit.Request(1))
	r := kit.Queued(wanting(1, of(license.StationShare, "a", kit.Request(1))), 3)
	d := wantQueued(t, s, r, 1, 1)
	if d["taken"] != uint32(1) || d["quantity"] != uint32(1) || d["nextExpiryMs"] == nil {
		t.Fatalf("details %v", d)
	}
	wantQueued(t, s, r, 1, 1)
	other := kit.Queued(kit.Request(1), 3)
	wantQueued(t, s, other, 2, 2)
	wantQueued(t, s, r, 1, 2)
	first := wantWaiting(t, s, r, other)[0]
	if first.Mode != r.Mode || first.Station != "a" || first.Client != r.Client || first.Licenses != 1 || first.Priority != 3 ||
		first.Since.Before(before) || first.Since.After(time.Now().Add(time.Minute)) {
		t.Fatalf("the first is %+v", first)
	}
	kit.WantKinds(t, h.Store, lease.Granted) // waiting makes no event
	if d := denies(t, s, kit.Request(1), license.CodeNoFreeSeat); d["waiting"] != uint32(2) {
		t.Fatalf("details %v", d)
	}
	kit.WantTaken(t, s, 1)
}

func queueFirst(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	_, tok := kit.Access(t, s, kit.Request(1))
	first, second := kit.Queued(kit.Request(1), 0), kit.Queued(kit.Request(1), 0)
	wantQueued(t, s, first, 1, 1)
	wantQueued(t, s, second, 2, 2)
	release(t, s, tok)
	if d := denies(t, s, kit.Request(1), license.CodeNoFreeSeat); d["taken"] != uint32(0) || d["waiting"] != uint32(2) {
		t.Fatalf("details %v", d)
	}
	wantQueued(t, s, second, 2, 2)
	g, tok := kit.Access(t, s, first)
	if g.Repeated || g.N != 2 {
		t.Fatalf("grant %+v", g)
	}
	wantQueued(t, s, second, 1, 1)
	release(t, s, tok)
	_, tok = kit.Access(t, s, second)
	wantWaiting(t, s)
	release(t, s, tok)
	kit.Access(t, s, kit.Request(1))
	kit.WantKinds(t, h.Store, lease.Granted, lease.Released, lease.Denied, lease.Granted, lease.Released,
		lease.Granted, lease.Released, lease.Granted)
}

func queueOrder(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	_, tok := kit.Access(t, s, kit.Request(1))
	low, mid, high, mid2 := kit.Queued(kit.Request(1), -5), kit.Queued(kit.Request(1), 0), kit.Queued(kit.Request(1), 7), kit.Queued(kit.Request(1), 0)
	wantQueued(t, s, low, 1, 1)
	wantQueued(t, s, mid, 1, 2)
	wantQueued(t, s, high, 1, 3)
	wantQueued(t, s, mid2, 3, 4)
	wantQueued(t, s, low, 4, 4)
	wantWaiting(t, s, high, mid, mid2, low)
	// The priority of the first asking counts.
	raised := kit.Queued(low, 99)
	wantQueued(t, s, raised, 4, 4)
	order := []lease.Request{high, mid, mid2, raised}
	for i, r := range order {
		release(t, s, tok)
		for j, later := range order[i+1:] {
			wantQueued(t, s, later, uint32(j)+2, uint32(len(order)-i))
		}
		_, tok = kit.Access(t, s, r)
	}
}

func queueBehind(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	_, tok := kit.Access(t, s, kit.Request(1))
	patient := kit.Queued(kit.Request(1), -1)
	wantQueued(t, s, patient, 1, 1)
	release(t, s, tok)
	_, tok = kit.Access(t, s, kit.Request(1)) // more urgent than who waits
	equal := kit.Queued(kit.Request(1), 0)
	wantQueued(t, s, equal, 1, 2)
	release(t, s, tok)
	denies(t, s, kit.Request(1), license.CodeNoFreeSeat)
	wantQueued(t, s, kit.Queued(kit.Request(1), 0), 2, 3)
	_, tok = kit.Access(t, s, kit.Queued(kit.Request(1), 1))
	release(t, s, tok)
	kit.Access(t, s, equal)
}

func queueLost(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	_, tok := kit.Access(t, s, kit.Request(1))
	kit.Steady(t, func(stretch time.Duration) bool {
		place := kit.Short * stretch
		r, next := kit.Queued(kit.Request(1), 0), kit.Queued(kit.Request(1), 0)
		r.Wait.Place = place
		asked := time.Now()
		wantQueued(t, s, r, 1, 1)
		denies(t, s, next, license.CodeQueued)
		leave := func() {
			for _, r := range []lease.Request{r, next} {
				kit.OK(t, "Leave", s.Leave(t.Context(), kit.Pool, r.ID))
			}
		}
		for range 3 { // asked for, it is kept
			<-time.After(place / 2)
			again := time.Now()
			_, err := s.Access(t.Context(), r)
			if time.Since(asked) > place {
				leave()
				return true
			}
			kit.WantCode(t, err, license.CodeQueued)
			if d := license.Public(err).Details; d["position"] != uint32(1) {
				t.Fatalf("details %v, want the first place still", d)
			}
			asked = again
		}
		kit.Pass(place)
		wantWaiting(t, s, next)
		wantQueued(t, s, next, 1, 1)
		wantQueued(t, s, kit.Queued(r, -1), 2, 2) // asks anew
		kit.OK(t, "Leave", s.Leave(t.Context(), kit.Pool, r.ID))
		gone := kit.Queued(kit.Request(1), 9)
		gone.Wait.Place = time.Millisecond
		denies(t, s, gone, license.CodeQueued)
		kit.Pass(2 * time.Millisecond)
		release(t, s, tok)
		kit.Access(t, s, next)
		return false
	})
	wantWaiting(t, s)
}

func queueDeadline(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	_, tok := kit.Access(t, s, kit.Request(1))
	kit.Steady(t, func(stretch time.Duration) bool {
		until := 2 * kit.Short * stretch
		r := kit.Queued(kit.Request(1), 0)
		r.Wait.Until = until
		asked := time.Now()
		wantQueued(t, s, r, 1, 1)
		<-time.After(until / 2)
		again := kit.Queued(r, 0) // a later deadline doesn't count
		_, err := s.Access(t.Context(), again)
		if time.Since(asked) > until {
			kit.OK(t, "Leave", s.Leave(t.Context(), kit.Pool, r.ID))
			return true
		}
		kit.WantCode(t, err, license.CodeQueued)
		kit.Pass(until - until/4)
		wantWaiting(t, s, r) // until it asks
		denies(t, s, again, license.CodeNoFreeSeat)
		wantWaiting(t, s)
		all := kit.AllEvents(t, h.Store)
		if e := all[len(all)-1]; e.Kind != lease.Denied || e.Handle != r.ID || e.Reason != license.CodeNoFreeSeat {
			t.Fatalf("the end of waiting told %+v", e)
		}
		// Refused it is not known: it may wait again.
		wantQueued(t, s, again, 1, 1)
		release(t, s, tok)
		_, tok = kit.Access(t, s, again)
		return false
	})
	// With a free license it is granted even then.
	r := kit.Queued(kit.Request(1), 0)
	r.Wait.Until = time.Millisecond
	denies(t, s, r, license.CodeQueued)
	kit.Pass(2 * time.Millisecond)
	release(t, s, tok)
	kit.Access(t, s, r)
}

func queueLeave(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	_, tok := kit.Access(t, s, kit.Request(1))
	first, second, third := kit.Queued(kit.Request(1), 0), kit.Queued(kit.Request(1), 0), kit.Queued(kit.Request(1), 0)
	for i, r := range []lease.Request{first, second, third} {
		wantQueued(t, s, r, uint32(i)+1, uint32(i)+1)
	}
	kit.OK(t, "Leave", s.Leave(t.Context(), kit.Pool, first.ID))
	kit.OK(t, "second Leave", s.Leave(t.Context(), kit.Pool, first.ID))
	kit.OK(t, "Leave of nobody", s.Leave(t.Context(), kit.Pool, "nobody"))
	kit.OK(t, "Leave of a handle", s.Leave(t.Context(), kit.Pool, tok.Handle))
	kit.OK(t, "Check", s.Check(t.Context(), tok))
	elsewhere := kit.Pool
	elsewhere.Product.Code++
	kit.OK(t, "Leave of another pool", s.Leave(t.Context(), elsewhere, second.ID))
	wantWaiting(t, s, second, third)
	kit.WantCode(t, s.Leave(t.Context(), kit.Pool, ""), license.CodeInvalidInput)
	second.Wait = nil
	release(t, s, tok)
	denies(t, s, second, license.CodeNoFreeSeat) // the third stands before it now
	wantWaiting(t, s, third)
	kit.WantKinds(t, h.Store, lease.Granted, lease.Released, lease.Denied)
	kit.Access(t, s, third)
}

func queueBounded(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	kit.Access(t, s, kit.Request(1))
	first := kit.Queued(kit.Request(1), 0)
	wantQueued(t, s, first, 1, 1)
	for i := uint32(2); i <= lease.MostWaiting; i++ {
		wantQueued(t, s, kit.Queued(kit.Request(1), 0), i, i)
	}
	if d := denies(t, s, kit.Queued(kit.Request(1), 9), license.CodeNoFreeSeat); d["waiting"] != uint32(lease.MostWaiting) {
		t.Fatalf("details %v", d)
	}
	wantQueued(t, s, first, 1, lease.MostWaiting)
	kit.OK(t, "Leave", s.Leave(t.Context(), kit.Pool, first.ID))
	wantQueued(t, s, kit.Queued(kit.Request(1), 9), 1, lease.MostWaiting)
}

func queueTooMuch(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	_, tok := kit.Access(t, s, wanting(3, kit.Request(3)))
	denies(t, s, kit.Queued(wanting(4, kit.Request(3)), 0), license.CodeNoFreeSeat)
	wantWaiting(t, s)
	r := kit.Queued(wanting(3, kit.Request(3)), 0)
	wantQueued(t, s, r, 1, 1)
	release(t, s, tok)
	r.Quantity = 2 // lowered meanwhile
	other := kit.Request(2)
	kit.Access(t, s, other) // whom it would hold up for nothing
	denies(t, s, r, license.CodeNoFreeSeat)
	wantWaiting(t, s)
}

func queueMuch(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	_, tok := kit.Access(t, s, wanting(2, kit.Request(4)))
	big, small := kit.Queued(wanting(3, kit.Request(4)), 0), kit.Queued(kit.Request(4), 0)
	wantQueued(t, s, big, 1, 1)
	wantQueued(t, s, small, 2, 2)
	denies(t, s, kit.Request(4), license.CodeNoFreeSeat)
	release(t, s, tok)
	wantQueued(t, s, kit.Queued(wanting(2, kit.Request(4)), 0), 3, 3)
	kit.Access(t, s, small) // there is room for both
	kit.Access(t, s, big)
}

func queuePassed(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	kit.Access(t, s, share("a", 2))
	lingers := kit.Linger(t, s, kit.Request(2), kit.Long)
	r := kit.Queued(kit.By("eve", kit.Request(2)), 9)
	wantQueued(t, s, r, 1, 1)
	kit.Access(t, s, share("a", 2))
	if g, _ := kit.Access(t, s, kit.Request(2)); g.Seat != lingers.Seat {
		t.Fatalf("grant %+v, want the lingering seat", g)
	}
	wantQueued(t, s, r, 1, 1)
}

func queueBarred(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	_, one := kit.Access(t, s, of(license.UserLimit, "a", kit.Request(3)))
	_, two := kit.Access(t, s, tagged(wanting(2, kit.Request(3)), "team"))
	busy := kit.Queued(of(license.Exclusive, "b", kit.Request(3)), 9)
	limited := kit.Queued(capped(tagged(kit.Request(3), "crew"), "crew", 1), 9)
	wantQueued(t, s, busy, 1, 1)
	wantQueued(t, s, limited, 2, 2)
	release(t, s, two)
	denies(t, s, kit.Request(3), license.CodeNoFreeSeat) // both want one of two that are free
	// Now the station of the one is busy, and the cap of the other reached.
	kit.Access(t, s, of(license.NoUserLimit, "b", kit.Request(3)))
	_, there := kit.Access(t, s, kit.Queued(of(license.UserLimit, "b", kit.Request(3)), 10))
	_, last := kit.Access(t, s, kit.Queued(tagged(kit.Request(3), "crew"), 10))
	release(t, s, one)
	_, tok := kit.Access(t, s, kit.Request(3))
	release(t, s, tok)
	release(t, s, there)
	release(t, s, last)
	// They can go on as before.
	kit.Access(t, s, limited)
	kit.Access(t, s, busy)
}

func queueReserved(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	kit.Access(t, s, wanting(2, kit.Request(4)))
	plain := holding(kit.Request(4), "chiefs", 1)
	_, tok := kit.Access(t, s, plain)
	waits := kit.Queued(renewed(plain), 9)
	d := wantQueued(t, s, waits, 1, 1)
	if d["heldBack"] != uint32(1) {
		t.Fatalf("details %v", d)
	}
	chief := tagged(kit.Request(4), "chiefs")
	_, boss := kit.Access(t, s, chief) // takes nothing that the other could have
	wantQueued(t, s, waits, 1, 1)
	release(t, s, tok)
	denies(t, s, renewed(chief), license.CodeNoFreeSeat) // a second one would
	release(t, s, boss)
	denies(t, s, wanting(2, renewed(chief)), license.CodeNoFreeSeat)
	kit.Access(t, s, renewed(chief))
	kit.Access(t, s, waits)
}

func queueRefused(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	_, tok := kit.Access(t, s, kit.Request(2))
	kit.Access(t, s, kit.Request(2))
	busy := kit.Queued(of(license.Exclusive, "b", kit.Request(2)), 0)
	limited := kit.Queued(capped(tagged(kit.Request(2), "crew"), "crew", 1), 0)
	wantQueued(t, s, busy, 1, 1)
	wantQueued(t, s, limited, 2, 2)
	release(t, s, tok)
	_, tok = kit.Access(t, s, kit.Queued(of(license.UserLimit, "b", tagged(kit.Request(2), "crew")), 9))
	denies(t, s, busy, license.CodeStationBusy)
	denies(t, s, limited, license.CodeLimitReached)
	wantWaiting(t, s)
	release(t, s, tok)
	kit.Access(t, s, busy)
}

func queueKnown(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	kit.Access(t, s, kit.Request(1))
	r := kit.Queued(kit.Request(1), 0)
	wantQueued(t, s, r, 1, 1)
	c := r
	c.Licenses = 2
	denies(t, s, c, license.CodeRequestMismatch)
	c = r
	c.Pool.Product.Code++
	denies(t, s, c, license.CodeRequestMismatch)
	wantWaiting(t, s, r)
	o := renewed(c)
	kit.Access(t, s, o)
	wantQueued(t, s, renewed(o), 1, 1)
	all, err := s.Waiting(t.Context(), o.Pool)
	if err != nil || len(all) != 1 {
		t.Fatalf("the queue of the other product: %+v, %v", all, err)
	}
	wantWaiting(t, s, r)
	_, err = s.Waiting(t.Context(), lease.Pool{Container: kit.Other, Product: kit.Product})
	kit.WantCode(t, err, license.CodeInvalidInput)
	// Somebody who waits has no handle.
	kit.WantCode(t, s.Remove(t.Context(), kit.Pool, lease.Removal{Handle: r.ID}), license.CodeHandleUnknown)
	kit.WantCode(t, s.Ask(t.Context(), kit.Pool, r.ID, lease.Notice{ID: "n"}), license.CodeHandleUnknown)
}

func queueRepeats(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	_, tok := kit.Access(t, s, kit.Request(1))
	r := kit.Queued(kit.Request(1), 0)
	wantQueued(t, s, r, 1, 1)
	release(t, s, tok)
	g, tok := kit.Access(t, s, r)
	for range 2 {
		again, _ := kit.Access(t, s, r)
		if !again.Repeated || again.Seat != g.Seat || again.N != g.N {
			t.Fatalf("repeated as %+v, was %+v", again, g)
		}
	}
	release(t, s, tok)
	denies(t, s, r, license.CodeHandleUnknown)
	wantWaiting(t, s)
}
