package licenseserver

import (
	"context"
	"slices"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// mostLiving bounds how many handles one call of Living lists: a store decides
// nothing meanwhile.
const mostLiving = 20_000

// Living gives the living handles, for who is authorized otherwise (the platform's
// link). A product with more than 20,000 is left out. Where all together have
// more, the products take turns: the next call begins with the first one that this
// one has left out. None without an error when this server doesn't lead.
func (s *Server) Living(ctx context.Context) (all []lease.Handle, err error) {
	err = s.under(ctx, func(ctx context.Context, t *term) error {
		var next *license.Product
		sum := 0
		for _, p := range s.inTurn() {
			u, err := t.seats.Usage(ctx, s.pool(p))
			if err != nil {
				return err
			}
			n := 0
			for _, handles := range u.ByMode {
				n += int(handles)
			}
			switch {
			case n == 0 || n > mostLiving:
				continue
			case sum+n > mostLiving:
				if next == nil {
					next = &p
				}
				continue
			}
			handles, err := t.seats.List(ctx, s.pool(p))
			if err != nil {
				return err
			}
			sum += n
			all = append(all, handles...)
		}
		s.turn.Store(next)
		return nil
	})
	switch license.CodeOf(err) {
	case "":
		return all, nil
	case license.CodeNotLeader, license.CodeNoMajority:
		return nil, nil
	}
	return nil, err
}

// inTurn gives the products from the one on whose turn it is.
func (s *Server) inTurn() []license.Product {
	offers := s.cfg.Source.Licenses()
	products := make([]license.Product, len(offers))
	for i, o := range offers {
		products[i] = o.Product
	}
	slices.SortFunc(products, license.Product.Compare)
	first := 0
	if p := s.turn.Load(); p != nil {
		first, _ = slices.BinarySearchFunc(products, *p, license.Product.Compare)
	}
	return slices.Concat(products[first:], products[:first])
}

// Ask leaves a handle's program a notice, for who is authorized otherwise (the
// platform's link). Errors: CodeHandleUnknown, CodeInvalidInput, CodeNotLeader.
func (s *Server) Ask(ctx context.Context, p license.Product, handle string, n lease.Notice) error {
	if err := checkID("handle id", handle); err != nil {
		return err
	}
	if err := checkShown("text", n.Text, mostNotice); err != nil {
		return err
	}
	if err := checkShown("name of who asks", n.By, mostText); err != nil {
		return err
	}
	return s.under(ctx, func(ctx context.Context, t *term) error {
		return t.seats.Ask(ctx, s.pool(p), handle, n)
	})
}
