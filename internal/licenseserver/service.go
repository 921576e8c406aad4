package licenseserver

import (
	"context"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
)

// service is the license service over a server's current term.
type service struct {
	*Server
	quoratev1connect.UnimplementedLicenseServiceHandler
}

// Access takes a handle on a license that is in force at this instant.
func (s *service) Access(
	ctx context.Context, req *connect.Request[quoratev1.AccessRequest],
) (*connect.Response[quoratev1.AccessResponse], error) {
	r, features, err := s.accessFrom(req)
	if err != nil {
		return nil, err
	}
	var handle *quoratev1.Handle
	err = s.under(ctx, func(ctx context.Context, t *term) error {
		l, err := s.usable(r.Pool.Product, features)
		if err != nil {
			return err
		}
		r.Quantity = l.Options.Quantity
		grant, err := t.seats.Access(ctx, r)
		if err != nil {
			return err
		}
		if err := s.fits(ctx, t, r, grant); err != nil {
			return err
		}
		handle, err = s.handle(grant, r.Station, r.Client, l)
		return err
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&quoratev1.AccessResponse{Handle: handle}), nil
}

// fits gives a new handle back, before its program knows of it, where the
// quantity was lowered between the lookup and the grant and the handle is one
// too many now.
func (s *service) fits(ctx context.Context, t *term, r lease.Request, g lease.Grant) error {
	l, err := s.cfg.Source.Find(r.Pool.Product)
	if err != nil || l.Options.Quantity >= r.Quantity || g.Repeated || r.Mode == license.NoUserLimit {
		return nil // a license that is gone throws nobody out
	}
	u, err := t.seats.Usage(ctx, r.Pool)
	if err != nil || u.Taken <= l.Options.Quantity {
		return err
	}
	if err := t.seats.Release(ctx, lease.Ref{Pool: r.Pool, Handle: g.Handle, Seat: g.Seat, Epoch: g.Epoch, N: g.N}); err != nil {
		return err
	}
	return lease.NoFreeSeat(r.Pool, u.Taken-1, l.Options.Quantity, 0)
}

func (s *service) accessFrom(req *connect.Request[quoratev1.AccessRequest]) (r lease.Request, features uint32, err error) {
	if err := checkID("request id", req.Msg.GetRequestId()); err != nil {
		return r, 0, err
	}
	p, err := rpc.ProductFrom(req.Msg.GetProduct())
	if err != nil {
		return r, 0, err
	}
	mode, err := s.modeFrom(req.Msg.GetMode())
	if err != nil {
		return r, 0, err
	}
	client, err := clientFrom(req.Msg.GetClient(), req.Peer())
	if err != nil {
		return r, 0, err
	}
	return lease.Request{
		ID: req.Msg.GetRequestId(), Pool: s.pool(p), Mode: mode,
		Station: req.Msg.GetClient().GetStation(), Client: client, Lease: s.cfg.Lease,
	}, req.Msg.GetFeatures(), nil
}

// usable finds the license and checks the features.
func (s *service) usable(p license.Product, features uint32) (license.License, error) {
	l, err := s.cfg.Source.Find(p)
	if err != nil {
		return license.License{}, err
	}
	return l, l.Explain(license.Ask{Features: features}, license.Use{}, license.Moment{At: time.Now()}).Err()
}

// handle is what the program gets of a grant: a new token each time.
func (s *service) handle(g lease.Grant, station string, c lease.Client, l license.License) (*quoratev1.Handle, error) {
	token, err := s.sign(g, station, c)
	if err != nil {
		return nil, err
	}
	return &quoratev1.Handle{
		Id:         g.Handle,
		Container:  g.Pool.Container.String(),
		Product:    rpc.ProductProto(g.Pool.Product),
		Mode:       rpc.ModeProto(g.Mode),
		Seat:       g.Seat,
		FeatureMap: l.Options.FeatureMap,
		LeaseMs:    g.Lease.Milliseconds(),
		Token:      token,
	}, nil
}

// held runs f for the handle that a token names, under the current term.
func (s *service) held(ctx context.Context, token []byte, f func(context.Context, *term, lease.Ref) error) error {
	if err := checkBytes("token", token, mostToken); err != nil {
		return err
	}
	ref, err := s.open(token)
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

// Renew starts the lease anew while the license is in force. A lowered quantity
// throws nobody out.
func (s *service) Renew(
	ctx context.Context, req *connect.Request[quoratev1.RenewRequest],
) (*connect.Response[quoratev1.RenewResponse], error) {
	var handle *quoratev1.Handle
	err := s.held(ctx, req.Msg.GetToken(), func(ctx context.Context, t *term, ref lease.Ref) error {
		l, err := s.cfg.Source.Find(ref.Pool.Product)
		if err != nil {
			return err
		}
		grant, err := t.seats.Renew(ctx, ref)
		if err != nil {
			return err
		}
		handle, err = s.handle(grant, ref.Station, ref.Client, l)
		return err
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&quoratev1.RenewResponse{Handle: handle}), nil
}

// Release ends the handle, in force or not.
func (s *service) Release(
	ctx context.Context, req *connect.Request[quoratev1.ReleaseRequest],
) (*connect.Response[quoratev1.ReleaseResponse], error) {
	err := s.held(ctx, req.Msg.GetToken(), func(ctx context.Context, t *term, ref lease.Ref) error {
		return t.seats.Release(ctx, ref)
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&quoratev1.ReleaseResponse{}), nil
}

// OpenKey checks the seat and passes the call on to the source.
func (s *service) OpenKey(
	ctx context.Context, req *connect.Request[quoratev1.OpenKeyRequest],
) (*connect.Response[quoratev1.OpenKeyResponse], error) {
	token, wrapped := req.Msg.GetToken(), req.Msg.GetWrappedKey()
	if err := checkBytes("wrapped key", wrapped, mostWrapped); err != nil {
		return nil, err
	}
	var key []byte
	err := s.held(ctx, token, func(ctx context.Context, t *term, ref lease.Ref) error {
		if err := t.seats.Check(ctx, ref); err != nil {
			return err
		}
		var err error
		key, err = s.cfg.Source.OpenKey(ctx, ref.Pool.Product, wrapped, token)
		return err
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&quoratev1.OpenKeyResponse{Key: key}), nil
}

// ListLicenses gives what is offered and how much of it is taken.
func (s *service) ListLicenses(
	ctx context.Context, _ *connect.Request[quoratev1.ListLicensesRequest],
) (*connect.Response[quoratev1.ListLicensesResponse], error) {
	out := &quoratev1.ListLicensesResponse{Server: s.cfg.Name}
	err := s.under(ctx, func(ctx context.Context, t *term) error {
		for _, o := range s.cfg.Source.Licenses() {
			usage, err := t.seats.Usage(ctx, s.pool(o.Product))
			if err != nil {
				return err
			}
			out.Licenses = append(out.Licenses, s.use(o, usage))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}

func (s *service) use(o Offer, u lease.Usage) *quoratev1.LicenseUse {
	m := &quoratev1.LicenseUse{
		Product:        rpc.ProductProto(o.Product),
		Name:           o.Name,
		Container:      s.cfg.Source.Serial().String(),
		FeatureMap:     o.Options.FeatureMap,
		Usable:         o.Refusal == nil,
		WhyNot:         string(license.CodeOf(o.Refusal)),
		Total:          o.Options.Quantity,
		Taken:          make(map[string]uint32, len(u.ByMode)),
		ExpirationUnix: rpc.UnixSeconds(o.Options.Expiration),
		TmrId:          o.Options.TMRID,
		Status:         o.Status,
	}
	// More than the quantity are taken after it was lowered.
	if m.Usable && u.Taken < m.Total {
		m.Free = m.Total - u.Taken
	}
	for mode, n := range u.ByMode {
		m.Taken[string(mode)] = n
	}
	return m
}

// ListHandles gives the living handles of one product or of all.
func (s *service) ListHandles(
	ctx context.Context, req *connect.Request[quoratev1.ListHandlesRequest],
) (*connect.Response[quoratev1.ListHandlesResponse], error) {
	products, err := s.productsOf(req.Msg)
	if err != nil {
		return nil, err
	}
	out := &quoratev1.ListHandlesResponse{}
	err = s.under(ctx, func(ctx context.Context, t *term) error {
		for _, p := range products {
			handles, err := t.seats.List(ctx, s.pool(p))
			if err != nil {
				return err
			}
			for _, h := range handles {
				out.Handles = append(out.Handles, handleInfo(h))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}

func (s *service) productsOf(m *quoratev1.ListHandlesRequest) ([]license.Product, error) {
	if m.GetProduct() != nil {
		p, err := rpc.ProductFrom(m.GetProduct())
		return []license.Product{p}, err
	}
	offers := s.cfg.Source.Licenses()
	products := make([]license.Product, len(offers))
	for i, o := range offers {
		products[i] = o.Product
	}
	return products, nil
}

func handleInfo(h lease.Handle) *quoratev1.HandleInfo {
	return &quoratev1.HandleInfo{
		Id:        h.Handle,
		Container: h.Pool.Container.String(),
		Product:   rpc.ProductProto(h.Pool.Product),
		Mode:      rpc.ModeProto(h.Mode),
		Seat:      h.Seat,
		Client: &quoratev1.Client{
			Address: h.Client.Address, User: h.Client.User, Process: h.Client.Process,
			Application: h.Client.Application, Station: h.Station,
		},
		Accesses:      h.Accesses,
		FirstAccessMs: h.FirstAccess.UnixMilli(),
		LastAccessMs:  h.LastAccess.UnixMilli(),
		RemainingMs:   max(0, h.Remaining.Milliseconds()),
	}
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
