package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
)

const (
	firstBackoff = 50 * time.Millisecond
	mostBackoff  = time.Second
	// settling is how long Access waits for a TMR server that has just taken
	// over and doesn't see its backends yet.
	settling = 2 * time.Second
	// farewell bounds a release whose context has no deadline.
	farewell = 5 * time.Second
	// parting is how long Close waits for what failed accesses may have left.
	parting = time.Second
)

// Client takes handles from a list of license servers. Close it in the end.
type Client struct {
	cfg     Config
	log     *slog.Logger
	now     clock
	servers *servers

	mu      sync.Mutex
	closed  bool
	handles map[*Handle]struct{}

	leaving sync.WaitGroup  // of giveBack
	leave   context.Context // ended by Close, after parting
	left    context.CancelFunc
}

// Open makes a client. It reaches no server yet, so that a program may start
// before them. ctx bounds nothing but Open itself.
func Open(ctx context.Context, cfg Config) (*Client, error) {
	if err := ctx.Err(); err != nil {
		return nil, failure(err)
	}
	c := &Client{cfg: cfg.withDefaults(), now: systemClock(), handles: make(map[*Handle]struct{})}
	c.log = c.cfg.Logger
	var err error
	// A test may change the clock.
	if c.servers, err = newServers(c.cfg, func() instant { return c.now() }); err != nil {
		return nil, err
	}
	c.leave, c.left = context.WithCancel(context.Background())
	return c, nil
}

// Mode says what a handle costs.
type Mode string

// The access modes; a server may offer some only.
const (
	UserLimit    Mode = "USER_LIMIT"    // each access takes a license
	StationShare Mode = "STATION_SHARE" // all accesses of one station share one
	Exclusive    Mode = "EXCLUSIVE"     // one access per station, which takes one
	NoUserLimit  Mode = "NO_USER_LIMIT" // none is taken; a valid one must be there
)

// Option refines an access, or a question about one.
type Option struct {
	apply func(*quoratev1.AccessRequest)
}

// WithMode asks for an access mode; without it the user limit holds.
func WithMode(m Mode) Option {
	mode := rpc.ModeProto(license.AccessMode(m))
	if mode == quoratev1.AccessMode_ACCESS_MODE_UNSPECIFIED {
		mode = -1 // refused by the server, never taken for the user limit
	}
	return Option{func(r *quoratev1.AccessRequest) { r.Mode = mode }}
}

// WithFeatures asks for a license whose feature map has all these bits.
func WithFeatures(bits uint32) Option {
	return Option{func(r *quoratev1.AccessRequest) { r.Features = bits }}
}

// WithVersion states the program's version, for example "10.4": a license may
// have a lowest one. It goes before Config.Version.
func WithVersion(v string) Option {
	return Option{func(r *quoratev1.AccessRequest) { r.Version = v }}
}

// WithReleaseDate states when the program was released: a license may have a
// maintenance period. It goes before Config.ReleaseDate.
func WithReleaseDate(at time.Time) Option {
	return Option{func(r *quoratev1.AccessRequest) { r.ReleaseDateUnix = rpc.UnixSeconds(at) }}
}

// request asks for a product as Config and options say.
func (c *Client) request(p license.Product, opts []Option) *quoratev1.AccessRequest {
	r := &quoratev1.AccessRequest{
		RequestId: uuid.NewString(),
		Product:   rpc.ProductProto(p),
		Client: &quoratev1.Client{
			Address: c.cfg.Address, User: c.cfg.User, Station: c.cfg.Station,
			Process: uint32(os.Getpid()), Application: c.cfg.Application, //nolint:gosec // a process id
		},
		Version: c.cfg.Version, ReleaseDateUnix: rpc.UnixSeconds(c.cfg.ReleaseDate),
	}
	for _, o := range opts {
		if o.apply != nil {
			o.apply(r)
		}
	}
	return r
}

// Access takes a handle on a product, written "FIRM:PRODUCT". It keeps trying
// until a server decides or ctx (or else Config.Wait) ends; over all tries it is
// one request, so a lost answer costs no second license. When it ends without an
// answer, it is asked for and given back in the background, in case it was given.
func (c *Client) Access(ctx context.Context, product string, opts ...Option) (*Handle, error) {
	p, err := license.ParseProduct(product)
	if err != nil {
		return nil, failure(err)
	}
	request := c.request(p, opts)
	ctx, cancel := c.bounded(ctx, c.cfg.Wait)
	defer cancel()
	began := c.now()
	var h *Handle
	var open bool // a server may have given what nobody has heard of
	err = c.call(ctx, func(code Code) bool {
		return passing(code) && (code != CodeNoMajority || c.now().since(began) < settling)
	}, func(ctx context.Context, api quoratev1connect.LicenseServiceClient) error {
		asked := c.now()
		answer, err := api.Access(ctx, connect.NewRequest(request))
		if err != nil {
			open = open || unheard(err)
			return err
		}
		h = newHandle(c, product)
		if !h.adopt(answer.Msg.GetHandle(), asked) {
			open = true
			// Repeating it renews the handle.
			return &Error{Code: CodeUnavailable, Message: "the license server answered too late", Fix: "try again"}
		}
		return nil
	})
	if err != nil {
		if open && passing(CodeOf(err)) {
			c.giveBack(request)
		}
		return nil, err
	}
	c.mu.Lock()
	closed := c.closed
	if !closed {
		c.handles[h] = struct{}{}
	}
	c.mu.Unlock()
	go h.keep()
	if closed {
		_ = h.Release(ctx)
		return nil, errClosed()
	}
	return h, nil
}

