package leasetest

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// brief is a linger within which a test does something.
const brief = 4 * short

// by is a request of another user.
func by(user string, r lease.Request) lease.Request {
	r.Client.User = user
	return r
}

func lingering(r lease.Ref, d time.Duration) lease.Ref {
	r.Linger = d
	return r
}

// linger takes a seat and releases it, so that it lingers.
func linger(t *testing.T, s lease.Seats, r lease.Request, d time.Duration) lease.Ref {
	t.Helper()
	_, tok := access(t, s, r)
	ok(t, "Release", s.Release(t.Context(), lingering(tok, d)))
	return tok
}

func wantUsage(t *testing.T, s lease.Seats, taken, lingering uint32) {
	t.Helper()
	u, err := s.Usage(t.Context(), pool)
	ok(t, "Usage", err)
	if u.Taken != taken || u.Lingering != lingering {
		t.Fatalf("usage %+v, want %d taken, %d of them lingering", u, taken, lingering)
	}
}

func lingersAtRelease(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	r := request(3)
	access(t, s, by("eve", request(3)))
	_, tok := access(t, s, r)
	ok(t, "Release", s.Release(t.Context(), lingering(tok, long)))
	wantCode(t, s.Check(t.Context(), tok), license.CodeHandleUnknown)
	_, err := s.Renew(t.Context(), tok)
	wantCode(t, err, license.CodeHandleUnknown)
	_, err = s.Access(t.Context(), r)
	wantCode(t, err, license.CodeHandleUnknown)
	all := wantKinds(t, h.Store, lease.Granted, lease.Granted, lease.Released)
	if e := all[2]; e.Handle != tok.Handle || e.Seat != tok.Seat || e.N != tok.N {
		t.Fatalf("the release's event is %+v", e)
	}
	if all, err := s.List(t.Context(), pool); err != nil || len(all) != 1 || all[0].Handle == tok.Handle {
		t.Fatalf("List: %+v, %v; want the living handle alone", all, err)
	}
	u, err := s.Usage(t.Context(), pool)
	if err != nil || u.Taken != 2 || u.Lingering != 1 || len(u.ByMode) != 1 || u.ByMode[license.UserLimit] != 1 {
		t.Fatalf("usage %+v, %v; want two taken, one of them lingering", u, err)
	}
}

func lingersForItsClient(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	first := linger(t, s, request(2), long)
	access(t, s, by("eve", request(2))) // all seats are taken now
	_, err := s.Access(t.Context(), by("bob", request(2)))
	wantCode(t, err, license.CodeNoFreeSeat)
	r := request(2)
	r.Client.Process++ // another start of the same program
	for n := first.N + 1; n < first.N+4; n++ {
		g, tok := access(t, s, r)
		if g.Seat != first.Seat || g.N != n || g.Repeated || g.Handle != r.ID || g.Lease != long {
			t.Fatalf("grant %+v, want seat %d with n %d", g, first.Seat, n)
		}
		wantUsage(t, s, 2, 0)
		_, err := s.Renew(t.Context(), tok)
		ok(t, "Renew", err)
		wantCode(t, s.Check(t.Context(), first), license.CodeHandleUnknown)
		ok(t, "Release", s.Release(t.Context(), lingering(tok, long)))
		wantUsage(t, s, 2, 1)
		r.ID = request(2).ID
	}
	wantKinds(t, h.Store, lease.Granted, lease.Released, lease.Granted, lease.Denied,
		lease.Granted, lease.Released, lease.Granted, lease.Released, lease.Granted, lease.Released)
}

func lingersForNobodyElse(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	first := linger(t, s, request(1), long)
	for name, change := range map[string]func(*lease.Request){
		"user":        func(r *lease.Request) { r.Client.User = "bob" },
		"address":     func(r *lease.Request) { r.Client.Address = "192.0.2.8" },
		"application": func(r *lease.Request) { r.Client.Application = "chart2" },
		"station":     func(r *lease.Request) { r.Station = "station-8" },
		// Each text of its own: moved by one, together they are the same.
		"user and application": func(r *lease.Request) { r.Client.User, r.Client.Application = "adac", "hart" },
	} {
		r := request(1)
		change(&r)
		if _, err := s.Access(t.Context(), r); license.CodeOf(err) != license.CodeNoFreeSeat {
			t.Errorf("another %s: %v, want %s", name, err, license.CodeNoFreeSeat)
		}
	}
	// Another pool and another mode have nothing to do with it.
	r := request(1)
	r.Pool.Product.Code = 15
	if g, _ := access(t, s, r); g.Seat != 1 || g.N != 1 {
		t.Fatalf("grant %+v, want the first seat of the other product", g)
	}
	r = request(1)
	r.Mode = license.NoUserLimit
	if g, _ := access(t, s, r); g.Seat == first.Seat {
		t.Fatalf("grant %+v, want another seat", g)
	}
	wantUsage(t, s, 1, 1)
	if g, _ := access(t, s, request(1)); g.Seat != first.Seat || g.N != first.N+1 {
		t.Fatalf("grant %+v, want the lingering seat", g)
	}
}

