package tmr

import (
	"context"
	"slices"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// ReadData gives a product's protected data of a name, from any backend that
// has it. The caller has checked the token's handle; the backends check its
// signature. Errors: as OpenKey's, and CodeNotFound where no present backend
// has it.
func (g *Group) ReadData(ctx context.Context, p license.Product, name license.DataName, token []byte) ([]byte, error) {
	req := &quoratev1.BackendReadDataRequest{Product: rpc.ProductProto(p), Name: name[:], Token: token}
	has := func(o license.Options) bool { return o.Protected == name }
	return g.fromData(ctx, p, name, has, func(ctx context.Context, m *member) ([]byte, error) {
		res, err := m.api.BackendReadData(ctx, connect.NewRequest(req))
		if err != nil {
			return nil, err
		}
		return res.Msg.GetData(), nil
	})
}

// UseSecret has any backend that has a product's secret data of a name derive
// the key of a context. Errors: as ReadData's.
func (g *Group) UseSecret(
	ctx context.Context, p license.Product, name license.DataName, use, token []byte,
) ([]byte, error) {
	req := &quoratev1.BackendUseSecretRequest{Product: rpc.ProductProto(p), Name: name[:], Context: use, Token: token}
	has := func(o license.Options) bool { return o.Secret == name }
	return g.fromData(ctx, p, name, has, func(ctx context.Context, m *member) ([]byte, error) {
		res, err := m.api.BackendUseSecret(ctx, connect.NewRequest(req))
		if err != nil {
			return nil, err
		}
		return res.Msg.GetKey(), nil
	})
}

// fromData asks the backends whose license has the data.
func (g *Group) fromData(
	ctx context.Context, p license.Product, name license.DataName, has func(license.Options) bool,
	f func(context.Context, *member) ([]byte, error),
) ([]byte, error) {
	if name == (license.DataName{}) {
		return nil, license.Errorf(license.CodeInvalidInput, "name data that the license has", "no data is named")
	}
	holders, err := g.holders(p)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	candidates := slices.DeleteFunc(holders, func(m *member) bool {
		return !slices.ContainsFunc(m.held, func(h license.Held) bool { return h.Product == p && has(h.Options) })
	})
	g.mu.Unlock()
	if len(candidates) == 0 {
		return nil, license.Errorf(license.CodeNotFound, "start the missing backends, then try again",
			"none of the backends that are there has this data of %s", p)
	}
	return g.anyOf(ctx, candidates, f)
}
