package tmr

import (
	"context"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// Use gives what was taken of a product's units under an issue, for who leads
// under the epoch. Errors: as TakeUnits'.
func (g *Group) Use(ctx context.Context, epoch uint64, p license.Product, issue uint32) (license.Use, error) {
	units, err := g.meters.Use(ctx, epoch, p, issue)
	return license.Use{Units: units}, err
}

// TakeUnits takes n of the granted units of a product's issue, all or none, and
// gives how many are left; meters.Meters.Take tells the rules. The epoch is the
// leader's lease epoch, used by this group alone. Errors: CodeNoUnits,
// CodeRequestMismatch, CodeFenced where another one leads, CodeInvalidInput,
// CodeThrottled; CodeNoMajority and CodeUnavailable, after which the same request
// repeated finds out.
func (g *Group) TakeUnits(
	ctx context.Context, epoch uint64, p license.Product, issue uint32, granted uint64, request string, n uint64,
) (left uint64, err error) {
	return g.meters.Take(ctx, epoch, p, issue, granted, request, n)
}

// meterOf is the way to the unit meters of one backend. One that is absent is
// not waited for.
type meterOf struct {
	group    *Group
	position int
}

func (o meterOf) Promise(
	ctx context.Context, epoch uint64, p license.Product, issue uint32,
) (m license.Meter, found bool, err error) {
	b, err := o.group.at(o.position)
	if err != nil {
		return license.Meter{}, false, err
	}
	res, err := b.api.PromiseMeters(ctx, connect.NewRequest(&quoratev1.PromiseMetersRequest{
		Epoch: epoch, Product: rpc.ProductProto(p), Issue: issue,
	}))
	switch {
	case err != nil:
		return license.Meter{}, false, b.named(err)
	case res.Msg.GetMeter() == nil:
		return license.Meter{}, false, nil
	}
	m, err = rpc.MeterFrom(res.Msg.GetMeter())
	return m, err == nil, err
}

func (o meterOf) Write(ctx context.Context, m license.Meter) error {
	b, err := o.group.at(o.position)
	if err != nil {
		return err
	}
	if _, err := b.api.WriteMeter(ctx, connect.NewRequest(&quoratev1.WriteMeterRequest{
		Epoch: m.Epoch, Meter: rpc.MeterProto(m),
	})); err != nil {
		return b.named(err)
	}
	return nil
}
