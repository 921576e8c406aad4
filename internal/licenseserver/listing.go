package licenseserver

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// ListLicenses gives what is offered and how much of it is taken.
func (s *service) ListLicenses(
	ctx context.Context, req *connect.Request[quoratev1.ListLicensesRequest],
) (*connect.Response[quoratev1.ListLicensesResponse], error) {
	may := s.teller(req.Header(), req.Peer())
	out := &quoratev1.ListLicensesResponse{Server: s.cfg.Name}
	err := s.under(ctx, func(ctx context.Context, t *term) error {
		for _, o := range s.cfg.Source.Licenses() {
			usage, err := t.seats.Usage(ctx, s.pool(o.Product))
			if err != nil {
				return err
			}
			m, err := s.offer(ctx, t, o, usage)
			if err != nil {
				return err
			}
			if may == discloseAll { // rules name users and hosts
				m.TakenByTag = largest(usage.ByTag, mostTagsShown)
			}
			out.Licenses = append(out.Licenses, m)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}

// mostTagsShown is of how many tags it is told what they take: caps for each one
// apart make one for everybody.
const mostTagsShown = 1000

// largest gives the largest of many counts.
func largest(all map[string]uint32, most int) map[string]uint32 {
	if len(all) <= most {
		return all
	}
	tags := slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return cmp.Or(cmp.Compare(all[b], all[a]), cmp.Compare(a, b))
	})
	out := make(map[string]uint32, most)
	for _, t := range tags[:most] {
		out[t] = all[t]
	}
	return out
}

func (s *service) offer(ctx context.Context, t *term, o Offer, u lease.Usage) (*quoratev1.LicenseUse, error) {
	m := &quoratev1.LicenseUse{
		Product:        rpc.ProductProto(o.Product),
		Name:           o.Name,
		Container:      s.cfg.Source.Serial().String(),
		FeatureMap:     o.Options.FeatureMap,
		Total:          o.Options.Quantity,
		Taken:          make(map[string]uint32, len(u.ByMode)),
		TakenTotal:     u.Taken,
		TakenLicenses:  make(map[string]uint32, len(u.TakenByMode)),
		Lingering:      u.Lingering,
		Borrowed:       u.Borrowed,
		Waiting:        u.Waiting,
		ExpirationUnix: rpc.UnixSeconds(o.Options.Expiration),
		TmrId:          o.Options.TMRID,
		Status:         o.Status,
		Options:        optionsProto(o.Options),
	}
	for mode, n := range u.ByMode {
		m.Taken[string(mode)] = n
	}
	for mode, n := range u.TakenByMode {
		m.TakenLicenses[string(mode)] = n
	}
	refusal := o.Refusal
	if refusal == nil {
		use, err := s.used(ctx, t, o.License)
		switch {
		case passes(err):
			refusal = err
		case err != nil:
			return nil, err
		default:
			v := o.Standing(use, o.Moment)
			m.FirstUseUnix, m.UntilUnix, m.UnitsLeft = rpc.UnixSeconds(use.First), rpc.UnixSeconds(v.Until), v.UnitsLeft
			refusal = v.Err()
		}
	}
	m.Usable, m.WhyNot, m.Refusal = refusal == nil, string(license.CodeOf(refusal)), rpc.ErrorInfo(refusal)
	// More than the quantity are taken after it was lowered.
	if m.Usable && u.Taken < m.Total {
		m.Free = m.Total - u.Taken
	}
	m.HeldBack = min(m.GetFree(), s.heldBack(o.Product, u))
	return m, nil
}
