package backend

import (
	"context"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/seal"
)

// mostContext bounds what a secret makes a key of, in bytes.
const mostContext = 4 << 10

// forProgram checks all that the TMR server passes on for a program, but for the
// handle: who passes it on, the token, and that the license may be used.
func (b *Backend) forProgram(ctx context.Context, product *quoratev1.Product, token []byte) (license.Product, error) {
	if !b.known(ctx) {
		return license.Product{}, license.Errorf(license.CodeTMROnly, "ask the TMR server of the group (its virtual IP) instead",
			"the licenses of a TMR group are not handed out by one of its backends")
	}
	p, err := rpc.ProductFrom(product)
	if err != nil {
		return license.Product{}, err
	}
	group, ok := b.container.Group()
	if !ok {
		return license.Product{}, license.Errorf(license.CodeTokenInvalid, "roll a license out to the group first",
			"the container is in no TMR group")
	}
	t, err := seal.OpenToken(token, group.TokenKey)
	if err != nil {
		return license.Product{}, err
	}
	if t.Container != group.Virtual || t.Product != p {
		return license.Product{}, license.Errorf(license.CodeTokenInvalid, "take a handle for the product that is asked for",
			"the handle is not for %s in %s", p, group.Virtual)
	}
	return p, b.usable(p)
}

// usable says whether the container holds a TMR license that may be used, by
// the container's own clock. How many units are left is for who leads to say.
// While the container runs ahead of the others, its predecessor may be what is
// in force.
func (b *Backend) usable(p license.Product) error {
	h, ok := b.container.License(p)
	if !ok || h.Options.TMRID == 0 {
		return license.Errorf(license.CodeNoLicense, "order it from the vendor",
			"there is no TMR license for %s in %s", p, b.container.Serial())
	}
	now := b.container.Moment()
	err := h.Standing(license.Use{}, now).InUse()
	if err != nil && h.Predecessor != nil {
		before := h.License
		before.Options = *h.Predecessor
		if before.Standing(license.Use{}, now).InUse() == nil {
			return nil
		}
	}
	return err
}

func (s service) BackendOpenKey(
	ctx context.Context, req *connect.Request[quoratev1.BackendOpenKeyRequest],
) (*connect.Response[quoratev1.BackendOpenKeyResponse], error) {
	p, err := s.forProgram(ctx, req.Msg.GetProduct(), req.Msg.GetToken())
	if err != nil {
		return nil, err
	}
	key, err := s.container.OpenKey(p, req.Msg.GetWrappedKey())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&quoratev1.BackendOpenKeyResponse{Key: key}), nil
}

func (s service) BackendReadData(
	ctx context.Context, req *connect.Request[quoratev1.BackendReadDataRequest],
) (*connect.Response[quoratev1.BackendReadDataResponse], error) {
	p, err := s.forProgram(ctx, req.Msg.GetProduct(), req.Msg.GetToken())
	if err != nil {
		return nil, err
	}
	name, err := rpc.DataNameFrom(req.Msg.GetName())
	if err != nil {
		return nil, err
	}
	data, err := s.container.ProtectedData(p, name)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&quoratev1.BackendReadDataResponse{Data: data}), nil
}

func (s service) BackendUseSecret(
	ctx context.Context, req *connect.Request[quoratev1.BackendUseSecretRequest],
) (*connect.Response[quoratev1.BackendUseSecretResponse], error) {
	p, err := s.forProgram(ctx, req.Msg.GetProduct(), req.Msg.GetToken())
	if err != nil {
		return nil, err
	}
	name, err := rpc.DataNameFrom(req.Msg.GetName())
	if err != nil {
		return nil, err
	}
	if n := len(req.Msg.GetContext()); n == 0 || n > mostContext {
		return nil, license.Errorf(license.CodeInvalidInput, "use 1 to 4096 bytes, for example a digest",
			"a context of %d bytes does not work", n)
	}
	key, err := s.container.UseSecret(p, name, req.Msg.GetContext())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&quoratev1.BackendUseSecretResponse{Key: key}), nil
}
