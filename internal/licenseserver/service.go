package licenseserver

import (
	"context"
	"slices"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// service is the license service over a server's current term.
type service struct{ *Server }

// Access takes a handle on a license that is in force, and valid for who asks,
// at this instant. A request that waits is held for a while.
func (s *service) Access(
	ctx context.Context, req *connect.Request[quoratev1.AccessRequest],
) (*connect.Response[quoratev1.AccessResponse], error) {
	if err := checkID("request id", req.Msg.GetRequestId()); err != nil {
		return nil, err
	}
	q, err := s.questionFrom(req.Msg, req.Peer(), req.Header())
	if err != nil {
		return nil, err
	}
	r := s.request(req.Msg.GetRequestId(), q)
	if r.Wait, err = waitFrom(req.Msg.GetWaitMs()); err != nil {
		return nil, err
	}
	of, crowded := computer(req.Peer()), false
	place := refused
	if k := (member{q.product, r.ID}); r.Wait != nil {
		if crowded = !s.waiting.reserve(of, k, s.cfg.MostWaiting); crowded {
			r.Wait = nil
		} else {
			defer func() { s.waiting.settle(k, place, queuePlace) }()
		}
	}
	var handle *quoratev1.Handle
	err = s.queued(ctx, q.product, func() error {
		return s.under(ctx, func(ctx context.Context, t *term) (err error) {
			handle, err = s.take(ctx, t, q, r, of, &place)
			return err
		})
	})
	if crowded && license.CodeOf(err) == license.CodeNoFreeSeat {
		return nil, tooManyWait(s.cfg.MostWaiting)
	}
	if err != nil {
		return nil, s.explained(ctx, s.teller(req.Header(), req.Peer()), r, err)
	}
	return connect.NewResponse(&quoratev1.AccessResponse{Handle: handle}), nil
}

// take asks once, for a computer. It notes what became of the place in the queue,
// where the store was asked.
func (s *service) take(
	ctx context.Context, t *term, q question, r lease.Request, of string, place *outcome,
) (*quoratev1.Handle, error) {
	f, use, err := s.found(ctx, t, q.product)
	if err != nil {
		return nil, err
	}
	v := f.Explain(q.of(s.Server, f), use, f.Moment)
	if err := v.Err(); err != nil {
		return nil, s.recorded(ctx, t, r, err)
	}
	if r, err = s.completed(r, q, f, v); err != nil {
		return nil, s.recorded(ctx, t, r, err)
	}
	grant, err := s.access(ctx, t, r, of)
	*place = placeAfter(*place, err)
	if err != nil {
		return nil, err
	}
	if err := s.fits(ctx, t, r, grant); err != nil {
		return nil, err
	}
	if use, err = s.begin(ctx, t, f, use, ref(grant, r)); err != nil {
		return nil, err
	}
	return s.handle(grant, ref(grant, r), f, use)
}

// access asks the store; a handle that costs nothing is counted before.
func (s *service) access(ctx context.Context, t *term, r lease.Request, of string) (lease.Grant, error) {
	if !costsNothing(r.Mode) {
		return t.seats.Access(ctx, r)
	}
	k := member{r.Pool.Product, r.ID}
	if !s.many.reserve(of, k, s.cfg.MostHandles) {
		return lease.Grant{}, tooManyHandles(s.cfg.MostHandles)
	}
	became, life := there, r.Lease
	defer func() { s.many.settle(k, became, life) }()
	grant, err := t.seats.Access(ctx, r)
	switch {
	case err == nil:
		life = grant.Lease
	case !inDoubt(err):
		became = refused
	}
	return grant, err
}

// completed adds what the license and the server's rules say of a request.
func (s *Server) completed(r lease.Request, q question, f Found, v license.Validity) (lease.Request, error) {
	if r.Quantity = f.Options.Quantity; r.Quantity == 0 {
		r.Mode = license.NoUserLimit // local programs take no seat
	}
	if r.Borrowed && !v.Until.IsZero() { // no longer than the license
		r.Lease = max(min(r.Lease, v.Until.Sub(f.Moment.At)), time.Millisecond)
	}
	limits, priority, err := s.limits(q.product, q.ask)
	if r.Limits = limits; r.Wait != nil {
		w := *r.Wait
		w.Priority = priority
		r.Wait = &w
	}
	return r, err
}

// found gives a license with what was used of it.
func (s *service) found(ctx context.Context, t *term, p license.Product) (Found, license.Use, error) {
	f, err := s.cfg.Source.Find(p)
	if err != nil {
		return f, license.Use{}, err
	}
	use, err := s.used(ctx, t, f.License)
	return f, use, err
}

// used asks for what was used only where it counts: asking may go to backends.
func (s *service) used(ctx context.Context, t *term, l license.License) (license.Use, error) {
	if l.Options.Units == nil && l.Options.UsagePeriod == 0 {
		return license.Use{}, nil
	}
	return s.cfg.Source.Use(ctx, t.seats.Epoch(), l)
}

// passes says whether what was used could not be told now, for want of backends.
func passes(err error) bool {
	switch license.CodeOf(err) {
	case license.CodeNoMajority, license.CodeUnavailable, license.CodeThrottled:
		return true
	}
	return false
}

// begin notes the first use before its program has the handle. A handle whose
// first use can't be noted isn't given; where that may pass, a repeat of the
// request finds it.
func (s *service) begin(ctx context.Context, t *term, f Found, use license.Use, given lease.Ref) (license.Use, error) {
	use, err := s.begun(ctx, t, f, use)
	if err != nil && license.CodeOf(err) != license.CodeUnavailable {
		if err := s.giveBack(ctx, t, given); err != nil {
			s.log.Warn("a handle that wasn't given stays until its lease runs out", "product", f.Product.String(), "error", err)
		}
	}
	return use, err
}

func (s *service) giveBack(ctx context.Context, t *term, given lease.Ref) error {
	err := t.seats.Release(ctx, given)
	if err == nil {
		s.many.leave(member{given.Pool.Product, given.Handle})
		s.bells.ring(given.Pool.Product)
	}
	return err
}

// begun notes the first use of a license with a usage period, and gives what was
// used then.
func (s *service) begun(ctx context.Context, t *term, f Found, use license.Use) (license.Use, error) {
	if f.Options.UsagePeriod == 0 || !use.First.IsZero() {
		return use, nil
	}
	if err := s.cfg.Source.Begin(ctx, t.seats.Epoch(), f.Product); err != nil {
		return use, err
	}
	return s.used(ctx, t, f.License)
}

// fits gives a new handle back, before its program knows of it, where the
// quantity was lowered between the lookup and the grant and what the handle takes
// is too much now.
func (s *service) fits(ctx context.Context, t *term, r lease.Request, g lease.Grant) error {
	f, err := s.cfg.Source.Find(r.Pool.Product)
	if err != nil || f.Options.Quantity >= r.Quantity || g.Repeated || r.Mode == license.NoUserLimit {
		return nil // a license that is gone throws nobody out
	}
	u, err := t.seats.Usage(ctx, r.Pool)
	if err != nil || u.Taken <= f.Options.Quantity {
		return err
	}
	handles, err := t.seats.List(ctx, r.Pool)
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(handles, func(h lease.Handle) bool { return h.Handle == g.Handle })
	adds := added(r, others)
	if adds == 0 {
		return nil // it shares what its station has
	}
	if err := s.giveBack(ctx, t, ref(g, r)); err != nil {
		return err
	}
	return lease.NoFreeSeat(r.Pool, lease.Shortage{
		Taken: u.Taken - min(adds, u.Taken), Quantity: f.Options.Quantity, Licenses: r.Licenses, Waiting: u.Waiting,
	})
}

// added is what a request takes beyond what the given handles do.
func added(r lease.Request, others []lease.Handle) uint32 {
	switch r.Mode {
	case license.NoUserLimit:
		return 0
	case license.StationShare:
		var has uint32
		for _, h := range others {
			if h.Mode == license.StationShare && h.Station == r.Station {
				has = max(has, h.Licenses, 1)
			}
		}
		return max(r.Wants(), has) - has
	}
	return r.Wants()
}

// handle is what the program gets of a grant: a new token each time. as tells
// whose it is.
func (s *service) handle(g lease.Grant, as lease.Ref, f Found, use license.Use) (*quoratev1.Handle, error) {
	token, err := s.sign(g, as)
	if err != nil {
		return nil, err
	}
	v := f.Standing(use, f.Moment)
	life := g.Lease
	if as.Borrowed && !v.Until.IsZero() { // nobody asks again at its end
		life = max(0, min(life, v.Until.Sub(f.Moment.At)))
	}
	return &quoratev1.Handle{
		Id:         g.Handle,
		Container:  g.Pool.Container.String(),
		Product:    rpc.ProductProto(g.Pool.Product),
		Mode:       rpc.ModeProto(g.Mode),
		Seat:       g.Seat,
		FeatureMap: f.Options.FeatureMap,
		LeaseMs:    life.Milliseconds(),
		Token:      token,
		Options:    optionsProto(f.Options),
		UntilUnix:  rpc.UnixSeconds(v.Until),
		UnitsLeft:  v.UnitsLeft,
		Licenses:   max(as.Licenses, 1),
		Borrowed:   as.Borrowed,
	}, nil
}

// optionsProto leaves the access list out: programs need not know whom else the
// vendor lets in.
func optionsProto(o license.Options) *quoratev1.Options {
	o.AccessList = nil
	return rpc.OptionsProto(o)
}

// held runs f for the handle that a token names, under the current term.
func (s *service) held(ctx context.Context, token []byte, f func(context.Context, *term, lease.Ref) error) error {
	if err := checkBytes("token", token, mostToken); err != nil {
		return err
	}
	ref, _, err := s.open(token)
	if err != nil {
		return err
	}
	return s.under(ctx, func(ctx context.Context, t *term) error {
		if ref.Epoch > t.seats.Epoch() {
			// Signed by the group's key, so somebody does lead with that epoch.
			s.depose(t)
			return notLeader()
		}
		return f(ctx, t, ref)
	})
}

// Renew starts the lease anew while the license is in force and its time is not
// over, for who is on its access list. A lowered quantity throws nobody out, and
// neither does the end of the units, nor that nobody can tell how many are left.
func (s *service) Renew(
	ctx context.Context, req *connect.Request[quoratev1.RenewRequest],
) (*connect.Response[quoratev1.RenewResponse], error) {
	idle := req.Msg.GetIdleMs()
	if idle < 0 || idle > lease.MostLease.Milliseconds() {
		return nil, invalid("count from the last use on", "a program can't be idle for %d ms", idle)
	}
	out := &quoratev1.RenewResponse{}
	err := s.held(ctx, req.Msg.GetToken(), func(ctx context.Context, t *term, ref lease.Ref) error {
		ref.Idle = time.Duration(idle) * time.Millisecond
		f, err := s.cfg.Source.Find(ref.Pool.Product)
		if err != nil {
			return err
		}
		use, err := s.used(ctx, t, f.License)
		untold := f.Options.UsagePeriod == 0 && passes(err)
		if err != nil && !untold {
			return err
		}
		if err := f.Standing(use, f.Moment).InUse(); err != nil {
			return err
		}
		if err := f.Admits(askFrom(ref.Client, req.Peer())); err != nil {
			return err
		}
		grant, err := t.seats.Renew(ctx, ref)
		if err != nil {
			return err
		}
		if costsNothing(ref.Mode) {
			s.many.count(computer(req.Peer()), member{ref.Pool.Product, ref.Handle}, grant.Lease)
		}
		// An update may have brought a usage period, or another issue, meanwhile.
		if use, err = s.begun(ctx, t, f, use); err != nil {
			return err
		}
		if out.Handle, err = s.handle(grant, ref, f, use); err == nil && untold {
			out.Handle.UnitsLeft = nil
		}
		if n := grant.Notice; n != nil {
			out.Notice = &quoratev1.Notice{Id: n.ID, Text: n.Text, By: n.By}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}

// Release ends the handle, in force or not. Its seat lingers as the license says
// now; where the license isn't found, it doesn't.
func (s *service) Release(
	ctx context.Context, req *connect.Request[quoratev1.ReleaseRequest],
) (*connect.Response[quoratev1.ReleaseResponse], error) {
	err := s.held(ctx, req.Msg.GetToken(), func(ctx context.Context, t *term, ref lease.Ref) error {
		if f, err := s.cfg.Source.Find(ref.Pool.Product); err == nil {
			ref.Linger = f.Options.Linger
		}
		return s.giveBack(ctx, t, ref)
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&quoratev1.ReleaseResponse{}), nil
}

// RemoveHandle ends somebody else's handle, for who is authorized.
func (s *service) RemoveHandle(
	ctx context.Context, req *connect.Request[quoratev1.RemoveHandleRequest],
) (*connect.Response[quoratev1.RemoveHandleResponse], error) {
	if err := rpc.Administrator(s.cfg.AdminToken, req.Header(), req.Peer(), "removing a handle"); err != nil {
		s.log.Warn("removal refused", "peer", req.Peer().Addr, "code", string(license.CodeOf(err)))
		return nil, err
	}
	p, err := rpc.ProductFrom(req.Msg.GetProduct())
	if err != nil {
		return nil, err
	}
	if err := checkID("handle id", req.Msg.GetId()); err != nil {
		return nil, err
	}
	if err := checkText("name of who removes it", req.Msg.GetBy()); err != nil {
		return nil, err
	}
	by := req.Msg.GetBy()
	if by == "" {
		by = "administrator"
	}
	began := time.Now()
	if err := s.Remove(ctx, p, req.Msg.GetId(), by); err != nil {
		return nil, err
	}
	s.log.Info("handle removed", "product", p.String(), "handle", req.Msg.GetId(), "by", by, "took", time.Since(began))
	return connect.NewResponse(&quoratev1.RemoveHandleResponse{}), nil
}
