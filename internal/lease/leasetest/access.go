package leasetest

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/leasetest/kit"
	"github.com/quorate/quorate/internal/license"
)

func seatsNumbered(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	for want := uint32(1); want <= 20; want++ {
		r := kit.Request(20)
		g, _ := kit.Access(t, s, r)
		if g.Handle != r.ID || g.Pool != kit.Pool || g.Mode != license.UserLimit || g.Seat != want || g.N != 1 ||
			g.Epoch != s.Epoch() || g.Lease != kit.Long || g.Repeated {
			t.Fatalf("grant %+v, want seat %d with n 1", g, want)
		}
	}
	_, err := s.Access(t.Context(), kit.Request(20))
	kit.WantCode(t, err, license.CodeNoFreeSeat)
}

func denied(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	_, err := s.Access(t.Context(), kit.Request(0))
	kit.WantCode(t, err, license.CodeNoFreeSeat)
	kit.Access(t, s, kit.Request(1))
	r := kit.Request(1)
	r.Client.User = "bob"
	_, err = s.Access(t.Context(), r)
	kit.WantCode(t, err, license.CodeNoFreeSeat)
	e := license.Public(err)
	if e.Details["taken"] != uint32(1) || e.Details["quantity"] != uint32(1) || e.Details["nextExpiryMs"] == nil || e.Fix == "" {
		t.Fatalf("details %v, fix %q", e.Details, e.Fix)
	}
	all := kit.WantKinds(t, h.Store, lease.Denied, lease.Granted, lease.Denied)
	last := all[2]
	if last.Handle != r.ID || last.Reason != license.CodeNoFreeSeat || last.Seat != 0 || last.N != 0 || last.Client != r.Client {
		t.Fatalf("the denial's event is %+v", last)
	}
	// Refused is not known: the same id may ask again.
	g, _ := kit.Access(t, s, func() lease.Request { r.Quantity = 2; return r }())
	if g.Repeated || g.Seat != 2 {
		t.Fatalf("grant %+v after a denial, want a fresh one", g)
	}
}

func repeats(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	r := kit.Request(1)
	first, _ := kit.Access(t, s, r)
	for range 3 {
		r.Quantity, r.Lease = 0, time.Minute // the server's part may differ
		again, _ := kit.Access(t, s, r)
		want := first
		want.Repeated = true
		if again != want {
			t.Fatalf("repeated as %+v, want %+v", again, want)
		}
	}
	kit.WantKinds(t, h.Store, lease.Granted)
	kit.WantTaken(t, s, 1)
}

func mismatches(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	r := kit.Request(5)
	_, tok := kit.Access(t, s, r)
	changes := map[string]func(*lease.Request){
		"product":     func(r *lease.Request) { r.Pool.Product.Code++ },
		"mode":        func(r *lease.Request) { r.Mode = license.NoUserLimit },
		"station":     func(r *lease.Request) { r.Station = "station-8" },
		"address":     func(r *lease.Request) { r.Client.Address = "192.0.2.8" },
		"user":        func(r *lease.Request) { r.Client.User = "bob" },
		"process":     func(r *lease.Request) { r.Client.Process++ },
		"application": func(r *lease.Request) { r.Client.Application = "chart2" },
	}
	all := func() {
		t.Helper()
		for name, change := range changes {
			c := r
			change(&c)
			if _, err := s.Access(t.Context(), c); license.CodeOf(err) != license.CodeRequestMismatch {
				t.Errorf("another %s: %v, want %s", name, err, license.CodeRequestMismatch)
			}
		}
	}
	all()
	kit.WantTaken(t, s, 1)
	kit.OK(t, "Release", s.Release(t.Context(), tok))
	all() // an ended id is known too
}

func endedIDs(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	rel, rem, exp := kit.Request(5), kit.Request(5), kit.Lasting(kit.Request(5), kit.Short)
	_, relRef := kit.Access(t, s, rel)
	_, remRef := kit.Access(t, s, rem)
	_, expRef := kit.Access(t, s, exp)
	kit.OK(t, "Release", s.Release(t.Context(), relRef))
	kit.OK(t, "Remove", s.Remove(t.Context(), kit.Pool, lease.Removal{Handle: rem.ID, By: "root"}))
	kit.Pass(kit.Short)
	for range 2 {
		for _, c := range []struct {
			r    lease.Request
			ref  lease.Ref
			want license.Code
		}{
			{exp, expRef, license.CodeHandleExpired},
			{rel, relRef, license.CodeHandleUnknown},
			{rem, remRef, license.CodeHandleRemoved},
		} {
			_, err := s.Access(t.Context(), c.r)
			kit.WantCode(t, err, c.want)
			_, err = s.Renew(t.Context(), c.ref)
			kit.WantCode(t, err, c.want)
			kit.WantCode(t, s.Check(t.Context(), c.ref), c.want)
		}
		s = kit.Claim(t, h.Store, "b") // and still so under a new leader
	}
	kit.WantTaken(t, s, 0)
}

