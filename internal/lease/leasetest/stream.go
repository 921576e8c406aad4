package leasetest

import (
	"context"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

func events(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	before := time.Now().Add(-time.Minute)
	r := request(2)
	_, tok := access(t, s, r)
	_, second := access(t, s, lasting(request(2), short))
	_, err := s.Access(t.Context(), request(2))
	wantCode(t, err, license.CodeNoFreeSeat)
	_, err = s.Renew(t.Context(), tok)
	ok(t, "Renew", err)
	ok(t, "Release", s.Release(t.Context(), tok))
	pass(short)
	_, err = s.Expire(t.Context())
	ok(t, "Expire", err)
	_, third := access(t, s, request(2))
	ok(t, "Remove", s.Remove(t.Context(), pool, lease.Removal{Handle: third.Handle, By: "grace"}))
	all := wantKinds(t, h.Store, lease.Granted, lease.Granted, lease.Denied, lease.Released, lease.Expired, lease.Granted, lease.Removed)
	handles := []string{tok.Handle, second.Handle, "", tok.Handle, second.Handle, third.Handle, third.Handle}
	for i, e := range all {
		if i > 0 && e.Position <= all[i-1].Position {
			t.Errorf("position %d after %d", e.Position, all[i-1].Position)
		}
		if handles[i] != "" && e.Handle != handles[i] {
			t.Errorf("event %d is of %s, want %s", i, e.Handle, handles[i])
		}
		if e.Pool != pool || e.Mode != license.UserLimit || e.Station != r.Station || e.Client != r.Client ||
			e.At.Before(before) || e.At.After(time.Now().Add(time.Minute)) {
			t.Errorf("event %d is %+v", i, e)
		}
		if e.Kind != lease.Denied && (e.Seat == 0 || e.N == 0 || e.Reason != "") {
			t.Errorf("event %d is %+v", i, e)
		}
	}
}

func eventsWait(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	ctx, cancel := context.WithCancel(t.Context())
	type answer struct {
		events []lease.Event
		err    error
	}
	got := make(chan answer)
	wait := func(after uint64) {
		e, err := h.Store.Events(ctx, group, after, 10)
		got <- answer{e, err}
	}
	go wait(0)
	_, tok := access(t, s, request(1))
	first := <-got
	if first.err != nil || len(first.events) != 1 || first.events[0].Handle != tok.Handle {
		t.Fatalf("waited for %+v, %v", first.events, first.err)
	}
	go wait(first.events[0].Position)
	ok(t, "Release", s.Release(t.Context(), tok))
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
	s := claim(t, h.Store, "a")
	for range 5 {
		_, tok := access(t, s, request(1))
		ok(t, "Release", s.Release(t.Context(), tok))
	}
	all := allEvents(t, h.Store)
	if len(all) != 10 {
		t.Fatalf("%d events, want 10", len(all))
	}
	for i, e := range all[:9] {
		rest, err := h.Store.Events(t.Context(), group, e.Position, 100)
		ok(t, "Events", err)
		if len(rest) != 9-i || rest[0] != all[i+1] {
			t.Fatalf("after %d of 10: %d events", i+1, len(rest))
		}
		one, err := h.Store.Events(t.Context(), group, e.Position, 1)
		ok(t, "Events", err)
		if len(one) != 1 || one[0] != all[i+1] {
			t.Fatalf("one after %d: %+v", i+1, one)
		}
	}
	o, err := h.Store.Claim(t.Context(), other, "a")
	ok(t, "Claim", err)
	r := request(1)
	r.Pool.Container = other
	access(t, o, r)
	if n := len(allEvents(t, h.Store)); n != 10 {
		t.Fatalf("%d events, want 10: another group's are not ours", n)
	}
}

func closes(t *testing.T, h Harness) {
	s := claim(t, h.Store, "a")
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = h.Store.Events(context.Background(), group, 0, 1)
	}()
	ok(t, "Close", h.Store.Close())
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("still waiting after Close")
	}
	ok(t, "second Close", h.Store.Close())
	_, err := s.Access(t.Context(), request(1))
	wantCode(t, err, license.CodeUnavailable)
	_, err = h.Store.Claim(t.Context(), group, "a")
	wantCode(t, err, license.CodeUnavailable)
}
