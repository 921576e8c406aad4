package licenseserver

import (
	"context"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// Explain answers as Access would, with each reason and without taking or noting
// anything. Of the other programs it tells how many seats they have, and no more.
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
		if err := s.room(ctx, t, f, q.mode, out); err != nil {
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

// room says how many seats are free. Whom a lingering seat waits for only an
// access finds out; here it counts as taken.
func (s *service) room(ctx context.Context, t *term, f Found, mode license.AccessMode, out *quoratev1.ExplainResponse) error {
	u, err := t.seats.Usage(ctx, s.pool(f.Product))
	if err != nil {
		return err
	}
	if total := f.Options.Quantity; u.Taken < total {
		out.Free = total - u.Taken
	} else if total > 0 && mode != license.NoUserLimit {
		out.Reasons = append(out.Reasons, rpc.ErrorInfo(lease.NoFreeSeat(s.pool(f.Product), lease.Shortage{Taken: u.Taken, Quantity: total})))
	}
	return nil
}
