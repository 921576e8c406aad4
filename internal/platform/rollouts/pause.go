package rollouts

import (
	"context"
	"time"

	"github.com/quorate/quorate/ent"
	entrollout "github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/work"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/containers"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/rollout"
	"github.com/quorate/quorate/internal/store"
)

// farthest is how far ahead a rollout may be scheduled.
const farthest = 366 * 24 * time.Hour

// Schedule is when a rollout may leave the queue; a zero time sets no bound. One
// that has not begun at NotAfter is given up, and its orders are free again.
type Schedule struct{ NotBefore, NotAfter time.Time }

func (s Schedule) check() error {
	now := core.Now()
	switch {
	case s.NotBefore.After(now.Add(farthest)):
		return core.AtField("notBefore", license.Errorf(license.CodeInvalidInput, "choose a time within a year", "the rollout is to begin too far ahead"))
	case s.NotAfter.IsZero():
		return nil
	case !s.NotAfter.After(now) || !s.NotAfter.After(s.NotBefore):
		return core.AtField("notAfter", license.Errorf(license.CodeInvalidInput, "choose a later one, or none", "the last time to begin has passed before the rollout may begin"))
	}
	return nil
}

func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Microsecond)
	return &t
}

// PauseRollout has a rollout begin nothing more: a backend whose turn has begun
// is brought to its end, so that no group stands between two licenses longer
// than it must. Pausing twice is no error. Errors: license.CodeNotFound,
// CodeForbidden, CodeRolloutState where it has ended, or goes by files.
func (p *Service) PauseRollout(ctx context.Context, id string) (*ent.Rollout, error) {
	return p.pause(ctx, id, "rollout.pause", func(tx *store.Tx, row *ent.Rollout, by string) (*ent.Rollout, error) {
		if row.PausedAt != nil {
			return row, nil
		}
		return tx.Rollout.UpdateOne(row).SetPausedAt(core.Now()).SetPausedBy(by).Save(core.System(ctx, "rollout"))
	})
}

// ResumeRollout has a paused rollout go on. Resuming twice is no error. Errors
// as those of PauseRollout.
func (p *Service) ResumeRollout(ctx context.Context, id string) (*ent.Rollout, error) {
	return p.pause(ctx, id, "rollout.resume", func(tx *store.Tx, row *ent.Rollout, _ string) (*ent.Rollout, error) {
		if row.PausedAt == nil {
			return row, nil
		}
		return tx.Rollout.UpdateOne(row).ClearPausedAt().SetPausedBy("").Save(core.System(ctx, "rollout"))
	})
}

func (p *Service) pause(ctx context.Context, id, action string, change func(*store.Tx, *ent.Rollout, string) (*ent.Rollout, error)) (*ent.Rollout, error) {
	who, err := auth.Require(ctx, auth.RunRollout)
	if err != nil {
		return nil, err
	}
	var out *ent.Rollout
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		row, err := tx.Rollout.Query().Where(entrollout.ID(id), store.Locked).Only(ctx)
		if err != nil {
			return core.NotFound(err, "rollout", id)
		}
		s, err := containers.RolloutState(row)
		switch {
		case err != nil:
			return err
		case s.Phase.Ended():
			return license.Errorf(license.CodeRolloutState, "start another one", "the rollout has ended")
		case s.Offline:
			return license.Errorf(license.CodeRolloutState, "keep its files back, or abort it", "a rollout by files can't be paused")
		}
		if out, err = change(tx, row, core.DisplayName(who)); err != nil || out == row {
			return err
		}
		if out.PausedAt == nil {
			if err := p.core.Jobs.EnqueueTx(ctx, tx.SQL(), tasks.AdvanceRollout{Rollout: id}); err != nil {
				return err
			}
		}
		p.core.Publish(ctx, tx, event.Rollout, id)
		if out.TmrGroupID != nil {
			p.core.Publish(ctx, tx, event.TmrGroup, *out.TmrGroupID)
		}
		return core.Audit(ctx, tx, core.AuditOwner(who, row.VendorID), action, id, nil, rolloutFacts(out))
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// waits says whether a paused rollout leaves an action for later: one that
// begins something, and was not asked for yet.
func waits(ctx context.Context, tx *store.Tx, row *ent.Rollout, a rollout.Action) (bool, error) {
	switch a.Kind {
	case rollout.Collect, rollout.Issue, rollout.Stage, rollout.AskOthers:
	case rollout.Activate:
		if row.TmrGroupID != nil { // its backend's turn began with the others' statements
			return false, nil
		}
	default:
		return false, nil
	}
	asked, err := tx.Work.Query().Where(work.Key(row.ID + "/" + a.Key)).Exist(ctx)
	return !asked, err
}

// expired takes back what a rollout would have brought whose last time to begin
// has passed.
func (p *Service) expired(ctx context.Context, tx *store.Tx, row *ent.Rollout) error {
	if err := p.withdraw(ctx, tx, row); err != nil {
		return err
	}
	return core.Audit(ctx, tx, row.VendorID, "rollout.expire", row.ID, nil, rolloutFacts(row))
}
