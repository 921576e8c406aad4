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
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/licenseserver/arbiter"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
	"github.com/quorate/quorate/internal/rpc"
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
func serveTCP(t testing.TB, name string, store lease.Store, quantity uint32, life time.Duration, arbiter licenseserver.Arbiter) (*licenseserver.Server, string) {
	t.Helper()
	s, err := licenseserver.New(licenseserver.Config{
		Name: name, Source: servertest.NewSource(quantity), Store: store, Arbiter: arbiter,
		Signer: seal.NewSigner([]byte(strings.Repeat("s", 32))), Lease: life,
	})
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
	start := func(name string) (*licenseserver.Server, string) {
		store := openRedis(t, server.Addr)
		return serveTCP(t, name, store, 1, 10*time.Second, arbiter.Election{
			Elector: store, Group: servertest.Virtual(), Owner: name, Term: time.Second,
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
