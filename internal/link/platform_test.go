package link_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/memnet"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
)

const token = "link-token-of-tmr-a"

// platform is the other end of the link: it keeps what it is told as a real one
// does, and fails where it is told to.
type platform struct {
	t       *testing.T
	network *memnet.Network

	mu       sync.Mutex
	stop     func()
	due      []*quoratev1.Work
	added    chan struct{}
	reports  map[string]*quoratev1.ReportRequest
	order    []string // of the reports
	pulls    int
	views    map[uint64][]uint64 // versions by epoch
	newest   string              // name in the newest view
	events   []uint64            // positions
	pushes   []*quoratev1.PushRequest
	enrolled *quoratev1.EnrollRequest
	asked    []*quoratev1.CertifyRequest // for the time
	rules    []string                    // texts by version
	fetched  int                         // how often they were fetched
	// fault is asked before (done false) and after a call took effect.
	fault func(call string, done bool) error
}

func newPlatform(t *testing.T) *platform {
	p := &platform{
		t: t, network: new(memnet.Network), added: make(chan struct{}),
		reports: make(map[string]*quoratev1.ReportRequest), views: make(map[uint64][]uint64),
	}
	p.start()
	t.Cleanup(func() { p.kill() })
	return p
}

func (p *platform) start() {
	p.t.Helper()
	mux := http.NewServeMux()
	mux.Handle(quoratev1connect.NewLinkServiceHandler(p, rpc.HandlerOptions(slog.New(slog.DiscardHandler))))
	server := rpc.NewServer(mux, slog.New(slog.DiscardHandler))
	ln, err := p.network.Listen("platform:80")
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- rpc.Serve(ctx, server, ln) }()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stop = sync.OnceFunc(func() {
		cancel()
		_ = server.Close()
		<-done
	})
}

func (p *platform) kill() {
	p.network.Reset("platform:80")
	p.mu.Lock()
	stop := p.stop
	p.mu.Unlock()
	stop()
}

func (p *platform) setFault(f func(call string, done bool) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

func (p *platform) failing(call string, done bool) error {
	p.mu.Lock()
	f := p.fault
	p.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(call, done)
}

func (p *platform) add(works ...*quoratev1.Work) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.due = append(p.due, works...)
	close(p.added)
	p.added = make(chan struct{})
}

func authorized(h http.Header) error {
	if h.Get("Authorization") != "Bearer "+token {
		return license.Errorf(license.CodeUnauthenticated, "x", "who are you")
	}
	return nil
}

func (p *platform) Pull(ctx context.Context, req *connect.Request[quoratev1.PullRequest]) (*connect.Response[quoratev1.PullResponse], error) {
	if err := authorized(req.Header()); err != nil {
		return nil, err
	}
	if err := p.failing("Pull", false); err != nil {
		return nil, err
	}
	wait := time.After(time.Duration(req.Msg.GetWaitMs()) * time.Millisecond)
	for {
		p.mu.Lock()
		p.pulls++
		due, added := slices.Clone(p.due), p.added
		p.mu.Unlock()
		if req.Msg.GetLeading() && len(due) > 0 {
			return connect.NewResponse(&quoratev1.PullResponse{Work: due}), nil
		}
		select {
		case <-added:
		case <-wait:
			return connect.NewResponse(&quoratev1.PullResponse{}), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (p *platform) Report(_ context.Context, req *connect.Request[quoratev1.ReportRequest]) (*connect.Response[quoratev1.ReportResponse], error) {
	if err := authorized(req.Header()); err != nil {
		return nil, err
	}
	if err := p.failing("Report", false); err != nil {
		return nil, err
	}
	p.mu.Lock()
	id := req.Msg.GetWorkId()
	if _, known := p.reports[id]; !known { // repeating it is no error
		p.reports[id] = req.Msg
		p.order = append(p.order, id)
	}
	p.due = slices.DeleteFunc(p.due, func(w *quoratev1.Work) bool { return w.GetId() == id })
	p.mu.Unlock()
	if err := p.failing("Report", true); err != nil {
		return nil, err
	}
	return connect.NewResponse(&quoratev1.ReportResponse{}), nil
}

func (p *platform) Push(_ context.Context, req *connect.Request[quoratev1.PushRequest]) (*connect.Response[quoratev1.PushResponse], error) {
	if err := authorized(req.Header()); err != nil {
		return nil, err
	}
	if err := p.failing("Push", false); err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.pushes = append(p.pushes, req.Msg)
	epoch := req.Msg.GetEpoch()
	for _, v := range req.Msg.GetViews() {
		if have := p.views[epoch]; len(have) > 0 {
			if last := have[len(have)-1]; v.GetVersion() <= last {
				continue // has it
			} else if v.GetVersion() != last+1 {
				break // a gap is not taken
			}
		}
		p.views[epoch] = append(p.views[epoch], v.GetVersion())
		p.newest = v.GetLicenses()[0].GetName()
	}
	for _, e := range req.Msg.GetEvents() {
		last := uint64(0)
		if n := len(p.events); n > 0 {
			last = p.events[n-1]
		}
		if e.GetPosition() <= last || req.Msg.GetEventsAfter() > last {
			continue // has it, or is not there yet
		}
		p.events = append(p.events, e.GetPosition())
	}
	answer := &quoratev1.PushResponse{RulesDigest: p.rulesDigest()}
	if have := p.views[epoch]; len(have) > 0 {
		answer.ViewVersion = have[len(have)-1]
	}
	if n := len(p.events); n > 0 {
		answer.EventPosition = p.events[n-1]
	}
	p.mu.Unlock()
	if err := p.failing("Push", true); err != nil {
		return nil, err
	}
	return connect.NewResponse(answer), nil
}

func (p *platform) report(id string) *quoratev1.ReportRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reports[id]
}

// eventually waits, in the bubble's time.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// consecutive says whether all of a…b came, once each and in order.
func consecutive(got []uint64, a, b uint64) error {
	for i, v := range got {
		if v != a+uint64(i) {
			return fmt.Errorf("%d came at place %d", v, i)
		}
	}
	if uint64(len(got)) != b-a+1 {
		return fmt.Errorf("%d came instead of %d", len(got), b-a+1)
	}
	return nil
}

func (p *platform) viewsOf(epoch uint64) []uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.views[epoch])
}

