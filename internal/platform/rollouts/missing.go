package rollouts

import (
	"context"
	"fmt"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/update"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/rollout"
	"github.com/quorate/quorate/internal/store"
)

// toStage are the updates to write beside the licenses: of a container alone
// those that it misses too, of a group's the one that is due.
func toStage(ctx context.Context, tx *store.Tx, row *ent.Rollout, s rollout.State, g core.LoadedPlace) ([]tasks.BackendUpdate, error) {
	if g.Single() {
		return missingUpdates(ctx, tx, row, g, 1)
	}
	var all []tasks.BackendUpdate
	for i := range g.Containers {
		u, err := dueUpdate(ctx, tx, s, g, i+1)
		if err != nil {
			return nil, err
		}
		all = append(all, toBackend(i+1, u))
	}
	return all, nil
}

// missingUpdates are those that a container doesn't have by what is recorded, in
// order: of the rollout's firm, and in a group of all firms. The rollout's own
// comes last, and always.
func missingUpdates(ctx context.Context, tx *store.Tx, row *ent.Rollout, g core.LoadedPlace, position int) ([]tasks.BackendUpdate, error) {
	c := g.Containers[position-1]
	own, err := tx.Update.Query().Where(update.RolloutID(row.ID), update.ContainerID(c.ID)).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the update for backend %d: %w", position, err)
	}
	var all []tasks.BackendUpdate
	for _, n := range c.Edges.Counters {
		if g.Single() && n.FirmID != own.FirmID {
			continue
		}
		before, err := tx.Update.Query().Where(update.ContainerID(c.ID), update.FirmID(n.FirmID), update.DigestNotNil(),
			update.NumberGT(n.Counter), update.RolloutIDNEQ(row.ID)).Order(ent.Asc(update.FieldNumber)).All(ctx)
		if err != nil {
			return nil, err
		}
		for _, u := range before {
			all = append(all, toBackend(position, u))
		}
	}
	return append(all, toBackend(position, own)), nil
}

// dueUpdate is the one that a backend gets next, with its firm.
func dueUpdate(ctx context.Context, tx *store.Tx, s rollout.State, g core.LoadedPlace, position int) (*ent.Update, error) {
	due := s.Due(position)
	u, err := tx.Update.Query().Where(update.ContainerID(g.Containers[position-1].ID), update.Digest(due[:])).WithFirm().Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the update for backend %d: %w", position, err)
	}
	return u, nil
}

func toBackend(position int, u *ent.Update) tasks.BackendUpdate {
	return tasks.BackendUpdate{Position: position, Update: u.Bytes, Digest: u.Digest}
}
