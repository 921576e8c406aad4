package memlease_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/memlease"
	"github.com/quorate/quorate/internal/license"
)

// What the caller refuses by itself is on record, also after a restart, and a
// place in the queue is lost by it.
func TestDenialsOfTheCaller(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seats")
	open := func() (*memlease.Store, lease.Seats) {
		store, err := memlease.Open(path, memlease.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := store.Claim(t.Context(), group, "a")
		if err != nil {
			t.Fatal(err)
		}
		return store, s
	}
	store, s := open()
	first := request(1)
	if _, err := s.Access(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	r := request(1)
	r.Licenses, r.Wait = 1, &lease.Wait{Until: time.Hour, Place: time.Hour}
	if _, err := s.Access(t.Context(), r); license.CodeOf(err) != license.CodeQueued {
		t.Fatalf("got %v", err)
	}
	d := s.(lease.Denier)
	if err := d.Deny(t.Context(), r, license.CodeNotAllowed, "deny user ada"); err != nil {
		t.Fatal(err)
	}
	if w, err := s.Waiting(t.Context(), pool); len(w) != 0 || err != nil {
		t.Errorf("the queue is %v, %v", w, err)
	}
	if u, err := s.Usage(t.Context(), pool); u.Taken != 1 || err != nil {
		t.Errorf("usage %+v, %v", u, err)
	}
	elsewhere := r
	elsewhere.Pool.Container.Number++
	for name, err := range map[string]error{
		"no reason":     d.Deny(t.Context(), r, "", ""),
		"a long reason": d.Deny(t.Context(), r, license.Code(strings.Repeat("X", 65)), ""),
		"a long rule":   d.Deny(t.Context(), r, license.CodeNotAllowed, strings.Repeat("x", lease.MostText+1)),
		"a control":     d.Deny(t.Context(), r, license.CodeNotAllowed, "a\x00"),
		"another group": d.Deny(t.Context(), elsewhere, license.CodeNotAllowed, ""),
	} {
		if license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	store, later := open()
	defer store.Close()
	events, err := store.Events(t.Context(), group, 0, 10)
	if err != nil || len(events) != 2 {
		t.Fatalf("events %+v, %v", events, err)
	}
	if e := events[1]; e.Kind != lease.Denied || e.Handle != r.ID || e.Reason != license.CodeNotAllowed || e.Rule != "deny user ada" || e.Seq != 2 || e.Seat != 0 {
		t.Errorf("event %+v", e)
	}
	if err := d.Deny(t.Context(), r, license.CodeNotAllowed, ""); err == nil {
		t.Error("a closed store recorded a denial")
	}
	if err := later.(lease.Denier).Deny(t.Context(), r, license.CodeExpired, ""); err != nil {
		t.Error(err)
	}
}
