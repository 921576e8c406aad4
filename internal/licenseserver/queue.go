package licenseserver

import (
	"context"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

const (
	// queueHold is how long one call of a request that waits is held.
	queueHold = 5 * time.Second
	// queueLook is how often a held call asks the store again when nothing was
	// heard of: what other processes free, and what a raised quantity brings.
	queueLook = time.Second
	// queuePlace is how long a place is kept without being asked for: beyond the
	// way of an answer and of the next call, and no longer, since nobody behind it
	// is served meanwhile.
	queuePlace = 10 * time.Second
)

// waitFrom reads how long a request waits for a license; nil: not at all.
func waitFrom(ms int64) (*lease.Wait, error) {
	switch {
	case ms < 0 || ms > lease.MostWait.Milliseconds():
		return nil, invalid("wait for up to 30 days", "a request can't wait %d ms", ms)
	case ms == 0:
		return nil, nil
	}
	return &lease.Wait{Until: time.Duration(ms) * time.Millisecond, Place: queuePlace}, nil
}

// queued runs ask, and again while it answers CodeQueued: when licenses may have
// become free, and from time to time. It gives the last answer after a few
// seconds, so that no call hangs for long.
func (s *Server) queued(ctx context.Context, p license.Product, ask func() error) error {
	until := time.Now().Add(queueHold)
	if err := ask(); license.CodeOf(err) != license.CodeQueued {
		return err
	}
	for {
		freed := s.bells.next(p) // before asking, so that nothing is missed
		err := ask()
		left := time.Until(until)
		if license.CodeOf(err) != license.CodeQueued || left <= 0 {
			return err
		}
		look := time.NewTimer(min(queueLook, left))
		select {
		case <-freed:
		case <-look.C:
		case <-rpc.Closing(ctx):
			until = time.Time{}
		case <-ctx.Done():
			look.Stop()
			return err
		}
		look.Stop()
		if until.IsZero() {
			return err
		}
	}
}

// bells tell those who wait for licenses of a product that one may be free.
type bells struct {
	mu   sync.Mutex
	hung map[license.Product]chan struct{}
}

// next is closed when a license of the product may have become free after this
// call.
func (b *bells) next(p license.Product) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hung == nil {
		b.hung = make(map[license.Product]chan struct{})
	}
	c := b.hung[p]
	if c == nil {
		c = make(chan struct{})
		b.hung[p] = c
	}
	return c
}

func (b *bells) ring(p license.Product) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.hung[p]; c != nil {
		close(c)
		delete(b.hung, p)
	}
}

func (b *bells) ringAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.hung {
		close(c)
	}
	clear(b.hung)
}

// LeaveQueue gives a place in the queue up.
func (s *service) LeaveQueue(
	ctx context.Context, req *connect.Request[quoratev1.LeaveQueueRequest],
) (*connect.Response[quoratev1.LeaveQueueResponse], error) {
	if err := checkID("request id", req.Msg.GetRequestId()); err != nil {
		return nil, err
	}
	p, err := rpc.ProductFrom(req.Msg.GetProduct())
	if err != nil {
		return nil, err
	}
	err = s.under(ctx, func(ctx context.Context, t *term) error {
		return t.seats.Leave(ctx, s.pool(p), req.Msg.GetRequestId())
	})
	if err != nil {
		return nil, err
	}
	s.waiting.leave(member{p, req.Msg.GetRequestId()})
	s.bells.ring(p) // who stood behind may be served now
	return connect.NewResponse(&quoratev1.LeaveQueueResponse{}), nil
}

// ListWaiting gives the queues of one product or of all.
func (s *service) ListWaiting(
	ctx context.Context, req *connect.Request[quoratev1.ListWaitingRequest],
) (*connect.Response[quoratev1.ListWaitingResponse], error) {
	products, err := s.productsOf(req.Msg.GetProduct())
	if err != nil {
		return nil, err
	}
	may := s.teller(req.Header(), req.Peer())
	out := &quoratev1.ListWaitingResponse{}
	err = s.under(ctx, func(ctx context.Context, t *term) error {
		for _, p := range products {
			waiting, err := t.seats.Waiting(ctx, s.pool(p))
			if err != nil {
				return err
			}
			for i, w := range waiting {
				m := &quoratev1.Waiter{
					Product: rpc.ProductProto(p), Position: uint32(i + 1), //nolint:gosec // bounded by lease.MostWaiting
					Mode: rpc.ModeProto(w.Mode), Licenses: w.Licenses, Priority: w.Priority,
					Client: clientProto(w.Client, w.Station, may), SinceMs: rpc.UnixMillis(w.Since),
				}
				if may == discloseAll { // who knows it can give the place up
					m.Id = w.ID
				}
				out.Waiting = append(out.Waiting, m)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}
