package granttest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/leasetest/kit"
	"github.com/quorate/quorate/internal/license"
)

// modes are the sentences about what handles take.
func modes() map[string]func(*testing.T, kit.Harness) {
	return map[string]func(*testing.T, kit.Harness){
		"a station with station share takes one for all its programs":        stationShares,
		"a station with station share takes the most of its programs":        stationTakesMost,
		"who joins a station takes nothing, whatever the quantity":           stationJoins,
		"a lapsed handle shares nothing":                                     lapsedShares,
		"a handle takes as many licenses as it asks for":                     manyLicenses,
		"an exclusive handle is alone on its station":                        exclusives,
		"an exclusive handle's end frees its station":                        exclusiveEnds,
		"all modes mix on one license: 23 of them":                           mixed,
		"no user limit is always granted":                                    unlimited,
		"each mode's handles have seats of their own":                        seatsOfModes,
		"a shared seat lingers for its station":                              shareLingers,
		"several licenses linger together":                                   manyLinger,
		"lost handles of each mode are taken in with what they take":         modesLost,
		"a repeat after a lost answer gives the same in each mode":           modesRepeated,
		"a late renewal is refused in each mode, and what it took is free":   modesLate,
		"a takeover keeps what handles of each mode take":                    modesClaimed,
		"after a restart everything is as it was":                            restarted,
		"what list and usage show adds up":                                   takes,
		"a handle's licenses, mode and being borrowed are its content alone": contents,
		"requests that no store can keep are refused":                        impossible,
	}
}

// of makes a request one of a mode on a station.
func of(mode license.AccessMode, station string, r lease.Request) lease.Request {
	r.Mode, r.Station = mode, station
	return r
}

func share(station string, quantity uint32) lease.Request {
	return of(license.StationShare, station, kit.Request(quantity))
}

func exclusive(station string, quantity uint32) lease.Request {
	return of(license.Exclusive, station, kit.Request(quantity))
}

func wanting(n uint32, r lease.Request) lease.Request {
	r.Licenses = n
	return r
}

// denies checks that a request is refused.
func denies(t *testing.T, s lease.Seats, r lease.Request, code license.Code) map[string]any {
	t.Helper()
	_, err := s.Access(t.Context(), r)
	kit.WantCode(t, err, code)
	return license.Public(err).Details
}

func release(t *testing.T, s lease.Seats, tok lease.Ref) {
	t.Helper()
	kit.OK(t, "Release", s.Release(t.Context(), tok))
}

func stationShares(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	var here []lease.Ref
	for i := range 4 {
		r := kit.By(fmt.Sprint(i), share("a", 2))
		r.Client.Process, r.Client.Application = uint32(i), "many"
		g, tok := kit.Access(t, s, r)
		if g.Mode != license.StationShare || g.Licenses != 1 || g.Seat != uint32(i)+1 || g.N != 1 {
			t.Fatalf("grant %+v, want seat %d", g, i+1)
		}
		here = append(here, tok)
		kit.WantTaken(t, s, 1)
	}
	_, there := kit.Access(t, s, share("b", 2))
	kit.WantTaken(t, s, 2)
	denies(t, s, share("c", 2), license.CodeNoFreeSeat)
	denies(t, s, kit.Request(2), license.CodeNoFreeSeat)
	_, more := kit.Access(t, s, share("a", 2))
	for _, tok := range here {
		release(t, s, tok)
		kit.WantTaken(t, s, 2)
	}
	kit.OK(t, "Check", s.Check(t.Context(), more))
	release(t, s, more)
	kit.WantTaken(t, s, 1)
	kit.Access(t, s, share("c", 2))
	release(t, s, there)
	kit.WantTaken(t, s, 1)
}