func lingersForOddNames(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	for _, user := range []string{"", `"`, `\`, "<ada&bob>", "Zoë 🐘", "\u2028", "a/b", "%s", "null"} {
		first := linger(t, s, by(user, request(50)), long)
		if g, _ := access(t, s, by(user, request(50))); g.Seat != first.Seat || g.N != first.N+1 {
			t.Errorf("%q got %+v, want seat %d back", user, g, first.Seat)
		}
	}
}

// lingers lets a seat linger with something happening to it meanwhile: it is
// taken to the end of its time, and free then.
func lingers(t *testing.T, h Harness, meanwhile func(lease.Seats, lease.Ref)) {
	s := claim(t, h.Store, "a")
	steady(t, func(stretch time.Duration) bool {
		brief := brief * stretch
		_, tok := access(t, s, request(1))
		asked := time.Now()
		ok(t, "Release", s.Release(t.Context(), lingering(tok, brief)))
		over := time.Now().Add(brief + time.Millisecond)
		<-time.After(brief / 2)
		meanwhile(s, tok)
		<-time.After(time.Until(asked.Add(brief - brief/8)))
		g, err := s.Access(t.Context(), by("bob", request(1)))
		if time.Since(asked) > brief {
			if err == nil {
				ok(t, "Release", s.Release(t.Context(), ref(by("bob", request(1)), g)))
			}
			return true
		}
		wantCode(t, err, license.CodeNoFreeSeat)
		if wait, _ := license.Public(err).Details["nextExpiryMs"].(int64); wait <= 0 || wait > brief.Milliseconds() {
			t.Fatalf("the refusal says that it is over in %d ms", wait)
		}
		<-time.After(time.Until(over))
		g, late := access(t, s, by("bob", request(1)))
		if g.Seat != tok.Seat || g.N != tok.N+1 {
			t.Fatalf("grant %+v, want seat %d with n %d", g, tok.Seat, tok.N+1)
		}
		ok(t, "Release", s.Release(t.Context(), late))
		wantUsage(t, s, 0, 0)
		return false
	})
	for _, e := range allEvents(t, h.Store) {
		if e.Kind == lease.Expired {
			t.Fatalf("the end of a linger made an event: %+v", e)
		}
	}
}

func lingersInTime(t *testing.T, h Harness) { lingers(t, h, func(lease.Seats, lease.Ref) {}) }

func lingerNotProlonged(t *testing.T, h Harness) {
	lingers(t, h, func(s lease.Seats, tok lease.Ref) {
		older := tok
		older.N--
		for _, r := range []lease.Ref{tok, older} {
			ok(t, "Release again", s.Release(t.Context(), lingering(r, long)))
			ok(t, "Release again without a linger", s.Release(t.Context(), r)) // nor does it shorten
		}
	})
}

func lingerEnds(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	linger(t, s, request(9), short)
	linger(t, s, by("bob", request(9)), short)
	linger(t, s, by("eve", request(9)), long)
	next, any, err := s.Next(t.Context())
	if err != nil || !any || next > short {
		t.Fatalf("Next = %v, %v, %v; want at most %v", next, any, err, short)
	}
	pass(short)
	n, err := s.Expire(t.Context())
	if err != nil || n != 2 {
		t.Fatalf("Expire ended %d, %v; want 2", n, err)
	}
	if n, err := s.Expire(t.Context()); n != 0 || err != nil {
		t.Fatalf("second Expire ended %d, %v", n, err)
	}
	next, any, err = s.Next(t.Context())
	if err != nil || !any || next > long || next < long-time.Minute {
		t.Fatalf("Next = %v, %v, %v; want about %v", next, any, err, long)
	}
	wantUsage(t, s, 1, 1)
	wantKinds(t, h.Store, lease.Granted, lease.Released, lease.Granted, lease.Released, lease.Granted, lease.Released)
}

func lingerRemoved(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	tok := linger(t, s, request(1), long)
	strange := tok.Pool
	strange.Product.Code++
	wantCode(t, s.Remove(t.Context(), strange, lease.Removal{Handle: tok.Handle, By: "grace"}), license.CodeHandleUnknown)
	wantUsage(t, s, 1, 1)
	ok(t, "Remove", s.Remove(t.Context(), pool, lease.Removal{Handle: tok.Handle, By: "grace"}))
	wantUsage(t, s, 0, 0)
	wantCode(t, s.Remove(t.Context(), pool, lease.Removal{Handle: tok.Handle, By: "grace"}), license.CodeHandleUnknown)
	wantCode(t, s.Check(t.Context(), tok), license.CodeHandleUnknown) // released, not removed
	g, _ := access(t, s, by("bob", request(1)))
	if g.Seat != tok.Seat || g.N != tok.N+1 {
		t.Fatalf("grant %+v, want the freed seat", g)
	}
	wantKinds(t, h.Store, lease.Granted, lease.Released, lease.Granted)
	// A linger that is over is unknown too.
	_, late := access(t, s, by("eve", request(2)))
	ok(t, "Release", s.Release(t.Context(), lingering(late, short)))
	pass(short)
	wantCode(t, s.Remove(t.Context(), pool, lease.Removal{Handle: late.Handle, By: "grace"}), license.CodeHandleUnknown)
	wantUsage(t, s, 1, 0)
}

func lingersNotWithout(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	r := request(1)
	r.Mode = license.NoUserLimit
	tok := linger(t, s, r, long)
	wantUsage(t, s, 0, 0)
	if _, any, err := s.Next(t.Context()); any || err != nil {
		t.Fatalf("Next = %v, %v; want nothing to wait for", any, err)
	}
	wantCode(t, s.Remove(t.Context(), pool, lease.Removal{Handle: tok.Handle, By: "grace"}), license.CodeHandleUnknown)
	// Only what is released in time lingers.
	_, late := access(t, s, lasting(request(1), short))
	pass(short)
	ok(t, "late Release", s.Release(t.Context(), lingering(late, long)))
	_, removed := access(t, s, by("bob", request(1)))
	ok(t, "Remove", s.Remove(t.Context(), pool, lease.Removal{Handle: removed.Handle, By: "grace"}))
	ok(t, "Release of a removed handle", s.Release(t.Context(), lingering(removed, long)))
	ok(t, "Release of nobody's", s.Release(t.Context(), lingering(lease.Ref{Pool: pool, Handle: "nobody", Seat: 1, N: 1}, long)))
	wantUsage(t, s, 0, 0)
	access(t, s, by("eve", request(1)))
	// Nor does it linger for any time.
	for _, d := range []time.Duration{-1, lease.MostLinger + 1} {
		wantCode(t, s.Release(t.Context(), lingering(tok, d)), license.CodeInvalidInput)
	}
}

func lingerQuantity(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	var refs []lease.Ref
	for _, user := range []string{"ada", "bob", "eve", "mia"} {
		_, tok := access(t, s, by(user, request(4)))
		refs = append(refs, tok)
	}
	for _, tok := range refs[2:] {
		ok(t, "Release", s.Release(t.Context(), lingering(tok, long)))
	}
	// Two handles and two lingering seats: never more handles than the quantity.
	for _, quantity := range []uint32{0, 1, 2} {
		_, err := s.Access(t.Context(), by("mia", request(quantity)))
		wantCode(t, err, license.CodeNoFreeSeat)
		if d := license.Public(err).Details; d["taken"] != uint32(4) || d["quantity"] != quantity {
			t.Fatalf("details %v", d)
		}
	}
	_, err := s.Access(t.Context(), by("zoe", request(3)))
	wantCode(t, err, license.CodeNoFreeSeat)
	wantUsage(t, s, 4, 2)
	if g, _ := access(t, s, by("mia", request(3))); g.Seat != 4 {
		t.Fatalf("grant %+v, want its own seat", g)
	}
	_, err = s.Access(t.Context(), by("eve", request(3)))
	wantCode(t, err, license.CodeNoFreeSeat)
	wantUsage(t, s, 4, 1)
	if g, _ := access(t, s, by("zoe", request(5))); g.Seat != 5 {
		t.Fatalf("grant %+v, want the free seat", g)
	}
}

func lingersManyOfOne(t *testing.T, h Harness) {
	const many = 20 // more than a driver looks at in one go
	s := claim(t, h.Store, "a")
	var refs []lease.Ref
	for range many {
		_, tok := access(t, s, request(many))
		refs = append(refs, tok)
	}
	for i, tok := range refs {
		d := long
		if i >= many/2 {
			d = short
		}
		ok(t, "Release", s.Release(t.Context(), lingering(tok, d)))
	}
	pass(short)
	for seat := uint32(1); seat <= many/2; seat++ {
		if g, _ := access(t, s, request(many)); g.Seat != seat || g.N != 2 {
			t.Fatalf("grant %+v, want seat %d: the lowest first", g, seat)
		}
	}
	wantUsage(t, s, many/2, 0)
	// Those whose time is over don't count, though nobody has noticed yet.
	for seat := uint32(many/2 + 1); seat <= many; seat++ {
		_, refs[seat-1] = access(t, s, by("bob", request(many)))
	}
	for i, tok := range refs[many/2:] {
		d := short
		if i == many/2-1 {
			d = long
		}
		ok(t, "Release", s.Release(t.Context(), lingering(tok, d)))
	}
	pass(short)
	if g, _ := access(t, s, by("bob", request(many))); g.Seat != many || g.N != 3 {
		t.Fatalf("grant %+v, want seat %d, which still lingers", g, many)
	}
	wantUsage(t, s, many/2+1, 0)
}

func lingerClaimed(t *testing.T, h Harness) {
	var b lease.Seats
	var tok lease.Ref
	var claimed time.Time
	steady(t, func(time.Duration) bool {
		a := claim(t, h.Store, "a")
		asked := time.Now()
		tok = linger(t, a, request(1), short)
		b = claim(t, h.Store, "b")
		claimed = time.Now()
		slow := claimed.Sub(asked) > short // it may be over already
		if slow {
			_ = b.Remove(t.Context(), pool, lease.Removal{Handle: tok.Handle})
		}
		return slow
	})
	next, any, err := b.Next(t.Context())
	ok(t, "Next", err)
	if left := short + lease.Margin - time.Since(claimed); !any || next > short+lease.Margin || next < left-100*time.Millisecond && next < short {
		t.Fatalf("Next = %v, %v; want about %v", next, any, short+lease.Margin)
	}
	pass(short)
	// The linger of before is over, that of the claim is not.
	wantUsage(t, b, 1, 1)
	_, err = b.Access(t.Context(), by("bob", request(1)))
	wantCode(t, err, license.CodeNoFreeSeat)
	wantCode(t, b.Check(t.Context(), tok), license.CodeHandleUnknown)
	<-time.After(time.Until(claimed.Add(short + lease.Margin + time.Millisecond)))
	if n, err := b.Expire(t.Context()); n != 1 || err != nil {
		t.Fatalf("Expire ended %d, %v", n, err)
	}
	access(t, b, by("bob", request(1)))
	// A claim doesn't shorten: a longer linger stays.
	tok = linger(t, b, request(2), long)
	c := claim(t, h.Store, "c")
	if g, _ := access(t, c, request(2)); g.Seat != tok.Seat || g.N != tok.N+1 {
		t.Fatalf("grant %+v, want the lingering seat", g)
	}
}

func lingerLost(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	first := linger(t, s, request(1), long)
	old := lost(s, first.Seat, first.N)
	_, err := s.Renew(t.Context(), old)
	wantCode(t, err, license.CodeHandleUnknown)
	useless := lost(s, first.Seat, first.N+1)
	useless.Lease = 0
	_, err = s.Renew(t.Context(), useless)
	wantCode(t, err, license.CodeHandleUnknown)
	wantUsage(t, s, 1, 1)
	// A newer n was given after the linger, whoever has it.
	newer := lost(s, first.Seat, first.N+1)
	newer.Client.User = "bob"
	g, err := s.Renew(t.Context(), newer)
	ok(t, "Renew of a lost handle", err)
	if g.Seat != first.Seat || g.N != newer.N {
		t.Fatalf("taken in as %+v", g)
	}
	wantUsage(t, s, 1, 0)
	_, err = s.Access(t.Context(), request(1))
	wantCode(t, err, license.CodeNoFreeSeat)
	// Released with a linger, it is taken in and lingers.
	lone := lost(s, 5, 7)
	ok(t, "Release of a lost handle", s.Release(t.Context(), lingering(lone, long)))
	wantUsage(t, s, 2, 1)
	if g, _ := access(t, s, request(2)); g.Seat != 5 || g.N != 8 {
		t.Fatalf("grant %+v, want seat 5 with n 8", g)
	}
}
