package book

import (
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// Deny is lease.Denier's.
func (b *Book) Deny(now time.Time, r lease.Request, reason license.Code, rule string) error {
	if err := lease.CheckDeny(r, b.group, reason, rule); err != nil {
		return err
	}
	if w := b.waiters[r.ID]; w != nil && w.request.Pool == r.Pool {
		b.leave(w)
	}
	b.denied(now, r, reason, rule)
	return nil
}

func (b *Book) denied(now time.Time, r lease.Request, reason license.Code, rule string) {
	h := &handle{
		id: r.ID, product: r.Pool.Product, mode: r.Mode, station: r.Station, client: r.Client,
		licenses: r.Wants(), borrowed: r.Borrowed,
	}
	b.event(h, lease.Denied, now, func(e *lease.Event) { e.Reason, e.Rule = reason, rule })
}
