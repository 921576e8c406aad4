package granttest

import (
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/leasetest/kit"
	"github.com/quorate/quorate/internal/license"
)

// limits are the sentences about tags, caps and holds.
func limits() map[string]func(*testing.T, kit.Harness) {
	return map[string]func(*testing.T, kit.Harness){
		"a cap bounds what handles with its tag take":            caps,
		"a cap counts stations, several licenses and lingers":    capsCost,
		"of several caps each counts":                            capsMany,
		"a lowered cap throws nobody out and lets nobody in":     capsLowered,
		"a hold keeps licenses back for its tag":                 holds,
		"several holds keep back together":                       holdsMany,
		"a hold counts what its tag takes, with lingering seats": holdsCost,
		"a handle keeps the tags that it was granted with":       tagsKept,
	}
}

// tagged gives a request tags.
func tagged(r lease.Request, tags ...string) lease.Request {
	r.Limits.Tags = tags
	return r
}

func capped(r lease.Request, tag string, most uint32) lease.Request {
	r.Limits.Caps = append(slices.Clone(r.Limits.Caps), lease.Cap{Tag: tag, Most: most})
	return r
}

func holding(r lease.Request, tag string, least uint32) lease.Request {
	r.Limits.Holds = append(slices.Clone(r.Limits.Holds), lease.Hold{Tag: tag, Least: least})
	return r
}

// renewed gives a request another id.
func renewed(r lease.Request) lease.Request {
	r.ID = kit.Request(0).ID
	return r
}

func wantCapped(t *testing.T, s lease.Seats, r lease.Request, tag string, most, taken uint32) {
	t.Helper()
	if d := denies(t, s, r, license.CodeLimitReached); d["limit"] != tag || d["most"] != most || d["taken"] != taken {
		t.Fatalf("details %v, want %d of %d for %s", d, taken, most, tag)
	}
}

func caps(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	r := capped(tagged(kit.Request(9), "team"), "team", 2)
	_, first := kit.Access(t, s, r)
	kit.Access(t, s, renewed(r))
	wantCapped(t, s, renewed(r), "team", 2, 2)
	last := kit.AllEvents(t, h.Store)
	if e := last[len(last)-1]; e.Kind != lease.Denied || e.Reason != license.CodeLimitReached || e.Rule != "team" || e.Licenses != 1 {
		t.Fatalf("the denial's event is %+v", e)
	}
	// Who has not the tag is not concerned, whatever caps he comes with.
	kit.Access(t, s, kit.Request(9))
	kit.Access(t, s, capped(kit.Request(9), "team", 0))
	kit.Access(t, s, capped(tagged(kit.Request(9), "other"), "team", 0))
	// Nor who has the tag without a cap on it.
	_, free := kit.Access(t, s, tagged(kit.Request(9), "team"))
	wantCapped(t, s, renewed(r), "team", 2, 3)
	release(t, s, free)
	release(t, s, first)
	kit.Access(t, s, renewed(r))
	wantCapped(t, s, renewed(r), "team", 2, 2)
	// Of two reasons the cap is told.
	full := renewed(r)
	full.Quantity = 0
	wantCapped(t, s, full, "team", 2, 2)
	// The tags of other products are others.
	r = renewed(r)
	r.Pool.Product.Code++
	kit.Access(t, s, r)
}

func capsCost(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	at := func(station string, n uint32) lease.Request {
		return capped(tagged(wanting(n, share(station, 20)), "team"), "team", 4)
	}
	kit.Access(t, s, at("a", 2))
	kit.Access(t, s, at("a", 1))
	kit.Access(t, s, at("a", 2))
	kit.Access(t, s, at("b", 1))
	wantCapped(t, s, at("c", 2), "team", 4, 3)
	wantCapped(t, s, at("a", 4), "team", 4, 3)
	_, three := kit.Access(t, s, at("a", 3))
	kit.Access(t, s, at("a", 3))
	wantCapped(t, s, at("c", 1), "team", 4, 4)
	kit.Access(t, s, of(license.NoUserLimit, "c", at("c", 9)))
	// What is on the station without the tag is not the tag's.
	kit.Access(t, s, wanting(9, share("b", 20)))
	wantCapped(t, s, at("b", 2), "team", 4, 4)
	release(t, s, three)
	// Lingering seats count, but for who comes back.
	s = kit.Claim(t, h.Store, "b")
	other := func(user string) lease.Request {
		return kit.By(user, capped(tagged(wanting(2, kit.Request(30)), "crew"), "crew", 2))
	}
	_, tok := kit.Access(t, s, other("ada"))
	release(t, s, kit.Lingering(tok, kit.Long))
	wantCapped(t, s, other("bob"), "crew", 2, 2)
	if g, _ := kit.Access(t, s, other("ada")); g.Seat != tok.Seat {
		t.Fatalf("grant %+v, want the lingering seat", g)
	}
	// A seat that lingers without the tag makes no room under its cap.
	kit.Linger(t, s, kit.By("zoe", wanting(2, kit.Request(30))), kit.Long)
	wantCapped(t, s, other("zoe"), "crew", 2, 2)
}

