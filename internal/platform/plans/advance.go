package plans

import (
	"context"
	"errors"
	"fmt"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/predicate"
	entrollout "github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/rolloutplan"
	entry "github.com/quorate/quorate/ent/rolloutplanentry"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/rollouts"
	"github.com/quorate/quorate/internal/store"
)

// plansRead is how many are read at once.
const plansRead = 200

// AdvancePlans takes every plan as far as it goes without waiting. It may be
// called at any time, by any number of workers and again after one was killed:
// each plan is taken forward in transactions that hold its row.
func (p *Service) AdvancePlans(ctx context.Context) error {
	ctx = core.System(ctx, "rollout plan")
	var all error
	for last, more := "", true; more; {
		ids, err := p.core.Store.Client().RolloutPlan.Query().Where(rolloutplan.IDGT(last),
			rolloutplan.StateIn(property.PlanScheduled, property.PlanRunning, property.PlanPaused, property.PlanStopped)).
			Order(ent.Asc(rolloutplan.FieldID)).Limit(plansRead).IDs(ctx)
		if err != nil {
			return errors.Join(all, err)
		}
		for _, id := range ids {
			all = errors.Join(all, p.AdvancePlan(ctx, id))
			last = id
		}
		more = len(ids) == plansRead
	}
	return all
}

// AdvancePlan is AdvancePlans for one plan. Errors: CodeNotFound.
func (p *Service) AdvancePlan(ctx context.Context, id string) error {
	ctx = core.System(ctx, "rollout plan")
	for {
		if more, err := p.step(ctx, id); err != nil {
			return fmt.Errorf("take the rollout plan %s forward: %w", id, core.NotFound(err, "plan", id))
		} else if !more {
			return nil
		}
	}
}

// step does one transaction: it takes over what became of the rollouts that
// run, then starts one more, or ends the plan. more: there may be another one
// to start.
func (p *Service) step(ctx context.Context, id string) (more bool, err error) {
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		more = false
		row, err := tx.RolloutPlan.Query().Where(rolloutplan.ID(id), predicate.RolloutPlan(store.Locked)).Only(ctx)
		if err != nil || row.FinishedAt != nil {
			return err
		}
		entries, err := tx.RolloutPlanEntry.Query().Where(entry.RolloutPlanID(id)).WithRollout().
			Order(ent.Asc(entry.FieldWave), ent.Asc(entry.FieldID)).All(ctx)
		if err != nil {
			return err
		}
		if changed, err := settle(ctx, tx, entries); err != nil {
			return err
		} else if changed {
			if err := p.tell(ctx, tx, row); err != nil {
				return err
			}
		}
		if row.State == property.PlanPaused || row.State == property.PlanStopped {
			return nil
		}
		now := core.Now()
		if row.NotBefore != nil && now.Before(*row.NotBefore) {
			return nil
		}
		if failures, last := failed(entries); failures > row.StopAfter {
			reason := core.ClipNote(fmt.Sprintf("%d of %d rollouts failed, the last one by: %s", failures, len(entries), last))
			return p.save(ctx, tx, row, tx.RolloutPlan.UpdateOne(row).SetState(property.PlanStopped).SetStopReason(reason), "plan.stop")
		}
		next, running, waiting := due(entries)
		switch {
		case waiting == 0 && running == 0:
			return p.save(ctx, tx, row, tx.RolloutPlan.UpdateOne(row).SetState(property.PlanDone).SetFinishedAt(now), "plan.done")
		case next == nil || running >= row.AtOnce || !open(row.Window, now):
			return nil
		}
		if row.State == property.PlanScheduled {
			if err := p.save(ctx, tx, row, tx.RolloutPlan.UpdateOne(row).SetState(property.PlanRunning), "plan.begin"); err != nil {
				return err
			}
		}
		more = true
		return p.start(ctx, tx, row, next)
	})
	return more && err == nil, err
}

func (p *Service) save(ctx context.Context, tx *store.Tx, row *ent.RolloutPlan, u *ent.RolloutPlanUpdateOne, action string) error {
	out, err := u.SetRevision(row.Revision + 1).AddSequence(1).Save(ctx)
	if err != nil {
		return err
	}
	*row = *out
	p.core.Publish(ctx, tx, event.Rollout, row.ID)
	return core.Audit(ctx, tx, row.VendorID, action, row.ID, nil, facts(out))
}

