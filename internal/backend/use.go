package backend

import (
	"context"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// clock gives a function that tells the container's time, or nil where that
// takes longer than it is given: the container may be writing, and a beat must
// not wait for a disk. done ends it.
func (b *Backend) clock(ctx context.Context) (now func(most time.Duration) *quoratev1.Moment, done func()) {
	ctx, done = context.WithCancel(ctx)
	asked, told := make(chan struct{}, 1), make(chan *quoratev1.Moment, 1)
	go func() {
		for {
			select {
			case <-asked:
			case <-ctx.Done():
				return
			}
			select {
			case told <- rpc.MomentProto(b.container.Moment(), b.container.TimeNonce()):
			case <-ctx.Done():
				return
			}
		}
	}()
	return func(most time.Duration) *quoratev1.Moment {
		select {
		case <-told: // late, for an earlier question
		default:
		}
		select {
		case asked <- struct{}{}:
		default: // the last question waits still
		}
		late := time.NewTimer(most)
		defer late.Stop()
		select {
		case m := <-told:
			return m
		case <-late.C:
		case <-ctx.Done():
		}
		return nil
	}, done
}

// PromiseMeters gives one meter of all that are promised: so the answer stays
// small, however many products are counted.
func (s service) PromiseMeters(
	ctx context.Context, req *connect.Request[quoratev1.PromiseMetersRequest],
) (*connect.Response[quoratev1.PromiseMetersResponse], error) {
	if err := s.authorize(ctx); err != nil {
		return nil, err
	}
	p, err := rpc.ProductFrom(req.Msg.GetProduct())
	if err != nil {
		return nil, err
	}
	if err := checkEpoch(req.Msg.GetEpoch()); err != nil {
		return nil, err
	}
	all, err := s.container.PromiseMeters(req.Msg.GetEpoch())
	if err != nil {
		return nil, err
	}
	out := new(quoratev1.PromiseMetersResponse)
	for _, m := range all {
		if m.Product == p && m.Issue == req.Msg.GetIssue() {
			out.Meter = rpc.MeterProto(m)
		}
	}
	return connect.NewResponse(out), nil
}

func (s service) WriteMeter(
	ctx context.Context, req *connect.Request[quoratev1.WriteMeterRequest],
) (*connect.Response[quoratev1.WriteMeterResponse], error) {
	if err := s.authorize(ctx); err != nil {
		return nil, err
	}
	m, err := rpc.MeterFrom(req.Msg.GetMeter())
	if err != nil {
		return nil, err
	}
	if err := checkEpoch(req.Msg.GetEpoch()); err != nil {
		return nil, err
	}
	if m.Epoch != req.Msg.GetEpoch() {
		return nil, license.Errorf(license.CodeInvalidInput, "use the same version of Quorate on both sides",
			"the meter of %s has another epoch than its write", m.Product)
	}
	if err := s.container.WriteMeter(m.Epoch, m); err != nil {
		return nil, err
	}
	return connect.NewResponse(new(quoratev1.WriteMeterResponse)), nil
}

// checkEpoch refuses the highest epoch too: after it nobody could ever lead.
func checkEpoch(epoch uint64) error {
	if epoch == 0 || epoch == 1<<64-1 {
		return license.Errorf(license.CodeInvalidInput, "claim an epoch first", "%d is no epoch", epoch)
	}
	return nil
}

func (s service) CertifyTime(
	ctx context.Context, req *connect.Request[quoratev1.CertifyTimeRequest],
) (*connect.Response[quoratev1.CertifyTimeResponse], error) {
	if err := s.authorize(ctx); err != nil {
		return nil, err
	}
	if err := s.container.Certify(req.Msg.GetCertificate()); err != nil {
		return nil, err
	}
	s.logger.InfoContext(ctx, "time certified", "serial", s.container.Serial().String())
	return connect.NewResponse(new(quoratev1.CertifyTimeResponse)), nil
}
