package granttest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/leasetest/kit"
	"github.com/quorate/quorate/internal/license"
)

// monitoring are the sentences about what administrators see and do.
func monitoring() map[string]func(*testing.T, kit.Harness) {
	return map[string]func(*testing.T, kit.Harness){
		"a notice is told by each renewal until the handle ends":     notices,
		"how long a program was idle is noted by its renewals":       idles,
		"a handle that is too young can't be removed":                minAge,
		"a borrowed handle can't be removed, and can be returned":    borrowed,
		"events of each firm are counted by one":                     seqs,
		"a denial's event tells what was asked for and what refused": denials,
		"denials that are alike are on record once":                  alikeDenials,
	}
}

func notices(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	r := kit.Request(5)
	_, tok := kit.Access(t, s, r)
	_, other := kit.Access(t, s, kit.Request(5))
	told := func(tok lease.Ref) lease.Notice {
		t.Helper()
		g, err := s.Renew(t.Context(), tok)
		kit.OK(t, "Renew", err)
		if g.Notice == nil {
			return lease.Notice{}
		}
		return *g.Notice
	}
	for _, n := range []lease.Notice{{}, {ID: "1", Text: "please close it", By: "grace"}, {ID: "2", Text: "Zoë waits\u2028", By: ""}} {
		if n.ID != "" {
			kit.OK(t, "Ask", s.Ask(t.Context(), kit.Pool, tok.Handle, n))
		}
		for range 2 {
			if got := told(tok); got != n {
				t.Fatalf("told %+v, want %+v", got, n)
			}
		}
		if g, _ := kit.Access(t, s, r); n.ID != "" && (g.Notice == nil || *g.Notice != n) {
			t.Fatalf("a repeat told %+v, want %+v", g.Notice, n)
		}
		if got := told(other); got != (lease.Notice{}) {
			t.Fatalf("another handle was told %+v", got)
		}
	}
	n := lease.Notice{ID: "3", Text: "close"}
	strange := kit.Pool
	strange.Product.Code++
	kit.WantCode(t, s.Ask(t.Context(), kit.Pool, "nobody", n), license.CodeHandleUnknown)
	kit.WantCode(t, s.Ask(t.Context(), strange, tok.Handle, n), license.CodeHandleUnknown)
	for _, bad := range []lease.Notice{
		{Text: "no id"}, {ID: "4", Text: strings.Repeat("x", lease.MostText+1)}, {ID: "4", By: "a\nb"}, {ID: strings.Repeat("x", lease.MostID+1)},
	} {
		kit.WantCode(t, s.Ask(t.Context(), kit.Pool, tok.Handle, bad), license.CodeInvalidInput)
	}
	kit.WantKinds(t, h.Store, lease.Granted, lease.Granted)
	release(t, s, tok)
	kit.WantCode(t, s.Ask(t.Context(), kit.Pool, tok.Handle, n), license.CodeHandleUnknown)
	_, late := kit.Access(t, s, kit.Lasting(kit.Request(5), kit.Short))
	kit.Pass(kit.Short)
	kit.WantCode(t, s.Ask(t.Context(), kit.Pool, late.Handle, n), license.CodeHandleUnknown)
	// The next handle of the seat is told nothing.
	_, next := kit.Access(t, s, kit.Request(5))
	if got := told(next); next.Seat != tok.Seat || got != (lease.Notice{}) {
		t.Fatalf("the next one was told %+v", got)
	}
}

func idles(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	_, tok := kit.Access(t, s, kit.Request(5))
	idle := func() time.Duration {
		t.Helper()
		all, err := s.List(t.Context(), kit.Pool)
		if err != nil || len(all) != 1 {
			t.Fatalf("%d handles, %v", len(all), err)
		}
		return all[0].Idle
	}
	for _, d := range []time.Duration{0, 90 * time.Second, time.Hour, 0} {
		tok.Idle = d
		_, err := s.Renew(t.Context(), tok)
		kit.OK(t, "Renew", err)
		tok.Idle = 5 * time.Hour
		kit.OK(t, "Check", s.Check(t.Context(), tok))
		if got := idle(); got != d {
			t.Fatalf("idle for %v, want %v", got, d)
		}
	}
	tok.Idle = -1
	_, err := s.Renew(t.Context(), tok)
	kit.WantCode(t, err, license.CodeInvalidInput)
}

