package client

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	"github.com/quorate/quorate/client/internal/borrowed"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
)

const (
	// settling is how long Access waits for a TMR server that has just taken
	// over and doesn't see its backends yet.
	settling = 2 * time.Second
	// farewell bounds a release whose context has no deadline.
	farewell = 5 * time.Second
	// parting is how long Close waits for accesses under way, and for what failed
	// ones may have left.
	parting = time.Second
	// held is how long a server may take longer to answer an access that waits.
	held = 5 * time.Second
	// mostWait is the longest that servers let wait.
	mostWait = 30 * 24 * time.Hour
	// askPlace is how often the place in a queue is asked for at most, where a
	// server doesn't hold the question.
	askPlace = time.Second
)

// Mode says what a handle costs.
type Mode string

// The access modes; a server may offer some only.
const (
	UserLimit    Mode = "USER_LIMIT"    // each access takes a license
	StationShare Mode = "STATION_SHARE" // all accesses of one station share one
	Exclusive    Mode = "EXCLUSIVE"     // one access per station, which takes one
	NoUserLimit  Mode = "NO_USER_LIMIT" // none is taken; a valid one must be there
)

// asking is a request for an access, or a question about one.
type asking struct {
	*quoratev1.AccessRequest

	waits  bool
	most   time.Duration // how long it waits; 0: until the context's deadline
	report func(Place)
}

// Option refines an access, or a question about one.
type Option struct {
	apply func(*asking)
}

// WithMode asks for an access mode; without it the user limit holds.
func WithMode(m Mode) Option {
	mode := rpc.ModeProto(license.AccessMode(m))
	if mode == quoratev1.AccessMode_ACCESS_MODE_UNSPECIFIED {
		mode = -1 // refused by the server, never taken for the user limit
	}
	return Option{func(a *asking) { a.Mode = mode }}
}

// WithLicenses takes n licenses at once, for example one for each core, all or
// none. On a station that shares, the access with the most counts.
func WithLicenses(n uint32) Option {
	return Option{func(a *asking) { a.Licenses = n }}
}

// Place is a place in the queue for licenses.
type Place struct {
	Position uint32        // from 1
	Waiting  uint32        // in all
	NextFree time.Duration // when the next license is free unless it is renewed; 0: not known
}

// WithWait has Access queue when no license is free: for most, counted by the
// server, or when that is 0 for as long as the context lets. report, which may be
// nil, is called with the place in the queue, again at least every few seconds,
// and must return soon. When the time is over Access fails with CodeNoFreeSeat,
// and when its context ends before with CodeQueued; either is a *Shortage.
func WithWait(most time.Duration, report func(Place)) Option {
	return Option{func(a *asking) { a.waits, a.most, a.report = true, most, report }}
}

// WithBorrow takes the license for d without the need of a license server in the
// meantime: the handle is not renewed, and nobody can remove it. It outlives the
// program: it is kept in Config.BorrowDir, and who asks for the same within its
// time gets it without a server, also in another program of this user, one at a
// time (with StationShare and NoUserLimit any number). What a killed program was
// granted without knowing it is taken up or given back, too. Release, or Client.Return,
// gives it back early. Not every server lends.
func WithBorrow(d time.Duration) Option {
	return Option{func(a *asking) { a.BorrowMs = d.Milliseconds() }}
}

// WithFeatures asks for a license whose feature map has all these bits.
func WithFeatures(bits uint32) Option {
	return Option{func(a *asking) { a.Features = bits }}
}

// WithVersion states the program's version, for example "10.4": a license may
// have a lowest one. It goes before Config.Version.
func WithVersion(v string) Option {
	return Option{func(a *asking) { a.Version = v }}
}

// WithReleaseDate states when the program was released: a license may have a
// maintenance period. It goes before Config.ReleaseDate.
func WithReleaseDate(at time.Time) Option {
	return Option{func(a *asking) { a.ReleaseDateUnix = rpc.UnixSeconds(at) }}
}

