package client

import (
	"context"
	"fmt"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/client/internal/borrowed"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
)

// lookout is how often a handle looks at the clocks at least, to notice that
// the machine has slept.
const lookout = time.Second

// Info describes a handle.
type Info struct {
	ID         string
	Container  string // serial
	Product    string
	Mode       Mode
	Seat       uint32
	Licenses   uint32 // that were asked for; what they cost depends on the mode
	Borrowed   bool
	FeatureMap uint32
	// Remaining is how long the handle lives on if no renewal succeeds.
	Remaining time.Duration
}

// Handle is one access to a license, kept alive in the background.
type Handle struct {
	client   *Client
	product  string
	borrowed bool           // never renewed
	lent     *borrowed.File // where it is kept for other programs; nil: it isn't
	notices  chan Notice    // closed when it is dead; written under mu
	done     chan struct{}  // closed when it is dead
	kept     chan struct{}  // closed when keep has returned
	ctx      context.Context
	cancel   context.CancelFunc

	mu    sync.Mutex
	info  Info
	terms Licensed
	token []byte
	asked instant       // before the request was sent that the lease counts from
	life  time.Duration // the lease less the margin
	renew time.Duration // after asked: when to renew
	err   error         // why it is dead
	shown string        // id of the last notice
	used  instant       // when the program last used it
	told  bool          // the program tells when it does
}

func newHandle(c *Client, product string, borrowed bool) *Handle {
	h := &Handle{
		client: c, product: product, borrowed: borrowed,
		notices: make(chan Notice, 1), done: make(chan struct{}), kept: make(chan struct{}),
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h
}

// adopt takes in what a server gave. It refuses, and says false, when the
// handle is dead or the time it had, or now gets, is over.
func (h *Handle) adopt(m *quoratev1.Handle, asked instant) bool {
	lease := time.Duration(m.GetLeaseMs()) * time.Millisecond
	margin := h.client.cfg.Margin
	if margin <= 0 {
		margin = min(lease/20, 2*time.Second)
	}
	life := lease - min(margin, lease/2)
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.client.now()
	over := h.token != nil && now.since(h.asked) >= h.life
	if h.err != nil || over || now.since(asked) >= life {
		return false
	}
	mode, _ := rpc.ModeFrom(m.GetMode())
	h.info = Info{
		ID: m.GetId(), Container: m.GetContainer(), Product: h.product, Mode: Mode(mode),
		Seat: m.GetSeat(), Licenses: max(1, m.GetLicenses()), Borrowed: m.GetBorrowed(), FeatureMap: m.GetFeatureMap(),
	}
	h.terms = Licensed{
		Terms: termsFrom(m.GetOptions()), Until: rpc.FromUnixSeconds(m.GetUntilUnix()), UnitsLeft: m.UnitsLeft,
	}
	h.token, h.asked, h.life = m.GetToken(), asked, life
	h.renew = jitter(lease / 3)
	if h.borrowed {
		h.renew = life // its end, as was agreed
	}
	return true
}

// Info describes the handle as it is now.
func (h *Handle) Info() Info {
	h.mu.Lock()
	defer h.mu.Unlock()
	info := h.info
	if h.err == nil {
		info.Remaining = max(0, h.life-h.client.now().since(h.asked))
	}
	return info
}

// Done is closed when the handle is dead: released, removed, or not renewed in
// time.
func (h *Handle) Done() <-chan struct{} { return h.done }

// Err tells why the handle is dead; nil while it lives.
func (h *Handle) Err() error {
	h.remaining() // its time may have run out unnoticed
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// remaining is how long the handle lives on without a renewal. When that is
// over it ends the handle.
func (h *Handle) remaining() time.Duration {
	h.mu.Lock()
	left := h.life - h.client.now().since(h.asked)
	dead := h.err != nil
	h.mu.Unlock()
	if dead {
		return 0
	}
	if left <= 0 {
		h.expire(nil)
	}
	return left
}

func (h *Handle) expired(last *Error) *Error {
	e := &Error{
		Code:    CodeHandleExpired,
		Message: fmt.Sprintf("the license for %s could not be renewed in time", h.product),
		Fix:     "check the connection to the license servers, then take a new license",
	}
	if last != nil {
		e.Message += " (" + last.Message + ")"
		e.cause = last
		if last.Code != CodeUnavailable && last.Fix != "" { // a server has answered: it isn't the connection
			e.Fix = last.Fix
		}
	}
	return e
}

// end makes the handle dead, once; the first reason stays.
func (h *Handle) end(reason error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		return false
	}
	h.err = reason
	close(h.done)
	close(h.notices)
	h.cancel()
	h.client.forget(h)
	return true
}

// keep renews until the handle is dead.
func (h *Handle) keep() {
	defer close(h.kept)
	var (
		last    *Error
		backoff = firstBackoff
		pause   time.Duration // after a round that failed
	)
	for {
		h.mu.Lock()
		passed := h.client.now().since(h.asked)
		left, due := h.life-passed, max(h.renew-passed, pause)
		h.mu.Unlock()
		switch {
		case h.ctx.Err() != nil:
			return
		case left <= 0:
			if h.expire(last) {
				h.client.log.Warn("license lost", "product", h.product, "error", h.Err())
			}
			return
		case due > 0:
			step := min(due, left, lookout)
			if wait(h.ctx, step) != nil {
				return
			}
			pause = max(0, pause-step)
			continue
		}
		err := h.renewOnce(left)
		switch {
		case err == nil:
			if last != nil {
				h.client.log.Info("license renewed again", "product", h.product)
			}
			last, backoff, pause = nil, firstBackoff, 0
		case fatal(err.Code):
			if h.lose(err) {
				h.client.log.Warn("license lost", "product", h.product, "code", string(err.Code), "error", err)
			}
			return
		case h.ctx.Err() != nil:
			return
		default:
			if last == nil {
				h.client.log.Warn("license not renewed; trying on", "product", h.product, "code", string(err.Code), "error", err)
			}
			// The nearer the end, the shorter the pauses.
			last, pause = err, jitter(min(backoff, max(left/8, firstBackoff)))
			backoff = min(2*backoff, mostBackoff)
		}
	}
}

// renewOnce makes one round over the servers. No server gets so much of the
// time that none is left for the others.
func (h *Handle) renewOnce(left time.Duration) *Error {
	ctx, cancel := context.WithTimeout(h.ctx, left)
	defer cancel()
	most := min(h.client.cfg.Attempt, left/time.Duration(h.client.servers.count()+1))
	return h.client.round(ctx, most, func(c Code) bool { return !fatal(c) },
		func(ctx context.Context, api quoratev1connect.LicenseServiceClient) error {
			asked := h.client.now()
			answer, err := api.Renew(ctx, connect.NewRequest(&quoratev1.RenewRequest{
				Token: h.currentToken(), IdleMs: h.idle().Milliseconds(),
			}))
			if err != nil {
				return err
			}
			if !h.adopt(answer.Msg.GetHandle(), asked) {
				return &Error{Code: CodeUnavailable, Message: "the license server answered too late"}
			}
			h.noticed(answer.Msg.GetNotice())
			return nil
		})
}

func (h *Handle) currentToken() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.token
}