func minAge(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	_, tok := kit.Access(t, s, kit.Request(5))
	err := s.Remove(t.Context(), kit.Pool, lease.Removal{Handle: tok.Handle, By: "grace", MinAge: kit.Long})
	kit.WantCode(t, err, license.CodeTooYoung)
	if age, told := license.Public(err).Details["ageMs"].(int64); !told || age < 0 || age > time.Minute.Milliseconds() {
		t.Fatalf("details %v", license.Public(err).Details)
	}
	kit.OK(t, "Check", s.Check(t.Context(), tok))
	kit.Pass(kit.Short)
	kit.OK(t, "Remove", s.Remove(t.Context(), kit.Pool, lease.Removal{Handle: tok.Handle, By: "grace", MinAge: kit.Short}))
	kit.OK(t, "second Remove", s.Remove(t.Context(), kit.Pool, lease.Removal{Handle: tok.Handle, By: "grace", MinAge: kit.Long}))
	kit.WantCode(t, s.Check(t.Context(), tok), license.CodeHandleRemoved)
	kit.WantCode(t, s.Remove(t.Context(), kit.Pool, lease.Removal{Handle: tok.Handle, MinAge: -1}), license.CodeInvalidInput)
	// What lingers has no age.
	tok = kit.Linger(t, s, kit.Request(5), kit.Long)
	kit.OK(t, "Remove", s.Remove(t.Context(), kit.Pool, lease.Removal{Handle: tok.Handle, By: "grace", MinAge: kit.Long}))
	kit.WantUsage(t, s, 0, 0)
}

func borrowed(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	lent := func(r lease.Request) lease.Request {
		r.Borrowed = true
		return r
	}
	_, tok := kit.Access(t, s, lent(wanting(2, kit.Request(9))))
	kit.Access(t, s, lent(wanting(2, share("a", 9))))
	kit.Access(t, s, lent(wanting(1, share("a", 9))))
	kit.Access(t, s, wanting(3, share("a", 9)))
	// Its program may not renew it: nobody would hear a notice.
	kit.WantCode(t, s.Ask(t.Context(), kit.Pool, tok.Handle, lease.Notice{ID: "1", Text: "close"}), license.CodeBorrowed)
	for _, age := range []time.Duration{0, kit.Long} {
		kit.WantCode(t, s.Remove(t.Context(), kit.Pool, lease.Removal{Handle: tok.Handle, MinAge: age}), license.CodeBorrowed)
	}
	kit.OK(t, "Check", s.Check(t.Context(), tok))
	u, err := s.Usage(t.Context(), kit.Pool)
	if err != nil || u.Taken != 5 || u.Borrowed != 4 {
		t.Fatalf("usage %+v, %v; want four of five borrowed", u, err)
	}
	all := kit.AllEvents(t, h.Store)
	if !all[0].Borrowed || all[3].Borrowed {
		t.Fatalf("events %+v", all)
	}
	release(t, s, kit.Lingering(tok, kit.Long)) // returned
	if u, err = s.Usage(t.Context(), kit.Pool); err != nil || u.Taken != 5 || u.Borrowed != 2 {
		t.Fatalf("usage %+v, %v; want two of five borrowed", u, err)
	}
	kit.OK(t, "Remove", s.Remove(t.Context(), kit.Pool, lease.Removal{Handle: tok.Handle}))
	_, brief := kit.Access(t, s, kit.Lasting(lent(kit.Request(9)), kit.Short))
	kit.Pass(kit.Short)
	kit.WantCode(t, s.Remove(t.Context(), kit.Pool, lease.Removal{Handle: brief.Handle}), license.CodeHandleUnknown)
}

