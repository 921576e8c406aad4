package leasetest

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

func claimFences(t *testing.T, h Harness) {
	a := claim(t, h.Store, "a")
	r := request(20)
	_, tok := access(t, a, r)
	b := claim(t, h.Store, "b")
	if b.Epoch() <= a.Epoch() {
		t.Fatalf("epoch %d after %d", b.Epoch(), a.Epoch())
	}
	c := claim(t, h.Store, "b")
	if c.Epoch() <= b.Epoch() {
		t.Fatalf("epoch %d after %d: a claim by the same owner is a new one", c.Epoch(), b.Epoch())
	}
	for _, old := range []lease.Seats{a, b} {
		ctx := t.Context()
		_, errAccess := old.Access(ctx, request(20))
		_, errRepeat := old.Access(ctx, r)
		_, errRenew := old.Renew(ctx, tok)
		_, errExpire := old.Expire(ctx)
		_, _, errNext := old.Next(ctx)
		_, errList := old.List(ctx, pool)
		_, errUsage := old.Usage(ctx, pool)
		for name, err := range map[string]error{
			"Access": errAccess, "repeat": errRepeat, "Renew": errRenew, "Check": old.Check(ctx, tok),
			"Release": old.Release(ctx, tok), "Remove": old.Remove(ctx, pool, lease.Removal{Handle: tok.Handle, By: "root"}),
			"Expire": errExpire, "Next": errNext, "List": errList, "Usage": errUsage,
		} {
			if license.CodeOf(err) != license.CodeFenced {
				t.Errorf("%s under an old epoch: %v, want %s", name, err, license.CodeFenced)
			}
		}
	}
	wantTaken(t, c, 1)
}

func claimKeepsSeats(t *testing.T, h Harness) {
	var b lease.Seats
	var r lease.Request
	var first, second lease.Ref
	var claimed time.Time
	steady(t, func(time.Duration) bool {
		a := claim(t, h.Store, "a")
		asked := time.Now()
		r = lasting(request(2), short)
		_, first = access(t, a, r)
		_, second = access(t, a, lasting(request(2), short))
		b = claim(t, h.Store, "b")
		claimed = time.Now()
		slow := claimed.Sub(asked) > short // they may have ended
		if slow {
			ok(t, "Release", b.Release(t.Context(), first))
			ok(t, "Release", b.Release(t.Context(), second))
		}
		return slow
	})
	wantTaken(t, b, 2)
	next, any, err := b.Next(t.Context())
	ok(t, "Next", err)
	if left := short + lease.Margin - time.Since(claimed); !any || next > short+lease.Margin || next < left-100*time.Millisecond && next < short {
		t.Fatalf("Next = %v, %v; want about %v", next, any, short+lease.Margin)
	}
	pass(short)
	// The leases of before are over, those of the claim are not.
	ok(t, "Check", b.Check(t.Context(), first))
	g, err := b.Renew(t.Context(), second)
	ok(t, "Renew", err)
	if g.Epoch != b.Epoch() || g.N != second.N || g.Seat != second.Seat {
		t.Fatalf("renewed as %+v, was %+v", g, second)
	}
	again, err := b.Access(t.Context(), r)
	ok(t, "repeat", err)
	if !again.Repeated || again.Seat != first.Seat || again.N != first.N {
		t.Fatalf("repeated as %+v, was %+v", again, first)
	}
	_, err = b.Access(t.Context(), request(2))
	wantCode(t, err, license.CodeNoFreeSeat)
	if n, err := b.Expire(t.Context()); n != 0 || err != nil {
		t.Fatalf("Expire ended %d, %v", n, err)
	}
}

func claimIsPerGroup(t *testing.T, h Harness) {
	a := claim(t, h.Store, "a")
	_, tok := access(t, a, request(1))
	o, err := h.Store.Claim(t.Context(), other, "b")
	ok(t, "Claim", err)
	ok(t, "Check", a.Check(t.Context(), tok))
	r := request(1)
	r.ID = tok.Handle // ids are per group too
	r.Pool.Container = other
	g, _ := access(t, o, r)
	if g.Repeated || g.Seat != 1 || g.N != 1 {
		t.Fatalf("%+v in another group, want its own first seat", g)
	}
	_, err = h.Store.Claim(t.Context(), license.Serial{}, "a")
	wantCode(t, err, license.CodeInvalidInput)
}

func joins(t *testing.T, h Harness) {
	a, err := h.Store.Join(t.Context(), group, "a")
	ok(t, "Join", err)
	b, err := h.Store.Join(t.Context(), group, "b")
	ok(t, "Join", err)
	if a.Epoch() == 0 || a.Epoch() != b.Epoch() {
		t.Fatalf("epochs %d and %d, want one", a.Epoch(), b.Epoch())
	}
	_, tok := access(t, a, request(1))
	_, err = b.Access(t.Context(), request(1))
	wantCode(t, err, license.CodeNoFreeSeat)
	_, err = b.Renew(t.Context(), tok)
	ok(t, "Renew by the other", err)
	c := claim(t, h.Store, "c")
	wantCode(t, a.Check(t.Context(), tok), license.CodeFenced)
	wantCode(t, b.Check(t.Context(), tok), license.CodeFenced)
	d, err := h.Store.Join(t.Context(), group, "d")
	ok(t, "Join", err)
	if d.Epoch() != c.Epoch() {
		t.Fatalf("joined epoch %d, in force is %d", d.Epoch(), c.Epoch())
	}
	ok(t, "Check", d.Check(t.Context(), tok))
}

func elects(t *testing.T, h Harness) {
	campaign := func(owner string, ttl time.Duration) string {
		leader, err := h.Elector.Campaign(t.Context(), group, owner, ttl)
		ok(t, "Campaign", err)
		return leader
	}
	want := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Fatalf("%s: %q leads, want %q", what, got, want)
		}
	}
	want("first", campaign("a", long), "a")
	want("rival", campaign("b", long), "a")
	want("confirmed", campaign("a", long), "a")
	ok(t, "Resign", h.Elector.Resign(t.Context(), group, "b"))
	want("after a stranger resigned", campaign("b", long), "a")
	ok(t, "Resign", h.Elector.Resign(t.Context(), group, "a"))
	want("after the leader resigned", campaign("b", short), "b")
	pass(short)
	want("after its time", campaign("a", short), "a")
	leader, err := h.Elector.Campaign(t.Context(), other, "b", long)
	ok(t, "Campaign", err)
	want("another group", leader, "b")
	_, err = h.Elector.Campaign(t.Context(), group, "", long)
	wantCode(t, err, license.CodeInvalidInput)
	_, err = h.Elector.Campaign(t.Context(), group, "a", 0)
	wantCode(t, err, license.CodeInvalidInput)
}
