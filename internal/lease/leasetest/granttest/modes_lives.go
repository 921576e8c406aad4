package granttest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/leasetest/kit"
	"github.com/quorate/quorate/internal/license"
)

// oneOfEach is a request of each mode, some with all that a request can carry.
// Together they take six licenses and one by a tag twice.
func oneOfEach() []lease.Request {
	all := []lease.Request{
		wanting(2, of(license.UserLimit, "a", kit.Request(9))),
		kit.By("ada", share("a", 9)), kit.By("bob", wanting(2, share("a", 9))),
		exclusive("b", 9),
		of(license.NoUserLimit, "b", kit.Request(9)),
		of(license.UserLimit, "c", kit.Request(9)),
	}
	all[0].Limits.Tags = []string{"team", "x"}
	all[2].Limits.Tags = []string{"team"}
	all[5].Borrowed = true
	return all
}

// wantEach checks that all of oneOfEach live, and take what they do.
func wantEach(t *testing.T, s lease.Seats, toks []lease.Ref) {
	t.Helper()
	for _, tok := range toks {
		kit.OK(t, "Check", s.Check(t.Context(), tok))
	}
	u, err := s.Usage(t.Context(), kit.Pool)
	kit.OK(t, "Usage", err)
	if u.Taken != 6 || u.Lingering != 0 || u.Borrowed != 1 || u.Waiting != 0 {
		t.Fatalf("usage %+v", u)
	}
	wantFigures(t, "handles", u.ByMode, map[license.AccessMode]uint32{
		license.UserLimit: 2, license.StationShare: 2, license.Exclusive: 1, license.NoUserLimit: 1,
	})
	wantFigures(t, "licenses", u.TakenByMode, map[license.AccessMode]uint32{
		license.UserLimit: 3, license.StationShare: 2, license.Exclusive: 1,
	})
	wantFigures(t, "tags", u.ByTag, map[string]uint32{"team": 4, "x": 2})
	denies(t, s, wanting(4, of(license.UserLimit, "z", kit.Request(9))), license.CodeNoFreeSeat)
	denies(t, s, share("b", 9), license.CodeStationBusy)
	capped := of(license.UserLimit, "z", kit.Request(9))
	capped.Limits = lease.Limits{Tags: []string{"team"}, Caps: []lease.Cap{{Tag: "team", Most: 4}}}
	denies(t, s, capped, license.CodeLimitReached)
	kit.WantCode(t, s.Remove(t.Context(), kit.Pool, lease.Removal{Handle: toks[5].Handle}), license.CodeBorrowed)
}

func each(t *testing.T, s lease.Seats, all []lease.Request) []lease.Ref {
	t.Helper()
	var toks []lease.Ref
	for _, r := range all {
		_, tok := kit.Access(t, s, r)
		toks = append(toks, tok)
	}
	return toks
}

func modesLost(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	var toks []lease.Ref
	for i, r := range oneOfEach() {
		tok := kit.Ref(r, lease.Grant{
			Handle: r.ID, Pool: kit.Pool, Mode: r.Mode, Seat: uint32(2*i + 1), Epoch: s.Epoch() - 1, N: 4, Lease: kit.Long,
		})
		g, err := s.Renew(t.Context(), tok)
		if h.Sure {
			kit.WantCode(t, err, license.CodeHandleUnknown)
			continue
		}
		kit.OK(t, "Renew of a lost handle", err)
		if g.Seat != tok.Seat || g.N != 4 || g.Mode != r.Mode || g.Licenses != max(r.Licenses, 1) {
			t.Fatalf("taken in as %+v", g)
		}
		toks = append(toks, tok)
	}
	if h.Sure {
		kit.WantTaken(t, s, 0)
		return
	}
	wantEach(t, s, toks)
	// It is the same request as ever.
	for i, r := range oneOfEach() {
		r.ID = toks[i].Handle
		g, err := s.Access(t.Context(), r)
		if err != nil || !g.Repeated || g.Seat != toks[i].Seat {
			t.Fatalf("repeated as %+v, %v", g, err)
		}
	}
	for _, tok := range toks {
		tok.N--
		kit.WantCode(t, s.Check(t.Context(), tok), license.CodeHandleUnknown)
		tok.N, tok.Handle = tok.N+2, kit.Request(1).ID
		kit.WantCode(t, s.Check(t.Context(), tok), license.CodeHandleUnknown) // the seat is taken
	}
	for _, bad := range []func(*lease.Ref){
		func(r *lease.Ref) { r.Mode = "SOMETIMES" }, func(r *lease.Ref) { r.Station = "" },
		func(r *lease.Ref) { r.Licenses = lease.MostLicenses + 1 }, func(r *lease.Ref) { r.Tags = []string{""} },
	} {
		r := share("a", 1)
		tok := kit.Ref(r, lease.Grant{Handle: r.ID, Pool: kit.Pool, Mode: r.Mode, Seat: 40, Epoch: s.Epoch() - 1, N: 4, Lease: kit.Long})
		bad(&tok)
		if c := license.CodeOf(s.Check(t.Context(), tok)); c != license.CodeInvalidInput && c != license.CodeHandleUnknown {
			t.Errorf("%+v: code %q", tok, c)
		}
	}
}