func capsMany(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	r := capped(capped(tagged(kit.Request(9), "team", "site"), "site", 3), "team", 1)
	kit.Access(t, s, r)
	wantCapped(t, s, renewed(r), "team", 1, 1)
	one := capped(tagged(kit.Request(9), "site"), "site", 3)
	kit.Access(t, s, one)
	kit.Access(t, s, renewed(one))
	wantCapped(t, s, renewed(one), "site", 3, 3)
	wantCapped(t, s, renewed(r), "site", 3, 3) // the first that refuses
}

func capsLowered(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	r := capped(tagged(share("a", 9), "team"), "team", 3)
	kit.Access(t, s, r)
	for _, station := range []string{"b", "c"} {
		_, tok := kit.Access(t, s, of(license.StationShare, station, renewed(r)))
		_, err := s.Renew(t.Context(), tok)
		kit.OK(t, "Renew", err)
	}
	less := capped(tagged(share("a", 9), "team"), "team", 1)
	kit.Access(t, s, less) // takes nothing more
	if g, err := s.Access(t.Context(), less); err != nil || !g.Repeated {
		t.Fatalf("repeated as %+v, %v", g, err)
	}
	wantCapped(t, s, of(license.StationShare, "d", renewed(less)), "team", 1, 3)
	kit.WantTaken(t, s, 3)
}

func wantHeld(t *testing.T, s lease.Seats, r lease.Request, taken, held uint32) {
	t.Helper()
	if d := denies(t, s, r, license.CodeNoFreeSeat); d["taken"] != taken || d["heldBack"] != held {
		t.Fatalf("details %v, want %d taken and %d held back", d, taken, held)
	}
}

func holds(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	plain := holding(kit.Request(4), "chiefs", 2)
	kit.Access(t, s, plain)
	_, second := kit.Access(t, s, renewed(plain))
	wantHeld(t, s, renewed(plain), 2, 2)
	rule := func() string {
		all := kit.AllEvents(t, h.Store)
		return all[len(all)-1].Rule
	}
	if got := rule(); got != "chiefs" {
		t.Fatalf("refused by %q", got)
	}
	chief := tagged(kit.Request(4), "chiefs")
	kit.Access(t, s, chief)
	wantHeld(t, s, renewed(plain), 3, 1)
	wantHeld(t, s, wanting(2, renewed(plain)), 3, 1)
	if got := rule(); got != "" {
		t.Fatalf("too few are free in any case, and it was refused by %q", got)
	}
	_, tok := kit.Access(t, s, renewed(chief))
	wantHeld(t, s, renewed(plain), 4, 0)
	if got := rule(); got != "" {
		t.Fatalf("with all taken it was refused by %q", got)
	}
	release(t, s, tok)
	wantHeld(t, s, renewed(plain), 3, 1)
	release(t, s, second)
	wantHeld(t, s, wanting(2, renewed(plain)), 2, 1)
	kit.Access(t, s, renewed(plain))
	kit.Access(t, s, renewed(chief))
	// More of them than are kept back take from what is left.
	wantHeld(t, s, renewed(chief), 4, 0)
	// Nor did a rule refuse where what lingers leaves too few.
	apart := wanting(3, kit.By("zoe", kit.Request(4)))
	apart.Pool.Product.Code++
	kit.Linger(t, s, apart, kit.Long)
	wantHeld(t, s, holding(wanting(2, kit.By("bob", renewed(apart))), "chiefs", 1), 3, 1)
	if got := rule(); got != "" {
		t.Fatalf("too few are free in any case, and it was refused by %q", got)
	}
	// A repeat, and who takes nothing more, is not refused.
	if g, _ := kit.Access(t, s, plain); !g.Repeated {
		t.Fatalf("grant %+v", g)
	}
}

