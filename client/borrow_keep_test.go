package client

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/client/internal/borrowed"
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
			if err != nil || !borrowed.Lock(f, false) {
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
		if h := e.reopen(t.Context(), e.folderOf(t), "other", "6000010:15"); h != nil {
			t.Errorf("%+v", h.Info())
		}
		e.lock = borrowed.Lock
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
		if h := d.reopen(t.Context(), d.folderOf(t), d.matchOf(t), "6000010:14"); h != nil {
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
		if h := d.reopen(t.Context(), d.folderOf(t), d.matchOf(t), "6000010:14"); h != nil {
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
		ahead.Store(int64(8*time.Hour + borrowed.KeptOn - time.Second))
		listed(e, 0)
		keptOnes(t, 1)
		ahead.Add(int64(time.Second))
		listed(e, 0)
		keptOnes(t, 0)
	})
}

func (c *Client) folderOf(t *testing.T) borrowed.Folder {
	t.Helper()
	dir, err := c.folder()
	if err != nil {
		t.Fatal(err)
	}
	return dir
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
		for range borrowed.Few + 1 {
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

// A program that is killed while it writes down what it borrowed has left its
// request: without it, somebody has had the license since. Earlier versions left
// none.
func TestBorrowedLicenseOfAProgramKilledMeanwhile(t *testing.T) {
	for name, tt := range map[string]struct {
		left, alive, earlier, have bool
	}{
		"killed":             {left: true, have: true},
		"at work":            {left: true, alive: true},
		"settled since":      {},
		"an earlier version": {earlier: true, have: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := openCounter(t)
				borrowing(t, c)
				_ = c.Close()
				dir := os.Getenv("QUORATE_BORROWED")
				whole := keptOnes(t, 1)[0]
				b, err := os.ReadFile(whole)
				if err != nil {
					t.Fatal(err)
				}
				id := strings.TrimSuffix(filepath.Base(whole), ".borrowed")
				if tt.earlier {
					b = bytes.Replace(b, []byte(`"id":"`+id+`",`), nil, 1)
				}
				for name, b := range map[string][]byte{".new-whole": b, ".new-half": []byte("{")} {
					if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
						t.Fatal(err)
					}
					if err := os.Chtimes(filepath.Join(dir, name), time.Now(), time.Now()); err != nil {
						t.Fatal(err)
					}
				}
				if err := os.Remove(whole); err != nil {
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
				others := 0
				if tt.left {
					r, err := d.folderOf(t).Ask(&quoratev1.AccessRequest{RequestId: id}, "x", "y")
					if err != nil {
						t.Fatal(err)
					}
					if others = 1; !tt.alive {
						r.Leave()
					}
					defer r.Leave()
				}
				look(0, 2+others) // it may be written just now
				time.Sleep(time.Minute)
				switch {
				case tt.have:
					look(1, 1)
				case tt.alive:
					look(0, 2)
				default:
					look(0, 0)
				}
				borrowing(t, d)
				if want := map[bool]int{true: 1, false: 2}[tt.have]; len(s.accesses) != want {
					t.Errorf("%d accesses, want %d", len(s.accesses), want)
				}
			})
		})
	}
}