func (p *platform) newestView() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.newest
}

func (p *platform) allEvents() []uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.events)
}

func (p *platform) lastPush() *quoratev1.PushRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.pushes) == 0 {
		return &quoratev1.PushRequest{}
	}
	return p.pushes[len(p.pushes)-1]
}

// history is a source of views and events.
type history struct {
	mu      sync.Mutex
	version uint64
	oldest  uint64 // kept
	events  []lease.Event
	changed chan struct{}
	large   int    // further licenses in each view
	text    string // of each
}

func newHistory() *history {
	return &history{version: 5, oldest: 1, changed: make(chan struct{})}
}

func (h *history) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *history) view() { h.change(func() { h.version++ }) }
func (h *history) event() {
	h.change(func() {
		h.events = append(h.events, lease.Event{Position: uint64(len(h.events) + 1), Kind: lease.Granted, At: time.Now()})
	})
}

func (h *history) View() license.View {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.viewOf(h.version)
}

// viewOf makes a view that carries its version in a name, too.
func (h *history) viewOf(version uint64) license.View {
	v := license.View{Version: version}
	for range 1 + h.large {
		v.Licenses = append(v.Licenses, license.Viewed{InForce: h.large > 0, License: license.License{
			Product: product, Name: fmt.Sprint("view ", version), Options: license.Options{Text: h.text},
		}})
	}
	return v
}

func (h *history) Views(ctx context.Context, after uint64, most int) ([]license.View, error) {
	for {
		h.mu.Lock()
		version, oldest, changed := h.version, h.oldest, h.changed
		h.mu.Unlock()
		if after+1 < oldest {
			return nil, license.Errorf(license.CodeConflict, "x", "gone")
		}
		var views []license.View
		for v := after + 1; v <= version && len(views) < most; v++ {
			views = append(views, h.viewOf(v))
		}
		if len(views) > 0 {
			return views, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, nil
		}
	}
}

func (h *history) Health() (all [3]rpc.BackendHealth) {
	for i := range all {
		all[i] = rpc.BackendHealth{Position: i + 1, Serial: license.Serial{Mask: 130, Number: uint64(i + 1)}, Presence: license.Present, Seen: time.Now()}
	}
	return all
}

func (h *history) Events(ctx context.Context, after uint64, most int) ([]lease.Event, error) {
	for {
		h.mu.Lock()
		events, changed := h.events, h.changed
		h.mu.Unlock()
		if after < uint64(len(events)) {
			events = events[after:]
			return slices.Clone(events[:min(most, len(events))]), nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, nil
		}
	}
}
