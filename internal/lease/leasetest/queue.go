package leasetest

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// queues are the sentences about waiting.
func queues() map[string]func(*testing.T, Harness) {
	return map[string]func(*testing.T, Harness){
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

// queued lets a request wait for as long as no test does.
func queued(r lease.Request, priority int32) lease.Request {
	r.Wait = &lease.Wait{Priority: priority, Until: long, Place: lease.MostPlace}
	return r
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
	all, err := s.Waiting(t.Context(), pool)
	ok(t, "Waiting", err)
	match := len(all) == len(want)
	for i := 0; match && i < len(all); i++ {
		match = all[i].ID == want[i].ID
	}
	if !match {
		t.Fatalf("the queue is %+v, want %d", all, len(want))
	}
	u, err := s.Usage(t.Context(), pool)
	if err != nil || u.Waiting != uint32(len(want)) {
		t.Fatalf("usage %+v, %v; want %d waiting", u, err, len(want))
	}
	return all
}

func queueTells(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	before := time.Now().Add(-time.Minute)
	access(t, s, request(1))
	r := queued(wanting(1, of(license.StationShare, "a", request(1))), 3)
	d := wantQueued(t, s, r, 1, 1)
	if d["taken"] != uint32(1) || d["quantity"] != uint32(1) || d["nextExpiryMs"] == nil {
		t.Fatalf("details %v", d)
	}
	wantQueued(t, s, r, 1, 1)
	other := queued(request(1), 3)
	wantQueued(t, s, other, 2, 2)
	wantQueued(t, s, r, 1, 2)
	first := wantWaiting(t, s, r, other)[0]
	if first.Mode != r.Mode || first.Station != "a" || first.Client != r.Client || first.Licenses != 1 || first.Priority != 3 ||
		first.Since.Before(before) || first.Since.After(time.Now().Add(time.Minute)) {
		t.Fatalf("the first is %+v", first)
	}
	wantKinds(t, h.Store, lease.Granted) // waiting makes no event
	if d := denies(t, s, request(1), license.CodeNoFreeSeat); d["waiting"] != uint32(2) {
		t.Fatalf("details %v", d)
	}
	wantTaken(t, s, 1)
}

func queueFirst(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	_, tok := access(t, s, request(1))
	first, second := queued(request(1), 0), queued(request(1), 0)
	wantQueued(t, s, first, 1, 1)
	wantQueued(t, s, second, 2, 2)
	release(t, s, tok)
	if d := denies(t, s, request(1), license.CodeNoFreeSeat); d["taken"] != uint32(0) || d["waiting"] != uint32(2) {
		t.Fatalf("details %v", d)
	}
	wantQueued(t, s, second, 2, 2)
	g, tok := access(t, s, first)
	if g.Repeated || g.N != 2 {
		t.Fatalf("grant %+v", g)
	}
	wantQueued(t, s, second, 1, 1)
	release(t, s, tok)
	_, tok = access(t, s, second)
	wantWaiting(t, s)
	release(t, s, tok)
	access(t, s, request(1))
	wantKinds(t, h.Store, lease.Granted, lease.Released, lease.Denied, lease.Granted, lease.Released,
		lease.Granted, lease.Released, lease.Granted)
}

func queueOrder(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	_, tok := access(t, s, request(1))
	low, mid, high, mid2 := queued(request(1), -5), queued(request(1), 0), queued(request(1), 7), queued(request(1), 0)
	wantQueued(t, s, low, 1, 1)
	wantQueued(t, s, mid, 1, 2)
	wantQueued(t, s, high, 1, 3)
	wantQueued(t, s, mid2, 3, 4)
	wantQueued(t, s, low, 4, 4)
	wantWaiting(t, s, high, mid, mid2, low)
	// The priority of the first asking counts.
	raised := queued(low, 99)
	wantQueued(t, s, raised, 4, 4)
	order := []lease.Request{high, mid, mid2, raised}
	for i, r := range order {
		release(t, s, tok)
		for j, later := range order[i+1:] {
			wantQueued(t, s, later, uint32(j)+2, uint32(len(order)-i))
		}
		_, tok = access(t, s, r)
	}
}

func queueBehind(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	_, tok := access(t, s, request(1))
	patient := queued(request(1), -1)
	wantQueued(t, s, patient, 1, 1)
	release(t, s, tok)
	_, tok = access(t, s, request(1)) // more urgent than who waits
	equal := queued(request(1), 0)
	wantQueued(t, s, equal, 1, 2)
	release(t, s, tok)
	denies(t, s, request(1), license.CodeNoFreeSeat)
	wantQueued(t, s, queued(request(1), 0), 2, 3)
	_, tok = access(t, s, queued(request(1), 1))
	release(t, s, tok)
	access(t, s, equal)
}

func queueLost(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	_, tok := access(t, s, request(1))
	steady(t, func(stretch time.Duration) bool {
		place := short * stretch
		r, next := queued(request(1), 0), queued(request(1), 0)
		r.Wait.Place = place
		asked := time.Now()
		wantQueued(t, s, r, 1, 1)
		denies(t, s, next, license.CodeQueued)
		leave := func() {
			for _, r := range []lease.Request{r, next} {
				ok(t, "Leave", s.Leave(t.Context(), pool, r.ID))
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
			wantCode(t, err, license.CodeQueued)
			if d := license.Public(err).Details; d["position"] != uint32(1) {
				t.Fatalf("details %v, want the first place still", d)
			}
			asked = again
		}
		pass(place)
		wantWaiting(t, s, next)
		wantQueued(t, s, next, 1, 1)
		wantQueued(t, s, queued(r, -1), 2, 2) // asks anew
		ok(t, "Leave", s.Leave(t.Context(), pool, r.ID))
		gone := queued(request(1), 9)
		gone.Wait.Place = time.Millisecond
		denies(t, s, gone, license.CodeQueued)
		pass(2 * time.Millisecond)
		release(t, s, tok)
		access(t, s, next)
		return false
	})
	wantWaiting(t, s)
}

func queueDeadline(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	_, tok := access(t, s, request(1))
	steady(t, func(stretch time.Duration) bool {
		until := 2 * short * stretch
		r := queued(request(1), 0)
		r.Wait.Until = until
		asked := time.Now()
		wantQueued(t, s, r, 1, 1)
		<-time.After(until / 2)
		again := queued(r, 0) // a later deadline doesn't count
		_, err := s.Access(t.Context(), again)
		if time.Since(asked) > until {
			ok(t, "Leave", s.Leave(t.Context(), pool, r.ID))
			return true
		}
		wantCode(t, err, license.CodeQueued)
		pass(until - until/4)
		wantWaiting(t, s, r) // until it asks
		denies(t, s, again, license.CodeNoFreeSeat)
		wantWaiting(t, s)
		all := allEvents(t, h.Store)
		if e := all[len(all)-1]; e.Kind != lease.Denied || e.Handle != r.ID || e.Reason != license.CodeNoFreeSeat {
			t.Fatalf("the end of waiting told %+v", e)
		}
		// Refused it is not known: it may wait again.
		wantQueued(t, s, again, 1, 1)
		release(t, s, tok)
		_, tok = access(t, s, again)
		return false
	})
	// With a free license it is granted even then.
	r := queued(request(1), 0)
	r.Wait.Until = time.Millisecond
	denies(t, s, r, license.CodeQueued)
	pass(2 * time.Millisecond)
	release(t, s, tok)
	access(t, s, r)
}

func queueLeave(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	_, tok := access(t, s, request(1))
	first, second, third := queued(request(1), 0), queued(request(1), 0), queued(request(1), 0)
	for i, r := range []lease.Request{first, second, third} {
		wantQueued(t, s, r, uint32(i)+1, uint32(i)+1)
	}
	ok(t, "Leave", s.Leave(t.Context(), pool, first.ID))
	ok(t, "second Leave", s.Leave(t.Context(), pool, first.ID))
	ok(t, "Leave of nobody", s.Leave(t.Context(), pool, "nobody"))
	ok(t, "Leave of a handle", s.Leave(t.Context(), pool, tok.Handle))
	ok(t, "Check", s.Check(t.Context(), tok))
	elsewhere := pool
	elsewhere.Product.Code++
	ok(t, "Leave of another pool", s.Leave(t.Context(), elsewhere, second.ID))
	wantWaiting(t, s, second, third)
	wantCode(t, s.Leave(t.Context(), pool, ""), license.CodeInvalidInput)
	second.Wait = nil
	denies(t, s, second, license.CodeNoFreeSeat)
	wantWaiting(t, s, third)
	wantKinds(t, h.Store, lease.Granted, lease.Denied)
	release(t, s, tok)
	access(t, s, third)
}

func queueBounded(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	access(t, s, request(1))
	first := queued(request(1), 0)
	wantQueued(t, s, first, 1, 1)
	for i := uint32(2); i <= lease.MostWaiting; i++ {
		wantQueued(t, s, queued(request(1), 0), i, i)
	}
	if d := denies(t, s, queued(request(1), 9), license.CodeNoFreeSeat); d["waiting"] != uint32(lease.MostWaiting) {
		t.Fatalf("details %v", d)
	}
	wantQueued(t, s, first, 1, lease.MostWaiting)
	ok(t, "Leave", s.Leave(t.Context(), pool, first.ID))
	wantQueued(t, s, queued(request(1), 9), 1, lease.MostWaiting)
}

func queueTooMuch(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	_, tok := access(t, s, wanting(3, request(3)))
	denies(t, s, queued(wanting(4, request(3)), 0), license.CodeNoFreeSeat)
	wantWaiting(t, s)
	r := queued(wanting(3, request(3)), 0)
	wantQueued(t, s, r, 1, 1)
	release(t, s, tok)
	r.Quantity = 2 // lowered meanwhile
	other := request(2)
	access(t, s, other) // whom it would hold up for nothing
	denies(t, s, r, license.CodeNoFreeSeat)
	wantWaiting(t, s)
}

func queueMuch(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	_, tok := access(t, s, wanting(2, request(4)))
	big, small := queued(wanting(3, request(4)), 0), queued(request(4), 0)
	wantQueued(t, s, big, 1, 1)
	wantQueued(t, s, small, 2, 2)
	denies(t, s, request(4), license.CodeNoFreeSeat)
	release(t, s, tok)
	wantQueued(t, s, queued(wanting(2, request(4)), 0), 3, 3)
	access(t, s, small) // there is room for both
	access(t, s, big)
}

func queuePassed(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	access(t, s, share("a", 2))
	lingers := linger(t, s, request(2), long)
	r := queued(by("eve", request(2)), 9)
	wantQueued(t, s, r, 1, 1)
	access(t, s, share("a", 2))
	if g, _ := access(t, s, request(2)); g.Seat != lingers.Seat {
		t.Fatalf("grant %+v, want the lingering seat", g)
	}
	wantQueued(t, s, r, 1, 1)
}

func queueBarred(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	_, one := access(t, s, of(license.UserLimit, "a", request(3)))
	_, two := access(t, s, tagged(wanting(2, request(3)), "team"))
	busy := queued(of(license.Exclusive, "b", request(3)), 9)
	limited := queued(capped(tagged(request(3), "crew"), "crew", 1), 9)
	wantQueued(t, s, busy, 1, 1)
	wantQueued(t, s, limited, 2, 2)
	release(t, s, two)
	denies(t, s, request(3), license.CodeNoFreeSeat) // both want one of two that are free
	// Now the station of the one is busy, and the cap of the other reached.
	access(t, s, of(license.NoUserLimit, "b", request(3)))
	_, there := access(t, s, queued(of(license.UserLimit, "b", request(3)), 10))
	_, last := access(t, s, queued(tagged(request(3), "crew"), 10))
	release(t, s, one)
	_, tok := access(t, s, request(3))
	release(t, s, tok)
	release(t, s, there)
	release(t, s, last)
	// They can go on as before.
	access(t, s, limited)
	access(t, s, busy)
}

func queueReserved(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	access(t, s, wanting(2, request(4)))
	plain := holding(request(4), "chiefs", 1)
	_, tok := access(t, s, plain)
	waits := queued(renewed(plain), 9)
	d := wantQueued(t, s, waits, 1, 1)
	if d["heldBack"] != uint32(1) {
		t.Fatalf("details %v", d)
	}
	chief := tagged(request(4), "chiefs")
	_, boss := access(t, s, chief) // takes nothing that the other could have
	wantQueued(t, s, waits, 1, 1)
	release(t, s, tok)
	denies(t, s, renewed(chief), license.CodeNoFreeSeat) // a second one would
	release(t, s, boss)
	denies(t, s, wanting(2, renewed(chief)), license.CodeNoFreeSeat)
	access(t, s, renewed(chief))
	access(t, s, waits)
}

func queueRefused(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	_, tok := access(t, s, request(2))
	access(t, s, request(2))
	busy := queued(of(license.Exclusive, "b", request(2)), 0)
	limited := queued(capped(tagged(request(2), "crew"), "crew", 1), 0)
	wantQueued(t, s, busy, 1, 1)
	wantQueued(t, s, limited, 2, 2)
	release(t, s, tok)
	_, tok = access(t, s, queued(of(license.UserLimit, "b", tagged(request(2), "crew")), 9))
	denies(t, s, busy, license.CodeStationBusy)
	denies(t, s, limited, license.CodeLimitReached)
	wantWaiting(t, s)
	release(t, s, tok)
	access(t, s, busy)
}

func queueKnown(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	access(t, s, request(1))
	r := queued(request(1), 0)
	wantQueued(t, s, r, 1, 1)
	c := r
	c.Licenses = 2
	denies(t, s, c, license.CodeRequestMismatch)
	c = r
	c.Pool.Product.Code++
	denies(t, s, c, license.CodeRequestMismatch)
	wantWaiting(t, s, r)
	o := renewed(c)
	access(t, s, o)
	wantQueued(t, s, renewed(o), 1, 1)
	all, err := s.Waiting(t.Context(), o.Pool)
	if err != nil || len(all) != 1 {
		t.Fatalf("the queue of the other product: %+v, %v", all, err)
	}
	wantWaiting(t, s, r)
	_, err = s.Waiting(t.Context(), lease.Pool{Container: other, Product: product})
	wantCode(t, err, license.CodeInvalidInput)
	// Somebody who waits has no handle.
	wantCode(t, s.Remove(t.Context(), pool, lease.Removal{Handle: r.ID}), license.CodeHandleUnknown)
	wantCode(t, s.Ask(t.Context(), pool, r.ID, lease.Notice{ID: "n"}), license.CodeHandleUnknown)
}

func queueRepeats(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	_, tok := access(t, s, request(1))
	r := queued(request(1), 0)
	wantQueued(t, s, r, 1, 1)
	release(t, s, tok)
	g, tok := access(t, s, r)
	for range 2 {
		again, _ := access(t, s, r)
		if !again.Repeated || again.Seat != g.Seat || again.N != g.N {
			t.Fatalf("repeated as %+v, was %+v", again, g)
		}
	}
	release(t, s, tok)
	denies(t, s, r, license.CodeHandleUnknown)
	wantWaiting(t, s)
}
