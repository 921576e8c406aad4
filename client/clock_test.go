package client

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/licenseserver/servertest"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
)

// shifted is a clock whose wall is set, or whose machine has slept.
type shifted struct {
	mu   sync.Mutex
	real clock
	wall time.Duration
	nap  time.Duration
}

func (s *shifted) read() instant {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.real()
	now.wall = now.wall.Add(s.wall)
	now.asleep += s.nap
	return now
}

func (s *shifted) shift(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wall += d
}

// sleep is what a machine does whose wall clock is set meanwhile.
func (s *shifted) sleep(d, set time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nap += d
	s.wall += d + set
}

// scripted answers every access and renewal with a lease, after a delay, or not
// at all.
type scripted struct {
	quoratev1connect.UnimplementedLicenseServiceHandler
	mu     sync.Mutex
	delay  time.Duration
	silent bool
	renews int
}

func (s *scripted) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *scripted) handle(ctx context.Context) (*quoratev1.Handle, error) {
	s.mu.Lock()
	delay, silent := s.delay, s.silent
	s.mu.Unlock()
	if silent {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	time.Sleep(delay)
	return &quoratev1.Handle{Id: "h", Seat: 1, LeaseMs: 30_000, Token: []byte("token")}, nil
}

func (s *scripted) Access(
	ctx context.Context, _ *connect.Request[quoratev1.AccessRequest],
) (*connect.Response[quoratev1.AccessResponse], error) {
	h, err := s.handle(ctx)
	return connect.NewResponse(&quoratev1.AccessResponse{Handle: h}), err
}

func (s *scripted) Renew(
	ctx context.Context, _ *connect.Request[quoratev1.RenewRequest],
) (*connect.Response[quoratev1.RenewResponse], error) {
	s.set(func() { s.renews++ })
	h, err := s.handle(ctx)
	return connect.NewResponse(&quoratev1.RenewResponse{Handle: h}), err
}

func (s *scripted) Release(
	context.Context, *connect.Request[quoratev1.ReleaseRequest],
) (*connect.Response[quoratev1.ReleaseResponse], error) {
	return connect.NewResponse(&quoratev1.ReleaseResponse{}), nil
}

func openScripted(t *testing.T) (*Client, *scripted, *shifted) {
	t.Helper()
	network, script := servertest.NewNetwork(), &scripted{}
	mux := http.NewServeMux()
	mux.Handle(quoratev1connect.NewLicenseServiceHandler(script))
	network.Serve(t, "a", mux)
	c, err := Open(t.Context(), Config{Servers: []string{"http://a"}, DialContext: network.DialContext})
	if err != nil {
		t.Fatal(err)
	}
	clocks := &shifted{real: c.now}
	c.now = clocks.read
	t.Cleanup(func() { _ = c.Close() })
	return c, script, clocks
}

func untilDead(t *testing.T, h *Handle) {
	t.Helper()
	select {
	case <-h.Done():
	case <-time.After(5 * time.Minute):
		t.Fatal("the handle lives on")
	}
}

func TestLeaseCountsFromBeforeTheRequestLessTheMargin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, script, _ := openScripted(t)
		script.set(func() { script.delay = 2 * time.Second })
		h, err := c.Access(t.Context(), "6000010:14")
		if err != nil {
			t.Fatal(err)
		}
		if left := h.Info().Remaining; left != 30*time.Second-2*time.Second-1500*time.Millisecond {
			t.Errorf("%s left of 30s after an answer that took 2s, with a margin of a twentieth", left)
		}
	})
}

func TestSleepingLaptopLosesItsHandleAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, script, clocks := openScripted(t)
		h, err := c.Access(t.Context(), "6000010:14")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		// The lid is closed: only the wall clock goes on.
		clocks.shift(time.Hour)
		if code := CodeOf(h.Err()); code != CodeHandleExpired {
			t.Errorf("right after waking up: %v", h.Err())
		}
		if _, err := h.OpenKey(t.Context(), []byte("x")); CodeOf(err) != CodeHandleExpired {
			t.Errorf("a key: %v", err)
		}
		// The clock is set back again: what is dead stays dead.
		clocks.shift(-time.Hour)
		if h.Err() == nil {
			t.Error("the handle was revived")
		}
		idle, err := c.Access(t.Context(), "6000010:14")
		if err != nil {
			t.Fatal(err)
		}
		clocks.shift(time.Hour)
		began := time.Now()
		untilDead(t, idle)
		if noticed := time.Since(began); noticed > lookout {
			t.Errorf("a program that makes no call learned of it after %s", noticed)
		}
		script.set(func() {
			if script.renews != 0 {
				t.Errorf("%d renewals were sent after the end", script.renews)
			}
		})
	})
}