// What a killed program may have been granted is asked for again as it was, by who
// asks for the same; where it is over he asks anew. What nobody asks for is given
// back, where the same servers are reached, and otherwise left until they are.
func TestRequestOfAProgramKilledMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := openCounter(t)
		left := func(match, servers string, opts ...Option) *quoratev1.AccessRequest {
			t.Helper()
			r := c.request(license.Product{Firm: 6000010, Code: 14}, append(opts, WithBorrow(7*time.Hour))).AccessRequest
			r.Client.Process = 7
			w, err := c.folderOf(t).Ask(r, match, servers)
			if err != nil {
				t.Fatal(err)
			}
			w.Leave()
			return r
		}
		same, here := c.matchOf(t), sentTo([]string{"http://a"})
		mine, second, away := left(same, here), left(same, here), left(same, sentTo([]string{"http://b"}))
		other := left("other", here, WithVersion("9"))
		h := borrowing(t, another(t, s))
		synctest.Wait()
		if len(s.accesses) != 3 || s.released != 2 {
			t.Fatalf("%d accesses, %d released", len(s.accesses), s.released)
		}
		asked := map[string]*quoratev1.AccessRequest{}
		for _, r := range s.accesses {
			asked[r.GetRequestId()] = r
		}
		for _, r := range []*quoratev1.AccessRequest{mine, second, other} {
			if got := asked[r.GetRequestId()]; !proto.Equal(got, r) {
				t.Errorf("asked %v, want %v", got, r)
			}
		}
		if id := h.lent.ID(); id != mine.GetRequestId() && id != second.GetRequestId() {
			t.Errorf("%s", id)
		}
		keptOnes(t, 2) // and that of the other server
		if err := h.Release(t.Context()); err != nil {
			t.Fatal(err)
		}

		// Over, or with another content for the server: a new request.
		for _, code := range []license.Code{license.CodeHandleExpired, license.CodeRequestMismatch} {
			before := len(s.accesses)
			gone := left(same, here)
			s.locked(func() {
				s.access = func(_ int, r *quoratev1.AccessRequest) (*quoratev1.Handle, error) {
					if r.GetRequestId() == gone.GetRequestId() {
						return nil, short(code, nil)
					}
					return &quoratev1.Handle{Id: "h", LeaseMs: r.GetBorrowMs(), Borrowed: true, Token: []byte("token")}, nil
				}
			})
			h := borrowing(t, another(t, s))
			if len(s.accesses) != before+2 || h.lent.ID() == gone.GetRequestId() {
				t.Errorf("%s: %d accesses", code, len(s.accesses)-before)
			}
			keptOnes(t, 2)
			if err := h.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
		}

		// While no server is there it stays, and once it is over for long it goes.
		left(same, here)
		s.net.Gone("a")
		d := another(t, s)
		if _, err := d.Access(t.Context(), "6000010:14", WithBorrow(time.Hour)); CodeOf(err) != CodeUnavailable {
			t.Error(err)
		}
		_ = d.Close()
		keptOnes(t, 2)
		s.net.Up("a")
		time.Sleep(7*time.Hour + borrowed.KeptOn)
		before := len(s.accesses)
		h = borrowing(t, another(t, s))
		if len(s.accesses) != before+1 || h.lent.ID() == away.GetRequestId() {
			t.Errorf("%d accesses", len(s.accesses)-before)
		}
		keptOnes(t, 1)
	})
}

// A request is written down before it is sent, and deleted when it is known what
// became of it.
func TestRequestIsWrittenDownFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := openCounter(t)
		var refusal error
		s.access = func(_ int, r *quoratev1.AccessRequest) (*quoratev1.Handle, error) {
			all, err := filepath.Glob(filepath.Join(os.Getenv("QUORATE_BORROWED"), "*"))
			if err != nil || len(all) != 1 || filepath.Base(all[0]) != r.GetRequestId()+".asked" {
				t.Errorf("%v, %v", all, err)
			}
			if i, err := os.Stat(all[0]); err != nil || i.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", i, err)
			}
			// Another program leaves it alone.
			if lost := c.folderOf(t).Lost(sentTo([]string{"http://a"})); len(lost) != 0 {
				t.Errorf("%v", lost)
			}
			return &quoratev1.Handle{Id: "h", LeaseMs: r.GetBorrowMs(), Borrowed: r.GetLicenses() == 0, Token: []byte("token")}, refusal
		}
		h := borrowing(t, c)
		keptOnes(t, 1)
		if err := h.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		keptOnes(t, 0)
		// Given, but not lent.
		if h = borrowing(t, c, WithLicenses(2)); h.lent != nil {
			t.Error("kept")
		}
		keptOnes(t, 0)
		refusal = short(license.CodeNoFreeSeat, nil)
		if _, err := c.Access(t.Context(), "6000010:14", WithBorrow(time.Hour)); CodeOf(err) != CodeNoFreeSeat {
			t.Error(err)
		}
		keptOnes(t, 0)
	})
}
