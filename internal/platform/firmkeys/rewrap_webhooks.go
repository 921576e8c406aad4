package firmkeys

import (
	"context"

	"github.com/quorate/quorate/ent/predicate"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// rewrapWebhooks seals the secrets of webhooks.
func (p *Service) rewrapWebhooks(ctx context.Context, tx *store.Tx, next core.KeyWrapper, out *Rewrapped, owners map[string]int) error {
	all, err := tx.WebhookEndpoint.Query().Where(predicate.WebhookEndpoint(store.Locked)).All(ctx)
	if err != nil {
		return err
	}
	for _, e := range all {
		u, changed := tx.WebhookEndpoint.UpdateOne(e), false
		for _, s := range []struct {
			sealed []byte
			set    func([]byte)
		}{{e.SealedSecret, u.Mutation().SetSealedSecret}, {e.SealedPrevious, u.Mutation().SetSealedPrevious}} {
			if len(s.sealed) == 0 {
				continue
			}
			sealed, err := p.reseal(ctx, next, core.WebhookPurpose(e.OrganizationID), s.sealed, out)
			if err != nil {
				return err
			}
			if sealed != nil {
				owners[e.OrganizationID]++
				changed = true
				s.set(sealed)
			}
		}
		if !changed {
			continue
		}
		if err := u.Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}
