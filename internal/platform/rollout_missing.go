package platform

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/update"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/rollout"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

// mostMissing bounds the updates that a group's container can have lost.
const mostMissing = 64

// lost finds the updates of every firm that a group's container lacks by its
// fingerprint, and says in found what the container holds before each, and of
// the rollout's firm after all of them. The other two backends have these
// updates: so nothing of any firm is rolled out before the container has too.
// The rollout's own update is none of them.
func lost(ctx context.Context, tx *store.Tx, t core.LoadedPlace, c *ent.Container, f seal.Fingerprint, firm license.FirmCode, own string, found *rollout.Found) error {
	counters := slices.Clone(c.Edges.Counters)
	slices.SortFunc(counters, func(a, b *ent.FirmCounter) int { return cmp.Compare(a.Edges.Firm.Code, b.Edges.Firm.Code) })
	for _, n := range counters {
		code := license.FirmCode(n.Edges.Firm.Code)
		all, err := tx.Update.Query().Where(update.ContainerID(c.ID), update.FirmID(n.FirmID), update.DigestNotNil(),
			update.RolloutIDNEQ(own), update.NumberGT(firmState(f, code).Counter)).Order(ent.Asc(update.FieldNumber)).WithRollout().Limit(mostMissing + 1).All(ctx)
		if err != nil {
			return err
		}
		if len(found.Missing)+len(all) > mostMissing {
			return license.Errorf(license.CodeTooLarge, replaceIt,
				"the container %s lacks more than %d updates", c.Serial, mostMissing)
		}
		for _, u := range all {
			if err := namesMembers(u, t, c); err != nil {
				return err
			}
			m := rollout.Missing{Firm: code, Number: u.Number, Update: rollout.Digest(u.Digest), Held: found.Licenses}
			found.Missing = append(found.Missing, m)
			if found.Licenses, err = heldAfter(u.Edges.Rollout, *c.Position, code, m.Held); err != nil {
				return err
			}
			if code == firm {
				found.Number, found.Previous = m.Number, m.Update
			}
		}
	}
	return nil
}

// replaceIt is what is left where a backend can't be brought up to date.
const replaceIt = "replace the backend by a new container, which gets all licenses at once"

// namesMembers refuses a missing update that was issued when the group had
// another member: its container would not believe the present one.
func namesMembers(u *ent.Update, t core.LoadedPlace, c *ent.Container) error {
	if ok, err := first(u, c); err != nil || ok {
		return err // recorded anew whenever a member changes
	}
	s, err := rolloutState(u.Edges.Rollout)
	if err != nil || sameMembers(s, t) {
		return err
	}
	return license.Errorf(license.CodeConflict, replaceIt,
		"the container %s lacks the update %d, which names a backend that was replaced since", c.Serial, u.Number)
}

// heldAfter is what a group's container holds once it has an update of a firm,
// by the record of the rollout that it is of.
func heldAfter(of *ent.Rollout, position int, firm license.FirmCode, before []license.Held) ([]license.Held, error) {
	s, err := rolloutState(of)
	if err != nil {
		return nil, err
	}
	after := slices.DeleteFunc(slices.Clone(before), func(h license.Held) bool { return h.Product.Firm == firm })
	for _, h := range s.Holds(position) {
		if h.Product.Firm == firm {
			after = append(after, h)
		}
	}
	return after, nil
}

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
