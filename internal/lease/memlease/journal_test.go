package memlease_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/memlease"
	"github.com/quorate/quorate/internal/license"
)

func wantCode(t *testing.T, err error, code license.Code) {
	t.Helper()
	if got := license.CodeOf(err); got != code {
		t.Fatalf("code %q (%v), want %q", got, err, code)
	}
}

func claim(t *testing.T, s *memlease.Store) lease.Seats {
	t.Helper()
	seats, err := s.Claim(t.Context(), group, "test")
	if err != nil {
		t.Fatal(err)
	}
	return seats
}

func access(t *testing.T, s lease.Seats, r lease.Request) (lease.Grant, lease.Ref) {
	t.Helper()
	g, err := s.Access(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return g, ref(r, g)
}

func lasting(r lease.Request, d time.Duration) lease.Request {
	r.Lease = d
	return r
}

func TestReopen(t *testing.T) {
	for name, lead := range map[string]func(*memlease.Store, *testing.T) (lease.Seats, error){
		"claim": func(s *memlease.Store, t *testing.T) (lease.Seats, error) { return s.Claim(t.Context(), group, "b") },
		"join":  func(s *memlease.Store, t *testing.T) (lease.Seats, error) { return s.Join(t.Context(), group, "b") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { reopen(t, lead) })
		})
	}
}

