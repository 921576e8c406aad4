package rollouts

import (
	"context"
	"encoding/json"
	"math"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/order"
	entrollout "github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/rolloutplanentry"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/transfer"
	"github.com/quorate/quorate/ent/update"
	"github.com/quorate/quorate/ent/work"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/containers"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/orders"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/rollout"
	"github.com/quorate/quorate/internal/store"
)

// StartRollout rolls out what was ordered for a TMR group or a container, and
// what is to be taken from it, as far as no rollout has it yet: that of one
// firm, the firm of the oldest. The firm's products whose items were changed
// since they were rolled out go along; alone they make a rollout too. While another rollout of the place is running,
// this one is queued. The same key gives the same rollout; an empty one is no
// key. Errors: license.CodeNotFound, CodeForbidden, CodeInvalidInput,
// CodeContainerBlocked, CodeRolloutUpToDate, and CodeConflict for a key of another
// request.
func (p *Service) StartRollout(ctx context.Context, at core.Place, key string) (*ent.Rollout, error) {
	return p.ScheduleRollout(ctx, at, key, Schedule{})
}

// ScheduleRollout is StartRollout for a later time. Until then the rollout is
// queued, and later ones of the place wait for it.
func (p *Service) ScheduleRollout(ctx context.Context, at core.Place, key string, when Schedule) (*ent.Rollout, error) {
	who, err := auth.Require(ctx, auth.RunRollout)
	if err != nil {
		return nil, err
	}
	var row *ent.Rollout
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		t, err := core.FindPlace(ctx, tx, at)
		if err != nil {
			return err
		}
		ids, again, err := core.Once(ctx, tx, who.Organization, "startRollout", key, []any{t.ID(), when}, func() (ids []string, err error) {
			if row, err = p.startAt(ctx, tx, who, t.ID(), when); err != nil {
				return nil, err
			}
			return []string{row.ID}, nil
		})
		if err != nil || !again {
			return err
		}
		row, err = tx.Rollout.Get(ctx, ids[0])
		return core.NotFound(err, "rollout", ids[0])
	})
	if err != nil {
		return nil, err
	}
	return row, nil
}

func (p *Service) startAt(ctx context.Context, tx *store.Tx, who auth.Principal, place string, when Schedule) (*ent.Rollout, error) {
	if err := when.check(); err != nil {
		return nil, err
	}
	caller := ctx
	ctx = core.System(ctx, "rollout") // the place is the caller's: the rest is the platform's business
	// The lock makes starts take turns, and no other change of which rollout
	// is running happens meanwhile.
	if err := core.LockPlace(ctx, tx, place); err != nil {
		return nil, err
	}
	t, err := core.PlaceOf(ctx, tx, place)
	if err != nil {
		return nil, err
	}
	row, err := p.newRollout(ctx, tx, t, who, "", when, nil)
	if err != nil {
		return nil, err
	}
	return row, core.Audit(caller, tx, core.AuditOwner(who, row.VendorID), "rollout.start", row.ID, nil, rolloutFacts(row))
}

