package leasetest

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

func seatsNumbered(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	for want := uint32(1); want <= 20; want++ {
		r := request(20)
		g, _ := access(t, s, r)
		if g.Handle != r.ID || g.Pool != pool || g.Mode != license.UserLimit || g.Seat != want || g.N != 1 ||
			g.Epoch != s.Epoch() || g.Lease != long || g.Repeated {
			t.Fatalf("grant %+v, want seat %d with n 1", g, want)
		}
	}
	_, err := s.Access(t.Context(), request(20))
	wantCode(t, err, license.CodeNoFreeSeat)
}

func denied(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	_, err := s.Access(t.Context(), request(0))
	wantCode(t, err, license.CodeNoFreeSeat)
	access(t, s, request(1))
	r := request(1)
	_, err = s.Access(t.Context(), r)
	wantCode(t, err, license.CodeNoFreeSeat)
	e := license.Public(err)
	if e.Details["taken"] != uint32(1) || e.Details["quantity"] != uint32(1) || e.Details["nextExpiryMs"] == nil || e.Fix == "" {
		t.Fatalf("details %v, fix %q", e.Details, e.Fix)
	}
	all := wantKinds(t, h.Store, lease.Denied, lease.Granted, lease.Denied)
	last := all[2]
	if last.Handle != r.ID || last.Reason != license.CodeNoFreeSeat || last.Seat != 0 || last.N != 0 || last.Client != r.Client {
		t.Fatalf("the denial's event is %+v", last)
	}
	// Refused is not known: the same id may ask again.
	g, _ := access(t, s, func() lease.Request { r.Quantity = 2; return r }())
	if g.Repeated || g.Seat != 2 {
		t.Fatalf("grant %+v after a denial, want a fresh one", g)
	}
}

func repeats(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	r := request(1)
	first, _ := access(t, s, r)
	for range 3 {
		r.Quantity, r.Lease = 0, time.Minute // the server's part may differ
		again, _ := access(t, s, r)
		want := first
		want.Repeated = true
		if again != want {
			t.Fatalf("repeated as %+v, want %+v", again, want)
		}
	}
	wantKinds(t, h.Store, lease.Granted)
	wantTaken(t, s, 1)
}

func mismatches(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	r := request(5)
	_, tok := access(t, s, r)
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
	wantTaken(t, s, 1)
	ok(t, "Release", s.Release(t.Context(), tok))
	all() // an ended id is known too
}

func endedIDs(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	rel, rem, exp := request(5), request(5), lasting(request(5), short)
	_, relRef := access(t, s, rel)
	_, remRef := access(t, s, rem)
	_, expRef := access(t, s, exp)
	ok(t, "Release", s.Release(t.Context(), relRef))
	ok(t, "Remove", s.Remove(t.Context(), pool, lease.Removal{Handle: rem.ID, By: "root"}))
	pass(short)
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
			wantCode(t, err, c.want)
			_, err = s.Renew(t.Context(), c.ref)
			wantCode(t, err, c.want)
			wantCode(t, s.Check(t.Context(), c.ref), c.want)
		}
		s = claim(t, h.Store, "b") // and still so under a new leader
	}
	wantTaken(t, s, 0)
}

func loweredQuantity(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	var refs []lease.Ref
	for range 5 {
		_, tok := access(t, s, request(5))
		refs = append(refs, tok)
	}
	for i := range 3 {
		_, err := s.Access(t.Context(), request(3))
		wantCode(t, err, license.CodeNoFreeSeat)
		for _, tok := range refs[i:] {
			_, err := s.Renew(t.Context(), tok)
			ok(t, "Renew with more seats taken than the quantity", err)
		}
		ok(t, "Release", s.Release(t.Context(), refs[i]))
	}
	wantTaken(t, s, 2) // seats 4 and 5
	g, _ := access(t, s, request(3))
	if g.Seat != 1 || g.N != 2 {
		t.Fatalf("grant %+v, want seat 1 for the second time", g)
	}
	_, err := s.Access(t.Context(), request(3))
	wantCode(t, err, license.CodeNoFreeSeat)
}

