package licenseserver

import (
	"context"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// mostLiving bounds how many handles Living lists: a store decides nothing
// meanwhile.
const mostLiving = 20_000

// Living gives the living handles, for who is authorized otherwise (the platform's
// link). A product with which there would be more than 20,000 is left out. None
// without an error when this server doesn't lead.
func (s *Server) Living(ctx context.Context) (all []lease.Handle, err error) {
	err = s.under(ctx, func(ctx context.Context, t *term) error {
		for _, o := range s.cfg.Source.Licenses() {
			u, err := t.seats.Usage(ctx, s.pool(o.Product))
			if err != nil {
				return err
			}
			n := len(all)
			for _, handles := range u.ByMode {
				n += int(handles)
			}
			if n == len(all) || n > mostLiving {
				continue
			}
			handles, err := t.seats.List(ctx, s.pool(o.Product))
			if err != nil {
				return err
			}
			all = append(all, handles...)
		}
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
