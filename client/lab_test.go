package client_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/memlease"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/licenseserver/arbiter"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
	"github.com/quorate/quorate/internal/seal"
)

const product = "6000010:14"

// lab is license servers over one store and one source, and clients of them.
type lab struct {
	net     *servertest.Network
	source  *servertest.Source
	store   *memlease.Store
	elector servertest.Elector
}

func newLab(t testing.TB, quantity uint32) *lab {
	t.Helper()
	store, err := memlease.Open("", memlease.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return &lab{net: servertest.NewNetwork(), source: servertest.NewSource(quantity), store: store}
}

type server struct {
	*licenseserver.Server
	// lose makes the next answer of a procedure get lost.
	lose atomic.Pointer[string]
}

// start serves http://name; the servers elect who leads.
func (l *lab) start(t testing.TB, name string, life time.Duration) *server {
	t.Helper()
	s, err := licenseserver.New(licenseserver.Config{
		Name: name, Source: l.source, Store: l.store, Lease: life,
		Signer:     seal.NewSigner([]byte(strings.Repeat("s", 32))),
		Arbiter:    arbiter.Election{Elector: &l.elector, Group: servertest.Virtual(), Owner: name},
		AdminToken: "secret",
	})
	if err != nil {
		t.Fatal(err)
	}
	out := &server{Server: s}
	path, handler := s.Handler()
	mux := http.NewServeMux()
	mux.Handle(path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := out.lose.Load(); p != nil && strings.HasSuffix(r.URL.Path, "/"+*p) {
			out.lose.Store(nil)
			handler.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		handler.ServeHTTP(w, r)
	}))
	l.net.Serve(t, name, mux)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	synctest.Wait()
	return out
}

func (l *lab) open(t testing.TB, change func(*client.Config), servers ...string) *client.Client {
	t.Helper()
	cfg := client.Config{
		Application: "charts", User: "ada", Station: "pc-1", Address: "pc-1",
		DialContext: l.net.DialContext, AdminToken: "secret",
	}
	for _, s := range servers {
		cfg.Servers = append(cfg.Servers, "http://"+s)
	}
	if change != nil {
		change(&cfg)
	}
	c, err := client.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func access(t testing.TB, c *client.Client, opts ...client.Option) *client.Handle {
	t.Helper()
	h, err := c.Access(t.Context(), product, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func wantCode(t testing.TB, what string, err error, code client.Code) {
	t.Helper()
	if client.CodeOf(err) != code {
		t.Errorf("%s: %v (code %q), want %q", what, err, client.CodeOf(err), code)
	}
	var e *client.Error
	if err != nil && !errors.As(err, &e) {
		t.Errorf("%s: %T is not a *client.Error", what, err)
	}
}

func alive(t testing.TB, when string, h *client.Handle) {
	t.Helper()
	select {
	case <-h.Done():
		t.Errorf("%s: the handle is dead: %v", when, h.Err())
	default:
		if err := h.Err(); err != nil {
			t.Errorf("%s: the handle is dead: %v", when, err)
		}
	}
}

func (l *lab) taken(t testing.TB) uint32 {
	t.Helper()
	seats, err := l.store.Join(t.Context(), servertest.Virtual(), "test")
	if err != nil {
		t.Fatal(err)
	}
	list, err := seats.List(t.Context(), lease.Pool{Container: servertest.Virtual(), Product: servertest.Product()})
	if err != nil {
		t.Fatal(err)
	}
	return uint32(len(list))
}
