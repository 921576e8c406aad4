package leasetest

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/leasetest/kit"
	"github.com/quorate/quorate/internal/license"
)

// brief is a linger within which a test does something.
const brief = 4 * kit.Short

func lingersAtRelease(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	r := kit.Request(3)
	kit.Access(t, s, kit.By("eve", kit.Request(3)))
	_, tok := kit.Access(t, s, r)
	kit.OK(t, "Release", s.Release(t.Context(), kit.Lingering(tok, kit.Long)))
	kit.WantCode(t, s.Check(t.Context(), tok), license.CodeHandleUnknown)
	_, err := s.Renew(t.Context(), tok)
	kit.WantCode(t, err, license.CodeHandleUnknown)
	_, err = s.Access(t.Context(), r)
	kit.WantCode(t, err, license.CodeHandleUnknown)
	all := kit.WantKinds(t, h.Store, lease.Granted, lease.Granted, lease.Released)
	if e := all[2]; e.Handle != tok.Handle || e.Seat != tok.Seat || e.N != tok.N {
		t.Fatalf("the release's event is %+v", e)
	}
	if all, err := s.List(t.Context(), kit.Pool); err != nil || len(all) != 1 || all[0].Handle == tok.Handle {
		t.Fatalf("List: %+v, %v; want the living handle alone", all, err)
	}
	u, err := s.Usage(t.Context(), kit.Pool)
	if err != nil || u.Taken != 2 || u.Lingering != 1 || len(u.ByMode) != 1 || u.ByMode[license.UserLimit] != 1 {
		t.Fatalf("usage %+v, %v; want two taken, one of them lingering", u, err)
	}
}

func lingersForItsClient(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	first := kit.Linger(t, s, kit.Request(2), kit.Long)
	kit.Access(t, s, kit.By("eve", kit.Request(2))) // all seats are taken now
	_, err := s.Access(t.Context(), kit.By("bob", kit.Request(2)))
	kit.WantCode(t, err, license.CodeNoFreeSeat)
	r := kit.Request(2)
	r.Client.Process++ // another start of the same program
	for n := first.N + 1; n < first.N+4; n++ {
		g, tok := kit.Access(t, s, r)
		if g.Seat != first.Seat || g.N != n || g.Repeated || g.Handle != r.ID || g.Lease != kit.Long {
			t.Fatalf("grant %+v, want seat %d with n %d", g, first.Seat, n)
		}
		kit.WantUsage(t, s, 2, 0)
		_, err := s.Renew(t.Context(), tok)
		kit.OK(t, "Renew", err)
		kit.WantCode(t, s.Check(t.Context(), first), license.CodeHandleUnknown)
		kit.OK(t, "Release", s.Release(t.Context(), kit.Lingering(tok, kit.Long)))
		kit.WantUsage(t, s, 2, 1)
		r.ID = kit.Request(2).ID
	}
	kit.WantKinds(t, h.Store, lease.Granted, lease.Released, lease.Granted, lease.Denied,
		lease.Granted, lease.Released, lease.Granted, lease.Released, lease.Granted, lease.Released)
}

func lingersForNobodyElse(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	first := kit.Linger(t, s, kit.Request(1), kit.Long)
	for name, change := range map[string]func(*lease.Request){
		"user":        func(r *lease.Request) { r.Client.User = "bob" },
		"address":     func(r *lease.Request) { r.Client.Address = "192.0.2.8" },
		"application": func(r *lease.Request) { r.Client.Application = "chart2" },
		"station":     func(r *lease.Request) { r.Station = "station-8" },
		// Each text of its own: moved by one, together they are the same.
		"user and application": func(r *lease.Request) { r.Client.User, r.Client.Application = "adac", "hart" },
	} {
		r := kit.Request(1)
		change(&r)
		if _, err := s.Access(t.Context(), r); license.CodeOf(err) != license.CodeNoFreeSeat {
			t.Errorf("another %s: %v, want %s", name, err, license.CodeNoFreeSeat)
		}
	}
	// Another pool and another mode have nothing to do with it.
	r := kit.Request(1)
	r.Pool.Product.Code = 15
	if g, _ := kit.Access(t, s, r); g.Seat != 1 || g.N != 1 {
		t.Fatalf("grant %+v, want the first seat of the other product", g)
	}
	r = kit.Request(1)
	r.Mode = license.NoUserLimit
	if g, _ := kit.Access(t, s, r); g.Seat == first.Seat {
		t.Fatalf("grant %+v, want another seat", g)
	}
	kit.WantUsage(t, s, 1, 1)
	if g, _ := kit.Access(t, s, kit.Request(1)); g.Seat != first.Seat || g.N != first.N+1 {
		t.Fatalf("grant %+v, want the lingering seat", g)
	}
}