func loweredQuantity(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	var refs []lease.Ref
	for range 5 {
		_, tok := kit.Access(t, s, kit.Request(5))
		refs = append(refs, tok)
	}
	for i := range 3 {
		_, err := s.Access(t.Context(), kit.Request(3))
		kit.WantCode(t, err, license.CodeNoFreeSeat)
		for _, tok := range refs[i:] {
			_, err := s.Renew(t.Context(), tok)
			kit.OK(t, "Renew with more seats taken than the quantity", err)
		}
		kit.OK(t, "Release", s.Release(t.Context(), refs[i]))
	}
	kit.WantTaken(t, s, 2) // seats 4 and 5
	g, _ := kit.Access(t, s, kit.Request(3))
	if g.Seat != 1 || g.N != 2 {
		t.Fatalf("grant %+v, want seat 1 for the second time", g)
	}
	_, err := s.Access(t.Context(), kit.Request(3))
	kit.WantCode(t, err, license.CodeNoFreeSeat)
}

func raisedQuantity(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	in := func(quantity uint32, tries int) (n int) {
		for range tries {
			_, err := s.Access(t.Context(), kit.Request(quantity))
			if err == nil {
				n++
			} else {
				kit.WantCode(t, err, license.CodeNoFreeSeat)
			}
		}
		return n
	}
	if n := in(20, 23); n != 20 {
		t.Fatalf("%d got in with 20", n)
	}
	if n := in(30, 13); n != 10 {
		t.Fatalf("%d more got in with 30", n)
	}
}

func accessExpires(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	_, old := kit.Access(t, s, kit.Lasting(kit.Request(1), kit.Short))
	kit.Pass(kit.Short)
	g, _ := kit.Access(t, s, kit.Request(1))
	if g.Seat != old.Seat || g.N != old.N+1 {
		t.Fatalf("grant %+v, want seat %d with n %d", g, old.Seat, old.N+1)
	}
	kit.WantKinds(t, h.Store, lease.Granted, lease.Expired, lease.Granted)
}

func nCountsUp(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	var last uint64
	for i := range 12 {
		r := kit.Lasting(kit.Request(1), kit.Short)
		g, tok := kit.Access(t, s, r)
		if g.Seat != 1 || g.N <= last {
			t.Fatalf("grant %+v after n %d", g, last)
		}
		last = g.N
		switch i % 4 {
		case 0:
			kit.OK(t, "Release", s.Release(t.Context(), tok))
		case 1:
			kit.OK(t, "Remove", s.Remove(t.Context(), kit.Pool, lease.Removal{Handle: r.ID, By: "root"}))
		case 2:
			kit.Pass(kit.Short)
		case 3:
			s = kit.Claim(t, h.Store, "b")
			kit.OK(t, "Release", s.Release(t.Context(), tok))
		}
	}
}

func poolsAreApart(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	_, tok := kit.Access(t, s, kit.Request(1))
	r := kit.Request(1)
	r.Pool.Product.Code = 15
	g, _ := kit.Access(t, s, r)
	if g.Seat != 1 || g.N != 1 {
		t.Fatalf("grant %+v, want the first seat of the other product", g)
	}
	tok.Pool = r.Pool
	kit.WantCode(t, s.Check(t.Context(), tok), license.CodeHandleUnknown)
	kit.WantCode(t, s.Remove(t.Context(), r.Pool, lease.Removal{Handle: tok.Handle, By: "root"}), license.CodeHandleUnknown)
	kit.WantTaken(t, s, 1)
}

