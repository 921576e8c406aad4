package quorumlease_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/quorumlease"
	"github.com/quorate/quorate/internal/license"
)

func coded(t *testing.T, what string, err error, want license.Code) {
	t.Helper()
	if license.CodeOf(err) != want {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

func ask(id string) lease.Request {
	return lease.Request{ID: id, Pool: pool, Mode: license.UserLimit, Station: "s", Quantity: 1, Lease: someLease}
}

func token(g lease.Grant) lease.Ref {
	return lease.Ref{Pool: pool, Handle: g.Handle, Seat: g.Seat, Epoch: g.Epoch, N: g.N, Mode: g.Mode, Station: "s", Lease: g.Lease}
}

func claim(t *testing.T, s *quorumlease.Store) lease.Seats {
	t.Helper()
	seats, err := s.Claim(t.Context(), someone, "a")
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	return seats
}

// Two disks are lost, and the third had missed who has the seat now.
func TestGracePeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var disks [license.Backends]*journal.Memory
		s := newShelf(func(_ license.Serial, i int) journal.Journal {
			disks[i] = journal.NewMemory()
			return disks[i]
		})
		before := quorumlease.New(quorumlease.Options{Journals: s.of, Journal: journal.Options{NewGroup: true}})
		seats := claim(t, before)
		first, err := seats.Access(t.Context(), ask("first"))
		coded(t, "Access", err, "")
		time.Sleep(time.Second) // the third journal may lag
		old := disks[2].Copy()
		coded(t, "Release", seats.Release(t.Context(), token(first)), "")
		second, err := seats.Access(t.Context(), ask("second"))
		coded(t, "Access", err, "")
		time.Sleep(time.Second) // the third journal may lag
		if err := before.Close(); err != nil {
			t.Fatal(err)
		}
		disks[0].Lose()
		disks[1].Lose()
		disks[2].Restore(old)

		after := quorumlease.New(quorumlease.Options{Journals: s.of, Journal: journal.Options{Grace: 30 * time.Second}})
		defer after.Close()
		seats = claim(t, after)
		_, err = seats.Access(t.Context(), ask("third"))
		coded(t, "an access in the grace period", err, license.CodeUnavailable)
		_, err = seats.Access(t.Context(), ask("first"))
		coded(t, "a repeat of what may be over", err, license.CodeUnavailable)
		again, err := seats.Renew(t.Context(), token(second))
		coded(t, "a token", err, "")
		if again.Seat != second.Seat || again.N != second.N {
			t.Errorf("taken in as %+v, was %+v", again, second)
		}
		coded(t, "who was there before", seats.Check(t.Context(), token(first)), license.CodeHandleExpired)
		for range 20 {
			time.Sleep(2 * time.Second)
			_, err = seats.Renew(t.Context(), token(again))
			coded(t, "Renew", err, "")
		}
		_, err = seats.Access(t.Context(), ask("third"))
		coded(t, "an access after it, all taken", err, license.CodeNoFreeSeat)
		for i, st := range status(t, after) {
			if !st.Counts {
				t.Errorf("journal %d does not count", i)
			}
		}
	})
}

func status(t *testing.T, s *quorumlease.Store) [license.Backends]journal.Status {
	t.Helper()
	all, leads := s.Status(someone)
	if !leads {
		t.Fatal("no lead")
	}
	return all
}

func TestVouch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(func(license.Serial, int) journal.Journal { return journal.NewMemory() })
		lead := quorumlease.New(quorumlease.Options{Journals: s.of, Journal: journal.Options{NewGroup: true}})
		defer lead.Close()
		standby := quorumlease.New(quorumlease.Options{Journals: s.of})
		defer standby.Close()
		seats := claim(t, lead)
		g, err := seats.Access(t.Context(), ask("first"))
		coded(t, "Access", err, "")
		time.Sleep(time.Second) // the third journal may lag
		coded(t, "a living handle", standby.Vouch(t.Context(), token(g)), "")
		if _, leads := standby.Status(someone); leads {
			t.Error("the standby says that it leads")
		}
		next := claim(t, lead)  // written back under a newer epoch
		time.Sleep(time.Second) // the third journal may lag
		coded(t, "after a takeover", standby.Vouch(t.Context(), token(g)), "")
		coded(t, "Release", next.Release(t.Context(), token(g)), "")
		time.Sleep(time.Second) // the third journal may lag
		coded(t, "a released handle", standby.Vouch(t.Context(), token(g)), license.CodeHandleUnknown)
		none := token(g)
		none.Seat = 0
		coded(t, "without a seat", standby.Vouch(t.Context(), none), license.CodeHandleUnknown)
	})
}

// The server's lease was lowered just before two disks were lost: whoever had a
// longer one has as much time to come as his token says.
func TestGracePeriodOutlastsLongerLeases(t *testing.T) {
	for name, known := range map[string]bool{"the journal that is left knows of it": true, "a token tells": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var disks [license.Backends]*journal.Memory
				s := newShelf(func(_ license.Serial, i int) journal.Journal {
					disks[i] = journal.NewMemory()
					return disks[i]
				})
				two := func(id string) lease.Request {
					r := ask(id)
					r.Quantity, r.Lease = 2, 10*time.Minute
					return r
				}
				before := quorumlease.New(quorumlease.Options{Journals: s.of, Journal: journal.Options{NewGroup: true}})
				seats := claim(t, before)
				time.Sleep(time.Second) // the third journal may lag
				old := disks[2].Copy()
				first, err := seats.Access(t.Context(), two("first"))
				coded(t, "Access", err, "")
				second, err := seats.Access(t.Context(), two("second"))
				coded(t, "Access", err, "")
				time.Sleep(time.Second) // the third journal may lag
				if err := before.Close(); err != nil {
					t.Fatal(err)
				}
				disks[0].Lose()
				disks[1].Lose()
				if !known {
					disks[2].Restore(old)
				}
				after := quorumlease.New(quorumlease.Options{Journals: s.of, Skew: time.Minute, Journal: journal.Options{Grace: 30 * time.Second}})
				defer after.Close()
				seats = claim(t, after)
				if !known {
					time.Sleep(10 * time.Second)
					_, err = seats.Renew(t.Context(), token(first))
					coded(t, "the first token", err, "")
				}
				time.Sleep(9 * time.Minute)
				_, err = seats.Access(t.Context(), ask("third"))
				coded(t, "while the second may come", err, license.CodeUnavailable)
				_, err = seats.Renew(t.Context(), token(second))
				coded(t, "the second token", err, "")
				time.Sleep(2*time.Minute - 10*time.Second)
				_, err = seats.Renew(t.Context(), token(second))
				coded(t, "Renew", err, "")
				_, err = seats.Access(t.Context(), ask("third"))
				coded(t, "just before its end", err, license.CodeUnavailable)
				time.Sleep(20 * time.Second)
				_, err = seats.Access(t.Context(), ask("third"))
				coded(t, "after it, all taken", err, license.CodeNoFreeSeat)
			})
		})
	}
}