// request asks for a product as Config and options say.
func (c *Client) request(p license.Product, opts []Option) *asking {
	a := &asking{AccessRequest: &quoratev1.AccessRequest{
		RequestId: uuid.NewString(),
		Product:   rpc.ProductProto(p),
		Client: &quoratev1.Client{
			Address: c.cfg.Address, User: c.cfg.User, Station: c.cfg.Station,
			Process: uint32(os.Getpid()), Application: c.cfg.Application, //nolint:gosec // a process id
		},
		Version: c.cfg.Version, ReleaseDateUnix: rpc.UnixSeconds(c.cfg.ReleaseDate),
	}}
	for _, o := range opts {
		if o.apply != nil {
			o.apply(a)
		}
	}
	return a
}

// bounds says how long an access may take in all, and a waiting one in the
// queue.
func (c *Client) bounds(ctx context.Context, a *asking) (all, most time.Duration) {
	most = mostWait
	if deadline, ok := ctx.Deadline(); ok {
		// The server's last answer shall be here in time.
		left := time.Until(deadline)
		most = min(most, left-min(left/4, askPlace/2))
	}
	if a.most > 0 {
		most = min(most, a.most)
	}
	return most + c.cfg.Wait, most
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
	if !c.begin() {
		return nil, errClosed()
	}
	defer c.taking.Done()
	a := c.request(p, opts)
	if a.BorrowMs != 0 {
		return c.borrow(ctx, a, product)
	}
	return c.take(ctx, a, product, nil)
}

// take has a server decide. It leaves the request of a loan settled, or to
// who starts next.
func (c *Client) take(ctx context.Context, a *asking, product string, b *loan) (*Handle, error) {
	t := &taking{client: c, request: a, began: c.now(), handle: newHandle(c, product, b != nil)}
	if b != nil {
		t.written, t.open = b.request, b.repeats
	}
	t.heard = t.began
	limit, attempt := c.cfg.Wait, c.cfg.Attempt
	if a.waits {
		var most time.Duration
		limit, most = c.bounds(ctx, a)
		a.WaitMs = max(1, most.Milliseconds())
		attempt += held
		_, t.patient = ctx.Deadline()
	}
	ctx, cancel := c.bounded(ctx, limit)
	defer cancel()
	defer context.AfterFunc(c.closing, cancel)()
	var err error
	for {
		asked := c.now()
		err = c.callFor(ctx, attempt, t.again, t.attempt)
		if CodeOf(err) != CodeQueued || !a.waits {
			break
		}
		t.heard, t.queued = c.now(), failure(err)
		if a.report != nil {
			a.report(t.queued.place())
		}
		if t.heard.since(asked) < askPlace {
			_ = wait(ctx, jitter(askPlace))
		}
		if ctx.Err() != nil || c.isClosed() {
			break
		}
	}
	if err != nil {
		return nil, t.given(ctx, failure(err))
	}
	h := t.handle
	if b != nil {
		if err := c.keep(ctx, b, a, h, t.lent); err != nil {
			return nil, err
		}
	}
	return c.begun(ctx, h)
}

// begun has a handle kept alive.
func (c *Client) begun(ctx context.Context, h *Handle) (*Handle, error) {
	c.mu.Lock()
	closed := c.closed
	if !closed {
		c.handles[h] = struct{}{}
	}
	c.mu.Unlock()
	go h.keep()
	if closed {
		if h.lent != nil {
			h.park()
		} else {
			_ = h.Release(ctx)
		}
		return nil, errClosed()
	}
	return h, nil
}

// taking is an access under way.
type taking struct {
	client       *Client
	request      *asking
	handle       *Handle
	began, heard instant // of the last answer
	patient      bool    // a waiting one that tries on until its context ends
	open         bool    // a server may have given what nobody has heard of
	queued       *Error  // the last answer, when it was a place in the queue
	lent         *quoratev1.Handle
	written      *borrowed.Request // of one that borrows; nil: it isn't
}

