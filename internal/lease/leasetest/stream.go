package leasetest

import (
	"context"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/leasetest/kit"
	"github.com/quorate/quorate/internal/license"
)

func events(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	before := time.Now().Add(-time.Minute)
	r := kit.Request(2)
	_, tok := kit.Access(t, s, r)
	_, second := kit.Access(t, s, kit.Lasting(kit.Request(2), kit.Short))
	_, err := s.Access(t.Context(), kit.Request(2))
	kit.WantCode(t, err, license.CodeNoFreeSeat)
	_, err = s.Renew(t.Context(), tok)
	kit.OK(t, "Renew", err)
	kit.OK(t, "Release", s.Release(t.Context(), tok))
	kit.Pass(kit.Short)
	_, err = s.Expire(t.Context())
	kit.OK(t, "Expire", err)
	_, third := kit.Access(t, s, kit.Request(2))
	kit.OK(t, "Remove", s.Remove(t.Context(), kit.Pool, lease.Removal{Handle: third.Handle, By: "grace"}))
	all := kit.WantKinds(t, h.Store, lease.Granted, lease.Granted, lease.Denied, lease.Released, lease.Expired, lease.Granted, lease.Removed)
	handles := []string{tok.Handle, second.Handle, "", tok.Handle, second.Handle, third.Handle, third.Handle}
	for i, e := range all {
		if i > 0 && e.Position <= all[i-1].Position {
			t.Errorf("position %d after %d", e.Position, all[i-1].Position)
		}
		if handles[i] != "" && e.Handle != handles[i] {
			t.Errorf("event %d is of %s, want %s", i, e.Handle, handles[i])
		}
		if e.Pool != kit.Pool || e.Mode != license.UserLimit || e.Station != r.Station || e.Client != r.Client ||
			e.At.Before(before) || e.At.After(time.Now().Add(time.Minute)) {
			t.Errorf("event %d is %+v", i, e)
		}
		if e.Kind != lease.Denied && (e.Seat == 0 || e.N == 0 || e.Reason != "") {
			t.Errorf("event %d is %+v", i, e)
		}
	}
}

func eventsWait(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	ctx, cancel := context.WithCancel(t.Context())
	type answer struct {
		events []lease.Event
		err    error
	}
	got := make(chan answer)
	wait := func(after uint64) {
		e, err := h.Store.Events(ctx, kit.Group, after, 10)
		got <- answer{e, err}
	}
	go wait(0)
	_, tok := kit.Access(t, s, kit.Request(1))
	first := <-got
	if first.err != nil || len(first.events) != 1 || first.events[0].Handle != tok.Handle {
		t.Fatalf("waited for %+v, %v", first.events, first.err)
	}
	go wait(first.events[0].Position)
	kit.OK(t, "Release", s.Release(t.Context(), tok))
	second := <-got
	if second.err != nil || len(second.events) != 1 || second.events[0].Kind != lease.Released {
		t.Fatalf("waited for %+v, %v", second.events, second.err)
	}
	go wait(second.events[0].Position)
	cancel()
	if a := <-got; a.err != nil || len(a.events) != 0 {
		t.Fatalf("after the end: %+v, %v; want none and no error", a.events, a.err)
	}
}

func eventsResume(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	for range 5 {
		_, tok := kit.Access(t, s, kit.Request(1))
		kit.OK(t, "Release", s.Release(t.Context(), tok))
	}
	all := kit.AllEvents(t, h.Store)
	if len(all) != 10 {
		t.Fatalf("%d events, want 10", len(all))
	}
	for i, e := range all[:9] {
		rest, err := h.Store.Events(t.Context(), kit.Group, e.Position, 100)
		kit.OK(t, "Events", err)
		if len(rest) != 9-i || rest[0] != all[i+1] {
			t.Fatalf("after %d of 10: %d events", i+1, len(rest))
		}
		one, err := h.Store.Events(t.Context(), kit.Group, e.Position, 1)
		kit.OK(t, "Events", err)
		if len(one) != 1 || one[0] != all[i+1] {
			t.Fatalf("one after %d: %+v", i+1, one)
		}
	}
	o, err := h.Store.Claim(t.Context(), kit.Other, "a")
	kit.OK(t, "Claim", err)
	r := kit.Request(1)
	r.Pool.Container = kit.Other
	kit.Access(t, o, r)
	if n := len(kit.AllEvents(t, h.Store)); n != 10 {
		t.Fatalf("%d events, want 10: another group's are not ours", n)
	}
}

func closes(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = h.Store.Events(context.Background(), kit.Group, 0, 1)
	}()
	kit.OK(t, "Close", h.Store.Close())
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("still waiting after Close")
	}
	kit.OK(t, "second Close", h.Store.Close())
	_, err := s.Access(t.Context(), kit.Request(1))
	kit.WantCode(t, err, license.CodeUnavailable)
	_, err = h.Store.Claim(t.Context(), kit.Group, "a")
	kit.WantCode(t, err, license.CodeUnavailable)
}
