package leasetest

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/leasetest/kit"
	"github.com/quorate/quorate/internal/license"
)

func claimFences(t *testing.T, h Harness) {
	a := kit.Claim(t, h.Store, "a")
	r := kit.Request(20)
	_, tok := kit.Access(t, a, r)
	b := kit.Claim(t, h.Store, "b")
	if b.Epoch() <= a.Epoch() {
		t.Fatalf("epoch %d after %d", b.Epoch(), a.Epoch())
	}
	c := kit.Claim(t, h.Store, "b")
	if c.Epoch() <= b.Epoch() {
		t.Fatalf("epoch %d after %d: a claim by the same owner is a new one", c.Epoch(), b.Epoch())
	}
	for _, old := range []lease.Seats{a, b} {
		ctx := t.Context()
		_, errAccess := old.Access(ctx, kit.Request(20))
		_, errRepeat := old.Access(ctx, r)
		_, errRenew := old.Renew(ctx, tok)
		_, errExpire := old.Expire(ctx)
		_, _, errNext := old.Next(ctx)
		_, errList := old.List(ctx, kit.Pool)
		_, errUsage := old.Usage(ctx, kit.Pool)
		for name, err := range map[string]error{
			"Access": errAccess, "repeat": errRepeat, "Renew": errRenew, "Check": old.Check(ctx, tok),
			"Release": old.Release(ctx, tok), "Remove": old.Remove(ctx, kit.Pool, lease.Removal{Handle: tok.Handle, By: "root"}),
			"Expire": errExpire, "Next": errNext, "List": errList, "Usage": errUsage,
		} {
			if license.CodeOf(err) != license.CodeFenced {
				t.Errorf("%s under an old epoch: %v, want %s", name, err, license.CodeFenced)
			}
		}
	}
	kit.WantTaken(t, c, 1)
}

func claimKeepsSeats(t *testing.T, h Harness) {
	var b lease.Seats
	var r lease.Request
	var first, second lease.Ref
	var claimed time.Time
	kit.Steady(t, func(time.Duration) bool {
		a := kit.Claim(t, h.Store, "a")
		asked := time.Now()
		r = kit.Lasting(kit.Request(2), kit.Short)
		_, first = kit.Access(t, a, r)
		_, second = kit.Access(t, a, kit.Lasting(kit.Request(2), kit.Short))
		b = kit.Claim(t, h.Store, "b")
		claimed = time.Now()
		slow := claimed.Sub(asked) > kit.Short // they may have ended
		if slow {
			kit.OK(t, "Release", b.Release(t.Context(), first))
			kit.OK(t, "Release", b.Release(t.Context(), second))
		}
		return slow
	})
	kit.WantTaken(t, b, 2)
	next, any, err := b.Next(t.Context())
	kit.OK(t, "Next", err)
	if left := kit.Short + lease.Margin - time.Since(claimed); !any || next > lease.AfterClaim(kit.Short) || next < left-100*time.Millisecond && next < kit.Short {
		t.Fatalf("Next = %v, %v; want about %v", next, any, kit.Short+lease.Margin)
	}
	kit.Pass(kit.Short)
	// The leases of before are over, those of the claim are not.
	kit.OK(t, "Check", b.Check(t.Context(), first))
	g, err := b.Renew(t.Context(), second)
	kit.OK(t, "Renew", err)
	if g.Epoch != b.Epoch() || g.N != second.N || g.Seat != second.Seat {
		t.Fatalf("renewed as %+v, was %+v", g, second)
	}
	again, err := b.Access(t.Context(), r)
	kit.OK(t, "repeat", err)
	if !again.Repeated || again.Seat != first.Seat || again.N != first.N {
		t.Fatalf("repeated as %+v, was %+v", again, first)
	}
	_, err = b.Access(t.Context(), kit.Request(2))
	kit.WantCode(t, err, license.CodeNoFreeSeat)
	if n, err := b.Expire(t.Context()); n != 0 || err != nil {
		t.Fatalf("Expire ended %d, %v", n, err)
	}
}

func claimIsPerGroup(t *testing.T, h Harness) {
	a := kit.Claim(t, h.Store, "a")
	_, tok := kit.Access(t, a, kit.Request(1))
	o, err := h.Store.Claim(t.Context(), kit.Other, "b")
	kit.OK(t, "Claim", err)
	kit.OK(t, "Check", a.Check(t.Context(), tok))
	r := kit.Request(1)
	r.ID = tok.Handle // ids are per kit.Group too
	r.Pool.Container = kit.Other
	g, _ := kit.Access(t, o, r)
	if g.Repeated || g.Seat != 1 || g.N != 1 {
		t.Fatalf("%+v in another group, want its own first seat", g)
	}
	_, err = h.Store.Claim(t.Context(), license.Serial{}, "a")
	kit.WantCode(t, err, license.CodeInvalidInput)
}

func joins(t *testing.T, h Harness) {
	a, err := h.Store.Join(t.Context(), kit.Group, "a")
	kit.OK(t, "Join", err)
	b, err := h.Store.Join(t.Context(), kit.Group, "b")
	kit.OK(t, "Join", err)
	if a.Epoch() == 0 || a.Epoch() != b.Epoch() {
		t.Fatalf("epochs %d and %d, want one", a.Epoch(), b.Epoch())
	}
	_, tok := kit.Access(t, a, kit.Request(1))
	_, err = b.Access(t.Context(), kit.Request(1))
	kit.WantCode(t, err, license.CodeNoFreeSeat)
	_, err = b.Renew(t.Context(), tok)
	kit.OK(t, "Renew by the other", err)
	c := kit.Claim(t, h.Store, "c")
	kit.WantCode(t, a.Check(t.Context(), tok), license.CodeFenced)
	kit.WantCode(t, b.Check(t.Context(), tok), license.CodeFenced)
	d, err := h.Store.Join(t.Context(), kit.Group, "d")
	kit.OK(t, "Join", err)
	if d.Epoch() != c.Epoch() {
		t.Fatalf("joined epoch %d, in force is %d", d.Epoch(), c.Epoch())
	}
	kit.OK(t, "Check", d.Check(t.Context(), tok))
}