func reopen(t *testing.T, lead func(*memlease.Store, *testing.T) (lease.Seats, error)) {
	path := filepath.Join(t.TempDir(), "seats")
	s := open(t, path)
	seats := claim(t, s)
	const life = time.Minute
	short := func(r lease.Request) lease.Request { return lasting(r, life) }
	r := short(request(4))
	granted, kept := access(t, seats, r)
	_, second := access(t, seats, short(request(4)))
	_, gone := access(t, seats, short(request(4)))
	removed := short(request(4))
	access(t, seats, removed)
	if err := seats.Release(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	if err := seats.Remove(t.Context(), pool, lease.Removal{Handle: removed.ID, By: "grace"}); err != nil {
		t.Fatal(err)
	}
	before, err := seats.List(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	events, err := s.Events(t.Context(), group, 0, 100)
	if err != nil || len(events) != 6 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	time.Sleep(24 * time.Hour) // down for longer than any lease
	s = open(t, path)
	again, err := s.Events(t.Context(), group, 0, 100)
	if err != nil || fmt.Sprint(again) != fmt.Sprint(events) {
		t.Fatalf("events %v, %v; were %v", again, err, events)
	}
	seats, err = lead(s, t)
	if err != nil {
		t.Fatal(err)
	}
	next, any, err := seats.Next(t.Context())
	if err != nil || !any || next != lease.AfterClaim(life) {
		t.Fatalf("Next = %v, %v, %v; want a full lease and the margin", next, any, err)
	}
	after, err := seats.List(t.Context(), pool)
	if err != nil || len(after) != 2 {
		t.Fatalf("%d handles, %v", len(after), err)
	}
	for i := range after {
		b, a := before[i], after[i]
		b.Epoch, b.Remaining, b.LastAccess = a.Epoch, a.Remaining, a.LastAccess
		b.FirstAccess = b.FirstAccess.UTC().Round(0)
		if fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("handle %d is %+v, was %+v", i, a, b)
		}
	}
	g, err := seats.Access(t.Context(), r)
	if err != nil || !g.Repeated || g.Seat != granted.Seat || g.N != granted.N {
		t.Fatalf("repeated as %+v, %v; was %+v", g, err, granted)
	}
	_, err = seats.Access(t.Context(), removed)
	wantCode(t, err, license.CodeHandleRemoved)
	wantCode(t, seats.Check(t.Context(), gone), license.CodeHandleUnknown)
	if g, _ := access(t, seats, request(4)); g.Seat != gone.Seat || g.N != gone.N+1 {
		t.Fatalf("grant %+v, want seat %d with n %d", g, gone.Seat, gone.N+1)
	}
	time.Sleep(lease.AfterClaim(life) - 1)
	if _, err := seats.Renew(t.Context(), second); err != nil {
		t.Fatalf("Renew just before the end: %v", err)
	}
	time.Sleep(time.Nanosecond)
	wantCode(t, seats.Check(t.Context(), kept), license.CodeHandleExpired)
}

func TestEventsAndEndedHandlesAreBounded(t *testing.T) {
	for _, path := range []string{"", filepath.Join(t.TempDir(), "seats")} {
		s, err := memlease.Open(path, memlease.Options{MostEvents: 40, MostEnded: 10})
		if err != nil {
			t.Fatal(err)
		}
		seats := claim(t, s)
		var requests []lease.Request
		for range 100 {
			r := request(1)
			_, tok := access(t, seats, r)
			requests = append(requests, r)
			if err := seats.Release(t.Context(), tok); err != nil {
				t.Fatal(err)
			}
		}
		check := func() {
			t.Helper()
			events, err := s.Events(t.Context(), group, 0, 1000)
			if err != nil || len(events) < 40 || len(events) > 45 {
				t.Fatalf("%d events kept, %v; want 40 to 45", len(events), err)
			}
			if last := events[len(events)-1]; last.Handle != requests[99].ID || last.Kind != lease.Released {
				t.Fatalf("the newest event is %+v", last)
			}
		}
		check()
		for _, r := range requests[90:] {
			_, err := seats.Access(t.Context(), r)
			wantCode(t, err, license.CodeHandleUnknown)
		}
		if path != "" {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if s, err = memlease.Open(path, memlease.Options{MostEvents: 40, MostEnded: 10}); err != nil {
				t.Fatal(err)
			}
			check()
			_, err := claim(t, s).Access(t.Context(), requests[99])
			wantCode(t, err, license.CodeHandleUnknown)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestJournalInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seats")
	open(t, path)
	_, err := memlease.Open(path, memlease.Options{})
	wantCode(t, err, license.CodeJournalInUse)
}

func TestJournalOfAnotherFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seats")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("journal")).Put([]byte("format"), []byte("99")) })
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = memlease.Open(path, memlease.Options{})
	wantCode(t, err, license.CodeFormatUnknown)
}

// TestDamagedJournal damages a journal in many ways: each is reported, or in
// a part of the file that is not in use, and the file stays as it is.
func TestDamagedJournal(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "seats")
	s := open(t, path)
	seats := claim(t, s)
	for i := range 200 {
		_, tok := access(t, seats, by(fmt.Sprint(i), request(1000)))
		switch {
		case i%6 == 0:
			release(t, seats, tok, time.Hour)
		case i%3 == 0:
			release(t, seats, tok, 0)
		}
	}
	usage, err := seats.Usage(t.Context(), pool)
	if err != nil || usage.Lingering != 34 {
		t.Fatalf("usage %+v, %v", usage, err)
	}
	want, err := seats.List(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damages := map[string][]byte{
		"empty": {}, "text": []byte("seats\n"), "half": good[:len(good)/2], "two pages": good[:8192],
		"cut in a page": good[:len(good)-len(good)/3-100], "zeros": make([]byte, len(good)),
		"first half zero": append(make([]byte, len(good)/2), good[len(good)/2:]...),
		"twice shifted":   append(bytes.Clone(good[:4096*3]), good[4096*2:]...),
	}
	for at := 0; at < len(good); at += 1709 {
		b := bytes.Clone(good)
		b[at] ^= 0x41
		damages[fmt.Sprintf("byte %d", at)] = b
	}
	reported, unharmed := 0, 0
	for name, b := range damages {
		path := filepath.Join(dir, "damaged")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := memlease.Open(path, memlease.Options{})
		if err != nil {
			if c := license.CodeOf(err); c != license.CodeJournalCorrupt && c != license.CodeFormatUnknown {
				t.Fatalf("%s: %v", name, err)
			}
			reported++
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, b) {
				t.Errorf("%s: the damaged file was changed (%v)", name, err)
			}
			continue
		}
		unharmed++
		seats := claim(t, s)
		wantUsage(t, seats, usage.Taken, usage.Lingering)
		got, err := seats.List(t.Context(), pool)
		if err != nil || len(got) != len(want) {
			t.Errorf("%s: not reported, and %d of %d handles are there (%v)", name, len(got), len(want), err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Logf("%d reported, %d in unused parts", reported, unharmed)
	if reported < 15 {
		t.Errorf("only %d damages were reported", reported)
	}
}