// again says whether to try on after a refusal. Who waits for long does so for a
// license, not for servers.
func (t *taking) again(code Code) bool {
	now := t.client.now()
	switch {
	case !passing(code):
		return false
	case code == CodeNoMajority && now.since(t.began) >= settling:
		return t.queued != nil && now.since(t.heard) < settling
	}
	return !t.request.waits || t.patient || now.since(t.heard) < t.client.cfg.Wait
}

func (t *taking) attempt(ctx context.Context, api quoratev1connect.LicenseServiceClient) error {
	asked := t.client.now()
	answer, err := api.Access(ctx, connect.NewRequest(t.request.AccessRequest))
	if err != nil {
		t.open = t.open || unheard(err)
		return err
	}
	if !t.handle.adopt(answer.Msg.GetHandle(), asked) {
		t.open = true
		// Repeating it renews the handle.
		return &Error{Code: CodeUnavailable, Message: "the license server answered too late", Fix: "try again"}
	}
	t.lent = answer.Msg.GetHandle()
	return nil
}

// given makes the error of an access that failed, and gives up what it may have
// got.
func (t *taking) given(ctx context.Context, err *Error) *Error {
	open := t.open && passing(err.Code)
	waiting := t.request.waits && (open || err.Code == CodeQueued || t.queued != nil && passing(err.Code))
	if open || waiting {
		t.client.giveBack(t.request.AccessRequest, waiting, open, t.written)
	} else {
		t.written.Settle()
	}
	switch {
	case t.client.isClosed() && (passing(err.Code) || err.Code == CodeQueued):
		return failure(errClosed())
	case !waiting || t.queued == nil || ctx.Err() == nil:
		return err
	}
	// Its own time was over: the place that it had is worth more than that.
	q := *t.queued
	q.Fix, q.cause = "wait for longer, or ask one of those who have a license to release it", ctx.Err()
	return &q
}

// unheard says whether a call may have reached a server that did it.
func unheard(err error) bool {
	var op *net.OpError
	return failure(err).Code == CodeUnavailable && (!errors.As(err, &op) || op.Op != "dial")
}

// giveBack leaves the queue, and releases what an access without an answer may
// have got. Only a handle's token releases it, and only a repeat of the request
// gives the token. What was written down is left to the next program where that
// fails. The channel is closed when it is over.
func (c *Client) giveBack(request *quoratev1.AccessRequest, waiting, open bool, written *borrowed.Request) <-chan struct{} {
	over := make(chan struct{})
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.parted {
		written.Leave()
		close(over)
		return over
	}
	c.leaving.Go(func() {
		defer close(over)
		defer written.Leave()
		ctx, cancel := context.WithTimeout(c.leave, farewell)
		defer cancel()
		if waiting {
			err := c.try(ctx, passing, func(ctx context.Context, api quoratev1connect.LicenseServiceClient) error {
				_, err := api.LeaveQueue(ctx, connect.NewRequest(&quoratev1.LeaveQueueRequest{
					Product: request.GetProduct(), RequestId: request.GetRequestId(),
				}))
				return err
			})
			if err == nil && !open {
				written.Settle()
			}
			if err != nil || !open {
				return
			}
			request.WaitMs = 0 // it shall not queue anew
		}
		var token []byte
		err := c.try(ctx, passing, func(ctx context.Context, api quoratev1connect.LicenseServiceClient) error {
			answer, err := api.Access(ctx, connect.NewRequest(request))
			if err == nil {
				token = answer.Msg.GetHandle().GetToken()
			}
			return err
		})
		if err == nil {
			err = c.releaseToken(ctx, token)
		}
		if !passing(CodeOf(err)) {
			written.Settle()
		}
	})
	return over
}