// fatal says whether a refusal ends the handle. Everything else may pass, and
// costs the handle only if it lasts for the rest of the lease.
func fatal(code Code) bool {
	switch code {
	case CodeHandleExpired, CodeHandleRemoved, CodeHandleUnknown:
		return true
	}
	return false
}

// OpenKey has the license server open a key that was wrapped for the product.
// While no server can do it, it tries again until ctx ends or the handle dies.
func (h *Handle) OpenKey(ctx context.Context, wrapped []byte) (key []byte, err error) {
	err = h.use(ctx, func(ctx context.Context, api quoratev1connect.LicenseServiceClient) error {
		answer, err := api.OpenKey(ctx, connect.NewRequest(&quoratev1.OpenKeyRequest{
			Token: h.currentToken(), WrappedKey: wrapped,
		}))
		if err == nil {
			key = answer.Msg.GetKey()
		}
		return err
	})
	return key, err
}

// use makes calls for a living handle, until one is answered, ctx ends or the
// handle dies.
func (h *Handle) use(ctx context.Context, f attempt) error {
	h.touch(false)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	err := h.client.call(ctx, passing, func(ctx context.Context, api quoratev1connect.LicenseServiceClient) error {
		if err := h.Err(); err != nil {
			return err
		}
		return f(ctx, api)
	})
	if err == nil {
		return nil
	}
	if fatal(CodeOf(err)) {
		h.lose(err)
	}
	if dead := h.Err(); dead != nil {
		return dead
	}
	return err
}

// Release ends the handle and frees its seat: at once, or once the license's
// linger time has passed, in which the same user gets it again. A handle that is dead
// already is left as it is, without an error. If no server can be reached the
// seat is free when the lease has run out; a borrowed license can be returned
// later then (Client.Return), and one that others still use (with StationShare and
// NoUserLimit) is given back by the last of them. Without a deadline in ctx, and where ctx is over
// already, it tries for some seconds.
func (h *Handle) Release(ctx context.Context) error {
	first := h.end(&Error{
		Code: CodeHandleUnknown, Message: "the handle was released", Fix: "take a new license",
	})
	// A renewal under way ends before the release is sent.
	<-h.kept
	if !first {
		return nil
	}
	if ctx.Err() != nil { // a deferred release, often
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := h.client.bounded(ctx, farewell)
	defer cancel()
	// Only who has the file of a borrowed handle alone gives it back.
	if h.lent != nil && (!h.lent.LockSoon(ctx, false) || !h.lent.There()) {
		h.lent.Close(h.client.now().wall)
		return nil
	}
	err := h.client.releaseToken(ctx, h.currentToken())
	if err == nil || fatal(CodeOf(err)) {
		h.lent.Remove()
	} else {
		h.lent.Close(h.client.now().wall)
	}
	return err
}

// releaseToken works on a closing client, too.
func (c *Client) releaseToken(ctx context.Context, token []byte) error {
	return c.try(ctx, passing, func(ctx context.Context, api quoratev1connect.LicenseServiceClient) error {
		_, err := api.Release(ctx, connect.NewRequest(&quoratev1.ReleaseRequest{Token: token}))
		return err
	})
}
