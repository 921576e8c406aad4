package workers_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/auditentry"
	"github.com/quorate/quorate/ent/rollout"
	entry "github.com/quorate/quorate/ent/rolloutplanentry"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/plans"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/testenv"
)

// places gives the states of a plan and of its places.
func (l *lab) places(plan *ent.RolloutPlan) string {
	row := l.store.Client().RolloutPlan.GetX(l.system(), plan.ID)
	out := []string{string(row.State)}
	for _, e := range l.store.Client().RolloutPlanEntry.Query().Where(entry.RolloutPlanID(plan.ID)).
		Order(ent.Asc(entry.FieldWave), ent.Asc(entry.FieldID)).AllX(l.system()) {
		out = append(out, string(e.State))
	}
	return strings.Join(out, " ")
}

// TestPlanGoesOnWithoutTheSweep: a plan begins when it is made, the end of the
// last rollout of a wave begins the next one, and the end of the last wave ends
// the plan: two replicas that look for unfinished work only once an hour do it
// by jobs, and start each rollout once.
func TestPlanGoesOnWithoutTheSweep(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		one, two := l.single(77, nil), l.single(78, nil)
		for range 2 {
			l.replica()
		}
		l.order(5)
		one.order(3)
		two.order(3)
		l.link()
		plan := l.plan(plans.Spec{Name: "Charts", AtOnce: 3, StopAfter: 2,
			Waves: [][]core.Place{{{Group: l.group.ID}}, {one.place(), two.place()}}})
		l.come(plan, "RUNNING DONE RUNNING RUNNING")
		for _, r := range l.store.Client().Rollout.Query().Where(rollout.ContainerIDNotNil()).AllX(l.system()) {
			if _, err := l.AbortRollout(l.as(l.owner), r.ID); err != nil {
				t.Fatal(err)
			}
		}
		l.come(plan, "DONE DONE FAILED FAILED")
		for _, action := range []string{"plan.begin", "plan.done"} {
			if n := l.store.Client().AuditEntry.Query().Where(auditentry.Action(action), auditentry.Target(plan.ID)).CountX(l.system()); n != 1 {
				t.Errorf("%s %d times", action, n)
			}
		}
		if n := l.store.Client().Rollout.Query().CountX(l.system()); n != 3 {
			t.Errorf("%d rollouts of three places", n)
		}
	})
}

// TestHeldRolloutStopsItsPlanAtOnce, the plan hears of its retry, too, and
// resumed it goes on, all without the sweep.
func TestHeldRolloutStopsItsPlanAtOnce(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		one := l.single(77, nil)
		l.replica()
		l.order(5)
		one.order(3)
		l.setFail(func(w tasks.LinkWork) error {
			if w.Kind == property.WorkStage {
				return license.Errorf(license.CodeBackendAbsent, "bring it up", "backend 2 does not answer")
			}
			return nil
		})
		l.link()
		plan := l.plan(plans.Spec{Name: "Charts", AtOnce: 1, Waves: [][]core.Place{{{Group: l.group.ID}}, {one.place()}}})
		l.come(plan, "STOPPED FAILED WAITING")
		l.setFail(nil)
		held := l.store.Client().Rollout.Query().OnlyX(l.system())
		if _, err := l.RetryRollout(l.as(l.owner), held.ID); err != nil {
			t.Fatal(err)
		}
		l.come(plan, "STOPPED DONE WAITING")
		row := l.store.Client().RolloutPlan.GetX(l.system(), plan.ID)
		if _, err := l.ResumePlan(l.as(l.owner), plan.ID, row.Revision); err != nil {
			t.Fatal(err)
		}
		l.come(plan, "RUNNING DONE RUNNING")
	})
}

func (l *lab) plan(s plans.Spec) *ent.RolloutPlan {
	l.t.Helper()
	made, err := l.CreatePlan(l.as(l.owner), s)
	if err != nil {
		l.t.Fatal(err)
	}
	return made
}

// come waits for the states of a plan and its places.
func (l *lab) come(plan *ent.RolloutPlan, want string) {
	l.t.Helper()
	testenv.Eventually(l.t, 20*time.Second, func() error {
		if got := l.places(plan); got != want {
			return fmt.Errorf("%s instead of %s", got, want)
		}
		return nil
	})
}

// replica is another process on the lab's database that runs jobs, and looks
// for what has none once at its start.
func (l *lab) replica() {
	l.t.Helper()
	p, err := openSweeping(l.t.Context(), l.dsn, l.key, time.Hour)
	if err != nil {
		l.t.Fatal(err)
	}
	p.queue.Register(p.Platform, nil)
	p.queue.RegisterPlans(p.Platform)
	if err := p.queue.Start(context.Background()); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := p.queue.Stop(ctx); err != nil {
			l.t.Error(err)
		}
		p.store.Close()
	})
}