func stationTakesMost(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	toks := map[uint32]lease.Ref{}
	for _, n := range []uint32{1, 3, 2} {
		_, toks[n] = kit.Access(t, s, wanting(n, share("a", 3)))
	}
	kit.WantTaken(t, s, 3)
	if d := denies(t, s, wanting(4, share("a", 3)), license.CodeNoFreeSeat); d["taken"] != uint32(3) {
		t.Fatalf("details %v", d)
	}
	kit.Access(t, s, wanting(3, share("a", 3)))
	release(t, s, toks[1])
	kit.WantTaken(t, s, 3)
	release(t, s, toks[3])
	kit.WantTaken(t, s, 3) // another wants three
	kit.Access(t, s, wanting(4, share("a", 4)))
	kit.WantTaken(t, s, 4)
	denies(t, s, share("b", 4), license.CodeNoFreeSeat)
}

func stationJoins(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	_, first := kit.Access(t, s, wanting(2, share("a", 5)))
	kit.Access(t, s, wanting(2, kit.Request(5)))
	for _, quantity := range []uint32{0, 1, 3} {
		kit.Access(t, s, wanting(2, share("a", quantity)))
		kit.Access(t, s, wanting(1, share("a", quantity)))
		denies(t, s, wanting(3, share("a", quantity)), license.CodeNoFreeSeat)
		denies(t, s, share("b", quantity), license.CodeNoFreeSeat)
	}
	release(t, s, first)
	kit.WantTaken(t, s, 4)
}

func lapsedShares(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	kit.Access(t, s, kit.Lasting(wanting(2, share("a", 2)), kit.Short))
	kit.Pass(kit.Short)
	denies(t, s, share("a", 0), license.CodeNoFreeSeat)
	kit.WantKinds(t, h.Store, lease.Granted, lease.Expired, lease.Denied)
	kit.Access(t, s, kit.Lasting(share("a", 1), kit.Short))
	kit.Pass(kit.Short)
	kit.Access(t, s, share("b", 1))
}

func manyLicenses(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	g, two := kit.Access(t, s, wanting(2, kit.Request(6)))
	if g.Licenses != 2 || g.Seat != 1 {
		t.Fatalf("grant %+v, want two licenses under the first seat", g)
	}
	g, _ = kit.Access(t, s, wanting(0, kit.Request(6)))
	if g.Licenses != 1 || g.Seat != 2 {
		t.Fatalf("grant %+v, want one license under the second seat", g)
	}
	kit.WantTaken(t, s, 3)
	d := denies(t, s, wanting(4, kit.Request(6)), license.CodeNoFreeSeat)
	if d["taken"] != uint32(3) || d["quantity"] != uint32(6) || d["nextExpiryMs"] == nil {
		t.Fatalf("details %v", d)
	}
	denies(t, s, wanting(7, kit.Request(6)), license.CodeNoFreeSeat)
	kit.Access(t, s, wanting(3, kit.Request(6)))
	kit.WantTaken(t, s, 6)
	denies(t, s, kit.Request(6), license.CodeNoFreeSeat)
	g, err := s.Renew(t.Context(), two)
	kit.OK(t, "Renew", err)
	if g.Licenses != 2 {
		t.Fatalf("renewed as %+v", g)
	}
	release(t, s, two)
	kit.WantTaken(t, s, 4)
	all := kit.AllEvents(t, h.Store)
	var licenses []uint32
	for _, e := range all {
		licenses = append(licenses, e.Licenses)
	}
	if want := []uint32{2, 1, 4, 7, 3, 1, 2}; !slices.Equal(licenses, want) {
		t.Fatalf("the events tell of %v licenses, want %v", licenses, want)
	}
	most := wanting(lease.MostLicenses, kit.Request(1<<31))
	kit.Access(t, s, most)
	kit.WantTaken(t, s, 4+lease.MostLicenses)
}

