package client

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// another opens a client as another program of the same user does.
func another(t *testing.T, s *counter) *Client {
	t.Helper()
	c, err := Open(t.Context(), Config{Servers: []string{"http://a"}, Station: "desk", DialContext: s.net.DialContext})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func borrowing(t *testing.T, c *Client, opts ...Option) *Handle {
	t.Helper()
	h, err := c.Access(t.Context(), "6000010:14", append(opts, WithBorrow(8*time.Hour))...)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestBorrowedLicenseOutlivesItsProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := openCounter(t)
		h := borrowing(t, c)
		files, err := filepath.Glob(filepath.Join(os.Getenv("QUORATE_BORROWED"), "*"))
		if err != nil || len(files) != 1 {
			t.Fatalf("%v, %v", files, err)
		}
		if i, err := os.Stat(files[0]); err != nil || i.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", i.Mode(), err)
		}
		// While a program has it, another one needs one of its own.
		d := another(t, s)
		if all, err := d.Borrowed(); err != nil || len(all) != 1 || !all[0].InUse || all[0].Product != "6000010:14" {
			t.Errorf("%+v, %v", all, err)
		}
		borrowing(t, d)
		if len(s.accesses) != 2 {
			t.Errorf("%d accesses", len(s.accesses))
		}
		time.Sleep(time.Hour)
		for _, c := range []*Client{c, d} {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		if s.released != 0 || CodeOf(h.Err()) != CodeHandleUnknown {
			t.Errorf("%d released, %v", s.released, h.Err())
		}
		time.Sleep(time.Hour)
		// Without any server the next program goes on with it.
		s.net.Gone("a")
		e := another(t, s)
		first, second := borrowing(t, e), borrowing(t, e)
		for _, h := range []*Handle{first, second} {
			if i := h.Info(); !i.Borrowed || i.Remaining > 6*time.Hour || i.Remaining < 5*time.Hour {
				t.Errorf("%+v", i)
			}
		}
		if first.lent.ID() == second.lent.ID() {
			t.Error("two handles by one license")
		}
		// It ends at its time, whoever has it.
		time.Sleep(6 * time.Hour)
		if CodeOf(first.Err()) != CodeHandleExpired {
			t.Error(first.Err())
		}
		if all, err := e.Borrowed(); err != nil || len(all) != 0 {
			t.Errorf("%+v, %v", all, err)
		}
	})
}

func TestBorrowedLicenseIsGivenToWhoAsksForTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := openCounter(t)
		borrowing(t, c, WithLicenses(2), WithVersion("10"))
		_ = c.Close()
		for i, opts := range [][]Option{
			{WithLicenses(3), WithVersion("10")}, {WithLicenses(2), WithVersion("11")}, {WithLicenses(2), WithVersion("10"), WithFeatures(1)},
			{WithLicenses(2), WithVersion("10"), WithMode(Exclusive)},
		} {
			d := another(t, s)
			borrowing(t, d, opts...)
			_ = d.Close()
			if len(s.accesses) != i+2 {
				t.Errorf("%d: %d accesses", i, len(s.accesses))
			}
		}
		// The user may have signed in anew; but a station shares with itself alone.
		d := another(t, s)
		d.cfg.Station = "another session"
		borrowing(t, d, WithLicenses(2), WithVersion("10"))
		if len(s.accesses) != 5 {
			t.Errorf("%d accesses", len(s.accesses))
		}
		borrowing(t, another(t, s), WithMode(StationShare))
		borrowing(t, d, WithMode(StationShare))
		if len(s.accesses) != 7 {
			t.Errorf("%d accesses", len(s.accesses))
		}
	})
}

func TestBorrowedShareIsUsedByMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := openCounter(t)
		s.access = func(_ int, r *quoratev1.AccessRequest) (*quoratev1.Handle, error) {
			return &quoratev1.Handle{Id: "h", Mode: r.GetMode(), LeaseMs: r.GetBorrowMs(), Borrowed: true, Token: []byte("token")}, nil
		}
		borrowing(t, c, WithMode(StationShare))
		d := another(t, s)
		borrowing(t, d, WithMode(StationShare))
		if len(s.accesses) != 1 {
			t.Errorf("%d accesses", len(s.accesses))
		}
		all, err := d.Borrowed()
		if err != nil || len(all) != 1 || !all[0].InUse {
			t.Fatalf("%+v, %v", all, err)
		}
		if err := d.Return(t.Context(), all[0].ID); CodeOf(err) != CodeBorrowed {
			t.Errorf("%v", err)
		}
	})
}

func TestBorrowedLicenseIsReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := openCounter(t)
		h := borrowing(t, c)
		if err := h.Release(t.Context()); err != nil || s.released != 1 {
			t.Errorf("%v", err)
		}
		left := func(c *Client, want int) []Borrowed {
			t.Helper()
			all, err := c.Borrowed()
			if err != nil || len(all) != want {
				t.Fatalf("%+v, %v; want %d", all, err, want)
			}
			return all
		}
		left(c, 0)
		borrowing(t, c)
		_ = c.Close()
		d := another(t, s)
		b := left(d, 1)[0]
		if b.InUse || time.Until(b.Until) != 8*time.Hour || b.Licenses != 1 {
			t.Errorf("%+v", b)
		}
		// Out of reach it stays, to be returned later.
		s.net.Gone("a")
		if err := d.Return(t.Context(), b.ID); CodeOf(err) != CodeUnavailable {
			t.Errorf("%v", err)
		}
		h = borrowing(t, d)
		if err := h.Release(t.Context()); CodeOf(err) != CodeUnavailable {
			t.Errorf("%v", err)
		}
		s.net.Up("a")
		b = left(d, 1)[0]
		if err := d.Return(t.Context(), b.ID); err != nil || s.released != 2 {
			t.Errorf("%v, %d released", err, s.released)
		}
		left(d, 0)
		for _, id := range []string{b.ID, "../x", ""} {
			if err := d.Return(t.Context(), id); CodeOf(err) != CodeHandleUnknown {
				t.Errorf("%q: %v", id, err)
			}
		}
	})
}

// A clock that is set back gives no time that was used already.
func TestBorrowedLicenseAndTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := openCounter(t)
		borrowing(t, c)
		time.Sleep(5 * time.Hour)
		_ = c.Close()
		d := another(t, s)
		real := d.now
		d.now = func() instant {
			i := real()
			i.wall = i.wall.Add(-4 * time.Hour)
			return i
		}
		if i := borrowing(t, d).Info(); i.Remaining > 3*time.Hour {
			t.Errorf("%+v", i)
		}
	})
}

func TestBorrowedLicenseThatCannotBeKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := openCounter(t)
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		c.cfg.BorrowDir = file
		if _, err := c.Access(t.Context(), "6000010:14", WithBorrow(time.Hour)); CodeOf(err) != CodeInvalidInput || len(s.accesses) != 0 {
			t.Errorf("%v, %d accesses", err, len(s.accesses))
		}
		// What is no such file is passed over.
		c.cfg.BorrowDir = t.TempDir()
		for name, text := range map[string]string{"a.borrowed": "{", "b.borrowed": `{"version":2}`, "c": "x"} {
			if err := os.WriteFile(filepath.Join(c.cfg.BorrowDir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if all, err := c.Borrowed(); err != nil || len(all) != 0 {
			t.Errorf("%+v, %v", all, err)
		}
		s.access = func(int, *quoratev1.AccessRequest) (*quoratev1.Handle, error) {
			return nil, short(license.CodeNoFreeSeat, nil)
		}
		if _, err := c.Access(t.Context(), "6000010:14", WithBorrow(time.Hour)); CodeOf(err) != CodeNoFreeSeat {
			t.Error(err)
		}
	})
}
