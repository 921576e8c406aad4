package book

import (
	"maps"
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

// denial is what makes two denials alike.
type denial struct {
	product license.Product
	holder  lease.Holder
	wants   uint32
	reason  license.Code
	rule    string
}

// mostDenials is how many denials are remembered, to leave out those like them.
const mostDenials = 4096

// again says whether a denial is like one that is on record, and notes it else.
func (b *Book) again(d denial, now time.Time) bool {
	if at, known := b.denials[d]; known && now.Sub(at) < lease.DenialPause {
		return true
	}
	if len(b.denials) >= mostDenials {
		maps.DeleteFunc(b.denials, func(_ denial, at time.Time) bool { return now.Sub(at) >= lease.DenialPause })
		if len(b.denials) >= mostDenials {
			clear(b.denials)
		}
	}
	b.denials[d] = now
	return false
}

func (b *Book) denied(now time.Time, r lease.Request, reason license.Code, rule string) {
	if b.again(denial{r.Pool.Product, r.Holder(), r.Wants(), reason, rule}, now) {
		return
	}
	h := &handle{
		id: r.ID, product: r.Pool.Product, mode: r.Mode, station: r.Station, client: r.Client,
		licenses: r.Wants(), borrowed: r.Borrowed,
	}
	b.event(h, lease.Denied, now, func(e *lease.Event) { e.Reason, e.Rule = reason, rule })
}