func exclusives(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	everywhere := func(station string, quantity uint32) []lease.Request {
		return []lease.Request{
			exclusive(station, quantity), share(station, quantity), of(license.UserLimit, station, kit.Request(quantity)),
		}
	}
	g, alone := kit.Access(t, s, wanting(2, exclusive("a", 9)))
	if g.Mode != license.Exclusive || g.Licenses != 2 {
		t.Fatalf("grant %+v", g)
	}
	kit.WantTaken(t, s, 2)
	for _, r := range everywhere("a", 9) {
		denies(t, s, kit.By("bob", r), license.CodeStationBusy)
	}
	last := kit.AllEvents(t, h.Store)
	if e := last[len(last)-1]; e.Kind != lease.Denied || e.Reason != license.CodeStationBusy || e.Rule != "" {
		t.Fatalf("the denial's event is %+v", e)
	}
	kit.Access(t, s, of(license.NoUserLimit, "a", kit.Request(9)))
	for i, r := range everywhere("b", 9)[1:] {
		_, tok := kit.Access(t, s, r)
		denies(t, s, exclusive("b", 9), license.CodeStationBusy)
		kit.WantTaken(t, s, 3)
		release(t, s, tok)
		kit.Access(t, s, of(license.NoUserLimit, "b", kit.Request(9)))
		_, one := kit.Access(t, s, exclusive("b", 9))
		release(t, s, one)
		kit.WantTaken(t, s, 2)
		if i == 0 {
			continue
		}
		// What stands in the way of the station goes before what stands in that of
		// the quantity.
		denies(t, s, exclusive("a", 0), license.CodeStationBusy)
		denies(t, s, exclusive("b", 2), license.CodeNoFreeSeat)
	}
	// Another product knows nothing of it.
	r := exclusive("a", 1)
	r.Pool.Product.Code++
	kit.Access(t, s, r)
	release(t, s, alone)
	kit.Access(t, s, exclusive("a", 9))
}

func exclusiveEnds(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	_, tok := kit.Access(t, s, exclusive("a", 1))
	denies(t, s, share("a", 9), license.CodeStationBusy)
	kit.OK(t, "Remove", s.Remove(t.Context(), kit.Pool, lease.Removal{Handle: tok.Handle}))
	_, tok = kit.Access(t, s, exclusive("a", 1))
	release(t, s, kit.Lingering(tok, kit.Long)) // released it doesn't stand in the way, but takes its license
	denies(t, s, share("a", 1), license.CodeNoFreeSeat)
	_, tok = kit.Access(t, s, share("a", 2))
	denies(t, s, exclusive("a", 2), license.CodeStationBusy)
	release(t, s, tok)
	g, _ := kit.Access(t, s, kit.Lasting(exclusive("a", 1), kit.Short)) // back at its own seat
	if g.Seat != 1 || g.N != 3 {
		t.Fatalf("grant %+v, want seat 1 for the third time", g)
	}
	kit.Pass(kit.Short)
	kit.Access(t, s, share("a", 1))
}

