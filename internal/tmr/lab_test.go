package tmr_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/backend"
	"github.com/quorate/quorate/internal/backend/backendtest"
	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/memnet"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/tmr"
)

var (
	serials    = [3]license.Serial{{Mask: 130, Number: 1874829}, {Mask: 130, Number: 27845973}, {Mask: 130, Number: 3879234}}
	virtual    = license.Serial{Mask: 131, Number: 4837572}
	activation = [16]byte{1, 2, 3}
	product    = license.Product{Firm: 6000010, Code: 14}
)

func held(quantity, id uint32) license.Held {
	h := license.Held{License: license.License{
		Product: product, Name: "Chart Processing", Options: license.Options{Quantity: quantity, TMRID: id},
	}}
	if id > 7 {
		h.Predecessor = &license.Options{Quantity: quantity - 10, TMRID: id - 1}
	}
	return h
}

// lab is three backends on a network in memory, and a group. It runs in a
// synctest bubble, which also shows that nothing is left running at the end.
type lab struct {
	t          *testing.T
	network    memnet.Network
	containers [3]*backendtest.Container
	journals   [3]journal.Journal // nil: that backend has none
	keys       [3]*rpc.Key
	stops      [3]func()
	key        *rpc.Key
	signer     seal.Signer
	conf       tmr.Config
	log        lockedBuffer
	group      *tmr.Group
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func addr(i int) string { return fmt.Sprintf("backend%d:443", i+1) }

func newKey(t *testing.T) *rpc.Key {
	t.Helper()
	k, err := rpc.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// newLab starts three backends that hold 20 licenses with TMR-ID #7.
func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{t: t, key: newKey(t)}
	seed, err := seal.NewSeed()
	if err != nil {
		t.Fatal(err)
	}
	l.signer = seal.NewSigner(seed)
	l.conf = tmr.Config{
		Name: "tmr-a", Virtual: virtual, ActivationID: activation, Key: l.key, Dial: l.network.Dial,
		Logger: slog.New(slog.NewTextHandler(&l.log, nil)),
	}
	for i, serial := range serials {
		l.keys[i] = newKey(t)
		l.containers[i] = backendtest.New(serial, activation)
		l.containers[i].SetGroup(seal.Group{Virtual: virtual, TokenKey: l.signer.Public()})
		l.containers[i].Set(held(20, 7))
		l.conf.Backends[i] = tmr.BackendConfig{Position: i + 1, Serial: serial, URL: "https://" + addr(i), Pin: l.keys[i].Pin()}
		l.start(i)
	}
	t.Cleanup(func() {
		if l.group != nil {
			l.group.Stop()
		}
		for i := range l.stops {
			l.kill(i)
		}
	})
	return l
}

// start runs backend i.
func (l *lab) start(i int) {
	l.t.Helper()
	b, err := backend.New(backend.Config{Container: l.containers[i], Journal: l.journals[i], Pins: []string{l.key.Pin()}})
	if err != nil {
		l.t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(b.Handler())
	server := rpc.NewServer(mux, slog.New(slog.DiscardHandler))
	server.TLSConfig = rpc.ServerTLS(l.keys[i], []string{l.key.Pin()})
	ln, err := l.network.Listen(addr(i))
	if err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- rpc.Serve(ctx, server, ln) }()
	l.stops[i] = sync.OnceFunc(func() {
		cancel()
		_ = server.Close() // a crash: it drains nothing
		<-done
	})
}

// kill ends backend i as a crash does.
func (l *lab) kill(i int) {
	l.network.Reset(addr(i))
	l.stops[i]()
}

// run starts the group and waits until it sees all three backends.
func (l *lab) run() *tmr.Group {
	l.t.Helper()
	g, err := tmr.NewGroup(l.conf)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := g.Start(context.Background()); err != nil {
		l.t.Fatal(err)
	}
	l.group = g
	l.await(func(v license.View) bool { return v.PresentCount() == 3 })
	return g
}

// watch gives the present view and then every later one in order, until ctx
// ends or the group stops; a reader that is too slow gets the error of Views
// last.
func watch(ctx context.Context, g *tmr.Group) iter.Seq2[license.View, error] {
	return func(yield func(license.View, error) bool) {
		after := g.View().Version - 1
		for {
			views, err := g.Views(ctx, after, 64)
			if err != nil {
				yield(license.View{}, err)
				return
			}
			if len(views) == 0 {
				return
			}
			for _, v := range views {
				if !yield(v, nil) {
					return
				}
				after = v.Version
			}
		}
	}
}

// await waits for a view, and gives up after ten seconds of the bubble's time.
func (l *lab) await(ok func(license.View) bool) license.View {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 10*time.Second)
	defer cancel()
	var last license.View
	for v, err := range watch(ctx, l.group) {
		if err != nil {
			l.t.Fatal(err)
		}
		if ok(v) {
			return v
		}
		last = v
	}
	l.t.Fatalf("no such view; the last was %s %v, log:\n%s", last.Status(), last.Backends, l.log.String())
	return license.View{}
}

func (l *lab) status(want string) func(license.View) bool {
	return func(v license.View) bool { return v.Status() == want }
}

func update(i int, h license.Held) *quoratev1.BackendUpdate {
	b := backendtest.Update(h)
	d := seal.Digest(b)
	return &quoratev1.BackendUpdate{Position: uint32(i + 1), Update: b, Digest: d[:]}
}

func (l *lab) token() []byte {
	l.t.Helper()
	b, err := seal.SignToken(l.signer, seal.Token{
		Container: virtual, Product: product, Handle: "h", Mode: license.UserLimit, Seat: 1, Epoch: 1, N: 1,
		Lease: time.Minute, IssuedAt: time.Now(),
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return b
}

func bubble(t *testing.T, f func(t *testing.T, l *lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newLab(t)) })
}
