// Package kit is what the tests of a store of seats are made of: requests, calls
// that must succeed, and what must have come of them.
package kit

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// Harness is one fresh store of a driver, ended by its test's Cleanup.
type Harness struct {
	Store lease.Store
	// Restart, if set, ends the process that has the store, as far as the driver
	// has one, and gives the store of the next.
	Restart func(t *testing.T) lease.Store
	// Sure: no record is ever missing, so no token brings a handle back.
	Sure bool
}

// Long is a lease that no test sees the end of.
const Long = time.Hour

// Short is a lease whose end a test waits for.
const Short = 120 * time.Millisecond

// The pool that tests are about, and a group beside its own.
var (
	Group   = license.Serial{Mask: 131, Number: 4837572}
	Other   = license.Serial{Mask: 130, Number: 1874829}
	Product = license.Product{Firm: 6000010, Code: 14}
	Pool    = lease.Pool{Container: Group, Product: Product}
)

// Pass lets the lease of d run out for certain.
func Pass(d time.Duration) { <-time.After(d + d/8 + time.Millisecond) }

// Request is one for a license with user limit, under an id of its own.
func Request(quantity uint32) lease.Request {
	return lease.Request{
		ID: uuid.NewString(), Pool: Pool, Mode: license.UserLimit, Station: "station-7",
		Client:   lease.Client{Address: "192.0.2.7", User: "ada", Process: 4711, Application: "chart"},
		Quantity: quantity, Lease: Long,
	}
}

// Lasting gives a request another lease.
func Lasting(r lease.Request, d time.Duration) lease.Request {
	r.Lease = d
	return r
}

// Ref is what the token of a grant tells.
func Ref(r lease.Request, g lease.Grant) lease.Ref {
	return lease.Ref{
		Pool: g.Pool, Handle: g.Handle, Seat: g.Seat, Epoch: g.Epoch, N: g.N,
		Mode: g.Mode, Station: r.Station, Client: r.Client, Lease: g.Lease,
		Licenses: r.Licenses, Tags: r.Limits.Tags, Borrowed: r.Borrowed,
	}
}

// Claim leads the group.
func Claim(t *testing.T, s lease.Store, owner string) lease.Seats {
	t.Helper()
	seats, err := s.Claim(t.Context(), Group, owner)
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	return seats
}

// Access gets a handle, and the reference that its token tells.
func Access(t *testing.T, s lease.Seats, r lease.Request) (lease.Grant, lease.Ref) {
	t.Helper()
	g, err := s.Access(t.Context(), r)
	if err != nil {
		t.Fatalf("Access: %v", err)
	}
	return g, Ref(r, g)
}

// OK says that a call must succeed.
func OK(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// WantCode says that an error must have a code.
func WantCode(t *testing.T, err error, code license.Code) {
	t.Helper()
	if got := license.CodeOf(err); got != code {
		t.Fatalf("code %q (%v), want %q", got, err, code)
	}
}

// WantTaken says how many licenses must be taken.
func WantTaken(t *testing.T, s lease.Seats, want uint32) {
	t.Helper()
	u, err := s.Usage(t.Context(), Pool)
	OK(t, "Usage", err)
	if u.Taken != want {
		t.Fatalf("%d seats are taken, want %d", u.Taken, want)
	}
}

// AllEvents reads the whole stream of the group.
func AllEvents(t *testing.T, s lease.Store) []lease.Event {
	t.Helper()
	return eventsOf(t, s, 0)
}

// eventsOf reads the stream to its end, which a busy machine may show too early
// where it isn't known how many there are at least.
func eventsOf(t *testing.T, s lease.Store, least int) []lease.Event {
	t.Helper()
	var all []lease.Event
	for {
		var after uint64
		if len(all) > 0 {
			after = all[len(all)-1].Position
		}
		patience := 30 * time.Millisecond
		if len(all) < least {
			patience = 10 * time.Second
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		more, err := s.Events(ctx, Group, after, 7)
		cancel()
		OK(t, "Events", err)
		if len(more) == 0 {
			return all
		}
		all = append(all, more...)
	}
}

// WantKinds says which events there must be, and gives them.
func WantKinds(t *testing.T, s lease.Store, want ...lease.EventKind) []lease.Event {
	t.Helper()
	all := eventsOf(t, s, len(want))
	var got []lease.EventKind
	for _, e := range all {
		got = append(got, e.Kind)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("events %v, want %v", got, want)
	}
	return all
}

// Steady repeats f, which relies on what happens within a lease, while f says
// that the machine was too slow for it to tell anything, with times that stretch.
func Steady(t *testing.T, f func(stretch time.Duration) (slow bool)) {
	t.Helper()
	for try := range 12 {
		if !f(1 << (try / 2)) {
			return
		}
	}
	t.Fatal("the machine is too slow for this test")
}

// By is a request of another user.
func By(user string, r lease.Request) lease.Request {
	r.Client.User = user
	return r
}

// Lingering gives a reference a linger time.
func Lingering(r lease.Ref, d time.Duration) lease.Ref {
	r.Linger = d
	return r
}

// Linger takes a seat and releases it, so that it lingers.
func Linger(t *testing.T, s lease.Seats, r lease.Request, d time.Duration) lease.Ref {
	t.Helper()
	_, tok := Access(t, s, r)
	OK(t, "Release", s.Release(t.Context(), Lingering(tok, d)))
	return tok
}

// WantUsage says how many licenses must be taken, and linger.
func WantUsage(t *testing.T, s lease.Seats, taken, lingering uint32) {
	t.Helper()
	u, err := s.Usage(t.Context(), Pool)
	OK(t, "Usage", err)
	if u.Taken != taken || u.Lingering != lingering {
		t.Fatalf("usage %+v, want %d taken, %d of them lingering", u, taken, lingering)
	}
}

// Queued lets a request wait for as long as no test does.
func Queued(r lease.Request, priority int32) lease.Request {
	r.Wait = &lease.Wait{Priority: priority, Until: Long, Place: lease.MostPlace}
	return r
}
