package memlease

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/book"
	"github.com/quorate/quorate/internal/lease/leasetest"
	"github.com/quorate/quorate/internal/license"
)

var errDisk = errors.New("no space left on device")

// faulty opens a store whose commits fail as fail says: before or after the
// file has them.
func faulty(t *testing.T, fail func() (failed, persisted bool)) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "seats"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	commit := s.journal.commit
	s.journal.commit = func(w []write) error {
		failed, persisted := fail()
		if !failed {
			return commit(w)
		}
		if persisted {
			if err := commit(w); err != nil {
				return err
			}
		}
		return errDisk
	}
	return s
}

func TestFailedCommit(t *testing.T) {
	group := license.Serial{Mask: 131, Number: 1}
	pool := lease.Pool{Container: group, Product: license.Product{Firm: 6000010, Code: 14}}
	for name, persisted := range map[string]bool{"failed": false, "failed but persisted": true} {
		t.Run(name, func(t *testing.T) {
			var failing atomic.Bool
			s := faulty(t, func() (bool, bool) { return failing.Load(), persisted })
			seats, err := s.Claim(t.Context(), group, "a")
			if err != nil {
				t.Fatal(err)
			}
			ask := func(id string) (lease.Grant, error) {
				return seats.Access(t.Context(), lease.Request{
					ID: id, Pool: pool, Mode: license.UserLimit, Quantity: 2, Lease: time.Hour,
				})
			}
			kept, err := ask("kept")
			if err != nil {
				t.Fatal(err)
			}
			failing.Store(true)
			for range 3 {
				_, err = ask("lost")
				if license.CodeOf(err) != license.CodeUnavailable || !errors.Is(err, errDisk) {
					t.Fatalf("with a failing disk: %v, want %s", err, license.CodeUnavailable)
				}
			}
			if _, err := s.Claim(t.Context(), group, "b"); license.CodeOf(err) != license.CodeUnavailable {
				t.Fatalf("Claim with a failing disk: %v", err)
			}
			failing.Store(false)
			again, err := ask("lost")
			if license.CodeOf(err) == license.CodeFenced { // the claim that failed may have happened
				t.Fatalf("fenced by a claim that was never begun")
			}
			if err != nil || again.Seat != 2 || again.Repeated != persisted {
				t.Fatalf("%+v, %v; repeated should be %t", again, err, persisted)
			}
			if !persisted && again.N != 2 {
				t.Fatalf("n %d, want 2: the first was given up, not unused", again.N)
			}
			if g, err := ask("kept"); err != nil || g.Seat != kept.Seat || g.N != kept.N {
				t.Fatalf("%+v, %v; was %+v", g, err, kept)
			}
			if _, err := ask("third"); license.CodeOf(err) != license.CodeNoFreeSeat {
				t.Fatalf("third of two: %v", err)
			}
		})
	}
}

// TestContradictoryJournal: a file with one handle on two seats, or a handle with
// an n above its seat's, is damaged.
func TestContradictoryJournal(t *testing.T) {
	group, product := license.Serial{Mask: 131, Number: 1}, license.Product{Firm: 6000010, Code: 14}
	record := func(seat uint32, n uint64, id string) book.Record {
		return book.Record{Product: product, Seat: seat, N: 3, Handle: &book.HandleRecord{
			ID: id, N: n, Mode: license.UserLimit, Lease: time.Hour,
		}}
	}
	for name, c := range map[string]struct {
		records []book.Record
		want    license.Code
	}{
		"two handles":         {[]book.Record{record(1, 3, "a"), record(2, 2, "b")}, ""},
		"one handle":          {[]book.Record{record(1, 3, "a"), record(2, 2, "a")}, license.CodeJournalCorrupt},
		"an n too high":       {[]book.Record{record(1, 4, "a")}, license.CodeJournalCorrupt},
		"no mode and no seat": {[]book.Record{record(0, 3, "a")}, license.CodeJournalCorrupt},
	} {
		path := filepath.Join(t.TempDir(), "seats")
		s, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.journal.commit(effectWrites(group, book.Effects{Records: c.records})); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s, err = Open(path, Options{})
		if license.CodeOf(err) != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if err == nil {
			_ = s.Close()
		}
	}
}