func modesRepeated(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	all := oneOfEach()
	toks := make([]lease.Ref, len(all))
	for i, r := range all {
		ctx, cancel := context.WithCancel(t.Context())
		lost := make(chan struct{})
		go func() { // whose answer nobody waits for
			_, _ = s.Access(ctx, r)
			close(lost)
		}()
		if i%2 == 0 {
			<-lost
		}
		cancel()
		<-lost
		g, tok := kit.Access(t, s, r)
		for range 3 {
			again, _ := kit.Access(t, s, r)
			if again.Seat != g.Seat || again.N != g.N || !again.Repeated || again.Licenses != g.Licenses {
				t.Fatalf("repeated as %+v, was %+v", again, g)
			}
		}
		toks[i] = tok
	}
	wantEach(t, s, toks)
	list, err := s.List(t.Context(), kit.Pool)
	if err != nil || len(list) != len(all) {
		t.Fatalf("%d handles, %v; want %d", len(list), err, len(all))
	}
}

func modesLate(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	var toks []lease.Ref
	for _, r := range oneOfEach() {
		_, tok := kit.Access(t, s, kit.Lasting(r, kit.Short))
		toks = append(toks, tok)
	}
	kit.Pass(kit.Short)
	for range 2 {
		for _, tok := range toks {
			_, err := s.Renew(t.Context(), tok)
			kit.WantCode(t, err, license.CodeHandleExpired)
		}
		kit.WantTaken(t, s, 0)
	}
	kit.Access(t, s, exclusive("a", 1))
	for _, tok := range toks {
		_, err := s.Renew(t.Context(), tok)
		kit.WantCode(t, err, license.CodeHandleExpired)
	}
	kit.WantTaken(t, s, 1)
}

func modesClaimed(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	all := oneOfEach()
	toks := each(t, s, all)
	wantEach(t, s, toks)
	s = kit.Claim(t, h.Store, "b")
	wantEach(t, s, toks)
	for i, r := range all {
		g, err := s.Access(t.Context(), r)
		if err != nil || !g.Repeated || g.Seat != toks[i].Seat || g.Mode != r.Mode {
			t.Fatalf("repeated as %+v, %v", g, err)
		}
	}
}

func restarted(t *testing.T, h kit.Harness) {
	if h.Restart == nil {
		t.Skip("nothing outlives a restart of this store")
	}
	s := kit.Claim(t, h.Store, "a")
	all := oneOfEach()
	each(t, s, all)
	gone := kit.Linger(t, s, kit.By("eve", of(license.UserLimit, "d", kit.Request(9))), 0)
	stays := kit.Linger(t, s, kit.By("mia", wanting(2, share("e", 9))), kit.Long)
	lists := func() []lease.Handle {
		list, err := s.List(t.Context(), kit.Pool)
		kit.OK(t, "List", err)
		return list
	}
	before, events := lists(), kit.AllEvents(t, h.Store)
	store := h.Restart(t)
	s = kit.Claim(t, store, "b")
	after := lists()
	if len(after) != len(before) {
		t.Fatalf("%d handles, there were %d", len(after), len(before))
	}
	for i, a := range after {
		b := before[i]
		if a.Handle != b.Handle || a.Seat != b.Seat || a.N != b.N || a.Mode != b.Mode || a.Station != b.Station ||
			a.Client != b.Client || a.Licenses != b.Licenses || a.Takes != b.Takes || a.Borrowed != b.Borrowed ||
			!slices.Equal(a.Tags, b.Tags) || !a.FirstAccess.Equal(b.FirstAccess) {
			t.Errorf("handle %d is %+v, was %+v", i, a, b)
		}
	}
	kit.WantUsage(t, s, 8, 2)
	if g, _ := kit.Access(t, s, wanting(2, share("e", 8))); g.Seat != stays.Seat || g.N != stays.N+1 {
		t.Fatalf("grant %+v, want the lingering seat", g)
	}
	release(t, s, stays)
	kit.WantCode(t, s.Check(t.Context(), gone), license.CodeHandleUnknown)
	again := kit.AllEvents(t, store)
	if len(again) < len(events) || again[len(events)-1] != events[len(events)-1] {
		t.Fatalf("%d events, there were %d", len(again), len(events))
	}
	for i, e := range again {
		if e.Seq != uint64(i)+1 {
			t.Fatalf("event %d counts as %d", i+1, e.Seq)
		}
	}
}

