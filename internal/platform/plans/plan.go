// Package plans brings changes to many TMR groups and containers, in waves: a
// wave begins when the one before has ended, and when too many rollouts fail no
// further one begins.
package plans

import (
	"context"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/predicate"
	"github.com/quorate/quorate/ent/rolloutplan"
	entry "github.com/quorate/quorate/ent/rolloutplanentry"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/rollouts"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/store"
)

// Bounds of a plan.
const (
	MostWaves  = 20
	MostPlaces = 500
	mostAtOnce = 50
	farthest   = 366 * 24 * time.Hour
)

// Service has the use cases. Safe for concurrent use.
type Service struct {
	core     *core.Core
	rollouts *rollouts.Service
}

// New makes a Service.
func New(c *core.Core, r *rollouts.Service) *Service { return &Service{c, r} }

// Spec is a plan to be made.
type Spec struct {
	Name string
	// Waves are the places, each in one wave only.
	Waves [][]core.Place
	// NotBefore is when the first rollout may begin; zero: at once.
	NotBefore time.Time
	// Window is when in a week rollouts may begin; nil: at any time.
	Window *property.Window
	// AtOnce is how many rollouts run at the same time, from 1.
	AtOnce int
	// StopAfter is how many failures are borne: with one more the plan stops.
	StopAfter      int
	IdempotencyKey string
}

func (s Spec) check() error {
	places := 0
	for _, wave := range s.Waves {
		if places += len(wave); len(wave) == 0 {
			return field("waves", "leave it out", "a wave has no place")
		}
	}
	if err := core.CheckName("plan", s.Name); err != nil {
		return err
	}
	switch {
	case places == 0 || places > MostPlaces || len(s.Waves) > MostWaves:
		return field("waves", "make several plans, or fewer waves", "a plan has 1 to %d places in at most %d waves", MostPlaces, MostWaves)
	case s.AtOnce < 1 || s.AtOnce > mostAtOnce:
		return field("atOnce", "choose fewer", "1 to %d rollouts run at once", mostAtOnce)
	case s.StopAfter < 0 || s.StopAfter > MostPlaces:
		return field("stopAfter", "choose 0 to stop at the first failure", "0 to %d failures are borne", MostPlaces)
	case s.NotBefore.After(core.Now().Add(farthest)):
		return field("notBefore", "choose a time within a year", "the plan is to begin too far ahead")
	case s.Window != nil:
		return checkWindow(*s.Window)
	}
	return nil
}

func field(name, fix, format string, args ...any) error {
	return core.AtField(name, license.Errorf(license.CodeInvalidInput, fix, format, args...))
}