func raisedQuantity(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	in := func(quantity uint32, tries int) (n int) {
		for range tries {
			_, err := s.Access(t.Context(), request(quantity))
			if err == nil {
				n++
			} else {
				wantCode(t, err, license.CodeNoFreeSeat)
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
	s := claim(t, h.Store, "a")
	_, old := access(t, s, lasting(request(1), short))
	pass(short)
	g, _ := access(t, s, request(1))
	if g.Seat != old.Seat || g.N != old.N+1 {
		t.Fatalf("grant %+v, want seat %d with n %d", g, old.Seat, old.N+1)
	}
	wantKinds(t, h.Store, lease.Granted, lease.Expired, lease.Granted)
}

func nCountsUp(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	var last uint64
	for i := range 12 {
		r := lasting(request(1), short)
		g, tok := access(t, s, r)
		if g.Seat != 1 || g.N <= last {
			t.Fatalf("grant %+v after n %d", g, last)
		}
		last = g.N
		switch i % 4 {
		case 0:
			ok(t, "Release", s.Release(t.Context(), tok))
		case 1:
			ok(t, "Remove", s.Remove(t.Context(), pool, lease.Removal{Handle: r.ID, By: "root"}))
		case 2:
			pass(short)
		case 3:
			s = claim(t, h.Store, "b")
			ok(t, "Release", s.Release(t.Context(), tok))
		}
	}
}

func poolsAreApart(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	_, tok := access(t, s, request(1))
	r := request(1)
	r.Pool.Product.Code = 15
	g, _ := access(t, s, r)
	if g.Seat != 1 || g.N != 1 {
		t.Fatalf("grant %+v, want the first seat of the other product", g)
	}
	tok.Pool = r.Pool
	wantCode(t, s.Check(t.Context(), tok), license.CodeHandleUnknown)
	wantCode(t, s.Remove(t.Context(), r.Pool, lease.Removal{Handle: tok.Handle, By: "root"}), license.CodeHandleUnknown)
	wantTaken(t, s, 1)
}

func noUserLimit(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	access(t, s, request(1))
	var refs []lease.Ref
	for range 3 {
		r := request(1)
		r.Mode = license.NoUserLimit
		g, tok := access(t, s, r)
		if g.Seat != uint32(len(refs))+2 || g.N != 1 || g.Mode != license.NoUserLimit {
			t.Fatalf("grant %+v, want the next seat", g)
		}
		_, err := s.Renew(t.Context(), tok)
		ok(t, "Renew", err)
		refs = append(refs, tok)
	}
	u, err := s.Usage(t.Context(), pool)
	ok(t, "Usage", err)
	if u.Taken != 1 || u.ByMode[license.NoUserLimit] != 3 || u.ByMode[license.UserLimit] != 1 {
		t.Fatalf("usage %+v", u)
	}
	for _, tok := range refs {
		ok(t, "Release", s.Release(t.Context(), tok))
		wantCode(t, s.Check(t.Context(), tok), license.CodeHandleUnknown)
	}
}

func malformed(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	for name, change := range map[string]func(*lease.Request){
		"no id":             func(r *lease.Request) { r.ID = "" },
		"long id":           func(r *lease.Request) { r.ID = strings.Repeat("x", lease.MostID+1) },
		"control character": func(r *lease.Request) { r.ID = "a\nb" },
		"another container": func(r *lease.Request) { r.Pool.Container = other },
		"no firm":           func(r *lease.Request) { r.Pool.Product.Firm = 0 },
		"unknown mode":      func(r *lease.Request) { r.Mode = "SOMETIMES" },
		"no lease":          func(r *lease.Request) { r.Lease = 0 },
		"endless lease":     func(r *lease.Request) { r.Lease = lease.MostLease + 1 },
		"long station":      func(r *lease.Request) { r.Station = strings.Repeat("x", lease.MostText+1) },
		"user is no text":   func(r *lease.Request) { r.Client.User = "\xff" },
		"newline in name":   func(r *lease.Request) { r.Client.Application = "a\nb" },
	} {
		r := request(5)
		change(&r)
		_, err := s.Access(t.Context(), r)
		if license.CodeOf(err) != license.CodeInvalidInput || license.Public(err).Fix == "" {
			t.Errorf("%s: %v, want %s with what to do", name, err, license.CodeInvalidInput)
		}
	}
	_, tok := access(t, s, request(5))
	tok.Pool.Container = other
	_, err := s.Renew(t.Context(), tok)
	wantCode(t, err, license.CodeInvalidInput)
	wantCode(t, s.Remove(t.Context(), tok.Pool, lease.Removal{Handle: tok.Handle, By: "root"}), license.CodeInvalidInput)
	wantCode(t, s.Remove(t.Context(), pool, lease.Removal{Handle: tok.Handle, By: "ro\not"}), license.CodeInvalidInput)
	_, err = s.List(t.Context(), tok.Pool)
	wantCode(t, err, license.CodeInvalidInput)
	_, err = s.Usage(t.Context(), tok.Pool)
	wantCode(t, err, license.CodeInvalidInput)
	wantTaken(t, s, 1)
}

func concurrentAccesses(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	var wg sync.WaitGroup
	var mu sync.Mutex
	seats := map[uint32]int{}
	for range 48 {
		r := request(10)
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
	s := claim(t, h.Store, "a")
	var wg sync.WaitGroup
	var mu sync.Mutex
	fresh := 0
	r := request(10)
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
	wantTaken(t, s, 1)
}

func cancelled(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Access(ctx, request(1))
	wantCode(t, err, license.CodeUnavailable)
	_, err = h.Store.Claim(ctx, group, "b")
	wantCode(t, err, license.CodeUnavailable)
}
