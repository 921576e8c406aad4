package client

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/quorate/quorate/client/internal/borrowed"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
)

const (
	firstBackoff = 50 * time.Millisecond
	mostBackoff  = time.Second
)

// Client takes handles from a list of license servers. Close it in the end.
type Client struct {
	cfg     Config
	log     *slog.Logger
	now     clock
	lock    func(f *os.File, shared bool) bool // borrowed.Lock; a test puts its own in
	servers *servers

	mu      sync.Mutex
	closed  bool
	handles map[*Handle]struct{}

	taking  sync.WaitGroup  // of Access
	closing context.Context // ended by Close at once: accesses end then
	close   context.CancelFunc

	leaving sync.WaitGroup  // of giveBack
	leave   context.Context // ended by Close, after parting
	left    context.CancelFunc
	parted  bool // nothing is given back any more
}

// Open makes a client. It reaches no server yet, so that a program may start
// before them. ctx bounds nothing but Open itself.
func Open(ctx context.Context, cfg Config) (*Client, error) {
	if err := ctx.Err(); err != nil {
		return nil, failure(err)
	}
	c := &Client{cfg: cfg.withDefaults(), now: systemClock(), lock: borrowed.Lock, handles: make(map[*Handle]struct{})}
	c.log = c.cfg.Logger
	var err error
	// A test may change the clock.
	if c.servers, err = newServers(c.cfg, func() instant { return c.now() }); err != nil {
		return nil, err
	}
	c.leave, c.left = context.WithCancel(context.Background())
	c.closing, c.close = context.WithCancel(context.Background())
	return c, nil
}

// Close releases all handles but borrowed ones that are kept for later (where the
// system has file locks), and ends the client. Accesses
// under way end, and what they get is given back. Closing twice is safe.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	handles := c.handles
	c.handles = make(map[*Handle]struct{})
	c.mu.Unlock()
	c.close()
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	errs := make(chan error, len(handles))
	for h := range handles {
		go func() {
			if h.lent != nil {
				h.park()
				errs <- nil
				return
			}
			errs <- h.Release(ctx)
		}()
	}
	var first error
	for range handles {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	late := time.AfterFunc(parting, c.left)
	taken := make(chan struct{})
	go func() {
		c.taking.Wait()
		close(taken)
	}()
	select {
	case <-taken:
	case <-c.leave.Done():
	}
	c.mu.Lock()
	c.parted = true
	c.mu.Unlock()
	c.leaving.Wait()
	late.Stop()
	c.left()
	c.servers.close()
	return first
}

// begin has Close wait for an access; false: the client is closed.
func (c *Client) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.taking.Add(1)
	}
	return !c.closed
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
	return c.callFor(ctx, c.cfg.Attempt, again, f)
}

// callFor gives each attempt so much time.
func (c *Client) callFor(ctx context.Context, most time.Duration, again func(Code) bool, f attempt) error {
	if c.isClosed() {
		return errClosed()
	}
	err := c.tryFor(ctx, most, func(code Code) bool { return !c.isClosed() && again(code) }, f)
	if err != nil && c.isClosed() && passing(CodeOf(err)) {
		return errClosed()
	}
	return err
}

// try makes rounds over the servers until one gives an answer that is not to be
// tried again, or ctx ends.
func (c *Client) try(ctx context.Context, again func(Code) bool, f attempt) error {
	return c.tryFor(ctx, c.cfg.Attempt, again, f)
}

func (c *Client) tryFor(ctx context.Context, most time.Duration, again func(Code) bool, f attempt) error {
	began := c.now()
	backoff := firstBackoff
	var last *Error
	for {
		err := c.round(ctx, most, again, f)
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
		before := s.answers.Load()
		err := f(try, s.api)
		late := try.Err() != nil && ctx.Err() == nil
		cancel()
		if err == nil {
			s.answers.Add(1)
			c.servers.answered(s)
			return nil
		}
		e := failure(err)
		switch {
		case e.Code != CodeUnavailable:
			s.answers.Add(1)
		case late && s.answers.Load() == before:
			// The connections may lead to a machine that is gone; what else is
			// under way on them is tried again as well. One that answers others
			// is slow with this call alone.
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