// newRollout makes the place's next rollout: an offline one where the
// fingerprints of a request file are given, which can't be queued. It needs
// the place's lock.
func (p *Service) newRollout(ctx context.Context, tx *store.Tx, t core.LoadedPlace, who auth.Principal, key string, when Schedule, request *[license.Backends]rollout.Found) (*ent.Rollout, error) {
	if err := t.Blocked(); err != nil {
		return nil, err
	}
	due, err := whatIsDue(ctx, tx, t)
	if err != nil {
		return nil, err
	}
	if due.firm == nil {
		return nil, license.Errorf(license.CodeRolloutUpToDate, "order licenses or change their item first",
			"everything that was ordered for %s is rolled out or in a rollout", t.Serial())
	}
	number := 1
	last, err := tx.Rollout.Query().Where(core.RolloutsAt(t.ID())).Order(ent.Desc(entrollout.FieldNumber)).First(ctx)
	switch {
	case err == nil:
		number = last.Number + 1
	case !ent.IsNotFound(err):
		return nil, err
	}
	group, single := t.Columns()
	create := tx.Rollout.Create().
		SetVendorID(t.Vendor()).SetNillableCustomerID(t.Customer()).SetNillableTmrGroupID(group).SetNillableContainerID(single).
		SetNumber(number).SetState(property.RolloutQueued).SetFirm(due.firm.Code).SetProducts(due.products).
		SetStartedBy(core.DisplayName(who)).SetNillableNotBefore(timeOf(when.NotBefore)).SetNillableNotAfter(timeOf(when.NotAfter))
	s := rollout.NewSingle()
	if t.Group != nil {
		if t.Group.NextTmrID >= math.MaxUint32 {
			return nil, license.Errorf(license.CodeConflict, "set up a new TMR group", "the group %s has no TMR-ID left", t.Serial())
		}
		if err := tx.TmrGroup.UpdateOne(t.Group).AddNextTmrID(1).Exec(ctx); err != nil {
			return nil, err
		}
		create.SetTmrID(t.Group.NextTmrID)
		s = rollout.New()
	}
	if key != "" {
		create.SetIdempotencyKey(key)
	}
	row, err := create.Save(ctx)
	if err != nil {
		return nil, err
	}
	if err := due.take(ctx, tx, row); err != nil {
		return nil, err
	}
	// One that is queued goes first, also when none is running just now.
	busy, err := tx.Rollout.Query().Where(core.RolloutsAt(t.ID()), entrollout.IDNEQ(row.ID),
		entrollout.Or(entrollout.Running(true), entrollout.StateEQ(property.RolloutQueued))).Exist(ctx)
	if err != nil {
		return nil, err
	}
	brings, err := rolloutChanges(ctx, tx, row)
	if err != nil {
		return nil, err
	}
	switch {
	case request != nil:
		if s, err = startedOffline(s, busy, t, brings, *request); err != nil {
			return nil, err
		}
	case !busy && !when.NotBefore.After(core.Now()):
		if s, err = rollout.Next(s, brings.started(false)); err != nil {
			return nil, err
		}
	}
	row, err = p.saveRollout(ctx, tx, row, s, row.Epoch, brings.terms)
	if err != nil {
		return nil, err
	}
	return row, p.core.Jobs.EnqueueTx(ctx, tx.SQL(), tasks.AdvanceRollout{Rollout: row.ID})
}

// RetryRollout tries a held rollout's failed step again. Errors:
// license.CodeNotFound, CodeForbidden, CodeRolloutState.
func (p *Service) RetryRollout(ctx context.Context, id string) (*ent.Rollout, error) {
	return p.decideRollout(ctx, id, "rollout.retry", rollout.Retried{At: core.Now()})
}

// AbortRollout gives a rollout up before its first activation; its orders may
// then be rolled out by another one. Giving up twice is no error. Errors:
// license.CodeNotFound, CodeForbidden, CodeRolloutState.
func (p *Service) AbortRollout(ctx context.Context, id string) (*ent.Rollout, error) {
	return p.decideRollout(ctx, id, "rollout.abort", rollout.GivenUp{At: core.Now()})
}

func (p *Service) decideRollout(ctx context.Context, id, action string, e rollout.Event) (*ent.Rollout, error) {
	who, err := auth.Require(ctx, auth.RunRollout)
	if err != nil {
		return nil, err
	}
	var row *ent.Rollout
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		row, err = p.decideIn(ctx, tx, who, id, action, e)
		return err
	})
	if err != nil {
		return nil, err
	}
	return row, nil
}

// RetryIn is RetryRollout in a transaction that does more: its caller has
// checked who asks.
func RetryIn(ctx context.Context, p *Service, tx *store.Tx, id string) error {
	who, err := auth.From(ctx)
	if err != nil {
		return err
	}
	_, err = p.decideIn(ctx, tx, who, id, "rollout.retry", rollout.Retried{At: core.Now()})
	return err
}

