package tmr_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/backend"
	"github.com/quorate/quorate/internal/backend/backendtest"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/tmr"
)

// relay is a TCP relay in front of a backend. When it is cut off, connections
// stay open and carry nothing.
type relay struct {
	net.Listener
	to    string
	cut   atomic.Bool
	mu    sync.Mutex
	conns []net.Conn
}

func (r *relay) run() {
	for {
		in, err := r.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", r.to)
		if err != nil {
			_ = in.Close()
			continue
		}
		r.mu.Lock()
		r.conns = append(r.conns, in, out)
		r.mu.Unlock()
		go r.copy(in, out)
		go r.copy(out, in)
	}
}

func (r *relay) copy(to, from net.Conn) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if !r.cut.Load() {
			_, _ = to.Write(b[:n])
		}
		if err == io.EOF && !r.cut.Load() {
			_ = to.Close()
		}
		if err != nil {
			return
		}
	}
}

func (r *relay) close() {
	_ = r.Listener.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		_ = c.Close()
	}
}

// On real sockets and by the real clock: a backend that falls silent and one
// that breaks off are seen within 500 ms.
func TestDeadBackendOnRealSockets(t *testing.T) {
	listen := func() net.Listener {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return ln
	}
	quiet := slog.New(slog.DiscardHandler)
	conf := tmr.Config{Name: "tmr-a", Virtual: virtual, ActivationID: activation, Key: newKey(t), Logger: quiet}
	var relays [3]*relay
	ctx, cancel := context.WithCancel(context.Background())
	var servers sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		for _, r := range relays {
			r.close()
		}
		servers.Wait()
	})
	for i, serial := range serials {
		c := backendtest.New(serial, activation)
		c.Set(held(20, 7))
		b, err := backend.New(backend.Config{Container: c, Pins: []string{conf.Key.Pin()}})
		if err != nil {
			t.Fatal(err)
		}
		mux := http.NewServeMux()
		mux.Handle(b.Handler())
		key, ln := newKey(t), listen()
		server := rpc.NewServer(mux, quiet)
		server.TLSConfig = rpc.ServerTLS(key, []string{conf.Key.Pin()})
		servers.Go(func() { _ = rpc.Serve(ctx, server, ln) })
		relays[i] = &relay{Listener: listen(), to: ln.Addr().String()}
		servers.Go(relays[i].run)
		conf.Backends[i] = tmr.BackendConfig{
			Position: i + 1, Serial: serial, URL: "https://" + relays[i].Addr().String(), Pin: key.Pin(),
		}
	}
	g, err := tmr.NewGroup(conf)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Start(ctx); err != nil {
		t.Fatal(err)
	}
	defer g.Stop()
	await := func(want string) time.Duration {
		t.Helper()
		began := time.Now()
		limit, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		var last license.View
		for v := range watch(limit, g) {
			if last = v; v.Status() == want {
				return time.Since(began)
			}
		}
		t.Fatalf("no %s; the last was %s", want, last.Status())
		return 0
	}
	await("1:#7 2:#7 3:#7")
	// The best of three: a busy machine may hold up the test itself.
	best := time.Hour
	for range 3 {
		relays[1].cut.Store(true)
		best = min(best, await("1:#7 2:- 3:#7"))
		relays[1].cut.Store(false)
		await("1:#7 2:#7 3:#7")
		if best <= 500*time.Millisecond {
			break
		}
	}
	if best > 500*time.Millisecond {
		t.Errorf("a silent backend was seen after %v", best)
	}
	relays[2].close()
	if took := await("1:#7 2:#7 3:-"); took > 500*time.Millisecond {
		t.Errorf("a broken connection was seen after %v", took)
	}
}