// TestFailedLinger: what was decided about a linger without being written is
// undone with the timers as they were.
func TestFailedLinger(t *testing.T) {
	const linger = time.Minute
	group := license.Serial{Mask: 131, Number: 1}
	pool := lease.Pool{Container: group, Product: license.Product{Firm: 6000010, Code: 14}}
	for name, persisted := range map[string]bool{"failed": false, "failed but persisted": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var failing atomic.Bool
				s := faulty(t, func() (bool, bool) { return failing.Load(), persisted })
				seats, err := s.Claim(t.Context(), group, "a")
				if err != nil {
					t.Fatal(err)
				}
				ask := func(user string) (lease.Ref, error) {
					g, err := seats.Access(t.Context(), lease.Request{
						ID: uuid.NewString(), Pool: pool, Mode: license.UserLimit, Quantity: 1, Lease: time.Hour,
						Client: lease.Client{User: user},
					})
					return lease.Ref{Pool: pool, Handle: g.Handle, Seat: g.Seat, N: g.N, Linger: linger}, err
				}
				fail := func(f func() error) {
					t.Helper()
					failing.Store(true)
					if err := f(); license.CodeOf(err) != license.CodeUnavailable {
						t.Fatalf("with a failing disk: %v", err)
					}
					failing.Store(false)
				}
				ada, err := ask("ada")
				if err != nil {
					t.Fatal(err)
				}
				fail(func() error { return seats.Release(t.Context(), ada) })
				time.Sleep(linger / 2)
				if err := seats.Check(t.Context(), ada); (err == nil) == persisted {
					t.Fatalf("Check of the handle: %v; the release was persisted: %v", err, persisted)
				}
				if err := seats.Release(t.Context(), ada); err != nil {
					t.Fatal(err)
				}
				end := linger
				if persisted {
					end /= 2
				}
				if next, any, err := seats.Next(t.Context()); err != nil || !any || next != end {
					t.Fatalf("Next = %v, %v, %v; want the rest of the linger, %v", next, any, err, end)
				}
				// Its client comes back, which fails: the seat lingers on as it did,
				// or is its client's.
				time.Sleep(end / 2)
				fail(func() error { _, err := ask("ada"); return err })
				next, any, err := seats.Next(t.Context())
				if err != nil || !any || !persisted && next != end/2 || persisted && next <= linger {
					t.Fatalf("Next = %v, %v, %v; %v were left", next, any, err, end/2)
				}
				if persisted {
					return
				}
				// The end of the linger fails, and isn't put off by that.
				time.Sleep(end / 2)
				fail(func() error { _, err := seats.Expire(t.Context()); return err })
				if n, err := seats.Expire(t.Context()); err != nil || n != 1 {
					t.Fatalf("Expire ended %d, %v; want the linger", n, err)
				}
				if _, err := ask("bob"); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// TestHistoryWithFailingCommits runs programs on a disk that fails every now
// and then, before or after it has the change.
func TestHistoryWithFailingCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rnd := rand.New(rand.NewPCG(1, 2)) // used by one committer at a time, under its lock
		var n, failed atomic.Int64
		s := faulty(t, func() (bool, bool) {
			if n.Add(1) < 20 || rnd.IntN(15) > 0 {
				return false, false
			}
			failed.Add(1)
			return true, rnd.IntN(2) == 0
		})
		leasetest.Workload{
			Clients: 40, For: 2 * time.Minute, Lease: 10 * time.Second, Linger: 4 * time.Second, Mixed: true,
		}.Run(t, s)
		if failed.Load() < 10 {
			t.Errorf("only %d commits failed", failed.Load())
		}
	})
}

// BenchmarkAccessRelease is one access and one release, from programs side by
// side, each answered once it is on disk ("journal") or at once ("memory").
func BenchmarkAccessRelease(b *testing.B) {
	for name, file := range map[string]string{"memory": "", "journal": "seats"} {
		b.Run(name, func(b *testing.B) {
			path := ""
			if file != "" {
				path = filepath.Join(b.TempDir(), file)
			}
			s, err := Open(path, Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			group := license.Serial{Mask: 130, Number: 1}
			pool := lease.Pool{Container: group, Product: license.Product{Firm: 6000010, Code: 14}}
			seats, err := s.Claim(b.Context(), group, "bench")
			if err != nil {
				b.Fatal(err)
			}
			b.SetParallelism(32)
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					g, err := seats.Access(context.Background(), lease.Request{
						ID: uuid.NewString(), Pool: pool, Mode: license.UserLimit, Quantity: 1000, Lease: time.Minute,
					})
					if err != nil {
						b.Error(err)
						return
					}
					if err := seats.Release(context.Background(), lease.Ref{Pool: pool, Handle: g.Handle, Seat: g.Seat, Epoch: g.Epoch, N: g.N}); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
