package licenseserver_test

import (
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/redislease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/licenseserver/arbiter"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/testenv"
)

func openRedis(t testing.TB, addr string) *redislease.Store {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr, PoolSize: 64, DialerRetries: 1, MaxRetries: -1})
	s := redislease.New(c, redislease.Options{})
	t.Cleanup(func() { _ = s.Close(); _ = c.Close() })
	return s
}

// serveTCP starts a server on the loopback interface and gives its address.
func serveTCP(t testing.TB, name string, store lease.Store, quantity uint32, life time.Duration, arbiter licenseserver.Arbiter, change ...func(*licenseserver.Config)) (*licenseserver.Server, string) {
	t.Helper()
	cfg := licenseserver.Config{
		Name: name, Source: servertest.NewSource(quantity), Store: store, Arbiter: arbiter,
		Signer: seal.NewSigner([]byte(strings.Repeat("s", 32))), Lease: life,
	}
	for _, f := range change {
		f(&cfg)
	}
	s, err := licenseserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(s.Handler())
	server := rpc.NewServer(mux, slog.New(slog.DiscardHandler))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(ln) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s, "http://" + ln.Addr().String()
}

func untilLeading(t testing.TB, s *licenseserver.Server) {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		changed := s.Changed()
		if _, leading := s.Leading(); leading {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatal("the server doesn't lead")
		}
	}
}

// Over a shared Redis: a server switch, then a crash of Redis itself, under one
// program that keeps its seat.
func TestSwitchAndCrashOverRedis(t *testing.T) {
	server := testenv.Redis(t, testenv.Durable()...)
	var elector servertest.Elector
	start := func(name string) (*licenseserver.Server, string) {
		store := openRedis(t, server.Addr)
		return serveTCP(t, name, store, 1, 10*time.Second, arbiter.Election{
			Elector: &elector, Group: servertest.Virtual(), Owner: name, Term: time.Second,
		})
	}
	a, addrA := start("a")
	untilLeading(t, a)
	b, addrB := start("b")
	c, err := client.Open(t.Context(), client.Config{Servers: []string{addrA, addrB}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	h, err := c.Access(t.Context(), servertest.Product().String())
	if err != nil {
		t.Fatal(err)
	}
	key := func(when string) {
		t.Helper()
		if _, err := h.OpenKey(t.Context(), servertest.Wrap([]byte("k"))); err != nil || h.Info().Seat != 1 {
			t.Errorf("%s: %v, seat %d", when, err, h.Info().Seat)
		}
	}
	key("at first")
	a.Stop()
	key("after the switch")
	untilLeading(t, b)
	server.Kill()
	server.Restart()
	key("after the crash of Redis")
	if _, err := c.Access(t.Context(), servertest.Product().String()); client.CodeOf(err) != client.CodeNoFreeSeat {
		t.Errorf("a second of one: %v", err)
	}
	if err := h.Release(t.Context()); err != nil {
		t.Error(err)
	}
}

// Two processes serve one container over a shared Redis: a queue is one for both,
// and what one of them frees serves who waits at the other.
func TestQueueOverSharedRedis(t *testing.T) {
	addr := testenv.Redis(t).Addr
	var apis []api
	for _, name := range []string{"a", "b"} {
		s, url := serveTCP(t, name, openRedis(t, addr), 3, time.Minute, licenseserver.Always{}, func(c *licenseserver.Config) { c.Shared = true })
		untilLeading(t, s)
		web := rpc.NewClient(rpc.ClientConfig{})
		t.Cleanup(web.Close)
		apis = append(apis, quoratev1connect.NewLicenseServiceClient(web, url, rpc.ClientOptions()))
	}
	a, b := apis[0], apis[1]
	take(t, a, on(1, "pc-1", stationShare))
	take(t, b, on(2, "pc-1", stationShare))
	big := take(t, a, want(3, "pc-2", 2))
	refused(t, "an exclusive start on a station in use", b, on(4, "pc-1", exclusive), license.CodeStationBusy)
	ended := make(chan outcome, 1)
	go func() {
		r := want(5, "pc-3", 2)
		r.WaitMs = 60_000
		h, err := queueing(t.Context(), b, r)
		ended <- outcome{h, err, time.Now()}
	}()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for list(t, a).GetWaiting() == 0 {
		<-tick.C
	}
	err := denied(t, a, access(6), "")
	wantCode(t, "past the queue", err, license.CodeNoFreeSeat)
	if d := detailsOf(err); d["waiting"] != 1.0 || len(holdersOf(t, err)) != 2 {
		t.Errorf("details %v", d)
	}
	freed := time.Now()
	if err := release(t.Context(), a, big.GetToken()); err != nil {
		t.Fatal(err)
	}
	if got := <-ended; got.err != nil || got.handle.GetLicenses() != 2 || got.at.Sub(freed) > 10*time.Second {
		t.Errorf("who waits at the other: %v, %v after %s", got.handle, got.err, got.at.Sub(freed))
	}
	if u := list(t, b); u.GetTakenTotal() != 3 || u.GetWaiting() != 0 {
		t.Errorf("use %v", u)
	}
}
