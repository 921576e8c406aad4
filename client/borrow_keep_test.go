package client

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

func openSharing(t *testing.T) (*Client, *counter) {
	t.Helper()
	c, s := openCounter(t)
	s.access = func(_ int, r *quoratev1.AccessRequest) (*quoratev1.Handle, error) {
		return &quoratev1.Handle{Id: "h", Mode: r.GetMode(), LeaseMs: r.GetBorrowMs(), Borrowed: true, Token: []byte("token")}, nil
	}
	return c, s
}

// keptOnes are the files in the folder of borrowed licenses.
func keptOnes(t *testing.T, want int) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(os.Getenv("QUORATE_BORROWED"), "*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != want {
		t.Fatalf("kept: %v; want %d", all, want)
	}
	return all
}

func TestBorrowedShareIsGivenBackByTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := openSharing(t)
		first := borrowing(t, c, WithMode(StationShare))
		second := borrowing(t, another(t, s), WithMode(StationShare))
		if err := first.Release(t.Context()); err != nil || s.released != 0 || second.Err() != nil {
			t.Fatalf("%v, %d released, %v", err, s.released, second.Err())
		}
		third := borrowing(t, another(t, s), WithMode(StationShare))
		if len(s.accesses) != 1 {
			t.Errorf("%d accesses", len(s.accesses))
		}
		if err := second.Release(t.Context()); err != nil || s.released != 0 {
			t.Errorf("%v, %d released", err, s.released)
		}
		if err := third.Release(t.Context()); err != nil || s.released != 1 {
			t.Errorf("%v, %d released", err, s.released)
		}
		keptOnes(t, 0)
	})
}

// Those who release at once give it back once, whoever of them is the last.
func TestBorrowedShareReleasedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := openSharing(t)
		errs := make(chan error)
		for _, h := range []*Handle{borrowing(t, c, WithMode(StationShare)), borrowing(t, another(t, s), WithMode(StationShare))} {
			go func() { errs <- h.Release(t.Context()) }()
		}
		if err, other := <-errs, <-errs; err != nil || other != nil || s.released != 1 {
			t.Errorf("%v, %v, %d released", err, other, s.released)
		}
		keptOnes(t, 0)
	})
}

func TestBorrowedLicenseLookedIntoIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := openCounter(t)
		borrowing(t, c)
		_ = c.Close()
		look := func() {
			t.Helper()
			f, err := os.Open(keptOnes(t, 1)[0])
			if err != nil || !lockFile(f, false) {
				t.Fatalf("not locked: %v", err)
			}
			time.AfterFunc(25*time.Millisecond, func() { _ = f.Close() })
		}
		look()
		d := another(t, s)
		borrowing(t, d)
		if len(s.accesses) != 1 {
			t.Errorf("%d accesses", len(s.accesses))
		}
		_ = d.Close()
		// Who looks for another product locks nothing.
		e := another(t, s)
		e.lock = func(f *os.File, _ bool) bool {
			t.Error("locked", f.Name())
			return true
		}
		dir := os.Getenv("QUORATE_BORROWED")
		if h := e.reopen(t.Context(), dir, "other", "6000010:15"); h != nil {
			t.Errorf("%+v", h.Info())
		}
		e.lock = lockFile
		all, err := e.Borrowed()
		if err != nil || len(all) != 1 {
			t.Fatalf("%+v, %v", all, err)
		}
		look()
		if err := e.Return(t.Context(), all[0].ID); err != nil || s.released != 1 {
			t.Errorf("%v, %d released", err, s.released)
		}
	})
}

func TestBorrowedLicenseWithoutLocksIsItsProgramsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := openCounter(t)
		c.lock = func(*os.File, bool) bool { return false }
		h := borrowing(t, c)
		keptOnes(t, 0)
		if err := c.Close(); err != nil || s.released != 1 || h.Err() == nil {
			t.Errorf("%v, %d released, %v", err, s.released, h.Err())
		}
	})
}

func TestBorrowedLicenseOutlivesAClockAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := openCounter(t)
		borrowing(t, c)
		_ = c.Close()
		var ahead atomic.Int64
		opened := func() *Client {
			c := another(t, s)
			real := c.now
			c.now = func() instant {
				i := real()
				i.wall = i.wall.Add(time.Duration(ahead.Load()))
				return i
			}
			return c
		}
		listed := func(c *Client, want int) []Borrowed {
			t.Helper()
			all, err := c.Borrowed()
			if err != nil || len(all) != want {
				t.Fatalf("%+v, %v; want %d", all, err, want)
			}
			return all
		}
		d := opened()
		ahead.Store(int64(20 * 24 * time.Hour))
		listed(d, 0)
		if h := d.reopen(t.Context(), os.Getenv("QUORATE_BORROWED"), d.matchOf(t), "6000010:14"); h != nil {
			t.Error("used though over")
		}
		ahead.Store(0)
		listed(d, 1)
		// In use it ends; no time that was told comes back, but it can be returned.
		h := borrowing(t, d)
		ahead.Store(int64(20 * 24 * time.Hour))
		if CodeOf(h.Err()) != CodeHandleExpired {
			t.Error(h.Err())
		}
		ahead.Store(0)
		if h := d.reopen(t.Context(), os.Getenv("QUORATE_BORROWED"), d.matchOf(t), "6000010:14"); h != nil {
			t.Error("used though over")
		}
		if err := d.Return(t.Context(), listed(d, 1)[0].ID); err != nil || s.released != 1 {
			t.Errorf("%v, %d released", err, s.released)
		}
		keptOnes(t, 0)
		// What is over for good isn't kept for ever.
		borrowing(t, d)
		_ = d.Close()
		e := opened()
		ahead.Store(int64(8*time.Hour + keptOn - time.Second))
		listed(e, 0)
		keptOnes(t, 1)
		ahead.Add(int64(time.Second))
		listed(e, 0)
		keptOnes(t, 0)
	})
}

// matchOf is what borrowing asks for.
func (c *Client) matchOf(t *testing.T) string {
	t.Helper()
	p, err := license.ParseProduct("6000010:14")
	if err != nil {
		t.Fatal(err)
	}
	return c.request(p, []Option{WithBorrow(8 * time.Hour)}).match()
}

func TestFewFilesOfLicensesThatAreOverAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := openCounter(t)
		for range fewKept + 1 {
			borrowing(t, c)
		}
		_ = c.Close()
		time.Sleep(9 * time.Hour)
		if _, err := c.Borrowed(); err != nil {
			t.Error(err)
		}
		keptOnes(t, 0)
	})
}

func TestBorrowedLicenseOfAProgramKilledMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := openCounter(t)
		borrowing(t, c)
		_ = c.Close()
		dir := os.Getenv("QUORATE_BORROWED")
		if err := os.Rename(keptOnes(t, 1)[0], filepath.Join(dir, ".new-whole")); err != nil {
			t.Fatal(err)
		}
		half := filepath.Join(dir, ".new-half")
		if err := os.WriteFile(half, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(half, time.Now(), time.Now()); err != nil {
			t.Fatal(err)
		}
		d := another(t, s)
		look := func(want, files int) {
			t.Helper()
			all, err := d.Borrowed()
			if err != nil || len(all) != want {
				t.Errorf("%+v, %v; want %d", all, err, want)
			}
			keptOnes(t, files)
		}
		look(0, 2) // it may be written just now
		time.Sleep(time.Minute)
		look(1, 1)
		borrowing(t, d)
		if len(s.accesses) != 1 {
			t.Errorf("%d accesses", len(s.accesses))
		}
	})
}