func alikeDenials(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	d, ok := s.(lease.Denier)
	if !ok {
		t.Fatal("no lease.Denier")
	}
	told := 0
	loop := func(f func(r *lease.Request)) {
		t.Helper()
		for i := range 3 {
			r := kit.Request(0) // another id each time
			r.Client.Process = uint32(i)
			f(&r)
			denies(t, s, r, license.CodeNoFreeSeat)
		}
		told++
	}
	loop(func(*lease.Request) {})
	loop(func(r *lease.Request) { r.Client.User = "bob" })
	loop(func(r *lease.Request) { r.Client.Application = "other" })
	loop(func(r *lease.Request) { r.Client.Address = "elsewhere" })
	loop(func(r *lease.Request) { r.Station = "elsewhere" })
	loop(func(r *lease.Request) { r.Mode = license.Exclusive })
	loop(func(r *lease.Request) { r.Licenses = 2 })
	loop(func(r *lease.Request) { r.Pool.Product.Code++ })
	for _, why := range []struct {
		reason license.Code
		rule   string
	}{{license.CodeNotAllowed, "a"}, {license.CodeNotAllowed, "b"}, {license.CodeNoLicense, "b"}} {
		for range 2 {
			kit.OK(t, "Deny", d.Deny(t.Context(), kit.Request(0), why.reason, why.rule))
		}
		told++
	}
	all := kit.AllEvents(t, h.Store)
	if len(all) != told {
		t.Fatalf("%d events, want %d", len(all), told)
	}
	for i, e := range all {
		if e.Kind != lease.Denied || e.Seq != uint64(i)+1 {
			t.Fatalf("event %d: %+v", i, e)
		}
	}
	// Who claims knows of none.
	s = kit.Claim(t, h.Store, "b")
	told++
	denies(t, s, kit.Request(0), license.CodeNoFreeSeat)
	if n := len(kit.AllEvents(t, h.Store)); n != told {
		t.Fatalf("%d events after a claim, want %d", n, told)
	}
}

func seqs(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	firms := []license.FirmCode{kit.Product.Firm, kit.Product.Firm + 1}
	for i := range 9 {
		r := kit.Request(1)
		if i%3 == 2 {
			r.Lease = kit.Short
		}
		r.Pool.Product = license.Product{Firm: firms[i%2], Code: license.ProductCode(i % 3)}
		g, err := s.Access(t.Context(), r)
		kit.OK(t, "Access", err)
		tok := kit.Ref(r, g)
		if i%3 < 2 {
			again := renewed(r)
			again.Client.User = fmt.Sprint("user ", i)
			denies(t, s, again, license.CodeNoFreeSeat)
		}
		switch i % 3 {
		case 0:
			release(t, s, tok)
		case 1:
			kit.OK(t, "Remove", s.Remove(t.Context(), r.Pool, lease.Removal{Handle: g.Handle}))
		default:
			kit.Pass(kit.Short)
			_, err := s.Expire(t.Context())
			kit.OK(t, "Expire", err)
			s = kit.Claim(t, h.Store, "b")
		}
	}
	counted := map[license.FirmCode]uint64{}
	for _, e := range kit.AllEvents(t, h.Store) {
		firm := e.Pool.Product.Firm
		counted[firm]++
		if e.Seq != counted[firm] {
			t.Fatalf("event %+v counts as %d, want %d", e, e.Seq, counted[firm])
		}
	}
	if counted[firms[0]] != 13 || counted[firms[1]] != 11 {
		t.Fatalf("counted %v", counted)
	}
	o, err := h.Store.Claim(t.Context(), kit.Other, "a")
	kit.OK(t, "Claim", err)
	r := kit.Request(1)
	r.Pool.Container = kit.Other
	kit.Access(t, o, r)
	events, err := h.Store.Events(t.Context(), kit.Other, 0, 9)
	if err != nil || len(events) != 1 || events[0].Seq != 1 {
		t.Fatalf("another group's events: %+v, %v", events, err)
	}
}

func denials(t *testing.T, h kit.Harness) {
	s := kit.Claim(t, h.Store, "a")
	kit.Access(t, s, exclusive("a", 3))
	refused := []lease.Request{
		wanting(3, kit.By("bob", share("b", 3))),
		of(license.UserLimit, "a", kit.Request(3)),
		capped(tagged(of(license.UserLimit, "c", kit.Request(3)), "x", "crew"), "crew", 0),
		holding(holding(wanting(2, kit.Request(3)), "other", 0), "chiefs", 1),
	}
	reasons := []license.Code{license.CodeNoFreeSeat, license.CodeStationBusy, license.CodeLimitReached, license.CodeNoFreeSeat}
	rules := []string{"", "", "crew", "chiefs"}
	refused[3].Borrowed = true
	for i, r := range refused {
		denies(t, s, r, reasons[i])
	}
	for i, e := range kit.AllEvents(t, h.Store)[1:] {
		r := refused[i]
		if e.Kind != lease.Denied || e.Reason != reasons[i] || e.Rule != rules[i] || e.Handle != r.ID || e.Mode != r.Mode ||
			e.Station != r.Station || e.Client != r.Client || e.Licenses != max(r.Licenses, 1) || e.Borrowed != r.Borrowed ||
			e.Seat != 0 || e.N != 0 {
			t.Errorf("the denial's event is %+v, want %s by %q of %+v", e, reasons[i], rules[i], r)
		}
	}
}
