package licenseserver

import (
	"context"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// using runs f for a handle that is alive, on a license that may be used on: in
// force, and its time not over.
func (s *service) using(ctx context.Context, token []byte, f func(context.Context, *term, Found) error) error {
	return s.held(ctx, token, func(ctx context.Context, t *term, ref lease.Ref) error {
		if err := t.seats.Check(ctx, ref); err != nil {
			return err
		}
		l, err := s.cfg.Source.Find(ref.Pool.Product)
		if err != nil {
			return err
		}
		var use license.Use
		if l.Options.UsagePeriod != 0 {
			if use, err = s.cfg.Source.Use(ctx, t.seats.Epoch(), l.License); err != nil {
				return err
			}
		}
		if err := l.Standing(use, l.Moment).InUse(); err != nil {
			return err
		}
		return f(ctx, t, l)
	})
}

// opening is using for what changes nothing, so that a server which doesn't lead
// may do it too, where the store vouches for the token. It never says that a
// handle is over: that is for who leads.
func (s *service) opening(ctx context.Context, token []byte, f func(context.Context, Found) error) error {
	err := s.using(ctx, token, func(ctx context.Context, _ *term, l Found) error { return f(ctx, l) })
	if s.cfg.Vouch == nil || license.CodeOf(err) != license.CodeNotLeader {
		return err
	}
	ref, alive, bad := s.open(token)
	if bad != nil || !alive {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, mostCall)
	defer cancel()
	l, none := s.cfg.Source.Find(ref.Pool.Product)
	if none != nil || l.Options.UsagePeriod != 0 {
		return err
	}
	if over := l.Standing(license.Use{}, l.Moment).InUse(); over != nil {
		return over
	}
	if doubt := s.cfg.Vouch(ctx, ref); doubt != nil {
		s.log.Debug("a token is not vouched for", "handle", ref.Handle, "error", doubt)
		return err
	}
	return f(ctx, l)
}

// OpenKey checks the seat and the license, and passes the call on to the source.
func (s *service) OpenKey(
	ctx context.Context, req *connect.Request[quoratev1.OpenKeyRequest],
) (*connect.Response[quoratev1.OpenKeyResponse], error) {
	token, wrapped := req.Msg.GetToken(), req.Msg.GetWrappedKey()
	if err := checkBytes("wrapped key", wrapped, mostWrapped); err != nil {
		return nil, err
	}
	out := &quoratev1.OpenKeyResponse{}
	err := s.opening(ctx, token, func(ctx context.Context, f Found) (err error) {
		out.Key, err = s.cfg.Source.OpenKey(ctx, f.Product, wrapped, token)
		return err
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}

// ConsumeUnits takes units of a license that counts them.
func (s *service) ConsumeUnits(
	ctx context.Context, req *connect.Request[quoratev1.ConsumeUnitsRequest],
) (*connect.Response[quoratev1.ConsumeUnitsResponse], error) {
	id, n := req.Msg.GetRequestId(), req.Msg.GetUnits()
	if err := checkID("request id", id); err != nil {
		return nil, err
	}
	if n == 0 || n > license.MostUnits {
		return nil, invalid("take at least one, and at most 9007199254740992", "%d units can't be taken", n)
	}
	out := &quoratev1.ConsumeUnitsResponse{}
	err := s.using(ctx, req.Msg.GetToken(), func(ctx context.Context, t *term, f Found) (err error) {
		if f.Options.Units == nil {
			return NoCounter(f.Product)
		}
		out.UnitsLeft, err = s.cfg.Source.TakeUnits(ctx, t.seats.Epoch(), f.Product, id, n)
		return err
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}

// NoCounter refuses to count where nothing limits: a program that must be paid
// by units doesn't run free on another license.
func NoCounter(p license.Product) error {
	return license.Errorf(license.CodeNoUnits, "order units from the vendor, or don't take any",
		"the license for %s has no unit counter", p)
}

// ReadData gives the license's protected data.
func (s *service) ReadData(
	ctx context.Context, req *connect.Request[quoratev1.ReadDataRequest],
) (*connect.Response[quoratev1.ReadDataResponse], error) {
	token := req.Msg.GetToken()
	out := &quoratev1.ReadDataResponse{}
	err := s.opening(ctx, token, func(ctx context.Context, f Found) (err error) {
		out.Data, err = s.cfg.Source.ReadData(ctx, f.Product, token)
		return err
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}

// UseSecret derives a key from the license's secret data.
func (s *service) UseSecret(
	ctx context.Context, req *connect.Request[quoratev1.UseSecretRequest],
) (*connect.Response[quoratev1.UseSecretResponse], error) {
	token, use := req.Msg.GetToken(), req.Msg.GetContext()
	switch n := len(use); {
	case n == 0:
		return nil, invalid("say what the key is for", "the context is missing")
	case n > mostContext:
		return nil, invalid("shorten it, for example to a digest", "the context is %d bytes long, and %d are the most", n, mostContext)
	}
	out := &quoratev1.UseSecretResponse{}
	err := s.opening(ctx, token, func(ctx context.Context, f Found) (err error) {
		out.Key, err = s.cfg.Source.UseSecret(ctx, f.Product, use, token)
		return err
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}
