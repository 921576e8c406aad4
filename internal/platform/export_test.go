package platform

import (
	"context"
	"time"

	"github.com/quorate/quorate/ent"
)

// CheapKeyFiles makes exporting quick; what is written is otherwise the same.
func (p *Platform) CheapKeyFiles() { p.keyFileWork = 4 }

// QuickChecks leaves checks of rules no time.
func (p *Platform) QuickChecks() { p.checkTime = time.Nanosecond }

// Issued is what StartOfflineRollout does after its transaction.
func (p *Platform) Issued(ctx context.Context, row *ent.Rollout) (OfflineRollout, error) {
	return p.issued(ctx, row)
}

// NewClocks gives the methods of a memory of clocks, and its size.
func NewClocks() (allow func(ids ...string) error, note func(id string) bool, size func() int) {
	c := newClocks()
	return func(ids ...string) error { return c.allow(ids) }, c.note, func() int { return len(c.all) }
}
