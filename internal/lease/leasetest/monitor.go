package leasetest

import (
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// monitoring are the sentences about what administrators see and do.
func monitoring() map[string]func(*testing.T, Harness) {
	return map[string]func(*testing.T, Harness){
		"a notice is told by each renewal until the handle ends":     notices,
		"how long a program was idle is noted by its renewals":       idles,
		"a handle that is too young can't be removed":                minAge,
		"a borrowed handle can't be removed, and can be returned":    borrowed,
		"events of each firm are counted by one":                     seqs,
		"a denial's event tells what was asked for and what refused": denials,
	}
}

func notices(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	r := request(5)
	_, tok := access(t, s, r)
	_, other := access(t, s, request(5))
	told := func(tok lease.Ref) lease.Notice {
		t.Helper()
		g, err := s.Renew(t.Context(), tok)
		ok(t, "Renew", err)
		if g.Notice == nil {
			return lease.Notice{}
		}
		return *g.Notice
	}
	for _, n := range []lease.Notice{{}, {ID: "1", Text: "please close it", By: "grace"}, {ID: "2", Text: "Zoë waits\u2028", By: ""}} {
		if n.ID != "" {
			ok(t, "Ask", s.Ask(t.Context(), pool, tok.Handle, n))
		}
		for range 2 {
			if got := told(tok); got != n {
				t.Fatalf("told %+v, want %+v", got, n)
			}
		}
		if g, _ := access(t, s, r); n.ID != "" && (g.Notice == nil || *g.Notice != n) {
			t.Fatalf("a repeat told %+v, want %+v", g.Notice, n)
		}
		if got := told(other); got != (lease.Notice{}) {
			t.Fatalf("another handle was told %+v", got)
		}
	}
	n := lease.Notice{ID: "3", Text: "close"}
	strange := pool
	strange.Product.Code++
	wantCode(t, s.Ask(t.Context(), pool, "nobody", n), license.CodeHandleUnknown)
	wantCode(t, s.Ask(t.Context(), strange, tok.Handle, n), license.CodeHandleUnknown)
	for _, bad := range []lease.Notice{
		{Text: "no id"}, {ID: "4", Text: strings.Repeat("x", lease.MostText+1)}, {ID: "4", By: "a\nb"}, {ID: strings.Repeat("x", lease.MostID+1)},
	} {
		wantCode(t, s.Ask(t.Context(), pool, tok.Handle, bad), license.CodeInvalidInput)
	}
	wantKinds(t, h.Store, lease.Granted, lease.Granted)
	release(t, s, tok)
	wantCode(t, s.Ask(t.Context(), pool, tok.Handle, n), license.CodeHandleUnknown)
	_, late := access(t, s, lasting(request(5), short))
	pass(short)
	wantCode(t, s.Ask(t.Context(), pool, late.Handle, n), license.CodeHandleUnknown)
	// The next handle of the seat is told nothing.
	_, next := access(t, s, request(5))
	if got := told(next); next.Seat != tok.Seat || got != (lease.Notice{}) {
		t.Fatalf("the next one was told %+v", got)
	}
}

func idles(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	_, tok := access(t, s, request(5))
	idle := func() time.Duration {
		t.Helper()
		all, err := s.List(t.Context(), pool)
		if err != nil || len(all) != 1 {
			t.Fatalf("%d handles, %v", len(all), err)
		}
		return all[0].Idle
	}
	for _, d := range []time.Duration{0, 90 * time.Second, time.Hour, 0} {
		tok.Idle = d
		_, err := s.Renew(t.Context(), tok)
		ok(t, "Renew", err)
		tok.Idle = 5 * time.Hour
		ok(t, "Check", s.Check(t.Context(), tok))
		if got := idle(); got != d {
			t.Fatalf("idle for %v, want %v", got, d)
		}
	}
	tok.Idle = -1
	_, err := s.Renew(t.Context(), tok)
	wantCode(t, err, license.CodeInvalidInput)
}

func minAge(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	_, tok := access(t, s, request(5))
	err := s.Remove(t.Context(), pool, lease.Removal{Handle: tok.Handle, By: "grace", MinAge: long})
	wantCode(t, err, license.CodeTooYoung)
	if age, told := license.Public(err).Details["ageMs"].(int64); !told || age < 0 || age > time.Minute.Milliseconds() {
		t.Fatalf("details %v", license.Public(err).Details)
	}
	ok(t, "Check", s.Check(t.Context(), tok))
	pass(short)
	ok(t, "Remove", s.Remove(t.Context(), pool, lease.Removal{Handle: tok.Handle, By: "grace", MinAge: short}))
	ok(t, "second Remove", s.Remove(t.Context(), pool, lease.Removal{Handle: tok.Handle, By: "grace", MinAge: long}))
	wantCode(t, s.Check(t.Context(), tok), license.CodeHandleRemoved)
	wantCode(t, s.Remove(t.Context(), pool, lease.Removal{Handle: tok.Handle, MinAge: -1}), license.CodeInvalidInput)
	// What lingers has no age.
	tok = linger(t, s, request(5), long)
	ok(t, "Remove", s.Remove(t.Context(), pool, lease.Removal{Handle: tok.Handle, By: "grace", MinAge: long}))
	wantUsage(t, s, 0, 0)
}

func borrowed(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	lent := func(r lease.Request) lease.Request {
		r.Borrowed = true
		return r
	}
	_, tok := access(t, s, lent(wanting(2, request(9))))
	access(t, s, lent(wanting(2, share("a", 9))))
	access(t, s, lent(wanting(1, share("a", 9))))
	access(t, s, wanting(3, share("a", 9)))
	for _, age := range []time.Duration{0, long} {
		wantCode(t, s.Remove(t.Context(), pool, lease.Removal{Handle: tok.Handle, MinAge: age}), license.CodeBorrowed)
	}
	ok(t, "Check", s.Check(t.Context(), tok))
	u, err := s.Usage(t.Context(), pool)
	if err != nil || u.Taken != 5 || u.Borrowed != 4 {
		t.Fatalf("usage %+v, %v; want four of five borrowed", u, err)
	}
	all := allEvents(t, h.Store)
	if !all[0].Borrowed || all[3].Borrowed {
		t.Fatalf("events %+v", all)
	}
	release(t, s, lingering(tok, long)) // returned
	if u, err = s.Usage(t.Context(), pool); err != nil || u.Taken != 5 || u.Borrowed != 2 {
		t.Fatalf("usage %+v, %v; want two of five borrowed", u, err)
	}
	ok(t, "Remove", s.Remove(t.Context(), pool, lease.Removal{Handle: tok.Handle}))
	_, brief := access(t, s, lasting(lent(request(9)), short))
	pass(short)
	wantCode(t, s.Remove(t.Context(), pool, lease.Removal{Handle: brief.Handle}), license.CodeHandleUnknown)
}

func seqs(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	firms := []license.FirmCode{product.Firm, product.Firm + 1}
	for i := range 9 {
		r := request(1)
		if i%3 == 2 {
			r.Lease = short
		}
		r.Pool.Product = license.Product{Firm: firms[i%2], Code: license.ProductCode(i % 3)}
		g, err := s.Access(t.Context(), r)
		ok(t, "Access", err)
		tok := ref(r, g)
		if i%3 < 2 {
			denies(t, s, renewed(r), license.CodeNoFreeSeat)
		}
		switch i % 3 {
		case 0:
			release(t, s, tok)
		case 1:
			ok(t, "Remove", s.Remove(t.Context(), r.Pool, lease.Removal{Handle: g.Handle}))
		default:
			pass(short)
			_, err := s.Expire(t.Context())
			ok(t, "Expire", err)
			s = claim(t, h.Store, "b")
		}
	}
	counted := map[license.FirmCode]uint64{}
	for _, e := range allEvents(t, h.Store) {
		firm := e.Pool.Product.Firm
		counted[firm]++
		if e.Seq != counted[firm] {
			t.Fatalf("event %+v counts as %d, want %d", e, e.Seq, counted[firm])
		}
	}
	if counted[firms[0]] != 13 || counted[firms[1]] != 11 {
		t.Fatalf("counted %v", counted)
	}
	o, err := h.Store.Claim(t.Context(), other, "a")
	ok(t, "Claim", err)
	r := request(1)
	r.Pool.Container = other
	access(t, o, r)
	events, err := h.Store.Events(t.Context(), other, 0, 9)
	if err != nil || len(events) != 1 || events[0].Seq != 1 {
		t.Fatalf("another group's events: %+v, %v", events, err)
	}
}

func denials(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	access(t, s, exclusive("a", 3))
	refused := []lease.Request{
		wanting(3, by("bob", share("b", 3))),
		of(license.UserLimit, "a", request(3)),
		capped(tagged(of(license.UserLimit, "c", request(3)), "x", "crew"), "crew", 0),
		holding(holding(wanting(2, request(3)), "other", 0), "chiefs", 1),
	}
	reasons := []license.Code{license.CodeNoFreeSeat, license.CodeStationBusy, license.CodeLimitReached, license.CodeNoFreeSeat}
	rules := []string{"", "", "crew", "chiefs"}
	refused[3].Borrowed = true
	for i, r := range refused {
		denies(t, s, r, reasons[i])
	}
	for i, e := range allEvents(t, h.Store)[1:] {
		r := refused[i]
		if e.Kind != lease.Denied || e.Reason != reasons[i] || e.Rule != rules[i] || e.Handle != r.ID || e.Mode != r.Mode ||
			e.Station != r.Station || e.Client != r.Client || e.Licenses != max(r.Licenses, 1) || e.Borrowed != r.Borrowed ||
			e.Seat != 0 || e.N != 0 {
			t.Errorf("the denial's event is %+v, want %s by %q of %+v", e, reasons[i], rules[i], r)
		}
	}
}
