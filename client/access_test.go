package client

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
)

// counter is a license server whose every answer a test decides.
type counter struct {
	quoratev1connect.UnimplementedLicenseServiceHandler
	net *servertest.Network

	mu       sync.Mutex
	access   func(n int, r *quoratev1.AccessRequest) (*quoratev1.Handle, error) // n from 1
	accesses []*quoratev1.AccessRequest
	hold     time.Duration
	notice   *quoratev1.Notice
	renews   []*quoratev1.RenewRequest
	refusal  error // of renewals
	left     []string
	released int
	pages    []*quoratev1.ListHandlesResponse
	lists    []*quoratev1.ListHandlesRequest
	asks     []*quoratev1.AskReleaseRequest
	tokens   []string
}

func (s *counter) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *counter) Access(ctx context.Context, r *connect.Request[quoratev1.AccessRequest]) (*connect.Response[quoratev1.AccessResponse], error) {
	s.mu.Lock()
	s.accesses = append(s.accesses, r.Msg)
	n, access, hold := len(s.accesses), s.access, s.hold
	s.mu.Unlock()
	h := &quoratev1.Handle{Id: "h", Seat: 1, LeaseMs: 30_000, Token: []byte("token"), Licenses: r.Msg.GetLicenses()}
	if r.Msg.GetBorrowMs() > 0 {
		h.LeaseMs, h.Borrowed = r.Msg.GetBorrowMs(), true
	}
	var err error
	if access != nil {
		h, err = access(n, r.Msg)
	}
	if license.CodeOf(err) == license.CodeQueued {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(hold):
		}
	}
	return connect.NewResponse(&quoratev1.AccessResponse{Handle: h}), err
}