// unheard says whether a call may have reached a server that did it.
func unheard(err error) bool {
	var op *net.OpError
	return failure(err).Code == CodeUnavailable && (!errors.As(err, &op) || op.Op != "dial")
}

// giveBack releases what an access without an answer may have got. Only a
// handle's token releases it, and only a repeat of the request gives the token.
func (c *Client) giveBack(request *quoratev1.AccessRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.leaving.Go(func() {
		ctx, cancel := context.WithTimeout(c.leave, farewell)
		defer cancel()
		var token []byte
		err := c.try(ctx, passing, func(ctx context.Context, api quoratev1connect.LicenseServiceClient) error {
			answer, err := api.Access(ctx, connect.NewRequest(request))
			if err == nil {
				token = answer.Msg.GetHandle().GetToken()
			}
			return err
		})
		if err == nil {
			_ = c.releaseToken(ctx, token)
		}
	})
}

// Close releases all handles and ends the client. Closing twice is safe.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	handles := c.handles
	c.handles = make(map[*Handle]struct{})
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	errs := make(chan error, len(handles))
	for h := range handles {
		go func() { errs <- h.Release(ctx) }()
	}
	var first error
	for range handles {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	late := time.AfterFunc(parting, c.left)
	c.leaving.Wait()
	late.Stop()
	c.left()
	c.servers.close()
	return first
}

func (c *Client) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

func errClosed() error {
	return &Error{Code: CodeUnavailable, Message: "the client is closed", Fix: "open a new one"}
}

func (c *Client) forget(h *Handle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.handles, h)
}

// bounded gives a context without a deadline one.
func (c *Client) bounded(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}

// passing says whether a refusal may be over soon, or not hold at another
// server.
func passing(code Code) bool {
	switch code {
	case CodeUnavailable, CodeNotLeader, CodeNoMajority:
		return true
	}
	return false
}

// attempt is one try at one server.
type attempt func(context.Context, quoratev1connect.LicenseServiceClient) error

// call tries until the client is closed.
func (c *Client) call(ctx context.Context, again func(Code) bool, f attempt) error {
	if c.isClosed() {
		return errClosed()
	}
	err := c.try(ctx, func(code Code) bool { return !c.isClosed() && again(code) }, f)
	if err != nil && c.isClosed() && passing(CodeOf(err)) {
		return errClosed()
	}
	return err
}

// try makes rounds over the servers until one gives an answer that is not to be
// tried again, or ctx ends.
func (c *Client) try(ctx context.Context, again func(Code) bool, f attempt) error {
	began := c.now()
	backoff := firstBackoff
	var last *Error
	for {
		err := c.round(ctx, c.cfg.Attempt, again, f)
		switch {
		case err == nil:
			return nil
		case !passing(err.Code), ctx.Err() == nil && !again(err.Code):
			return err
		}
		if ctx.Err() == nil {
			last = err
			_ = wait(ctx, jitter(backoff))
			backoff = min(2*backoff, mostBackoff)
		}
		if ctx.Err() != nil {
			if last == nil {
				last = err
			}
			return c.outOfTime(ctx, last, c.now().since(began))
		}
	}
}

// outOfTime keeps the code of the last answer and tells how much was tried.
func (c *Client) outOfTime(ctx context.Context, last *Error, spent time.Duration) *Error {
	return &Error{
		Code: last.Code,
		Message: fmt.Sprintf("%s (%s tried for %s)",
			last.Message, count(c.servers.count(), "license server"), spent.Round(time.Millisecond)),
		Fix: last.Fix, Details: last.Details, cause: ctx.Err(),
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// round asks each server once, beginning with the one that answered last, until
// one gives an answer that is not to be tried again. Otherwise it gives the most
// telling refusal.
func (c *Client) round(ctx context.Context, most time.Duration, again func(Code) bool, f attempt) *Error {
	list, worst := c.servers.order(ctx)
	for _, s := range list {
		try, cancel := context.WithTimeout(ctx, most)
		err := f(try, s.api)
		late := try.Err() != nil && ctx.Err() == nil
		cancel()
		if err == nil {
			c.servers.answered(s)
			return nil
		}
		e := failure(err)
		if late {
			// The connection may lead to a machine that is gone; what else is
			// under way on it is tried again as well.
			s.http.Reset()
		}
		if ctx.Err() != nil || !again(e.Code) {
			return e
		}
		c.log.Debug("license server refused", "address", s.name, "code", string(e.Code), "error", e.Message)
		if worst == nil || telling(e.Code) > telling(worst.Code) {
			worst = e
		}
	}
	if worst.Code == CodeUnavailable || worst.Code == CodeNotLeader {
		c.servers.failed()
	}
	return worst
}

// telling ranks refusals: an answer of the active server says more than one of
// the standby, and that more than none.
func telling(code Code) int {
	switch code {
	case CodeUnavailable:
		return 0
	case CodeNotLeader:
		return 1
	}
	return 2
}

// jitter gives d up to a quarter more or less, so that programs that lost a
// server together don't come back together.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2+1)
}
