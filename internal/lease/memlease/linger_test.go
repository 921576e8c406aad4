package memlease_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

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
		if next, any, err := seats.Next(t.Context()); err != nil || !any || next != linger+lease.Margin {
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
		time.Sleep(linger + lease.Margin - 1)
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

func formatOf(t *testing.T, path string) (f string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_ = db.View(func(tx *bbolt.Tx) error {
		f = string(tx.Bucket([]byte("journal")).Get([]byte("format")))
		return nil
	})
	return f
}

// TestLingerFormat: a file that never held a linger is as earlier versions write
// and read it; one that did is kept from them.
func TestLingerFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seats")
	for _, step := range []struct {
		linger time.Duration
		want   string
	}{{0, "1"}, {time.Hour, "2"}, {0, "2"}} {
		s := open(t, path)
		seats := claim(t, s)
		_, tok := access(t, seats, request(5))
		release(t, seats, tok, step.linger)
		if step.linger > 0 {
			_, tok = access(t, seats, request(5))
			release(t, seats, tok, 0)
		}
		wantUsage(t, seats, 0, 0)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if f := formatOf(t, path); f != step.want {
			t.Fatalf("with a linger of %v the file has the format %q, want %q", step.linger, f, step.want)
		}
	}
}

// TestContradictoryLinger: a file that has a seat both taken and lingering is
// damaged.
func TestContradictoryLinger(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seats")
	key := []byte(request(1).ID)
	lingers := func(f func(*bbolt.Bucket) error) {
		t.Helper()
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(tx *bbolt.Tx) error {
			return f(tx.Bucket([]byte("groups")).Bucket([]byte(group.String())).Bucket([]byte("lingers")))
		})
		if err = errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, path)
	r := request(1)
	r.ID = string(key)
	_, tok := access(t, claim(t, s), r)
	release(t, claim(t, s), tok, time.Hour)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var record []byte
	lingers(func(b *bbolt.Bucket) error {
		record = bytes.Clone(b.Get(key))
		return nil
	})
	s = open(t, path)
	access(t, claim(t, s), request(1))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	lingers(func(b *bbolt.Bucket) error {
		if b.Get(key) != nil {
			t.Error("the linger is still there after its client came back")
		}
		return b.Put(key, record)
	})
	_, err := memlease.Open(path, memlease.Options{})
	wantCode(t, err, license.CodeJournalCorrupt)
}
