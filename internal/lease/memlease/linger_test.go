package memlease_test

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/memlease"
	"github.com/quorate/quorate/internal/license"
)

func by(user string, r lease.Request) lease.Request {
	r.Client.User = user
	return r
}

func release(t *testing.T, s lease.Seats, r lease.Ref, linger time.Duration) {
	t.Helper()
	r.Linger = linger
	if err := s.Release(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

func wantUsage(t *testing.T, s lease.Seats, taken, lingering uint32) {
	t.Helper()
	u, err := s.Usage(t.Context(), pool)
	if err != nil || u.Taken != taken || u.Lingering != lingering {
		t.Fatalf("usage %+v, %v; want %d taken, %d of them lingering", u, err, taken, lingering)
	}
}

// TestReopenLinger: a seat lingers on after a restart, for its full time and
// the margin, and what came of it is as durable.
func TestReopenLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const linger = time.Minute
		path := filepath.Join(t.TempDir(), "seats")
		// One ended handle is remembered: the first is forgotten.
		s, err := memlease.Open(path, memlease.Options{MostEnded: 1})
		if err != nil {
			t.Fatal(err)
		}
		seats := claim(t, s)
		first := by("ada", request(4))
		_, ada := access(t, seats, first)
		_, bob := access(t, seats, by("bob", request(4)))
		_, eve := access(t, seats, by("eve", request(4)))
		release(t, seats, ada, linger)
		release(t, seats, bob, linger)
		release(t, seats, eve, linger)
		_, back := access(t, seats, by("bob", request(4))) // taken up again
		if err := seats.Remove(t.Context(), pool, lease.Removal{Handle: eve.Handle, By: "grace"}); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}

		time.Sleep(24 * time.Hour) // down for longer than any linger
		if s, err = memlease.Open(path, memlease.Options{MostEnded: 1}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		if seats, err = s.Join(t.Context(), group, "b"); err != nil {
			t.Fatal(err)
		}
		wantUsage(t, seats, 2, 1)
		if next, any, err := seats.Next(t.Context()); err != nil || !any || next != lease.AfterClaim(linger) {
			t.Fatalf("Next = %v, %v, %v; want the full time and the margin", next, any, err)
		}
		// The ended id stays ended while its seat lingers.
		_, err = seats.Access(t.Context(), first)
		wantCode(t, err, license.CodeHandleUnknown)
		_, err = seats.Access(t.Context(), by("eve", first))
		wantCode(t, err, license.CodeRequestMismatch)
		newer := ada
		newer.N++
		wantCode(t, seats.Check(t.Context(), ada), license.CodeHandleUnknown)
		wantCode(t, seats.Check(t.Context(), newer), license.CodeHandleUnknown)
		release(t, seats, ada, time.Hour)
		if err := seats.Check(t.Context(), back); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lease.AfterClaim(linger) - 1)
		_, err = seats.Access(t.Context(), by("eve", request(2)))
		wantCode(t, err, license.CodeNoFreeSeat)
		g, again := access(t, seats, by("ada", request(2)))
		if g.Seat != ada.Seat || g.N != ada.N+1 {
			t.Fatalf("grant %+v, want the lingering seat %+v", g, ada)
		}
		release(t, seats, again, linger)
		time.Sleep(linger)
		if g, _ := access(t, seats, by("eve", request(2))); g.Seat != ada.Seat || g.N != ada.N+2 {
			t.Fatalf("grant %+v, want the seat that lingered", g)
		}
	})
}
