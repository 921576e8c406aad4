package rollouts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate/ent"
	entrollout "github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/work"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/containers"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/rollout"
	"github.com/quorate/quorate/internal/store"
)

// AfterState is told of each state of a rollout that a worker comes to, once
// it is stored and before its effect is caused.
type AfterState func(ctx context.Context, s rollout.State)

// AdvanceRollout takes a rollout as far as it goes without waiting: it turns
// results of work into events, does what is the platform's own to do, and makes
// the work items that are due. It may be called at any time, by any number of
// workers and again after one was killed: each step is one transaction that
// reads the row under a lock, and a worker that another one has taken over from
// finds a newer epoch and stops. after may be nil.
func (p *Service) AdvanceRollout(ctx context.Context, id string, after AfterState) error {
	ctx = core.System(ctx, "rollout")
	row, err := p.core.Store.Client().Rollout.Get(ctx, id)
	if err != nil {
		return core.NotFound(err, "rollout", id)
	}
	s, err := containers.RolloutState(row)
	if err != nil {
		return err
	}
	if after != nil {
		after(ctx, s)
	}
	w := &rolloutWorker{platform: p, id: id}
	for {
		before := s.Sequence
		more, err := w.step(ctx, &s)
		if errors.Is(err, &license.Error{Code: license.CodeRolloutSuperseded}) {
			p.core.Log.DebugContext(ctx, "another worker goes on with the rollout", "rollout", id)
			return nil
		}
		if err != nil {
			return fmt.Errorf("advance the rollout %s in %s: %w", id, s.Phase, err)
		}
		if s.Sequence != before {
			p.core.Log.InfoContext(ctx, "rollout", "rollout", id, "state", s.Phase, "backend", s.Backend, "sequence", s.Sequence)
			if after != nil {
				after(ctx, s)
			}
		}
		if !more {
			return nil
		}
	}
}

// UnfinishedRollouts are those that a worker may have something to do for.
func (p *Service) UnfinishedRollouts(ctx context.Context) ([]string, error) {
	return p.core.Store.Client().Rollout.Query().
		Where(entrollout.StateNotIn(property.RolloutDone, property.RolloutAborted, property.RolloutHeld)).
		Order(ent.Asc(entrollout.FieldID)).Limit(1000).IDs(core.System(ctx, "rollout"))
}

// rolloutWorker is one worker's go at one rollout.
type rolloutWorker struct {
	platform *Service
	id       string
	epoch    uint64 // 0 until it has written
}

// step does one transaction. It says whether there may be more to do at once,
// and leaves the rollout's state in s.
func (w *rolloutWorker) step(ctx context.Context, s *rollout.State) (more bool, err error) {
	err = w.platform.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		row, err := tx.Rollout.Query().Where(entrollout.ID(w.id), store.Locked).Only(ctx)
		if err != nil {
			return err
		}
		if w.epoch != 0 && row.Epoch != w.epoch {
			return license.Errorf(license.CodeRolloutSuperseded, "", "another worker has taken the rollout over")
		}
		if *s, err = containers.RolloutState(row); err != nil {
			return err
		}
		e, prepared, err := w.due(ctx, tx, row, *s)
		if err != nil {
			return err
		}
		n := *s
		if e != nil {
			if n, err = rollout.Next(*s, e); err != nil {
				return err
			}
		}
		if more = prepared || n.Sequence != s.Sequence; !more {
			return nil
		}
		if w.epoch == 0 {
			w.epoch = row.Epoch + 1
		}
		*s = n
		_, err = w.platform.saveRollout(ctx, tx, row, n, w.epoch, nil)
		return err
	})
	if err != nil {
		more = false
	}
	return more, err
}

