package leasetest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// oneOfEach is a request of each mode, some with all that a request can carry.
// Together they take six licenses and one by a tag twice.
func oneOfEach() []lease.Request {
	all := []lease.Request{
		wanting(2, of(license.UserLimit, "a", request(9))),
		by("ada", share("a", 9)), by("bob", wanting(2, share("a", 9))),
		exclusive("b", 9),
		of(license.NoUserLimit, "b", request(9)),
		of(license.UserLimit, "c", request(9)),
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
		ok(t, "Check", s.Check(t.Context(), tok))
	}
	u, err := s.Usage(t.Context(), pool)
	ok(t, "Usage", err)
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
	denies(t, s, wanting(4, of(license.UserLimit, "z", request(9))), license.CodeNoFreeSeat)
	denies(t, s, share("b", 9), license.CodeStationBusy)
	capped := of(license.UserLimit, "z", request(9))
	capped.Limits = lease.Limits{Tags: []string{"team"}, Caps: []lease.Cap{{Tag: "team", Most: 4}}}
	denies(t, s, capped, license.CodeLimitReached)
	wantCode(t, s.Remove(t.Context(), pool, lease.Removal{Handle: toks[5].Handle}), license.CodeBorrowed)
}

func each(t *testing.T, s lease.Seats, all []lease.Request) []lease.Ref {
	t.Helper()
	var toks []lease.Ref
	for _, r := range all {
		_, tok := access(t, s, r)
		toks = append(toks, tok)
	}
	return toks
}

func modesLost(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	var toks []lease.Ref
	for i, r := range oneOfEach() {
		tok := ref(r, lease.Grant{
			Handle: r.ID, Pool: pool, Mode: r.Mode, Seat: uint32(2*i + 1), Epoch: s.Epoch() - 1, N: 4, Lease: long,
		})
		g, err := s.Renew(t.Context(), tok)
		ok(t, "Renew of a lost handle", err)
		if g.Seat != tok.Seat || g.N != 4 || g.Mode != r.Mode || g.Licenses != max(r.Licenses, 1) {
			t.Fatalf("taken in as %+v", g)
		}
		toks = append(toks, tok)
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
		wantCode(t, s.Check(t.Context(), tok), license.CodeHandleUnknown)
		tok.N, tok.Handle = tok.N+2, request(1).ID
		wantCode(t, s.Check(t.Context(), tok), license.CodeHandleUnknown) // the seat is taken
	}
	for _, bad := range []func(*lease.Ref){
		func(r *lease.Ref) { r.Mode = "SOMETIMES" }, func(r *lease.Ref) { r.Station = "" },
		func(r *lease.Ref) { r.Licenses = lease.MostLicenses + 1 }, func(r *lease.Ref) { r.Tags = []string{""} },
	} {
		r := share("a", 1)
		tok := ref(r, lease.Grant{Handle: r.ID, Pool: pool, Mode: r.Mode, Seat: 40, Epoch: s.Epoch() - 1, N: 4, Lease: long})
		bad(&tok)
		if c := license.CodeOf(s.Check(t.Context(), tok)); c != license.CodeInvalidInput && c != license.CodeHandleUnknown {
			t.Errorf("%+v: code %q", tok, c)
		}
	}
}

func modesRepeated(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
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
		g, tok := access(t, s, r)
		for range 3 {
			again, _ := access(t, s, r)
			if again.Seat != g.Seat || again.N != g.N || !again.Repeated || again.Licenses != g.Licenses {
				t.Fatalf("repeated as %+v, was %+v", again, g)
			}
		}
		toks[i] = tok
	}
	wantEach(t, s, toks)
	list, err := s.List(t.Context(), pool)
	if err != nil || len(list) != len(all) {
		t.Fatalf("%d handles, %v; want %d", len(list), err, len(all))
	}
}

func modesLate(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	var toks []lease.Ref
	for _, r := range oneOfEach() {
		_, tok := access(t, s, lasting(r, short))
		toks = append(toks, tok)
	}
	pass(short)
	for range 2 {
		for _, tok := range toks {
			_, err := s.Renew(t.Context(), tok)
			wantCode(t, err, license.CodeHandleExpired)
		}
		wantTaken(t, s, 0)
	}
	access(t, s, exclusive("a", 1))
	for _, tok := range toks {
		_, err := s.Renew(t.Context(), tok)
		wantCode(t, err, license.CodeHandleExpired)
	}
	wantTaken(t, s, 1)
}