// Whoever sets the clock back while the machine sleeps gains nothing where the
// system tells how long it has been up.
func TestClockSetBackDuringSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, clocks := openScripted(t)
		h, err := c.Access(t.Context(), "6000010:14")
		if err != nil {
			t.Fatal(err)
		}
		clocks.sleep(time.Hour, -2*time.Hour)
		if CodeOf(h.Err()) != CodeHandleExpired {
			t.Errorf("after an hour of sleep: %v", h.Err())
		}
	})
}

// While the machine is awake the monotonic clock alone decides, to the
// nanosecond, and it is never behind.
func TestClockWhileAwake(t *testing.T) {
	now := systemClock()
	last := now()
	for range 1000 {
		next := now()
		if next.asleep != last.asleep || next.since(last) < next.mono-last.mono {
			t.Fatalf("%+v, then %+v", last, next)
		}
		last = next
	}
}

func TestSince(t *testing.T) {
	wall := time.Now()
	at := func(mono, asleep, set time.Duration) instant { return instant{mono, asleep, wall.Add(set)} }
	for name, tt := range map[string]struct {
		now  instant
		want time.Duration
	}{
		"awake":                          {at(3, 0, 3), 3},
		"the wall clock is set on":       {at(3, 0, 9), 9},
		"the wall clock is set back":     {at(3, 0, -9), 3},
		"asleep":                         {at(3, 5, 8), 8},
		"asleep, and it is set back":     {at(3, 5, -9), 8},
		"asleep where nobody tells":      {at(3, 0, 8), 8},
		"what can't be: it slept less":   {at(3, -5, -9), 3},
		"asleep, and it is set on a bit": {at(3, 5, 9), 9},
	} {
		if got := tt.now.since(at(0, 0, 0)); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}

func TestShortSleepIsMadeUpByARenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, clocks := openScripted(t)
		h, err := c.Access(t.Context(), "6000010:14")
		if err != nil {
			t.Fatal(err)
		}
		clocks.shift(20 * time.Second)
		time.Sleep(lookout + time.Millisecond)
		if err := h.Err(); err != nil || h.Info().Remaining < 25*time.Second {
			t.Errorf("%v, %s left", err, h.Info().Remaining)
		}
	})
}

func TestClockSetBackDoesNotStretchTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, script, clocks := openScripted(t)
		h, err := c.Access(t.Context(), "6000010:14")
		if err != nil {
			t.Fatal(err)
		}
		script.set(func() { script.silent = true })
		clocks.shift(-24 * time.Hour)
		began := time.Now()
		untilDead(t, h)
		if lived := time.Since(began); lived > 30*time.Second {
			t.Errorf("it lived for %s of 30s", lived)
		}
	})
}

func TestLateAnswerDoesNotRevive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, script, clocks := openScripted(t)
		h, err := c.Access(t.Context(), "6000010:14")
		if err != nil {
			t.Fatal(err)
		}
		// The machine sleeps while a renewal is under way: the answer is there
		// when it wakes up, good by itself, but after the end of the lease.
		script.set(func() { script.delay = time.Second })
		for {
			time.Sleep(100 * time.Millisecond)
			sent := false
			script.set(func() { sent = script.renews > 0 })
			if sent {
				break
			}
		}
		clocks.shift(22 * time.Second)
		untilDead(t, h)
		if CodeOf(h.Err()) != CodeHandleExpired {
			t.Errorf("%v", h.Err())
		}
	})
}

func TestAnswerThatIsTooLateForAnAccessIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, script, clocks := openScripted(t)
		script.set(func() { script.delay = time.Second })
		go func() {
			time.Sleep(500 * time.Millisecond)
			clocks.shift(time.Hour)
		}()
		h, err := c.Access(t.Context(), "6000010:14")
		if err != nil {
			t.Fatal(err)
		}
		if h.Err() != nil || h.Info().Remaining < 20*time.Second {
			t.Errorf("%v, %s left", h.Err(), h.Info().Remaining)
		}
	})
}