func (s *counter) Renew(_ context.Context, r *connect.Request[quoratev1.RenewRequest]) (*connect.Response[quoratev1.RenewResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renews = append(s.renews, r.Msg)
	return connect.NewResponse(&quoratev1.RenewResponse{
		Handle: &quoratev1.Handle{Id: "h", Seat: 1, LeaseMs: 30_000, Token: []byte("token")}, Notice: s.notice,
	}), s.refusal
}

func (s *counter) Release(context.Context, *connect.Request[quoratev1.ReleaseRequest]) (*connect.Response[quoratev1.ReleaseResponse], error) {
	s.locked(func() { s.released++ })
	return connect.NewResponse(&quoratev1.ReleaseResponse{}), nil
}

func (s *counter) ReadData(context.Context, *connect.Request[quoratev1.ReadDataRequest]) (*connect.Response[quoratev1.ReadDataResponse], error) {
	return connect.NewResponse(&quoratev1.ReadDataResponse{}), nil
}

func (s *counter) LeaveQueue(_ context.Context, r *connect.Request[quoratev1.LeaveQueueRequest]) (*connect.Response[quoratev1.LeaveQueueResponse], error) {
	s.locked(func() { s.left = append(s.left, r.Msg.GetRequestId()) })
	return connect.NewResponse(&quoratev1.LeaveQueueResponse{}), nil
}

func (s *counter) ListHandles(_ context.Context, r *connect.Request[quoratev1.ListHandlesRequest]) (*connect.Response[quoratev1.ListHandlesResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = append(s.tokens, r.Header().Get("Authorization"))
	s.lists = append(s.lists, r.Msg)
	return connect.NewResponse(s.pages[len(s.lists)-1]), nil
}

func (s *counter) ListWaiting(_ context.Context, r *connect.Request[quoratev1.ListWaitingRequest]) (*connect.Response[quoratev1.ListWaitingResponse], error) {
	s.locked(func() { s.tokens = append(s.tokens, r.Header().Get("Authorization")) })
	return connect.NewResponse(&quoratev1.ListWaitingResponse{Waiting: []*quoratev1.Waiter{{
		Product: r.Msg.GetProduct(), Position: 1, Id: "w", Mode: quoratev1.AccessMode_ACCESS_MODE_EXCLUSIVE, Licenses: 2, Priority: -1,
		Client: &quoratev1.Client{Address: "pc-1", User: "ada", Process: 7, Application: "charts", Station: "s"}, SinceMs: 1000,
	}}}), nil
}

func (s *counter) AskRelease(_ context.Context, r *connect.Request[quoratev1.AskReleaseRequest]) (*connect.Response[quoratev1.AskReleaseResponse], error) {
	s.locked(func() {
		s.asks = append(s.asks, r.Msg)
		s.tokens = append(s.tokens, r.Header().Get("Authorization"))
	})
	return connect.NewResponse(&quoratev1.AskReleaseResponse{NoticeId: "n"}), nil
}

func openCounter(t *testing.T) (*Client, *counter) {
	t.Helper()
	t.Setenv("QUORATE_BORROWED", t.TempDir())
	s := &counter{net: servertest.NewNetwork()}
	mux := http.NewServeMux()
	mux.Handle(quoratev1connect.NewLicenseServiceHandler(s, rpc.HandlerOptions(nil)))
	s.net.Serve(t, "a", mux)
	c, err := Open(t.Context(), Config{Servers: []string{"http://a"}, Station: "desk", DialContext: s.net.DialContext, AdminToken: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, s
}

func short(code license.Code, details map[string]any) error {
	return &license.Error{Code: code, Message: "all are taken", Fix: "wait", Details: details}
}

func queuedAt(position int) error {
	return short(license.CodeQueued, map[string]any{
		"taken": 5, "quantity": 5, "waiting": 4, "position": position, "nextExpiryMs": 1500,
	})
}

func TestWhatAnAccessAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := openCounter(t)
		h, err := c.Access(t.Context(), "6000010:14", WithMode(StationShare), WithLicenses(4), WithFeatures(2), WithWait(time.Minute, nil))
		if err != nil {
			t.Fatal(err)
		}
		if i := h.Info(); i.Licenses != 4 || i.Borrowed {
			t.Errorf("%+v", i)
		}
		r := s.accesses[0]
		if r.GetMode() != quoratev1.AccessMode_ACCESS_MODE_STATION_SHARE || r.GetLicenses() != 4 || r.GetFeatures() != 2 ||
			r.GetWaitMs() != 60_000 || r.GetBorrowMs() != 0 || r.GetClient().GetStation() != "desk" {
			t.Errorf("%v", r)
		}
		// A wait is over in time for the answer.
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := c.Access(ctx, "6000010:14", WithWait(0, nil)); err != nil || s.accesses[1].GetWaitMs() != 9500 {
			t.Errorf("%v, %v", s.accesses[1], err)
		}
		if _, err := c.Access(ctx, "6000010:14", WithWait(time.Second, nil)); err != nil || s.accesses[2].GetWaitMs() != 1000 {
			t.Errorf("%v, %v", s.accesses[2], err)
		}
		if _, err := c.Access(t.Context(), "6000010:14", WithWait(0, nil)); err != nil || s.accesses[3].GetWaitMs() != mostWait.Milliseconds() {
			t.Errorf("%v, %v", s.accesses[3], err)
		}
	})
}

func TestWaitingInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := openCounter(t)
		s.hold = 5 * time.Second
		s.access = func(n int, _ *quoratev1.AccessRequest) (*quoratev1.Handle, error) {
			if n <= 3 {
				return nil, queuedAt(4 - n)
			}
			return &quoratev1.Handle{Id: "h", Seat: 5, LeaseMs: 30_000, Token: []byte("t")}, nil
		}
		var places []Place
		began := time.Now()
		h, err := c.Access(t.Context(), "6000010:14", WithWait(time.Minute, func(p Place) { places = append(places, p) }))
		if err != nil || h.Info().Seat != 5 {
			t.Fatal(err)
		}
		next := 1500 * time.Millisecond
		if !reflect.DeepEqual(places, []Place{{3, 4, next}, {2, 4, next}, {1, 4, next}}) {
			t.Errorf("%v", places)
		}
		for _, r := range s.accesses {
			if r.GetRequestId() != s.accesses[0].GetRequestId() || r.GetWaitMs() != 60_000 {
				t.Errorf("%v", r)
			}
		}
		if took := time.Since(began); took != 15*time.Second || len(s.left) != 0 {
			t.Errorf("it took %s, left %v", took, s.left)
		}
	})
}

// A server that doesn't hold the question isn't asked all the time.
func TestWaitingWhereNobodyHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := openCounter(t)
		began := time.Now()
		s.access = func(int, *quoratev1.AccessRequest) (*quoratev1.Handle, error) {
			if time.Since(began) < 20*time.Second {
				return nil, queuedAt(1)
			}
			return nil, short(license.CodeNoFreeSeat, map[string]any{"taken": 5, "quantity": 5})
		}
		_, err := c.Access(t.Context(), "6000010:14", WithWait(20*time.Second, nil))
		if !errors.Is(err, CodeNoFreeSeat) || len(s.accesses) < 15 || len(s.accesses) > 30 {
			t.Errorf("%v after %d questions", err, len(s.accesses))
		}
		if len(s.left) != 0 {
			t.Errorf("left %v", s.left)
		}
	})
}

func TestWaitingIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := openCounter(t)
		s.hold = 5 * time.Second
		s.access = func(_ int, r *quoratev1.AccessRequest) (*quoratev1.Handle, error) {
			if r.GetWaitMs() == 0 {
				return nil, short(license.CodeNoFreeSeat, nil)
			}
			return nil, queuedAt(2)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(12*time.Second, cancel)
		_, err := c.Access(ctx, "6000010:14", WithWait(0, nil))
		var s2 *Shortage
		if !errors.Is(err, CodeQueued) || !errors.Is(err, context.Canceled) || !errors.As(err, &s2) || s2.Position != 2 || s2.Waiting != 4 {
			t.Errorf("%v", err)
		}
		time.Sleep(time.Second)
		s.locked(func() {
			if len(s.left) != 1 || s.left[0] != s.accesses[0].GetRequestId() {
				t.Errorf("left %v", s.left)
			}
			// What was under way may have been given.
			if last := s.accesses[len(s.accesses)-1]; last.GetWaitMs() != 0 || last.GetRequestId() != s.left[0] {
				t.Errorf("%v", last)
			}
		})

		// Before the first answer.
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s.locked(func() { s.hold = time.Minute })
		_, err = c.Access(ctx, "6000010:14", WithWait(0, nil))
		if !errors.Is(err, CodeUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		time.Sleep(time.Second)
		s.locked(func() {
			if len(s.left) != 2 {
				t.Errorf("left %v", s.left)
			}
		})
	})
}

// Who waits for hours for a license doesn't wait that long for servers.
func TestWaitingWhileServersAreGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := openCounter(t)
		s.hold = 5 * time.Second
		s.access = func(int, *quoratev1.AccessRequest) (*quoratev1.Handle, error) { return nil, queuedAt(1) }
		began := time.Now()
		time.AfterFunc(7*time.Second, func() { s.net.Down("a") })
		time.AfterFunc(12*time.Second, func() { s.net.Up("a") }) // a switch of servers
		time.AfterFunc(30*time.Second, func() { s.net.Down("a") })
		_, err := c.Access(t.Context(), "6000010:14", WithWait(time.Hour, nil))
		if took := time.Since(began); !errors.Is(err, CodeUnavailable) || took < 35*time.Second || took > 45*time.Second {
			t.Errorf("%v after %s", err, took)
		}
	})
}

func TestCloseEndsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := openCounter(t)
		s.hold = 5 * time.Second
		s.access = func(int, *quoratev1.AccessRequest) (*quoratev1.Handle, error) { return nil, queuedAt(1) }
		time.AfterFunc(7*time.Second, func() { _ = c.Close() })
		_, err := c.Access(t.Context(), "6000010:14", WithWait(0, nil))
		if !errors.Is(err, CodeUnavailable) || !strings.Contains(err.Error(), "closed") {
			t.Errorf("%v", err)
		}
	})
}

func TestBorrowedHandle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := openCounter(t)
		h, err := c.Access(t.Context(), "6000010:14", WithBorrow(8*time.Hour))
		if err != nil || !h.Info().Borrowed || s.accesses[0].GetBorrowMs() != 8*3600*1000 {
			t.Fatalf("%v, %v", s.accesses, err)
		}
		s.net.Gone("a") // the computer leaves the network
		time.Sleep(7 * time.Hour)
		if h.Err() != nil || len(s.renews) != 0 {
			t.Errorf("%v, %d renewals", h.Err(), len(s.renews))
		}
		began := time.Now()
		<-h.Done()
		if CodeOf(h.Err()) != CodeHandleExpired || time.Since(began) > time.Hour {
			t.Errorf("%v after %s", h.Err(), time.Since(began))
		}
		time.Sleep(2 * time.Second) // the margin: to be returned until the servers end it
		if all, err := c.Borrowed(); err != nil || len(all) != 0 {
			t.Errorf("%+v, %v", all, err)
		}
	})
}

func TestNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := openCounter(t)
		h, err := c.Access(t.Context(), "6000010:14")
		if err != nil {
			t.Fatal(err)
		}
		s.locked(func() { s.notice = &quoratev1.Notice{Id: "1", Text: "at ten, please", By: "bob (10.0.0.2)"} })
		if n := <-h.Notices(); n != (Notice{"1", "at ten, please", "bob (10.0.0.2)"}) {
			t.Errorf("%+v", n)
		}
		// It comes with each renewal, and is shown once. Of two that nobody read
		// the last one stays.
		time.Sleep(time.Minute)
		select {
		case n := <-h.Notices():
			t.Errorf("again: %+v", n)
		default:
		}
		for _, id := range []string{"2", "3"} {
			s.locked(func() { s.notice = &quoratev1.Notice{Id: id} })
			time.Sleep(time.Minute)
		}
		if n := <-h.Notices(); n.ID != "3" {
			t.Errorf("%+v", n)
		}
		if err := h.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n, open := <-h.Notices(); open {
			t.Errorf("after the end: %+v", n)
		}
	})
}

func TestIdleTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := openCounter(t)
		h, err := c.Access(t.Context(), "6000010:14")
		if err != nil {
			t.Fatal(err)
		}
		idle := func() (most int64) {
			s.locked(func() {
				for _, r := range s.renews {
					most = max(most, r.GetIdleMs())
				}
				s.renews = nil
			})
			return most
		}
		time.Sleep(time.Minute)
		if ms := idle(); ms != 0 {
			t.Errorf("one that never tells is idle for %d ms", ms)
		}
		h.Touch()
		time.Sleep(time.Minute)
		if ms := idle(); ms < 45_000 || ms > 60_000 {
			t.Errorf("idle for %d ms of a minute", ms)
		}
		for range 60 {
			h.Touch()
			time.Sleep(time.Second)
		}
		if ms := idle(); ms > 1000 {
			t.Errorf("in use, idle for %d ms", ms)
		}
		for range 12 { // a call is a use
			if _, err := h.Data(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
		}
		if ms := idle(); ms > 5000 {
			t.Errorf("in use by calls, idle for %d ms", ms)
		}
	})
}

// A renewal that comes too late is refused, and the program learns why.
func TestLateRenewalIsRefused(t *testing.T) {
	for code, want := range map[license.Code]Code{
		license.CodeHandleExpired: CodeHandleExpired, license.CodeHandleRemoved: CodeHandleRemoved, license.CodeHandleUnknown: CodeHandleUnknown,
	} {
		synctest.Test(t, func(t *testing.T) {
			c, s := openCounter(t)
			h, err := c.Access(t.Context(), "6000010:14")
			if err != nil {
				t.Fatal(err)
			}
			s.locked(func() { s.refusal = license.Errorf(code, "take a new one", "too late") })
			<-h.Done()
			if !errors.Is(h.Err(), want) || h.Err().Error() != "too late: take a new one" {
				t.Errorf("%v", h.Err())
			}
		})
	}
}

func TestListsByPagesAndAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := openCounter(t)
		p := &quoratev1.Product{Firm: 6000010, Code: 14}
		s.pages = []*quoratev1.ListHandlesResponse{
			{Handles: []*quoratev1.HandleInfo{{Id: "1", Product: p, Licenses: 3, Takes: 2, IdleMs: 1000, Borrowed: true, ExpiresMs: 5000, RemainingMs: 9, Tags: []string{"cad"}}}, NextPageToken: "x"},
			{Handles: []*quoratev1.HandleInfo{{Id: "2", Product: p}}},
		}
		all, err := c.Handles(t.Context(), Filter{Product: "6000010:14", Taking: true})
		if err != nil || len(all) != 2 || all[1].ID != "2" {
			t.Fatal(all, err)
		}
		if a := all[0]; a.Licenses != 3 || a.Takes != 2 || a.Idle != time.Second || !a.Borrowed || a.Expires.UnixMilli() != 5000 ||
			a.Product != "6000010:14" || !reflect.DeepEqual(a.Rules, []string{"cad"}) {
			t.Errorf("%+v", a)
		}
		if r := s.lists; r[0].GetPageToken() != "" || r[1].GetPageToken() != "x" || !r[1].GetTakesLicense() || r[1].GetProduct().GetCode() != 14 {
			t.Errorf("%v", r)
		}
		waiting, err := c.Waiting(t.Context(), "6000010:14")
		want := Waiter{
			Product: "6000010:14", Position: 1, ID: "w", Mode: Exclusive, Licenses: 2, Priority: -1, Address: "pc-1", User: "ada", Process: 7,
			Application: "charts", Station: "s", Since: time.Unix(1, 0).UTC(),
		}
		if err != nil || len(waiting) != 1 || waiting[0] != want {
			t.Errorf("%+v, %v", waiting, err)
		}
		if err := c.Ask(t.Context(), "6000010:14", "h-1", "please", "bob"); err != nil {
			t.Error(err)
		}
		if a := s.asks[0]; a.GetId() != "h-1" || a.GetText() != "please" || a.GetBy() != "bob" || a.GetProduct().GetFirm() != 6000010 {
			t.Errorf("%v", a)
		}
		for _, token := range s.tokens {
			if token != "Bearer secret" {
				t.Errorf("authorized by %q", token)
			}
		}
		_, err = c.Handles(t.Context(), Filter{Product: "x"})
		_, err2 := c.Waiting(t.Context(), "x")
		if !errors.Is(err, CodeInvalidInput) || !errors.Is(err2, CodeInvalidInput) || !errors.Is(c.Ask(t.Context(), "x", "", "", ""), CodeInvalidInput) {
			t.Errorf("%v, %v", err, err2)
		}
	})
}