// due causes the effect that is due, and gives the event that came of it: nil
// when it has to be waited for. prepared says that something was written down
// which the next step goes on with.
func (w *rolloutWorker) due(ctx context.Context, tx *store.Tx, row *ent.Rollout, s rollout.State) (e rollout.Event, prepared bool, err error) {
	if row.ContainerID != nil && !s.Phase.Ended() {
		c, err := tx.Container.Get(ctx, *row.ContainerID)
		if err != nil {
			return nil, false, err
		}
		if c.BlockedAt != nil {
			return rollout.Blocked{At: core.Now()}, false, w.platform.cancelWork(ctx, tx, row.ID, "the container was blocked")
		}
	}
	if s.Phase == rollout.Queued {
		e, err := w.turn(ctx, tx, row)
		return e, false, err
	}
	a, ok := rollout.Pending(s)
	if !ok {
		return nil, false, nil
	}
	if row.PausedAt != nil {
		if wait, err := waits(ctx, tx, row, a); err != nil || wait {
			return nil, false, err
		}
	}
	g, err := core.PlaceOf(ctx, tx, core.RolloutPlace(row))
	if err != nil {
		return nil, false, err
	}
	switch a.Kind {
	case rollout.AwaitView:
		return viewed(g.Group), false, nil
	case rollout.AwaitFile: // comes with FinishOfflineRollout, or a newer request
		return nil, false, nil
	case rollout.Collect:
		if e, wait, prepared, err := w.collects(ctx, tx, s, a, g); e != nil || wait || prepared || err != nil {
			return e, prepared, err
		}
	case rollout.Issue:
		digests, prepared, err := w.issue(ctx, tx, row, s, g)
		if err != nil {
			e, err := failed(a, err)
			return e, false, err
		}
		if prepared {
			return nil, true, nil
		}
		return rollout.Issued{At: core.Now(), Key: a.Key, Updates: digests}, false, nil
	}
	item, err := tx.Work.Query().Where(work.Key(row.ID + "/" + a.Key)).Only(ctx)
	if ent.IsNotFound(err) {
		e, err := w.ask(ctx, tx, row, s, a, g)
		return e, false, err
	}
	if err != nil {
		return nil, false, err
	}
	if item.State == property.WorkPending {
		if lost := !g.Linked() && time.Since(item.CreatedAt) > core.LinkPatience; lost != s.Unlinked {
			return rollout.Linked{Up: !lost}, false, nil
		}
		return nil, false, nil
	}
	e, err = w.answer(ctx, tx, row, s, a, g, item)
	if err != nil {
		e, err = failed(a, err)
	}
	return e, false, err
}

// collects prepares the collecting of a group's fingerprints. wait: it can't be
// asked for now.
func (w *rolloutWorker) collects(ctx context.Context, tx *store.Tx, s rollout.State, a rollout.Action, g core.LoadedPlace) (e rollout.Event, wait, prepared bool, err error) {
	if g.Single() {
		return nil, false, false, nil
	}
	if prepared, err = w.platform.signFirsts(ctx, tx, g); err != nil || prepared {
		if err != nil {
			e, err = failed(a, err)
		}
		return e, false, prepared, err
	}
	if s.AwaitsRequest() { // comes with StartOfflineRollout
		return nil, true, false, nil
	}
	asked, err := tx.Work.Query().Where(work.Key(w.id + "/" + a.Key)).Exist(ctx)
	if err != nil || asked {
		return nil, false, false, err
	}
	k, err := outdated(ctx, tx, g)
	if err == nil && k != s.Outdated {
		e = rollout.Configured{Outdated: k}
	}
	return e, k != 0, false, err
}

// turn starts a queued rollout when no other one of the place is running and
// it is the oldest one queued.
func (w *rolloutWorker) turn(ctx context.Context, tx *store.Tx, row *ent.Rollout) (rollout.Event, error) {
	place := core.RolloutPlace(row)
	if err := core.LockPlace(ctx, tx, place); err != nil {
		return nil, err
	}
	if now := core.Now(); row.NotAfter != nil && now.After(*row.NotAfter) {
		return rollout.GivenUp{At: now}, w.platform.expired(ctx, tx, row)
	} else if row.PausedAt != nil || row.NotBefore != nil && now.Before(*row.NotBefore) {
		return nil, nil
	}
	busy, err := tx.Rollout.Query().Where(core.RolloutsAt(place), entrollout.Running(true)).Exist(ctx)
	if err != nil || busy {
		return nil, err
	}
	first, err := queuedRollout(ctx, tx, place)
	if err != nil || first == nil || first.ID != row.ID {
		return nil, err
	}
	brings, err := rolloutChanges(ctx, tx, row)
	if err != nil {
		return nil, err
	}
	if len(brings.terms)+len(brings.removes) == 0 {
		// It was for changed items alone, and the rollout that should have brought
		// their products was given up.
		return rollout.GivenUp{At: core.Now()}, nil
	}
	return brings.started(false), nil
}

// failed makes the event of an error that has a code, and so a reason that a
// person can do something about. Any other error is the platform's own trouble:
// the job is tried again.
func failed(a rollout.Action, err error) (rollout.Event, error) {
	if license.CodeOf(err) == license.CodeInternal {
		return nil, err
	}
	var e *license.Error
	errors.As(err, &e)
	return rollout.Failed{At: core.Now(), Key: a.Key, Code: e.Code, Message: e.Error()}, nil
}

// viewed is the latest view of the group as an event.
func viewed(g *ent.TmrGroup) rollout.Event {
	var shown []license.License
	for _, l := range g.Licenses {
		product, err := license.ParseProduct(l.Product)
		if err != nil || !l.InForce || !l.Unanimous || l.TmrID == nil {
			continue
		}
		shown = append(shown, license.License{Product: product, Options: license.Options{TMRID: uint32(*l.TmrID)}})
	}
	return rollout.Viewed{At: core.Now(), Unanimous: shown}
}