func lingersForOddNames(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	for _, user := range []string{"", `"`, `\`, "<ada&bob>", "Zoë 🐘", "\u2028", "a/b", "%s", "null"} {
		first := kit.Linger(t, s, kit.By(user, kit.Request(50)), kit.Long)
		if g, _ := kit.Access(t, s, kit.By(user, kit.Request(50))); g.Seat != first.Seat || g.N != first.N+1 {
			t.Errorf("%q got %+v, want seat %d back", user, g, first.Seat)
		}
	}
}

// lingers lets a seat linger with something happening to it meanwhile: it is
// taken to the end of its time, and free then.
func lingers(t *testing.T, h Harness, meanwhile func(lease.Seats, lease.Ref)) {
	s := kit.Claim(t, h.Store, "a")
	kit.Steady(t, func(stretch time.Duration) bool {
		brief := brief * stretch
		_, tok := kit.Access(t, s, kit.Request(1))
		asked := time.Now()
		kit.OK(t, "Release", s.Release(t.Context(), kit.Lingering(tok, brief)))
		over := time.Now().Add(brief + time.Millisecond)
		<-time.After(brief / 2)
		meanwhile(s, tok)
		<-time.After(time.Until(asked.Add(brief - brief/8)))
		g, err := s.Access(t.Context(), kit.By("bob", kit.Request(1)))
		if time.Since(asked) > brief {
			if err == nil {
				kit.OK(t, "Release", s.Release(t.Context(), kit.Ref(kit.By("bob", kit.Request(1)), g)))
			}
			return true
		}
		kit.WantCode(t, err, license.CodeNoFreeSeat)
		if wait, _ := license.Public(err).Details["nextExpiryMs"].(int64); wait <= 0 || wait > brief.Milliseconds() {
			t.Fatalf("the refusal says that it is over in %d ms", wait)
		}
		<-time.After(time.Until(over))
		g, late := kit.Access(t, s, kit.By("bob", kit.Request(1)))
		if g.Seat != tok.Seat || g.N != tok.N+1 {
			t.Fatalf("grant %+v, want seat %d with n %d", g, tok.Seat, tok.N+1)
		}
		kit.OK(t, "Release", s.Release(t.Context(), late))
		kit.WantUsage(t, s, 0, 0)
		return false
	})
	for _, e := range kit.AllEvents(t, h.Store) {
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
			kit.OK(t, "Release again", s.Release(t.Context(), kit.Lingering(r, kit.Long)))
			kit.OK(t, "Release again without a linger", s.Release(t.Context(), r)) // nor does it shorten
		}
	})
}

func lingerEnds(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	kit.Linger(t, s, kit.Request(9), kit.Short)
	kit.Linger(t, s, kit.By("bob", kit.Request(9)), kit.Short)
	kit.Linger(t, s, kit.By("eve", kit.Request(9)), kit.Long)
	next, any, err := s.Next(t.Context())
	if err != nil || !any || next > kit.Short {
		t.Fatalf("Next = %v, %v, %v; want at most %v", next, any, err, kit.Short)
	}
	kit.Pass(kit.Short)
	n, err := s.Expire(t.Context())
	if err != nil || n != 2 {
		t.Fatalf("Expire ended %d, %v; want 2", n, err)
	}
	if n, err := s.Expire(t.Context()); n != 0 || err != nil {
		t.Fatalf("second Expire ended %d, %v", n, err)
	}
	next, any, err = s.Next(t.Context())
	if err != nil || !any || next > kit.Long || next < kit.Long-time.Minute {
		t.Fatalf("Next = %v, %v, %v; want about %v", next, any, err, kit.Long)
	}
	kit.WantUsage(t, s, 1, 1)
	kit.WantKinds(t, h.Store, lease.Granted, lease.Released, lease.Granted, lease.Released, lease.Granted, lease.Released)
}

func lingerRemoved(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	tok := kit.Linger(t, s, kit.Request(1), kit.Long)
	strange := tok.Pool
	strange.Product.Code++
	kit.WantCode(t, s.Remove(t.Context(), strange, lease.Removal{Handle: tok.Handle, By: "grace"}), license.CodeHandleUnknown)
	kit.WantUsage(t, s, 1, 1)
	kit.OK(t, "Remove", s.Remove(t.Context(), kit.Pool, lease.Removal{Handle: tok.Handle, By: "grace"}))
	kit.WantUsage(t, s, 0, 0)
	kit.WantCode(t, s.Remove(t.Context(), kit.Pool, lease.Removal{Handle: tok.Handle, By: "grace"}), license.CodeHandleUnknown)
	kit.WantCode(t, s.Check(t.Context(), tok), license.CodeHandleUnknown) // released, not removed
	g, _ := kit.Access(t, s, kit.By("bob", kit.Request(1)))
	if g.Seat != tok.Seat || g.N != tok.N+1 {
		t.Fatalf("grant %+v, want the freed seat", g)
	}
	kit.WantKinds(t, h.Store, lease.Granted, lease.Released, lease.Granted)
	// A linger that is over is unknown too.
	_, late := kit.Access(t, s, kit.By("eve", kit.Request(2)))
	kit.OK(t, "Release", s.Release(t.Context(), kit.Lingering(late, kit.Short)))
	kit.Pass(kit.Short)
	kit.WantCode(t, s.Remove(t.Context(), kit.Pool, lease.Removal{Handle: late.Handle, By: "grace"}), license.CodeHandleUnknown)
	kit.WantUsage(t, s, 1, 0)
}

func lingersNotWithout(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	r := kit.Request(1)
	r.Mode = license.NoUserLimit
	tok := kit.Linger(t, s, r, kit.Long)
	kit.WantUsage(t, s, 0, 0)
	if _, any, err := s.Next(t.Context()); any || err != nil {
		t.Fatalf("Next = %v, %v; want nothing to wait for", any, err)
	}
	kit.WantCode(t, s.Remove(t.Context(), kit.Pool, lease.Removal{Handle: tok.Handle, By: "grace"}), license.CodeHandleUnknown)
	// Only what is released in time lingers.
	_, late := kit.Access(t, s, kit.Lasting(kit.Request(1), kit.Short))
	kit.Pass(kit.Short)
	kit.OK(t, "late Release", s.Release(t.Context(), kit.Lingering(late, kit.Long)))
	_, removed := kit.Access(t, s, kit.By("bob", kit.Request(1)))
	kit.OK(t, "Remove", s.Remove(t.Context(), kit.Pool, lease.Removal{Handle: removed.Handle, By: "grace"}))
	kit.OK(t, "Release of a removed handle", s.Release(t.Context(), kit.Lingering(removed, kit.Long)))
	kit.OK(t, "Release of nobody's", s.Release(t.Context(), kit.Lingering(lease.Ref{Pool: kit.Pool, Handle: "nobody", Seat: 1, N: 1}, kit.Long)))
	kit.WantUsage(t, s, 0, 0)
	kit.Access(t, s, kit.By("eve", kit.Request(1)))
	// Nor does it linger for any time.
	for _, d := range []time.Duration{-1, lease.MostLinger + 1} {
		kit.WantCode(t, s.Release(t.Context(), kit.Lingering(tok, d)), license.CodeInvalidInput)
	}
}

func lingerQuantity(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	var refs []lease.Ref
	for _, user := range []string{"ada", "bob", "eve", "mia"} {
		_, tok := kit.Access(t, s, kit.By(user, kit.Request(4)))
		refs = append(refs, tok)
	}
	for _, tok := range refs[2:] {
		kit.OK(t, "Release", s.Release(t.Context(), kit.Lingering(tok, kit.Long)))
	}
	// Two handles and two lingering seats: never more handles than the quantity.
	for _, quantity := range []uint32{0, 1, 2} {
		_, err := s.Access(t.Context(), kit.By("mia", kit.Request(quantity)))
		kit.WantCode(t, err, license.CodeNoFreeSeat)
		if d := license.Public(err).Details; d["taken"] != uint32(4) || d["quantity"] != quantity {
			t.Fatalf("details %v", d)
		}
	}
	_, err := s.Access(t.Context(), kit.By("zoe", kit.Request(3)))
	kit.WantCode(t, err, license.CodeNoFreeSeat)
	kit.WantUsage(t, s, 4, 2)
	if g, _ := kit.Access(t, s, kit.By("mia", kit.Request(3))); g.Seat != 4 {
		t.Fatalf("grant %+v, want its own seat", g)
	}
	_, err = s.Access(t.Context(), kit.By("eve", kit.Request(3)))
	kit.WantCode(t, err, license.CodeNoFreeSeat)
	kit.WantUsage(t, s, 4, 1)
	if g, _ := kit.Access(t, s, kit.By("zoe", kit.Request(5))); g.Seat != 5 {
		t.Fatalf("grant %+v, want the free seat", g)
	}
}

func lingersManyOfOne(t *testing.T, h Harness) {
	const many = 20 // more than a driver looks at in one go
	s := kit.Claim(t, h.Store, "a")
	var refs []lease.Ref
	for range many {
		_, tok := kit.Access(t, s, kit.Request(many))
		refs = append(refs, tok)
	}
	for i, tok := range refs {
		d := kit.Long
		if i >= many/2 {
			d = kit.Short
		}
		kit.OK(t, "Release", s.Release(t.Context(), kit.Lingering(tok, d)))
	}
	kit.Pass(kit.Short)
	for seat := uint32(1); seat <= many/2; seat++ {
		if g, _ := kit.Access(t, s, kit.Request(many)); g.Seat != seat || g.N != 2 {
			t.Fatalf("grant %+v, want seat %d: the lowest first", g, seat)
		}
	}
	kit.WantUsage(t, s, many/2, 0)
	// Those whose time is over don't count, though nobody has noticed yet.
	for seat := uint32(many/2 + 1); seat <= many; seat++ {
		_, refs[seat-1] = kit.Access(t, s, kit.By("bob", kit.Request(many)))
	}
	for i, tok := range refs[many/2:] {
		d := kit.Short
		if i == many/2-1 {
			d = kit.Long
		}
		kit.OK(t, "Release", s.Release(t.Context(), kit.Lingering(tok, d)))
	}
	kit.Pass(kit.Short)
	if g, _ := kit.Access(t, s, kit.By("bob", kit.Request(many))); g.Seat != many || g.N != 3 {
		t.Fatalf("grant %+v, want seat %d, which still lingers", g, many)
	}
	kit.WantUsage(t, s, many/2+1, 0)
}

func lingerClaimed(t *testing.T, h Harness) {
	var b lease.Seats
	var tok lease.Ref
	var claimed time.Time
	kit.Steady(t, func(time.Duration) bool {
		a := kit.Claim(t, h.Store, "a")
		asked := time.Now()
		tok = kit.Linger(t, a, kit.Request(1), kit.Short)
		b = kit.Claim(t, h.Store, "b")
		claimed = time.Now()
		slow := claimed.Sub(asked) > kit.Short // it may be over already
		if slow {
			_ = b.Remove(t.Context(), kit.Pool, lease.Removal{Handle: tok.Handle})
		}
		return slow
	})
	next, any, err := b.Next(t.Context())
	kit.OK(t, "Next", err)
	if left := kit.Short + lease.Margin - time.Since(claimed); !any || next > lease.AfterClaim(kit.Short) || next < left-100*time.Millisecond && next < kit.Short {
		t.Fatalf("Next = %v, %v; want about %v", next, any, kit.Short+lease.Margin)
	}
	kit.Pass(kit.Short)
	// The linger of before is over, that of the claim is not.
	kit.WantUsage(t, b, 1, 1)
	_, err = b.Access(t.Context(), kit.By("bob", kit.Request(1)))
	kit.WantCode(t, err, license.CodeNoFreeSeat)
	kit.WantCode(t, b.Check(t.Context(), tok), license.CodeHandleUnknown)
	<-time.After(time.Until(claimed.Add(kit.Short + lease.Margin + time.Millisecond)))
	if n, err := b.Expire(t.Context()); n != 1 || err != nil {
		t.Fatalf("Expire ended %d, %v", n, err)
	}
	kit.Access(t, b, kit.By("bob", kit.Request(1)))
	// A claim doesn't shorten: a longer linger stays.
	tok = kit.Linger(t, b, kit.Request(2), kit.Long)
	c := kit.Claim(t, h.Store, "c")
	if g, _ := kit.Access(t, c, kit.Request(2)); g.Seat != tok.Seat || g.N != tok.N+1 {
		t.Fatalf("grant %+v, want the lingering seat", g)
	}
}

func lingerLost(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	first := kit.Linger(t, s, kit.Request(1), kit.Long)
	old := lost(s, first.Seat, first.N)
	_, err := s.Renew(t.Context(), old)
	kit.WantCode(t, err, license.CodeHandleUnknown)
	useless := lost(s, first.Seat, first.N+1)
	useless.Lease = 0
	_, err = s.Renew(t.Context(), useless)
	kit.WantCode(t, err, license.CodeHandleUnknown)
	kit.WantUsage(t, s, 1, 1)
	// A newer n was given after the linger, whoever has it.
	newer := lost(s, first.Seat, first.N+1)
	newer.Client.User = "bob"
	g, err := s.Renew(t.Context(), newer)
	if h.Sure {
		kit.WantCode(t, err, license.CodeHandleUnknown)
		kit.WantUsage(t, s, 1, 1)
		return
	}
	kit.OK(t, "Renew of a lost handle", err)
	if g.Seat != first.Seat || g.N != newer.N {
		t.Fatalf("taken in as %+v", g)
	}
	kit.WantUsage(t, s, 1, 0)
	_, err = s.Access(t.Context(), kit.Request(1))
	kit.WantCode(t, err, license.CodeNoFreeSeat)
	// Released with a linger, it is taken in and lingers.
	lone := lost(s, 5, 7)
	kit.OK(t, "Release of a lost handle", s.Release(t.Context(), kit.Lingering(lone, kit.Long)))
	kit.WantUsage(t, s, 2, 1)
	if g, _ := kit.Access(t, s, kit.Request(2)); g.Seat != 5 || g.N != 8 {
		t.Fatalf("grant %+v, want seat 5 with n 8", g)
	}
}
