package memlease

import (
	"context"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

var _ lease.Denier = (*seats)(nil)

// Deny implements lease.Denier.
func (t *seats) Deny(ctx context.Context, r lease.Request, reason license.Code, rule string) error {
	return t.decide(ctx, func(g *group, now time.Time) (string, error) {
		return "", g.book.Deny(now, r, reason, rule)
	})
}