func holdsMany(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	r := holding(holding(kit.Request(6), "x", 2), "y", 3)
	kit.Access(t, s, r)
	wantHeld(t, s, renewed(r), 1, 5)
	// One with one of the tags is refused what is kept back for the other.
	x := holding(tagged(kit.Request(6), "x"), "y", 3)
	kit.Access(t, s, x)
	kit.Access(t, s, renewed(x))
	wantHeld(t, s, renewed(x), 3, 3)
	wantHeld(t, s, renewed(r), 3, 3)
	all := kit.AllEvents(t, h.Store)
	if e := all[len(all)-1]; e.Rule != "y" {
		t.Fatalf("the denial's event is %+v", e)
	}
	kit.Access(t, s, tagged(wanting(3, kit.Request(6)), "y", "z"))
	wantHeld(t, s, renewed(r), 6, 0)
}

func holdsCost(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	_, tok := kit.Access(t, s, tagged(wanting(2, share("a", 5)), "chiefs"))
	kit.Access(t, s, tagged(wanting(2, share("a", 5)), "chiefs"))
	wantHeld(t, s, holding(wanting(3, kit.Request(5)), "chiefs", 3), 2, 1)
	release(t, s, kit.Lingering(tok, kit.Long))
	plain := holding(wanting(2, kit.Request(5)), "chiefs", 3)
	kit.Access(t, s, plain)
	wantHeld(t, s, renewed(holding(kit.Request(5), "chiefs", 3)), 4, 1)
	kit.Access(t, s, tagged(wanting(3, share("a", 5)), "chiefs"))
	// Who comes back without the tag takes from it.
	apart := tagged(kit.Request(2), "chiefs")
	apart.Pool.Product.Code++
	_, back := kit.Access(t, s, apart)
	release(t, s, kit.Lingering(back, kit.Long))
	wantHeld(t, s, holding(wanting(2, tagged(renewed(apart))), "chiefs", 1), 1, 1)
	kit.Access(t, s, holding(tagged(renewed(apart)), "chiefs", 1))
	// Lapsed ones take nothing, so all is kept back.
	kit.Steady(t, func(stretch time.Duration) bool {
		s = kit.Claim(t, h.Store, "b")
		r := tagged(kit.Lasting(kit.Request(9), kit.Short*stretch), "brief")
		asked := time.Now()
		_, tok := kit.Access(t, s, r)
		q := holding(wanting(4, kit.By("zoe", kit.Request(9))), "brief", 1)
		g, err := s.Access(t.Context(), q)
		if time.Since(asked) > kit.Short*stretch {
			release(t, s, tok)
			if err == nil {
				release(t, s, kit.Ref(q, g))
			}
			return true
		}
		kit.WantCode(t, err, license.CodeNoFreeSeat) // 5 + 1 + 4
		kit.Pass(kit.Short * stretch)
		wantHeld(t, s, renewed(q), 5, 1)
		kit.Access(t, s, wanting(3, renewed(q)))
		return false
	})
}

func tagsKept(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	r := tagged(wanting(2, kit.Request(9)), "team", "site")
	_, tok := kit.Access(t, s, r)
	again := tagged(r, "other") // what the server says now
	if g, _ := kit.Access(t, s, again); !g.Repeated {
		t.Fatalf("grant %+v", g)
	}
	_, err := s.Renew(t.Context(), tok)
	kit.OK(t, "Renew", err)
	kit.Access(t, s, tagged(kit.Request(9), "site"))
	u, err := s.Usage(t.Context(), kit.Pool)
	kit.OK(t, "Usage", err)
	wantFigures(t, "tags", u.ByTag, map[string]uint32{"team": 2, "site": 3})
	all, err := s.List(t.Context(), kit.Pool)
	kit.OK(t, "List", err)
	for _, got := range all {
		if got.Handle == r.ID && !slices.Equal(got.Tags, []string{"team", "site"}) {
			t.Fatalf("tags %v", got.Tags)
		}
	}
	release(t, s, tok)
	if u, err = s.Usage(t.Context(), kit.Pool); err != nil || len(u.ByTag) != 1 || u.ByTag["site"] != 1 {
		t.Fatalf("usage %+v, %v", u, err)
	}
}