// settle takes over what became of rollouts, and says whether that is news. A
// held one has failed, until a retry of it has brought it to its end.
func settle(ctx context.Context, tx *store.Tx, entries []*ent.RolloutPlanEntry) (changed bool, err error) {
	for _, e := range entries {
		r := e.Edges.Rollout
		if r == nil || e.State == property.EntrySkipped || e.State == property.EntryWaiting {
			continue
		}
		state, note := property.EntryRunning, ""
		switch r.State {
		case property.RolloutDone:
			state = property.EntryDone
		case property.RolloutAborted:
			state, note = property.EntryFailed, "the rollout was aborted"
		case property.RolloutHeld:
			state, note = property.EntryFailed, "the rollout is held"
			if r.ErrorMessage != nil {
				note = *r.ErrorMessage
			}
		}
		if state == e.State {
			continue
		}
		if err := tx.RolloutPlanEntry.UpdateOne(e).SetState(state).SetNote(core.ClipNote(note)).Exec(ctx); err != nil {
			return false, err
		}
		e.State, e.Note, changed = state, note, true
	}
	return changed, nil
}

// tell counts a change of a plan's places, and has whoever watches hear of it
// once tx is committed: under the topic of rollouts, since plans are made of them.
func (p *Service) tell(ctx context.Context, tx *store.Tx, row *ent.RolloutPlan) error {
	p.core.Publish(ctx, tx, event.Rollout, row.ID)
	out, err := tx.RolloutPlan.UpdateOne(row).AddSequence(1).Save(ctx)
	if err == nil {
		*row = *out
	}
	return err
}

func failed(entries []*ent.RolloutPlanEntry) (n int, last string) {
	for _, e := range entries {
		if e.State == property.EntryFailed {
			n, last = n+1, e.Note
		}
	}
	return n, last
}

// due finds the next place whose turn it is: the waves before its own have no
// entry left that waits or runs.
func due(entries []*ent.RolloutPlanEntry) (next *ent.RolloutPlanEntry, running, waiting int) {
	open := 0 // the first wave that has not ended
	for _, e := range entries {
		switch e.State {
		case property.EntryRunning:
			running++
		case property.EntryWaiting:
			waiting++
		default:
			continue
		}
		if open == 0 {
			open = e.Wave
		}
		if next == nil && e.State == property.EntryWaiting && e.Wave == open {
			next = e
		}
	}
	return next, running, waiting
}

// start begins the rollout of an entry. A held rollout of an earlier try is
// tried again. What can't be begun has failed, and where there is nothing to
// bring the entry is passed over.
func (p *Service) start(ctx context.Context, tx *store.Tx, row *ent.RolloutPlan, e *ent.RolloutPlanEntry) error {
	if err := p.tell(ctx, tx, row); err != nil {
		return err
	}
	note := func(state property.PlanEntryState, err error) error {
		return tx.RolloutPlanEntry.UpdateOne(e).SetState(state).SetNote(core.ClipNote(err.Error())).Exec(ctx)
	}
	by := auth.System("rollout plan")
	by.Name = row.StartedBy
	made, err := p.rolloutFor(ctx, tx, row, e, by)
	switch code := license.CodeOf(err); {
	case err == nil:
		u := tx.RolloutPlanEntry.UpdateOne(e).SetState(property.EntryRunning).SetNote("")
		if made != nil {
			u.SetRolloutID(made.ID)
		}
		return u.Exec(ctx)
	case code == license.CodeRolloutUpToDate:
		return note(property.EntrySkipped, err)
	case code == license.CodeInternal:
		return err
	}
	return note(property.EntryFailed, err)
}

func (p *Service) rolloutFor(ctx context.Context, tx *store.Tx, row *ent.RolloutPlan, e *ent.RolloutPlanEntry, by auth.Principal) (*ent.Rollout, error) {
	if r := e.Edges.Rollout; r != nil && r.State != property.RolloutAborted {
		if r.State != property.RolloutHeld {
			return nil, nil
		}
		return nil, rollouts.RetryIn(ctx, p.rollouts, tx, r.ID)
	}
	id := ""
	if e.TmrGroupID != nil {
		id = *e.TmrGroupID
	} else {
		id = *e.ContainerID
	}
	if err := core.LockPlace(ctx, tx, id); err != nil {
		return nil, err
	}
	place, err := core.PlaceOf(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	tries, err := tx.Rollout.Query().Where(core.RolloutsAt(id), entrollout.IdempotencyKeyHasPrefix(e.ID+"/")).Count(ctx)
	if err != nil {
		return nil, err
	}
	return rollouts.StartIn(ctx, p.rollouts, tx, by, place, fmt.Sprintf("%s/%d", e.ID, tries+1))
}