// CreatePlan makes a plan for places that the caller may see. Errors:
// CodeForbidden, CodeInvalidInput with the field among the details,
// CodeNotFound for a place, CodeConflict for a key that was used for another plan.
func (p *Service) CreatePlan(ctx context.Context, s Spec) (*ent.RolloutPlan, error) {
	by, err := auth.Require(ctx, auth.RunRollout)
	if err != nil {
		return nil, err
	}
	if by.IsSystem() {
		return nil, license.Errorf(license.CodeInvalidInput, "act for a member", "the system has no organization for a plan")
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	var out *ent.RolloutPlan
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		ids, _, err := core.Once(ctx, tx, by.Organization, "createRolloutPlan", s.IdempotencyKey, s, func() ([]string, error) {
			made, err := makePlan(ctx, tx, by, s)
			if err != nil {
				return nil, err
			}
			if err := p.core.Jobs.EnqueueTx(ctx, tx.SQL(), tasks.AdvancePlan{Plan: made.ID}); err != nil {
				return nil, err
			}
			p.core.Publish(ctx, tx, event.Rollout, made.ID)
			return []string{made.ID}, core.Audit(ctx, tx, by.Organization, "plan.create", made.ID, nil, facts(made))
		})
		if err != nil {
			return err
		}
		out, err = tx.RolloutPlan.Get(ctx, ids[0])
		return core.NotFound(err, "plan", ids[0])
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// makePlan writes the plan and its entries. A plan is of one vendor's places, and
// that one's, too, where a customer makes it.
func makePlan(ctx context.Context, tx *store.Tx, by auth.Principal, s Spec) (*ent.RolloutPlan, error) {
	waves := make([][]core.LoadedPlace, len(s.Waves))
	seen, vendor := map[string]bool{}, ""
	for i, wave := range s.Waves {
		for _, at := range wave {
			place, err := core.FindPlace(ctx, tx, at)
			switch {
			case err != nil:
				return nil, err
			case seen[place.ID()]:
				return nil, field("waves", "name it once", "%s is in the plan twice", place.Serial())
			case vendor != "" && place.Vendor() != vendor:
				return nil, field("waves", "make a plan for each vendor's places", "%s has another vendor than %s", place.Serial(), waves[0][0].Serial())
			}
			seen[place.ID()], vendor = true, place.Vendor()
			waves[i] = append(waves[i], place)
		}
	}
	customer := (*string)(nil)
	if vendor != by.Organization {
		customer = &by.Organization
	}
	create := tx.RolloutPlan.Create().SetVendorID(vendor).SetNillableCustomerID(customer).SetName(s.Name).
		SetAtOnce(s.AtOnce).SetStopAfter(s.StopAfter).SetStartedBy(core.DisplayName(by))
	if !s.NotBefore.IsZero() {
		create.SetNotBefore(s.NotBefore.UTC().Truncate(time.Microsecond))
	}
	if s.Window != nil {
		create.SetWindow(s.Window)
	}
	made, err := create.Save(ctx)
	if err != nil {
		return nil, err
	}
	for i, wave := range waves {
		for _, place := range wave {
			group, single := place.Columns()
			if err := tx.RolloutPlanEntry.Create().SetVendorID(vendor).SetNillableCustomerID(customer).SetRolloutPlanID(made.ID).
				SetWave(i + 1).SetNillableTmrGroupID(group).SetNillableContainerID(single).Exec(ctx); err != nil {
				return nil, err
			}
		}
	}
	return made, nil
}

// PausePlan has no further rollout begin; those that run go on. revision is the
// one that the caller has seen. Errors: CodeNotFound, CodeForbidden,
// CodeConflict with the present revision, CodeRolloutState where it has ended.
func (p *Service) PausePlan(ctx context.Context, id string, revision int) (*ent.RolloutPlan, error) {
	return p.decide(ctx, id, revision, "plan.pause", func(_ context.Context, _ *store.Tx, row *ent.RolloutPlan, u *ent.RolloutPlanUpdateOne) error {
		u.SetState(property.PlanPaused)
		return nil
	})
}

// ResumePlan has a paused or stopped plan go on. Those that failed are tried
// again, at the end of their wave's turn. Errors as those of PausePlan.
func (p *Service) ResumePlan(ctx context.Context, id string, revision int) (*ent.RolloutPlan, error) {
	return p.decide(ctx, id, revision, "plan.resume", func(ctx context.Context, tx *store.Tx, row *ent.RolloutPlan, u *ent.RolloutPlanUpdateOne) error {
		u.SetState(property.PlanRunning).SetStopReason("")
		if err := p.core.Jobs.EnqueueTx(ctx, tx.SQL(), tasks.AdvancePlan{Plan: row.ID}); err != nil {
			return err
		}
		return tx.RolloutPlanEntry.Update().Where(entry.RolloutPlanID(row.ID), entry.StateEQ(property.EntryFailed)).
			SetState(property.EntryWaiting).SetNote("").Exec(ctx)
	})
}

// AbortPlan ends a plan; rollouts that run go on, each can be aborted by
// itself. Errors as those of PausePlan.
func (p *Service) AbortPlan(ctx context.Context, id string, revision int) (*ent.RolloutPlan, error) {
	return p.decide(ctx, id, revision, "plan.abort", func(ctx context.Context, tx *store.Tx, row *ent.RolloutPlan, u *ent.RolloutPlanUpdateOne) error {
		u.SetState(property.PlanAborted).SetFinishedAt(core.Now())
		return tx.RolloutPlanEntry.Update().Where(entry.RolloutPlanID(row.ID), entry.StateEQ(property.EntryWaiting)).
			SetState(property.EntrySkipped).SetNote("the plan was aborted").Exec(ctx)
	})
}

func (p *Service) decide(ctx context.Context, id string, revision int, action string,
	change func(context.Context, *store.Tx, *ent.RolloutPlan, *ent.RolloutPlanUpdateOne) error,
) (*ent.RolloutPlan, error) {
	by, err := auth.Require(ctx, auth.RunRollout)
	if err != nil {
		return nil, err
	}
	var out *ent.RolloutPlan
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		row, err := tx.RolloutPlan.Query().Where(rolloutplan.ID(id), predicate.RolloutPlan(store.Locked)).Only(ctx)
		switch {
		case err != nil:
			return core.NotFound(err, "plan", id)
		case row.Revision != revision:
			return core.Outdated("plan", row.Revision)
		case row.FinishedAt != nil:
			return license.Errorf(license.CodeRolloutState, "make another one", "the plan has ended")
		}
		u := tx.RolloutPlan.UpdateOne(row).SetRevision(row.Revision + 1).AddSequence(1)
		if err := change(ctx, tx, row, u); err != nil {
			return err
		}
		if out, err = u.Save(ctx); err != nil {
			return err
		}
		p.core.Publish(ctx, tx, event.Rollout, id)
		return core.Audit(ctx, tx, core.AuditOwner(by, row.VendorID), action, id, facts(row), facts(out))
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func facts(row *ent.RolloutPlan) map[string]any {
	return map[string]any{"name": row.Name, "state": row.State, "atOnce": row.AtOnce, "stopAfter": row.StopAfter}
}
