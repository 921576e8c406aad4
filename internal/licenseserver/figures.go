package licenseserver

import (
	"context"

	"github.com/quorate/quorate/internal/license"
)

// Figures are what operators see of a server, over all products. What counts
// handles is zero where it doesn't lead.
type Figures struct {
	Leading bool
	// Terms is how often it began to lead.
	Terms uint64
	// Handles are the living ones; Taken is what they and lingering seats take of
	// Quantity, the licenses in force that can be counted.
	Handles, Taken, Quantity, Waiting uint64
}

// Figures counts, until ctx ends.
func (s *Server) Figures(ctx context.Context) (Figures, error) {
	f := Figures{Terms: s.terms.Load()}
	err := s.under(ctx, func(ctx context.Context, t *term) error {
		f.Leading = true
		for _, o := range s.cfg.Source.Licenses() {
			u, err := t.seats.Usage(ctx, s.pool(o.Product))
			if err != nil {
				return err
			}
			for _, handles := range u.ByMode {
				f.Handles += uint64(handles)
			}
			f.Taken += uint64(u.Taken)
			f.Waiting += uint64(u.Waiting)
			if o.Refusal == nil {
				f.Quantity += uint64(o.Options.Quantity)
			}
		}
		return nil
	})
	switch license.CodeOf(err) {
	case license.CodeNotLeader, license.CodeNoMajority:
		return Figures{Terms: f.Terms}, nil
	}
	return f, err
}