// mixed is the example that the access modes are explained by.
func mixed(t *testing.T, h kit.Harness) {
	const quantity = 23
	s := kit.Claim(t, h.Store, "a")
	wantFree := func(free uint32) {
		t.Helper()
		kit.WantTaken(t, s, quantity-free)
	}
	// A station runs six programs, of which three share, and takes four.
	var shared []lease.Ref
	for range 3 {
		_, tok := kit.Access(t, s, share("192.0.2.134", quantity))
		shared = append(shared, tok)
	}
	var single []lease.Ref
	for range 3 {
		_, tok := kit.Access(t, s, of(license.UserLimit, "192.0.2.134", kit.Request(quantity)))
		single = append(single, tok)
	}
	wantFree(19)
	// Another runs one exclusively.
	_, alone := kit.Access(t, s, exclusive("192.0.2.33", quantity))
	wantFree(18)
	for _, mode := range []license.AccessMode{license.Exclusive, license.StationShare, license.UserLimit} {
		denies(t, s, of(mode, "192.0.2.33", kit.Request(quantity)), license.CodeStationBusy)
	}
	denies(t, s, exclusive("192.0.2.134", quantity), license.CodeStationBusy)
	for range 5 {
		kit.Access(t, s, of(license.NoUserLimit, "192.0.2.33", kit.Request(quantity)))
	}
	wantFree(18)
	u, err := s.Usage(t.Context(), kit.Pool)
	kit.OK(t, "Usage", err)
	wantFigures(t, "handles", u.ByMode, map[license.AccessMode]uint32{
		license.StationShare: 3, license.UserLimit: 3, license.Exclusive: 1, license.NoUserLimit: 5,
	})
	wantFigures(t, "licenses", u.TakenByMode, map[license.AccessMode]uint32{
		license.StationShare: 1, license.UserLimit: 3, license.Exclusive: 1,
	})
	// All are taken, one after the other, in every mode, and by several at once.
	_, big := kit.Access(t, s, wanting(8, of(license.UserLimit, "render", kit.Request(quantity))))
	wantFree(10)
	for i := range uint32(10) {
		mode := []license.AccessMode{license.UserLimit, license.StationShare, license.Exclusive}[i%3]
		kit.Access(t, s, of(mode, fmt.Sprint("192.0.2.", 200+i), kit.Request(quantity)))
		wantFree(9 - i)
	}
	for _, r := range []lease.Request{kit.Request(quantity), share("192.0.2.99", quantity), exclusive("192.0.2.99", quantity)} {
		if d := denies(t, s, r, license.CodeNoFreeSeat); d["taken"] != uint32(quantity) || d["quantity"] != uint32(quantity) {
			t.Fatalf("details %v", d)
		}
	}
	// Where it takes nothing more there is room.
	_, seventh := kit.Access(t, s, share("192.0.2.134", quantity))
	kit.Access(t, s, of(license.NoUserLimit, "192.0.2.99", kit.Request(quantity)))
	wantFree(0)
	// One that waits gets what is freed.
	waits := kit.Queued(of(license.UserLimit, "192.0.2.99", wanting(2, kit.Request(quantity))), 0)
	wantQueued(t, s, waits, 1, 1)
	for _, tok := range shared {
		release(t, s, tok) // the seventh shares on
	}
	wantQueued(t, s, waits, 1, 1)
	release(t, s, single[0])
	wantFree(1)
	wantQueued(t, s, waits, 1, 1) // wants two
	denies(t, s, kit.Request(quantity), license.CodeNoFreeSeat)
	release(t, s, seventh)
	wantFree(2)
	kit.Access(t, s, waits)
	wantFree(0)
	release(t, s, alone)
	kit.Access(t, s, share("192.0.2.33", quantity))
	kit.Access(t, s, share("192.0.2.33", quantity))
	wantFree(0)
	release(t, s, big)
	wantFree(8)
}

func wantFigures[K comparable](t *testing.T, what string, got, want map[K]uint32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s are %v, want %v", what, got, want)
	}
	for k, n := range want {
		if got[k] != n {
			t.Fatalf("%s are %v, want %v", what, got, want)
		}
	}
}

func unlimited(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	kit.Access(t, s, exclusive("a", 1))
	wantQueued(t, s, kit.Queued(kit.Request(1), 0), 1, 1)
	r := wanting(3, of(license.NoUserLimit, "a", kit.Request(0)))
	r.Limits = lease.Limits{
		Tags: []string{"x"}, Caps: []lease.Cap{{Tag: "x"}}, Holds: []lease.Hold{{Tag: "y", Least: 9}},
	}
	kit.Access(t, s, r)
	r.ID, r.Wait, r.Station = kit.Request(0).ID, kit.Queued(kit.Request(0), 0).Wait, ""
	kit.Access(t, s, r)
	u, err := s.Usage(t.Context(), kit.Pool)
	if err != nil || u.Taken != 1 || len(u.ByTag) != 0 || u.ByMode[license.NoUserLimit] != 2 || u.Waiting != 1 {
		t.Fatalf("usage %+v, %v", u, err)
	}
}

