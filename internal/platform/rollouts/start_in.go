package rollouts

import (
	"context"

	"github.com/quorate/quorate/ent"
	entrollout "github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// StartIn is StartRollout in a transaction that does more: its caller has checked
// who asks, and has the place's lock. ctx tells for the audit log who does.
func StartIn(ctx context.Context, p *Service, tx *store.Tx, who auth.Principal, t core.LoadedPlace, key string) (*ent.Rollout, error) {
	caller := ctx
	ctx = core.System(ctx, "rollout")
	known, err := tx.Rollout.Query().Where(core.RolloutsAt(t.ID()), entrollout.IdempotencyKey(key)).Only(ctx)
	if err == nil || !ent.IsNotFound(err) {
		return known, err
	}
	// One that was started before has moved the group's next TMR-ID on.
	if t, err = core.PlaceOf(ctx, tx, t.ID()); err != nil {
		return nil, err
	}
	row, err := p.newRollout(ctx, tx, t, who, key, Schedule{}, nil)
	if err != nil {
		return nil, err
	}
	return row, core.Audit(caller, tx, core.AuditOwner(who, row.VendorID), "rollout.start", row.ID, nil, rolloutFacts(row))
}