func (p *Service) decideIn(ctx context.Context, tx *store.Tx, who auth.Principal, id, action string, e rollout.Event) (*ent.Rollout, error) {
	row, err := tx.Rollout.Query().Where(entrollout.ID(id), store.Locked).Only(ctx)
	if err != nil {
		return nil, core.NotFound(err, "rollout", id)
	}
	before := rolloutFacts(row)
	caller := ctx
	ctx = core.System(ctx, "rollout")
	s, err := containers.RolloutState(row)
	if err != nil {
		return nil, err
	}
	n, err := rollout.Next(s, e)
	if err != nil || n.Sequence == s.Sequence {
		return row, err
	}
	if n.Phase == rollout.Aborted {
		if err := p.withdraw(ctx, tx, row); err != nil {
			return nil, err
		}
	}
	if row, err = p.saveRollout(ctx, tx, row, n, row.Epoch, nil); err != nil {
		return nil, err
	}
	if err := p.core.Jobs.EnqueueTx(ctx, tx.SQL(), tasks.AdvanceRollout{Rollout: row.ID}); err != nil {
		return nil, err
	}
	return row, core.Audit(caller, tx, core.AuditOwner(who, row.VendorID), action, row.ID, before, rolloutFacts(row))
}

// withdraw takes back what a rollout that is given up has made: no container
// has any of it in force. Its updates go, since the next rollout issues others
// under the same numbers; the TMR-ID is not used again.
func (p *Service) withdraw(ctx context.Context, tx *store.Tx, row *ent.Rollout) error {
	if err := tx.Order.Update().Where(order.RolloutID(row.ID)).ClearRolloutID().Exec(ctx); err != nil {
		return err
	}
	if err := tx.Transfer.Update().Where(transfer.RolloutID(row.ID), transfer.StateEQ(property.TransferIssued)).
		ClearRolloutID().SetState(property.TransferRequested).Exec(ctx); err != nil {
		return err
	}
	if _, err := tx.Update.Delete().Where(update.RolloutID(row.ID)).Exec(ctx); err != nil {
		return err
	}
	return p.cancelWork(ctx, tx, row.ID, "the rollout was given up")
}

func (p *Service) cancelWork(ctx context.Context, tx *store.Tx, rollout, why string) error {
	return tx.Work.Update().Where(work.RolloutID(rollout), work.StateEQ(property.WorkPending)).
		SetState(property.WorkFailed).SetErrorCode(string(license.CodeRolloutState)).
		SetErrorMessage(why).SetDoneAt(core.Now()).Exec(ctx)
}

// saveRollout writes a rollout's state with all that is shown of it, under an
// epoch. terms may be nil once the state has them. When the rollout ends, the
// next one of the group gets its turn. Subscribers hear of it after the commit.
func (p *Service) saveRollout(ctx context.Context, tx *store.Tx, row *ent.Rollout, s rollout.State, epoch uint64, terms []license.License) (*ent.Rollout, error) {
	machine, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	if s.Phase != rollout.Queued {
		terms = s.Terms
	}
	steps := make([]property.RolloutStep, s.Backends())
	for i, step := range s.Steps[:s.Backends()] {
		steps[i] = property.RolloutStep{
			Position: i + 1, State: property.RolloutStepState(step.State), Note: core.ClipNote(step.Note),
			StartedAt: step.StartedAt, FinishedAt: step.FinishedAt,
		}
	}
	change := tx.Rollout.UpdateOne(row).
		SetState(property.RolloutState(s.Phase)).SetMachine(machine).SetSteps(steps).SetEpoch(epoch).
		SetSequence(int(s.Sequence)).SetRunning(s.Phase != rollout.Queued && !s.Phase.Ended()).
		SetNillableFinishedAt(s.EndedAt)
	if len(terms) > 0 {
		change.SetQuantity(int(terms[0].Options.Quantity))
	}
	if b := s.Blocker(); b != "" {
		change.SetBlocker(core.ClipNote(b))
	} else {
		change.ClearBlocker()
	}
	if s.Hold != nil {
		change.SetErrorCode(string(s.Hold.Code)).SetErrorMessage(core.ClipNote(s.Hold.Message))
	} else {
		change.ClearErrorCode().ClearErrorMessage()
	}
	saved, err := change.Save(ctx)
	if err != nil {
		return nil, err
	}
	if s.Phase == rollout.Done {
		if err := orders.ConfirmTransfers(ctx, p.core, tx, saved); err != nil {
			return nil, err
		}
	}
	if err := p.emit(ctx, tx, row.State, saved); err != nil {
		return nil, err
	}
	if s.Phase.Ended() {
		if err := p.nextRollout(ctx, tx, saved); err != nil {
			return nil, err
		}
	}
	if err := p.advancePlan(ctx, tx, row.State, saved); err != nil {
		return nil, err
	}
	p.core.Publish(ctx, tx, event.Rollout, saved.ID)
	if saved.TmrGroupID != nil {
		p.core.Publish(ctx, tx, event.TmrGroup, *saved.TmrGroupID)
	}
	return saved, nil
}

