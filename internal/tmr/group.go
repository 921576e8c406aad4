package tmr

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
	"github.com/quorate/quorate/internal/tmr/meters"
)

// Defaults of Config.
const (
	DefaultBeat     = 100 * time.Millisecond
	DefaultPatience = 400 * time.Millisecond
)

// BackendConfig names one backend of the group.
type BackendConfig struct {
	Position int // 1, 2, 3
	Serial   license.Serial
	URL      string // https
	Pin      string // of the backend's TLS key
}

// Config is what a TMR server knows of its group.
type Config struct {
	Name    string // of this TMR server, for the backends' logs
	Virtual license.Serial
	// ActivationID is what the three containers have in common; a backend that
	// reports another one is absent. All zero: not checked.
	ActivationID [16]byte
	Backends     [license.Backends]BackendConfig
	Key          *rpc.Key
	// Beat is how often an idle backend shows that it lives, Patience how long
	// it may be silent. Zero: the defaults.
	Beat, Patience time.Duration
	Logger         *slog.Logger // nil: none
	// Dial makes connections; nil dials TCP.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Calls are further options of all calls to backends.
	Calls []connect.ClientOption
}

func (c *Config) check() error {
	bad := func(fix, format string, args ...any) error {
		return license.Errorf(license.CodeInvalidInput, fix, format, args...)
	}
	if c.Name == "" || c.Key == nil {
		return bad("give the TMR server a name and a TLS key", "the TMR server has no name or no TLS key")
	}
	if c.Virtual.Kind() != license.KindVirtual {
		return bad("use a serial of the form 131-NUMBER", "%s is not the serial of a virtual container", c.Virtual)
	}
	for i, b := range c.Backends {
		if b.Position != i+1 {
			return bad("list the backends in the order 1, 2, 3", "backend %d is listed at place %d", b.Position, i+1)
		}
		if kind := b.Serial.Kind(); kind == "" || kind == license.KindVirtual {
			return bad("give the serial of the backend's container", "backend %d has no container serial", b.Position)
		}
		if err := rpc.CheckPin(b.Pin); err != nil {
			return fmt.Errorf("backend %d: %w", b.Position, err)
		}
		if u, err := url.Parse(b.URL); err != nil || u.Scheme != "https" || u.Host == "" {
			return bad("write it as https://HOST:PORT", "the address of backend %d is not an https address", b.Position)
		}
		for _, other := range c.Backends[:i] {
			if other.Serial == b.Serial || other.Pin == b.Pin || other.URL == b.URL {
				return bad("use three different backends",
					"backends %d and %d have the same serial, address or key", other.Position, b.Position)
			}
		}
	}
	if c.Beat == 0 {
		c.Beat = DefaultBeat
	}
	if c.Patience == 0 {
		c.Patience = DefaultPatience
	}
	if c.Beat < 20*time.Millisecond || c.Beat > 10*time.Second || c.Patience < 2*c.Beat {
		return bad("use a beat of 20 ms to 10 s and a patience of at least two beats",
			"a beat of %v with a patience of %v does not work", c.Beat, c.Patience)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Group is a live TMR group. Safe for concurrent use.
type Group struct {
	conf    Config
	members [license.Backends]*member
	turn    atomic.Uint32 // of the backend that opens the next key
	meters  *meters.Meters

	mu      sync.Mutex
	floor   time.Time // the last Moment
	history history
	changed chan struct{} // closed and replaced at each observation that differs
	started bool
	stopped bool
	cancel  context.CancelFunc
	running sync.WaitGroup
	done    chan struct{} // closed by Stop
}

// member is one backend. What isn't fixed is guarded by Group.mu.
type member struct {
	conf   BackendConfig
	client *rpc.Client
	api    quoratev1connect.BackendServiceClient

	present bool
	held    []license.Held
	last    []license.Held // what it held when it was present last
	seen    time.Time
	clock   clock
	reason  string // why absent
	mark    *time.Timer
	markN   uint64 // tells a mark from its successor
	busy    bool   // an activation runs
}

// NewGroup makes a group that does nothing until Start: until then, all three
// backends are absent.
func NewGroup(c Config) (*Group, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	g := &Group{conf: c, changed: make(chan struct{}), done: make(chan struct{})}
	for i, b := range c.Backends {
		client := rpc.NewClient(rpc.ClientConfig{TLS: rpc.ClientTLS(c.Key, []string{b.Pin}), Dial: c.Dial})
		g.members[i] = &member{
			conf: b, client: client, reason: "not connected yet",
			api: quoratev1connect.NewBackendServiceClient(client, b.URL, append([]connect.ClientOption{rpc.ClientOptions()}, c.Calls...)...),
		}
	}
	g.meters = meters.New([license.Backends]meters.Backend{meterOf{g, 1}, meterOf{g, 2}, meterOf{g, 3}})
	first := license.Merge(license.View{}, [license.Backends]license.Observation{})
	first.At = time.Now()
	g.history.add(first)
	return g, nil
}

// Start begins to watch the backends, until ctx ends or Stop is called. A
// group starts once.
func (g *Group) Start(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.started || g.stopped {
		return errors.New("a TMR group starts once")
	}
	g.started = true
	ctx, g.cancel = context.WithCancel(ctx)
	for _, m := range g.members {
		g.running.Go(func() { g.follow(ctx, m) })
	}
	return nil
}

// Stop ends the watching and every reader of views, closes the connections and
// returns when nothing runs any more. Stopping twice is safe, and so is
// stopping what never started. The last view stays readable.
func (g *Group) Stop() {
	g.mu.Lock()
	if !g.stopped {
		g.stopped = true
		close(g.done)
		for _, m := range g.members {
			m.unmark()
		}
	}
	cancel := g.cancel
	g.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	for _, m := range g.members {
		m.client.Close()
	}
	g.meters.Close()
	g.running.Wait()
}

// View is the virtual container as it is now. It is read-only.
func (g *Group) View() license.View {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.history.last()
}

// Health tells of each backend whether it is there and when it last showed it.
func (g *Group) Health() [license.Backends]rpc.BackendHealth {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all [license.Backends]rpc.BackendHealth
	for i, m := range g.members {
		all[i] = rpc.BackendHealth{
			Position: m.conf.Position, Serial: m.conf.Serial, Address: m.conf.URL,
			Presence: m.presence(), Seen: m.seen, Reason: m.reason,
		}
	}
	return all
}

func (m *member) presence() license.Presence {
	switch {
	case !m.present:
		return license.Absent
	case m.mark != nil:
		return license.Activating
	}
	return license.Present
}

// refresh makes the view anew after a change of an observation. The caller
// holds the lock.
func (g *Group) refresh() {
	var obs [license.Backends]license.Observation
	for i, m := range g.members {
		obs[i] = license.Observation{Presence: m.presence(), Licenses: m.held}
	}
	last := g.history.last()
	view := license.Merge(last, obs)
	if view.Version != last.Version {
		view.At = time.Now()
		g.history.add(view)
		g.conf.Logger.Info("view changed", "version", view.Version, "status", view.Status())
	}
	close(g.changed)
	g.changed = make(chan struct{})
}
