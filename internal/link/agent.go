package link

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
	"github.com/quorate/quorate/internal/telemetry"
	"github.com/quorate/quorate/internal/telemetry/calls"
)

// Executor does the platform's work on the backends. A *tmr.Group is one.
// Every method may be repeated with the effect of once.
type Executor interface {
	Collect(ctx context.Context, nonce []byte) ([license.Backends][]byte, error)
	Stage(ctx context.Context, updates []*quoratev1.BackendUpdate) error
	Statements(ctx context.Context, position int, nonce []byte) ([license.Backends][]byte, error)
	Activate(ctx context.Context, position int, u *quoratev1.BackendUpdate) ([]byte, error)
	Verify(ctx context.Context, position int, expect map[license.Product]uint32, settle time.Duration) error
}

// Views is where views come from. A *tmr.Group is one.
type Views interface {
	View() license.View
	// Views gives up to most views after a version, in order, and waits for
	// the first until ctx ends (then: none, no error). CodeConflict: the next
	// one is no longer kept.
	Views(ctx context.Context, after uint64, most int) ([]license.View, error)
	Health() [license.Backends]rpc.BackendHealth
}

// Events gives up to most lease events after a position, as lease.Store does
// for one group. Several agents may push the same ones: the platform takes each
// once, by its position.
type Events func(ctx context.Context, after uint64, most int) ([]lease.Event, error)

// Served is one license that a license server over one container serves.
type Served struct {
	Product  license.Product
	Name     string
	Quantity uint32
	Reason   license.Code // why nobody can have it now; empty: it is in force
	// FeatureMap is that of the license.
	FeatureMap uint32
}

// Config is what an agent needs. What is nil is not offered: work for it is
// reported as failed with CodeInvalidInput.
type Config struct {
	Server string // this server's name, as the platform knows it
	URL    string // of the platform
	Token  string // link token; goes into no log and no error
	// Version is that of this server's program.
	Version string
	TLS     *tls.Config
	// Leading says whether this server leads its group, and under which epoch.
	// It is asked often and must not block. Nil: always, under epoch 1.
	Leading  func() (leading bool, epoch uint64)
	Executor Executor
	// Remove ends somebody's handle.
	Remove func(ctx context.Context, p license.Product, handle, by string) error
	// Ask leaves a handle's program a notice. The same one again has the effect of
	// once.
	Ask    func(ctx context.Context, p license.Product, handle string, n lease.Notice) error
	Views  Views
	Events Events
	// Clients is the number of living handles.
	Clients func() uint32
	// Handles gives the living handles, or as many as may be listed without
	// holding others up; nil: how they are used isn't told.
	Handles func(ctx context.Context) ([]lease.Handle, error)
	// Activity is how often that is told; zero: every 15 seconds.
	Activity time.Duration
	// Served gives all that a server over one container serves, in a steady
	// order; it is asked at each heartbeat and must not block. Nil: not told.
	Served func() []Served
	// Rules is where the platform's rules of who may use which license go; nil:
	// nowhere.
	Rules Rules
	// Refused is told when the platform has blocked this server's container, with
	// the error that says so, and with nil when it takes the server's word again.
	// It must not block. Nil: nobody is told.
	Refused func(why error)
	// Clock is where the platform's word for what time it is goes; nil: nowhere.
	Clock  Clock
	Logger *slog.Logger
	// Heartbeat is how often an idle agent pushes; zero: once a second.
	Heartbeat time.Duration
	// Absent is how long work is tried while a backend does not answer, before
	// it is reported as failed; zero: ten seconds. Negative: once only.
	Absent time.Duration
	// Dial makes connections; nil dials TCP.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Tracing goes on with the traces of work; nil: off.
	Tracing *telemetry.Tracing
	// Did is told of each work item that was done: its kind, one of a few words, and
	// why it failed. Nil: nobody is.
	Did func(kind string, err error)
}

// Agent keeps the link. Safe for concurrent use.
type Agent struct {
	conf Config
	http *rpc.Client
	api  quoratev1connect.LinkServiceClient
	work workers
	// began is when the server's program did, as far as the agent knows.
	began time.Time
	// roundTrip is how long the last push took to and fro, in nanoseconds.
	roundTrip atomic.Int64
	// heard is when the platform last answered.
	heard atomic.Pointer[time.Time]
	// wanted is the digest of the rules that the platform has.
	wanted chan string

	mu      sync.Mutex
	started bool
	stopped bool
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// New makes an agent that does nothing until Start.
func New(c Config) (*Agent, error) {
	if err := checkURL(c.URL); err != nil {
		return nil, err
	}
	if c.Server == "" || c.Token == "" {
		return nil, license.Errorf(license.CodeInvalidInput, "take both from the platform's page of this server",
			"the link needs the server's name and its link token")
	}
	if c.Leading == nil {
		c.Leading = func() (bool, uint64) { return true, 1 }
	}
	if c.Clients == nil {
		c.Clients = func() uint32 { return 0 }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = time.Second
	}
	if c.Activity == 0 {
		c.Activity = 15 * time.Second
	}
	if c.Absent == 0 {
		c.Absent = 10 * time.Second
	}
	client := rpc.NewClient(rpc.ClientConfig{TLS: c.TLS, Dial: c.Dial})
	return &Agent{
		conf: c, http: client, began: time.Now(), work: workers{busy: make(map[string]bool), idle: make(chan struct{}, 1)}, wanted: make(chan string, 1),
		api: quoratev1connect.NewLinkServiceClient(client, c.URL, rpc.ClientOptions(), calls.ClientOption(),
			connect.WithInterceptors(bearer("Bearer "+c.Token))),
	}, nil
}

func checkURL(address string) error {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return license.Errorf(license.CodeInvalidInput, "write it as https://HOST", "the platform's address is not an http or https address")
	}
	return nil
}

// bearer sets the Authorization header of each call.
func bearer(value string) connect.UnaryInterceptorFunc {
	return func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set("Authorization", value)
			return next(ctx, req)
		}
	}
}

// Start begins to pull and push, until ctx ends or Stop is called. An agent
// starts once.
func (a *Agent) Start(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.started || a.stopped {
		return errors.New("a link starts once")
	}
	a.started = true
	ctx, a.cancel = context.WithCancel(ctx)
	a.running.Go(func() { a.pull(ctx) })
	a.running.Go(func() { a.push(ctx) })
	if a.conf.Rules != nil {
		a.running.Go(func() { a.fetchRules(ctx) })
	}
	if a.conf.Clock != nil {
		a.running.Go(func() { a.certify(ctx) })
	}
	return nil
}

// Stop ends everything and returns when nothing runs any more. Work that is
// under way is given up and stays due at the platform. Stopping twice is safe.
func (a *Agent) Stop() {
	a.mu.Lock()
	a.stopped = true
	cancel := a.cancel
	a.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	a.running.Wait()
	a.http.Close()
}

// refused says whether trying the same call again can't help for now: the
// platform was reached and doesn't want it.
func refused(err error) bool {
	switch license.CodeOf(err) {
	case license.CodeUnavailable, license.CodeInternal, license.CodeThrottled:
		return false
	}
	return true
}

// trouble logs the first failure of a row and the end of the row.
type trouble struct {
	logger *slog.Logger
	what   string
	on     bool
}

func (t *trouble) failed(err error) {
	if !t.on {
		t.on = true
		t.logger.Warn(t.what+" fails", "code", string(license.CodeOf(err)), "error", err.Error())
	}
}

func (t *trouble) fine() {
	if t.on {
		t.on = false
		t.logger.Info(t.what + " works again")
	}
}