func takes(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	all := oneOfEach()
	for _, r := range all {
		kit.Access(t, s, r)
		<-time.After(2 * time.Millisecond) // a first access of its own
	}
	list, err := s.List(t.Context(), kit.Pool)
	kit.OK(t, "List", err)
	wantTakes, wantAccesses := []uint32{2, 2, 0, 1, 0, 1}, []uint32{1, 2, 1, 1, 1, 1}
	for i, got := range list {
		r := all[i]
		if got.Handle != r.ID || got.Takes != wantTakes[i] || got.Accesses != wantAccesses[i] || got.Licenses != max(r.Licenses, 1) || got.Mode != r.Mode ||
			got.Borrowed != r.Borrowed || !slices.Equal(got.Tags, r.Limits.Tags) || got.Station != r.Station {
			t.Errorf("handle %d is %+v, want it to take %d for %d accesses", i, got, wantTakes[i], wantAccesses[i])
		}
	}
	u, err := s.Usage(t.Context(), kit.Pool)
	kit.OK(t, "Usage", err)
	var sum, byMode uint32
	for _, got := range list {
		sum += got.Takes
	}
	for _, n := range u.TakenByMode {
		byMode += n
	}
	if sum != u.Taken || byMode != u.Taken || u.Taken != 6 {
		t.Fatalf("the handles take %d, the modes %d, together %d", sum, byMode, u.Taken)
	}
	// A lingering seat is in no mode, but in its tags.
	release(t, s, kit.Lingering(kit.Ref(all[0], list[0].Grant), kit.Long))
	if u, err = s.Usage(t.Context(), kit.Pool); err != nil || u.Taken != 6 || u.Lingering != 2 || u.TakenByMode[license.UserLimit] != 1 || u.ByTag["x"] != 2 {
		t.Fatalf("usage %+v, %v", u, err)
	}
}

func contents(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	r := wanting(2, of(license.StationShare, "a", kit.Request(9)))
	kit.Access(t, s, r)
	for name, change := range map[string]func(*lease.Request){
		"mode":     func(r *lease.Request) { r.Mode = license.Exclusive },
		"licenses": func(r *lease.Request) { r.Licenses = 3 },
		"fewer":    func(r *lease.Request) { r.Licenses = 0 },
		"borrowed": func(r *lease.Request) { r.Borrowed = true },
	} {
		c := r
		change(&c)
		if _, err := s.Access(t.Context(), c); license.CodeOf(err) != license.CodeRequestMismatch {
			t.Errorf("another %s: %v", name, err)
		}
	}
	// What the server adds may change.
	r.Limits = lease.Limits{Tags: []string{"x"}, Caps: []lease.Cap{{Tag: "x"}}}
	r.Wait = &lease.Wait{Until: kit.Long, Place: time.Minute}
	g, _ := kit.Access(t, s, r)
	if !g.Repeated {
		t.Fatalf("grant %+v, want a repeat", g)
	}
	one := kit.Request(9)
	kit.Access(t, s, one)
	if g, _ := kit.Access(t, s, wanting(1, one)); !g.Repeated {
		t.Fatalf("grant %+v: 0 licenses are 1", g)
	}
}

func impossible(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	many := make([]string, lease.MostTags+1)
	for i := range many {
		many[i] = strings.Repeat("x", i+1)
	}
	for name, change := range map[string]func(*lease.Request){
		"share without a station":     func(r *lease.Request) { r.Mode, r.Station = license.StationShare, "" },
		"exclusive without a station": func(r *lease.Request) { r.Mode, r.Station = license.Exclusive, "" },
		"too many licenses":           func(r *lease.Request) { r.Licenses = lease.MostLicenses + 1 },
		"too many tags":               func(r *lease.Request) { r.Limits.Tags = many },
		"an empty tag":                func(r *lease.Request) { r.Limits.Tags = []string{""} },
		"a tag twice":                 func(r *lease.Request) { r.Limits.Tags = []string{"x", "y", "x"} },
		"a long tag":                  func(r *lease.Request) { r.Limits.Tags = []string{strings.Repeat("x", lease.MostTag+1)} },
		"a control character":         func(r *lease.Request) { r.Limits.Tags = []string{"a\nb"} },
		"a cap on nothing":            func(r *lease.Request) { r.Limits.Caps = []lease.Cap{{Most: 1}} },
		"too many caps":               func(r *lease.Request) { r.Limits.Caps = make([]lease.Cap, lease.MostLimits+1) },
		"a hold for nobody":           func(r *lease.Request) { r.Limits.Holds = []lease.Hold{{Least: 1}} },
		"too many holds":              func(r *lease.Request) { r.Limits.Holds = make([]lease.Hold, lease.MostLimits+1) },
		"waiting for no time":         func(r *lease.Request) { r.Wait = &lease.Wait{Place: time.Second} },
		"waiting for ever":            func(r *lease.Request) { r.Wait = &lease.Wait{Until: lease.MostWait + 1, Place: time.Second} },
		"a place for no time":         func(r *lease.Request) { r.Wait = &lease.Wait{Until: time.Second} },
		"a place for ever":            func(r *lease.Request) { r.Wait = &lease.Wait{Until: time.Second, Place: lease.MostPlace + 1} },
	} {
		r := kit.Request(5)
		change(&r)
		_, err := s.Access(t.Context(), r)
		if license.CodeOf(err) != license.CodeInvalidInput || license.Public(err).Fix == "" {
			t.Errorf("%s: %v, want %s with what to do", name, err, license.CodeInvalidInput)
		}
	}
	kit.WantTaken(t, s, 0)
}
