package memlease_test

import (
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/memlease"
	"github.com/quorate/quorate/internal/license"
)

// earlier gives a file as an earlier version of the program wrote it.
func earlier(t *testing.T, name string) string {
	t.Helper()
	packed, err := os.Open(filepath.Join("testdata", name+".gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	z, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "seats")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
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

func wantFormat(t *testing.T, path, want string) {
	t.Helper()
	if f := formatOf(t, path); f != want {
		t.Fatalf("the file has the format %q, want %q", f, want)
	}
}

// reopenEarlier opens the file twice: as it was, and as the first claim converted it.
func reopenEarlier(t *testing.T, path, format string, check func(*memlease.Store, lease.Seats)) {
	t.Helper()
	s := open(t, path)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantFormat(t, path, format)
	for range 2 {
		s := open(t, path)
		check(s, claim(t, s))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		wantFormat(t, path, "3")
	}
}

// TestJournalOfTheFirstFormat reads a file as the program wrote it before seats
// lingered.
func TestJournalOfTheFirstFormat(t *testing.T) {
	reopenEarlier(t, earlier(t, "format1"), "1", func(s *memlease.Store, seats lease.Seats) {
		all, err := seats.List(t.Context(), pool)
		if err != nil || len(all) != 2 || all[0].Handle != "first" || all[1].Handle != "second" {
			t.Fatalf("%+v, %v; want the first and the second", all, err)
		}
		for id, code := range map[string]license.Code{"third": license.CodeHandleUnknown, "fourth": license.CodeHandleRemoved} {
			r := lasting(request(4), time.Minute)
			r.ID = id
			_, err := seats.Access(t.Context(), r)
			wantCode(t, err, code)
		}
		if events, err := s.Events(t.Context(), group, 0, 6); err != nil || len(events) != 6 || events[5].Seq != 0 {
			t.Fatalf("%d events, %v; want 6 that were not counted", len(events), err)
		}
		g, tok := access(t, seats, request(4))
		if g.Seat != 3 || g.N < 3 {
			t.Fatalf("grant %+v, want seat 3 again", g)
		}
		release(t, seats, tok, 0)
	})
}

// TestJournalOfTheSecondFormat reads a file as the program wrote it when handles
// with no user limit had no seat.
func TestJournalOfTheSecondFormat(t *testing.T) {
	life := func(id, user string, mode license.AccessMode) lease.Request {
		r := by(user, lasting(request(9), time.Minute))
		r.ID, r.Mode = id, mode
		r.Client.Process, r.Client.Application = 4711, "chart"
		return r
	}
	reopenEarlier(t, earlier(t, "format2"), "2", func(_ *memlease.Store, seats lease.Seats) {
		wantUsage(t, seats, 2, 1)
		for i, r := range []lease.Request{
			life("free-1", "ada", license.NoUserLimit), life("free-2", "ada", license.NoUserLimit), life("first", "ada", license.UserLimit),
		} {
			g, err := seats.Access(t.Context(), r)
			if err != nil || !g.Repeated || g.Seat != uint32(i/2) {
				t.Fatalf("%s: %+v, %v", r.ID, g, err)
			}
			if _, err := seats.Renew(t.Context(), ref(r, g)); err != nil {
				t.Fatalf("%s: %v", r.ID, err)
			}
		}
		for _, r := range []lease.Request{
			life("left", "bob", license.UserLimit), life("gone", "eve", license.UserLimit), life("free-3", "ada", license.NoUserLimit),
		} {
			_, err := seats.Access(t.Context(), r)
			wantCode(t, err, license.CodeHandleUnknown)
		}
		// Handles with no user limit have seats now, which nobody else has.
		r := life(request(1).ID, "ada", license.NoUserLimit)
		g, tok := access(t, seats, r)
		if g.Seat != 3 {
			t.Fatalf("grant %+v, want seat 3", g)
		}
		release(t, seats, tok, 0)
	})
	path := earlier(t, "format2")
	s := open(t, path)
	seats := claim(t, s)
	back := life("back", "bob", license.UserLimit)
	back.Quantity = 2
	if g, _ := access(t, seats, back); g.Seat != 2 || g.N != 2 {
		t.Fatalf("grant %+v, want the lingering seat", g)
	}
	g, err := seats.Access(t.Context(), life("free-2", "ada", license.NoUserLimit))
	if err != nil {
		t.Fatal(err)
	}
	release(t, seats, ref(life("free-2", "ada", license.NoUserLimit), g), 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	seats = claim(t, open(t, path))
	if all, err := seats.List(t.Context(), pool); err != nil || len(all) != 3 {
		t.Fatalf("%+v, %v; want first, free-1 and bob's", all, err)
	}
}

// TestContradictoryEarlierJournal: a file whose handles and seats don't agree is
// damaged.
func TestContradictoryEarlierJournal(t *testing.T) {
	for name, damage := range map[string]func(g *bbolt.Bucket) error{
		"a linger without its seat": func(g *bbolt.Bucket) error { return g.DeleteBucket([]byte("seats")) },
		"a linger of a handle": func(g *bbolt.Bucket) error {
			return g.Bucket([]byte("lingers")).Put([]byte("first"), g.Bucket([]byte("lingers")).Get([]byte("left")))
		},
	} {
		path := earlier(t, "format2")
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(tx *bbolt.Tx) error {
			return damage(tx.Bucket([]byte("groups")).Bucket([]byte(group.String())))
		})
		if err = errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := memlease.Open(path, memlease.Options{}); license.CodeOf(err) != license.CodeJournalCorrupt {
			t.Errorf("%s: %v, want %s", name, err, license.CodeJournalCorrupt)
		}
	}
}
