package quorumlease

import (
	"context"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/lease"
)

// Vouch says whether a handle's token may be believed by a server that doesn't
// lead, or is in doubt: nil when two journals show nothing newer of its seat. The
// caller has checked the token, and that its lifetime, with a margin for the
// clocks' difference, isn't over. Errors: license.CodeHandleUnknown (which only
// who leads can say for certain: what is newer may never have come about),
// CodeUnavailable.
func (s *Store) Vouch(ctx context.Context, ref lease.Ref) error {
	group := ref.Pool.Container
	if err := ref.Pool.Check(group); err != nil {
		return err
	}
	if ref.Seat == 0 || ref.N == 0 || ref.N > journal.MostEpoch/perN-1 {
		return lease.Ended(lease.Released, ref.Handle)
	}
	journals, err := s.opt.Journals(group)
	if err != nil {
		return err
	}
	var known journal.Known
	s.mu.Lock()
	if t := s.leads[group]; t != nil {
		known = t.q.Known()
	}
	s.mu.Unlock()
	key := journal.Key{Product: ref.Pool.Product, Seat: ref.Seat}
	switch newer, err := journal.Above(ctx, journals, known, key, ref.Epoch, ref.N*perN+held); {
	case err != nil:
		return lease.Unavailable(err)
	case newer:
		return lease.Ended(lease.Released, ref.Handle)
	}
	return nil
}
