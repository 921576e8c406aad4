package licenseserver

import (
	"context"
	"slices"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// Explain answers as Access would, with each reason and without taking or noting
// anything. Of the other programs it tells what a denial does.
func (s *service) Explain(
	ctx context.Context, req *connect.Request[quoratev1.ExplainRequest],
) (*connect.Response[quoratev1.ExplainResponse], error) {
	q, err := s.questionFrom(req.Msg, req.Peer(), req.Header())
	if err != nil {
		return nil, err
	}
	var out *quoratev1.ExplainResponse
	err = s.under(ctx, func(ctx context.Context, t *term) error {
		f, use, err := s.found(ctx, t, q.product)
		out = s.explanation(f, err == nil)
		switch license.CodeOf(err) {
		case "":
		case license.CodeNoLicense, license.CodeNoMajority, license.CodeTMROnly:
			out.Reasons = append(out.Reasons, rpc.ErrorInfo(err))
			return nil
		default:
			return err
		}
		v := f.Explain(q.of(s.Server, f), use, f.Moment)
		for _, r := range v.Reasons {
			out.Reasons = append(out.Reasons, rpc.ErrorInfo(r))
		}
		out.FromUnix, out.UntilUnix = rpc.UnixSeconds(v.From), rpc.UnixSeconds(v.Until)
		out.UnitsLeft, out.FirstUseUnix = v.UnitsLeft, rpc.UnixSeconds(use.First)
		r, err := s.completed(s.request("", q), q, f, v)
		if err != nil { // by the server's rules
			out.Reasons = append(out.Reasons, rpc.ErrorInfo(err))
		}
		if err := s.room(ctx, t, r, s.teller(req.Header(), req.Peer()), out); err != nil {
			return err
		}
		out.Usable = len(out.Reasons) == 0
		return nil
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}

// explanation is what is said of any license, and of a product without one.
func (s *service) explanation(f Found, found bool) *quoratev1.ExplainResponse {
	m := &quoratev1.ExplainResponse{
		Name: f.Name, Container: s.cfg.Source.Serial().String(), Status: f.Status,
		NowMs: rpc.UnixMillis(f.Moment.At), ClockSetBack: f.Moment.SetBack, CertifiedMs: rpc.UnixMillis(f.Moment.Certified),
	}
	if found {
		m.Options = optionsProto(f.Options)
	}
	return m
}

// room says how many licenses are free, and whether there is one for the request.
func (s *service) room(ctx context.Context, t *term, r lease.Request, may Disclosure, out *quoratev1.ExplainResponse) error {
	u, err := t.seats.Usage(ctx, r.Pool)
	if err != nil {
		return err
	}
	if u.Taken < r.Quantity {
		out.Free = r.Quantity - u.Taken
	}
	out.Waiting, out.HeldBack = u.Waiting, min(out.GetFree(), s.heldBack(r.Pool.Product, u))
	refusal, err := foresee(ctx, t, r, u)
	if err == nil && refusal != nil {
		out.Reasons = append(out.Reasons, rpc.ErrorInfo(s.explained(ctx, may, r, refusal)))
	}
	return err
}

// foresee says how the store would refuse a request by the figures of this
// moment. Whom a lingering seat waits for only an access finds out; here it counts
// as taken by somebody else.
func foresee(ctx context.Context, t *term, r lease.Request, u lease.Usage) (refusal, err error) {
	if r.Mode == license.NoUserLimit {
		return nil, nil
	}
	var others []lease.Handle
	if r.Mode != license.UserLimit || u.ByMode[license.Exclusive] > 0 {
		if others, err = t.seats.List(ctx, r.Pool); err != nil {
			return nil, err
		}
	}
	for _, h := range others {
		if h.Station == r.Station && h.Mode != license.NoUserLimit && (h.Mode == license.Exclusive || r.Mode == license.Exclusive) {
			return lease.StationBusy(r.Pool, r.Station, r.Mode), nil
		}
	}
	for _, c := range r.Limits.Caps {
		under := slices.DeleteFunc(slices.Clone(others), func(h lease.Handle) bool { return !slices.Contains(h.Tags, c.Tag) })
		adds := added(r, under)
		if slices.Contains(r.Limits.Tags, c.Tag) && adds > 0 && uint64(u.ByTag[c.Tag])+uint64(adds) > uint64(c.Most) {
			return lease.LimitReached(r.Pool, c, u.ByTag[c.Tag]), nil
		}
	}
	adds := added(r, others)
	if adds == 0 {
		return nil, nil
	}
	kept := keptBack(r.Limits.Holds, u)
	want := uint64(u.Taken) + uint64(adds) + uint64(kept)
	if u.Waiting > 0 {
		waiting, err := t.seats.Waiting(ctx, r.Pool)
		if err != nil {
			return nil, err
		}
		for _, w := range waiting {
			if w.Priority >= 0 { // that of a request that doesn't wait
				want += uint64(w.Licenses)
			}
		}
	}
	if want <= uint64(r.Quantity) {
		return nil, nil
	}
	return lease.NoFreeSeat(r.Pool, lease.Shortage{
		Taken: u.Taken, Quantity: r.Quantity, Licenses: r.Licenses, HeldBack: kept, Waiting: u.Waiting,
	}), nil
}