func seatsOfModes(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	var toks []lease.Ref
	for i := range uint32(12) {
		mode := []license.AccessMode{license.NoUserLimit, license.StationShare, license.Exclusive, license.UserLimit}[i%4]
		station := fmt.Sprint(i)
		if mode == license.StationShare {
			station = "one"
		}
		g, tok := kit.Access(t, s, of(mode, station, kit.Request(12)))
		if g.Seat != i+1 || g.N != 1 {
			t.Fatalf("grant %+v, want seat %d", g, i+1)
		}
		toks = append(toks, tok)
	}
	for _, i := range []int{4, 5, 6} {
		release(t, s, toks[i])
		g, tok := kit.Access(t, s, of(license.NoUserLimit, "x", kit.Request(12)))
		if g.Seat != toks[i].Seat || g.N != 2 {
			t.Fatalf("grant %+v, want seat %d again", g, toks[i].Seat)
		}
		kit.WantCode(t, s.Check(t.Context(), toks[i]), license.CodeHandleUnknown)
		tok.N--
		kit.WantCode(t, s.Check(t.Context(), tok), license.CodeHandleUnknown)
	}
}

func shareLingers(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	_, ada := kit.Access(t, s, kit.By("ada", share("a", 2)))
	_, bob := kit.Access(t, s, kit.By("bob", share("a", 2)))
	release(t, s, kit.Lingering(bob, kit.Long))
	kit.WantUsage(t, s, 1, 0) // shared with who lives
	release(t, s, kit.Lingering(ada, kit.Long))
	kit.WantUsage(t, s, 1, 1)
	kit.Access(t, s, share("b", 2))
	denies(t, s, share("c", 2), license.CodeNoFreeSeat)
	denies(t, s, of(license.UserLimit, "a", kit.By("ada", kit.Request(2))), license.CodeNoFreeSeat)
	// Anybody of the station comes back, to the lowest seat.
	g, eve := kit.Access(t, s, kit.By("eve", share("a", 2)))
	if g.Seat != ada.Seat || g.N != ada.N+1 {
		t.Fatalf("grant %+v, want seat %d of the station", g, ada.Seat)
	}
	kit.WantUsage(t, s, 2, 0)
	release(t, s, eve)
	kit.WantUsage(t, s, 2, 1) // bob's lingers on
	denies(t, s, share("c", 2), license.CodeNoFreeSeat)
	kit.OK(t, "Remove", s.Remove(t.Context(), kit.Pool, lease.Removal{Handle: bob.Handle}))
	kit.WantUsage(t, s, 1, 0)
	kit.Access(t, s, share("c", 2))
	// A lowered quantity counts living stations alone for who comes back.
	_, tok := kit.Access(t, s, share("d", 3))
	release(t, s, kit.Lingering(tok, kit.Long))
	denies(t, s, share("d", 2), license.CodeNoFreeSeat)
	kit.Access(t, s, share("d", 3))
}

func manyLinger(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	_, three := kit.Access(t, s, wanting(3, kit.Request(5)))
	release(t, s, kit.Lingering(three, kit.Long))
	kit.WantUsage(t, s, 3, 3)
	denies(t, s, kit.By("bob", wanting(3, kit.Request(5))), license.CodeNoFreeSeat)
	kit.Access(t, s, kit.By("bob", wanting(2, kit.Request(5))))
	denies(t, s, wanting(4, kit.Request(5)), license.CodeNoFreeSeat) // more than lingered
	g, tok := kit.Access(t, s, wanting(2, kit.Request(5)))
	if g.Seat != three.Seat || g.N != three.N+1 {
		t.Fatalf("grant %+v, want the lingering seat", g)
	}
	kit.WantUsage(t, s, 4, 0)
	release(t, s, kit.Lingering(tok, kit.Long))
	kit.Access(t, s, wanting(3, kit.Request(5)))
	kit.WantUsage(t, s, 5, 0)
}