func modesClaimed(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	all := oneOfEach()
	toks := each(t, s, all)
	wantEach(t, s, toks)
	s = claim(t, h.Store, "b")
	wantEach(t, s, toks)
	for i, r := range all {
		g, err := s.Access(t.Context(), r)
		if err != nil || !g.Repeated || g.Seat != toks[i].Seat || g.Mode != r.Mode {
			t.Fatalf("repeated as %+v, %v", g, err)
		}
	}
}

func restarted(t *testing.T, h Harness) {
	if h.Restart == nil {
		t.Skip("nothing outlives a restart of this store")
	}
	s := claim(t, h.Store, "a")
	all := oneOfEach()
	each(t, s, all)
	gone := linger(t, s, by("eve", of(license.UserLimit, "d", request(9))), 0)
	stays := linger(t, s, by("mia", wanting(2, share("e", 9))), long)
	lists := func() []lease.Handle {
		list, err := s.List(t.Context(), pool)
		ok(t, "List", err)
		return list
	}
	before, events := lists(), allEvents(t, h.Store)
	store := h.Restart(t)
	s = claim(t, store, "b")
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
	wantUsage(t, s, 8, 2)
	if g, _ := access(t, s, wanting(2, share("e", 8))); g.Seat != stays.Seat || g.N != stays.N+1 {
		t.Fatalf("grant %+v, want the lingering seat", g)
	}
	release(t, s, stays)
	wantCode(t, s.Check(t.Context(), gone), license.CodeHandleUnknown)
	again := allEvents(t, store)
	if len(again) < len(events) || again[len(events)-1] != events[len(events)-1] {
		t.Fatalf("%d events, there were %d", len(again), len(events))
	}
	for i, e := range again {
		if e.Seq != uint64(i)+1 {
			t.Fatalf("event %d counts as %d", i+1, e.Seq)
		}
	}
}

func takes(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	all := oneOfEach()
	for _, r := range all {
		access(t, s, r)
		<-time.After(2 * time.Millisecond) // a first access of its own
	}
	list, err := s.List(t.Context(), pool)
	ok(t, "List", err)
	wantTakes := []uint32{2, 2, 0, 1, 0, 1}
	for i, got := range list {
		r := all[i]
		if got.Handle != r.ID || got.Takes != wantTakes[i] || got.Licenses != max(r.Licenses, 1) || got.Mode != r.Mode ||
			got.Borrowed != r.Borrowed || !slices.Equal(got.Tags, r.Limits.Tags) || got.Station != r.Station {
			t.Errorf("handle %d is %+v, want it to take %d", i, got, wantTakes[i])
		}
	}
	u, err := s.Usage(t.Context(), pool)
	ok(t, "Usage", err)
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
	release(t, s, lingering(ref(all[0], list[0].Grant), long))
	if u, err = s.Usage(t.Context(), pool); err != nil || u.Taken != 6 || u.Lingering != 2 || u.TakenByMode[license.UserLimit] != 1 || u.ByTag["x"] != 2 {
		t.Fatalf("usage %+v, %v", u, err)
	}
}

func contents(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	r := wanting(2, of(license.StationShare, "a", request(9)))
	access(t, s, r)
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
	r.Wait = &lease.Wait{Until: long, Place: time.Minute}
	g, _ := access(t, s, r)
	if !g.Repeated {
		t.Fatalf("grant %+v, want a repeat", g)
	}
	one := request(9)
	access(t, s, one)
	if g, _ := access(t, s, wanting(1, one)); !g.Repeated {
		t.Fatalf("grant %+v: 0 licenses are 1", g)
	}
}

func impossible(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
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
		r := request(5)
		change(&r)
		_, err := s.Access(t.Context(), r)
		if license.CodeOf(err) != license.CodeInvalidInput || license.Public(err).Fix == "" {
			t.Errorf("%s: %v, want %s with what to do", name, err, license.CodeInvalidInput)
		}
	}
	wantTaken(t, s, 0)
}
