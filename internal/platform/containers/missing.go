package containers

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/update"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/rollout"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

// SameMembers says whether a rollout found the containers that a group has now.
func SameMembers(s rollout.State, g core.LoadedPlace) bool {
	for i, c := range g.Containers {
		if s.Steps[i].Found.Serial.String() != c.Serial {
			return false
		}
	}
	return true
}

// IsFirst says whether an update is one that a replacement brought about: its
// rollout was of the container before.
func IsFirst(u *ent.Update, c *ent.Container) (bool, error) {
	if u.Number != 1 || u.Edges.Rollout.State != property.RolloutDone {
		return false, nil
	}
	s, err := RolloutState(u.Edges.Rollout)
	return err == nil && s.Steps[*c.Position-1].Found.Serial.String() != c.Serial, err
}

// RolloutState reads the state machine's record.
func RolloutState(row *ent.Rollout) (rollout.State, error) {
	var s rollout.State
	if err := json.Unmarshal(row.Machine, &s); err != nil {
		return rollout.State{}, fmt.Errorf("the record of the rollout %s can't be read: %w", row.ID, err)
	}
	return s, nil
}

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
			update.RolloutIDNEQ(own), update.NumberGT(FirmState(f, code).Counter)).Order(ent.Asc(update.FieldNumber)).WithRollout().Limit(mostMissing + 1).All(ctx)
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
			if found.Licenses, err = HeldAfter(u.Edges.Rollout, *c.Position, code, m.Held); err != nil {
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
	if ok, err := IsFirst(u, c); err != nil || ok {
		return err // recorded anew whenever a member changes
	}
	s, err := RolloutState(u.Edges.Rollout)
	if err != nil || SameMembers(s, t) {
		return err
	}
	return license.Errorf(license.CodeConflict, replaceIt,
		"the container %s lacks the update %d, which names a backend that was replaced since", c.Serial, u.Number)
}

// HeldAfter is what a group's container holds once it has an update of a firm,
// by the record of the rollout that it is of.
func HeldAfter(of *ent.Rollout, position int, firm license.FirmCode, before []license.Held) ([]license.Held, error) {
	s, err := RolloutState(of)
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