// emit tells endpoints of a step that matters to them.
func (p *Service) emit(ctx context.Context, tx *store.Tx, before property.RolloutState, row *ent.Rollout) error {
	data := core.AtPlace(row.TmrGroupID, row.ContainerID, map[string]any{
		"rollout": row.ID, "number": row.Number, "firm": row.Firm, "products": row.Products, "quantity": row.Quantity,
	})
	if row.TmrGroupID != nil {
		data["tmrId"] = row.TmrID
	}
	var kind core.EventKind
	switch {
	case row.State == before:
		return nil
	case row.State == property.RolloutDone:
		kind = core.EventRolloutDone
	case row.State == property.RolloutAborted:
		kind = core.EventRolloutAborted
	case row.State == property.RolloutHeld:
		kind = core.EventRolloutHeld
		data["code"], data["message"] = row.ErrorCode, row.ErrorMessage
	case before == property.RolloutQueued:
		kind = core.EventRolloutStarted
	default:
		return nil
	}
	return p.core.EmitShared(ctx, tx, row.VendorID, row.CustomerID, kind, data)
}

// nextRollout has a worker look at the place's oldest queued rollout. The lock
// on the place keeps a start that is just looking for a running one from
// missing this end.
func (p *Service) nextRollout(ctx context.Context, tx *store.Tx, ended *ent.Rollout) error {
	if err := core.LockPlace(ctx, tx, core.RolloutPlace(ended)); err != nil {
		return err
	}
	next, err := queuedRollout(ctx, tx, core.RolloutPlace(ended))
	if err != nil || next == nil {
		return err
	}
	return p.core.Jobs.EnqueueTx(ctx, tx.SQL(), tasks.AdvanceRollout{Rollout: next.ID})
}

// advancePlan has a worker look at the plan that a rollout belongs to, where it
// has ended, is held or goes on. It takes no lock: a plan's own worker holds the
// plan's row before it comes to those of rollouts.
func (p *Service) advancePlan(ctx context.Context, tx *store.Tx, before property.RolloutState, row *ent.Rollout) error {
	halts := func(s property.RolloutState) bool {
		return s == property.RolloutDone || s == property.RolloutAborted || s == property.RolloutHeld
	}
	if halts(row.State) == halts(before) {
		return nil
	}
	place, err := tx.RolloutPlanEntry.Query().Where(rolloutplanentry.VendorID(row.VendorID), rolloutplanentry.RolloutID(row.ID)).First(ctx)
	if err != nil {
		if ent.IsNotFound(err) {
			return nil
		}
		return err
	}
	return p.core.Jobs.EnqueueTx(ctx, tx.SQL(), tasks.AdvancePlan{Plan: place.RolloutPlanID})
}

// queuedRollout is the place's oldest queued rollout, or nil.
func queuedRollout(ctx context.Context, tx *store.Tx, place string) (*ent.Rollout, error) {
	row, err := tx.Rollout.Query().Where(core.RolloutsAt(place), entrollout.StateEQ(property.RolloutQueued)).
		Order(ent.Asc(entrollout.FieldNumber)).First(ctx)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	return row, err
}

func rolloutFacts(row *ent.Rollout) map[string]any {
	return map[string]any{"state": row.State, "tmrId": row.TmrID, "quantity": row.Quantity, "number": row.Number}
}