func noUserLimit(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	kit.Access(t, s, kit.Request(1))
	var refs []lease.Ref
	for range 3 {
		r := kit.Request(1)
		r.Mode = license.NoUserLimit
		g, tok := kit.Access(t, s, r)
		if g.Seat != uint32(len(refs))+2 || g.N != 1 || g.Mode != license.NoUserLimit {
			t.Fatalf("grant %+v, want the next seat", g)
		}
		_, err := s.Renew(t.Context(), tok)
		kit.OK(t, "Renew", err)
		refs = append(refs, tok)
	}
	u, err := s.Usage(t.Context(), kit.Pool)
	kit.OK(t, "Usage", err)
	if u.Taken != 1 || u.ByMode[license.NoUserLimit] != 3 || u.ByMode[license.UserLimit] != 1 {
		t.Fatalf("usage %+v", u)
	}
	for _, tok := range refs {
		kit.OK(t, "Release", s.Release(t.Context(), tok))
		kit.WantCode(t, s.Check(t.Context(), tok), license.CodeHandleUnknown)
	}
}

func malformed(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	for name, change := range map[string]func(*lease.Request){
		"no id":             func(r *lease.Request) { r.ID = "" },
		"long id":           func(r *lease.Request) { r.ID = strings.Repeat("x", lease.MostID+1) },
		"control character": func(r *lease.Request) { r.ID = "a\nb" },
		"another container": func(r *lease.Request) { r.Pool.Container = kit.Other },
		"no firm":           func(r *lease.Request) { r.Pool.Product.Firm = 0 },
		"unknown mode":      func(r *lease.Request) { r.Mode = "SOMETIMES" },
		"no lease":          func(r *lease.Request) { r.Lease = 0 },
		"endless lease":     func(r *lease.Request) { r.Lease = lease.MostLease + 1 },
		"long station":      func(r *lease.Request) { r.Station = strings.Repeat("x", lease.MostText+1) },
		"user is no text":   func(r *lease.Request) { r.Client.User = "\xff" },
		"newline in name":   func(r *lease.Request) { r.Client.Application = "a\nb" },
	} {
		r := kit.Request(5)
		change(&r)
		_, err := s.Access(t.Context(), r)
		if license.CodeOf(err) != license.CodeInvalidInput || license.Public(err).Fix == "" {
			t.Errorf("%s: %v, want %s with what to do", name, err, license.CodeInvalidInput)
		}
	}
	_, tok := kit.Access(t, s, kit.Request(5))
	tok.Pool.Container = kit.Other
	_, err := s.Renew(t.Context(), tok)
	kit.WantCode(t, err, license.CodeInvalidInput)
	kit.WantCode(t, s.Remove(t.Context(), tok.Pool, lease.Removal{Handle: tok.Handle, By: "root"}), license.CodeInvalidInput)
	kit.WantCode(t, s.Remove(t.Context(), kit.Pool, lease.Removal{Handle: tok.Handle, By: "ro\not"}), license.CodeInvalidInput)
	_, err = s.List(t.Context(), tok.Pool)
	kit.WantCode(t, err, license.CodeInvalidInput)
	_, err = s.Usage(t.Context(), tok.Pool)
	kit.WantCode(t, err, license.CodeInvalidInput)
	kit.WantTaken(t, s, 1)
}

func concurrentAccesses(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	var wg sync.WaitGroup
	var mu sync.Mutex
	seats := map[uint32]int{}
	for range 48 {
		r := kit.Request(10)
		wg.Go(func() {
			g, err := s.Access(context.WithoutCancel(t.Context()), r)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				seats[g.Seat]++
			} else if license.CodeOf(err) != license.CodeNoFreeSeat {
				t.Errorf("Access: %v", err)
			}
		})
	}
	wg.Wait()
	if len(seats) != 10 {
		t.Fatalf("seats %v, want ten", seats)
	}
	for seat, n := range seats {
		if n != 1 || seat < 1 || seat > 10 {
			t.Errorf("seat %d was given %d times", seat, n)
		}
	}
}

func concurrentRepeats(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	var wg sync.WaitGroup
	var mu sync.Mutex
	fresh := 0
	r := kit.Request(10)
	r.ID = uuid.NewString()
	for range 32 {
		wg.Go(func() {
			g, err := s.Access(context.WithoutCancel(t.Context()), r)
			mu.Lock()
			defer mu.Unlock()
			if err != nil || g.Seat != 1 || g.N != 1 {
				t.Errorf("Access: %+v, %v", g, err)
			}
			if !g.Repeated {
				fresh++
			}
		})
	}
	wg.Wait()
	if fresh != 1 {
		t.Fatalf("%d of the answers were no repeats, want one", fresh)
	}
	kit.WantTaken(t, s, 1)
}

func cancelled(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Access(ctx, kit.Request(1))
	kit.WantCode(t, err, license.CodeUnavailable)
	_, err = h.Store.Claim(ctx, kit.Group, "b")
	kit.WantCode(t, err, license.CodeUnavailable)
}
