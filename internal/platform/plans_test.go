package platform_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	entry "github.com/quorate/quorate/ent/rolloutplanentry"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/platform/plans"
	"github.com/quorate/quorate/internal/platform/provision"
	"github.com/quorate/quorate/internal/platform/rollouts"
)

// TestPausedRollout: a paused rollout asks for nothing new, and goes on when it
// is resumed; both may be asked for twice.
func TestPausedRollout(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		l.order(made, made.Item.ID, 5)
		row := l.rollOut(made)
		due := func(want int) {
			t.Helper()
			if err := l.AdvanceRollout(l.system(), row.ID, nil); err != nil {
				t.Fatal(err)
			}
			work, err := l.Pull(l.link(made), true, 0)
			if err != nil || len(work) != want {
				t.Errorf("%d work items instead of %d, %v", len(work), want, err)
			}
		}
		for range 2 {
			if r, err := l.PauseRollout(l.vendor(), row.ID); err != nil || r.PausedAt == nil || r.PausedBy == "" {
				t.Fatalf("%+v, %v", r, err)
			}
		}
		if l.audited("rollout.pause") != 1 {
			t.Error("pausing twice is one pause")
		}
		due(0)
		for range 2 {
			if r, err := l.ResumeRollout(l.vendor(), row.ID); err != nil || r.PausedAt != nil || r.PausedBy != "" {
				t.Fatalf("%+v, %v", r, err)
			}
		}
		due(1)
		// What was asked for is taken, also while it is paused.
		if _, err := l.PauseRollout(l.vendor(), row.ID); err != nil {
			t.Fatal(err)
		}
		due(1)
		if _, err := l.PauseRollout(l.stranger(), row.ID); license.CodeOf(err) != license.CodeNotFound {
			t.Errorf("a stranger: %v", err)
		}
		l.finish(row)
		if _, err := l.PauseRollout(l.with("VIEWER"), row.ID); license.CodeOf(err) != license.CodeForbidden {
			t.Errorf("a viewer: %v", err)
		}
		if _, err := l.AbortRollout(l.vendor(), l.rolloutToAbort()); err != nil {
			t.Fatal(err)
		}
	})
}

// rolloutToAbort is a paused rollout of another group: what is paused can be
// given up.
func (l *lab) rolloutToAbort() string {
	l.t.Helper()
	other := l.secondGroup()
	l.order(other, other.Item.ID, 1)
	row := l.rollOut(other)
	if _, err := l.PauseRollout(l.vendor(), row.ID); err != nil {
		l.t.Fatal(err)
	}
	return row.ID
}

// TestScheduledRollout waits in the queue for its time; when its last time has
// passed it is given up, and its orders are free again.
func TestScheduledRollout(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		l.order(made, made.Item.ID, 5)
		at, now := core.Place{Group: made.Group.ID}, time.Now()
		for what, s := range map[string]rollouts.Schedule{
			"too far ahead": {NotBefore: now.AddDate(2, 0, 0)},
			"already over":  {NotAfter: now.Add(-time.Minute)},
			"never":         {NotBefore: now.Add(2 * time.Hour), NotAfter: now.Add(time.Hour)},
		} {
			if _, err := l.ScheduleRollout(l.vendor(), at, "", s); license.CodeOf(err) != license.CodeInvalidInput {
				t.Errorf("%s: %v", what, err)
			}
		}
		row, err := l.ScheduleRollout(l.vendor(), at, "night", rollouts.Schedule{NotBefore: now.Add(time.Hour), NotAfter: now.Add(3 * time.Hour)})
		if err != nil || row.State != property.RolloutQueued || row.NotBefore == nil {
			t.Fatalf("%+v, %v", row, err)
		}
		state := func() property.RolloutState {
			t.Helper()
			if err := l.AdvanceRollout(l.system(), row.ID, nil); err != nil {
				t.Fatal(err)
			}
			return l.Store().Client().Rollout.GetX(l.system(), row.ID).State
		}
		if got := state(); got != property.RolloutQueued {
			t.Errorf("before its time it is %s", got)
		}
		l.order(made, made.Item.ID, 2)
		if later := l.rollOut(made); later.State != property.RolloutQueued {
			t.Errorf("a later one goes first: %s", later.State)
		}
		set := func(change func(*ent.RolloutUpdateOne)) {
			t.Helper()
			u := l.Store().Client().Rollout.UpdateOneID(row.ID)
			change(u)
			if err := u.Exec(l.system()); err != nil {
				t.Fatal(err)
			}
		}
		set(func(u *ent.RolloutUpdateOne) { u.SetNotAfter(now.Add(-time.Second)) })
		if got := state(); got != property.RolloutAborted || l.audited("rollout.expire") != 1 {
			t.Errorf("after its last time it is %s", got)
		}
		again, err := l.ScheduleRollout(l.vendor(), at, "", rollouts.Schedule{NotBefore: now.Add(-time.Hour)})
		if err != nil {
			t.Fatalf("its orders are not free: %v", err)
		}
		if row = again; row.State != property.RolloutQueued { // the later one is first
			t.Errorf("%s", row.State)
		}
	})
}

func (l *lab) plan(ctx context.Context, s plans.Spec) *ent.RolloutPlan {
	l.t.Helper()
	made, err := l.CreatePlan(ctx, s)
	if err != nil {
		l.t.Fatal(err)
	}
	return made
}

// advance takes the plan forward and gives its state and those of its entries.
func (l *lab) advance(plan *ent.RolloutPlan) string {
	l.t.Helper()
	if err := l.AdvancePlans(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
	*plan = *l.Store().Client().RolloutPlan.GetX(l.system(), plan.ID)
	out := []string{string(plan.State)}
	for _, e := range l.Store().Client().RolloutPlanEntry.Query().Where(entry.RolloutPlanID(plan.ID)).
		Order(ent.Asc(entry.FieldWave), ent.Asc(entry.FieldID)).AllX(l.system()) {
		out = append(out, string(e.State))
	}
	return strings.Join(out, " ")
}

// lastRollout is the newest one of a group.
func (l *lab) lastRollout(made provision.Provisioned) *ent.Rollout {
	l.t.Helper()
	all := l.Store().Client().TmrGroup.Query().QueryRollouts().AllX(l.system())
	var last *ent.Rollout
	for _, r := range all {
		if *r.TmrGroupID == made.Group.ID && (last == nil || r.Number > last.Number) {
			last = r
		}
	}
	return last
}

// TestPlan: a wave begins when the one before has ended; a failure stops the
// plan; resumed it tries again what failed.
func TestPlan(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		a, b := l.provision(), l.secondGroup()
		l.order(a, a.Item.ID, 5)
		l.order(b, b.Item.ID, 5)
		spec := plans.Spec{Name: "Charts 2027", AtOnce: 1, IdempotencyKey: "charts",
			Waves: [][]core.Place{{{Group: a.Group.ID}}, {{Group: b.Group.VirtualSerial}}}}
		plan := l.plan(l.vendor(), spec)
		if again := l.plan(l.vendor(), spec); again.ID != plan.ID {
			t.Error("the same key made another plan")
		}
		expect := func(want string) {
			t.Helper()
			if got := l.advance(plan); got != want {
				t.Errorf("%s instead of %s (%s)", got, want, plan.StopReason)
			}
		}
		hold := func(r *ent.Rollout) {
			t.Helper()
			if err := l.Store().Client().Rollout.UpdateOneID(r.ID).SetState(property.RolloutAborted).SetRunning(false).Exec(l.system()); err != nil {
				t.Fatal(err)
			}
		}
		expect("RUNNING RUNNING WAITING")
		expect("RUNNING RUNNING WAITING")
		l.finish(l.lastRollout(a))
		expect("RUNNING DONE RUNNING")
		hold(l.lastRollout(b))
		expect("STOPPED DONE FAILED")
		if _, err := l.ResumePlan(l.vendor(), plan.ID, plan.Revision-1); license.CodeOf(err) != license.CodeConflict {
			t.Errorf("an old revision: %v", err)
		}
		if _, err := l.ResumePlan(l.vendor(), plan.ID, plan.Revision); err != nil {
			t.Fatal(err)
		}
		// As its orders were not given back by this test's abort, there is
		// nothing left to bring.
		expect("DONE DONE SKIPPED")
		if _, err := l.AbortPlan(l.vendor(), plan.ID, plan.Revision); license.CodeOf(err) != license.CodeRolloutState {
			t.Errorf("an ended plan: %v", err)
		}
		for _, action := range []string{"plan.create", "plan.begin", "plan.stop", "plan.resume", "plan.done"} {
			if l.audited(action) != 1 {
				t.Errorf("%s is in the audit log %d times", action, l.audited(action))
			}
		}
	})
}

// TestPlanRefused: what is wrong with a plan is said, and nothing is made.
func TestPlanRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		at := core.Place{Group: made.Group.ID}
		good := plans.Spec{Name: "x", AtOnce: 1, Waves: [][]core.Place{{at}}}
		with := func(change func(*plans.Spec)) plans.Spec {
			s := good
			change(&s)
			return s
		}
		for what, s := range map[string]plans.Spec{
			"no name":    with(func(s *plans.Spec) { s.Name = "" }),
			"two lines":  with(func(s *plans.Spec) { s.Name = "Spring\nand more" }),
			"no place":   with(func(s *plans.Spec) { s.Waves = nil }),
			"empty wave": with(func(s *plans.Spec) { s.Waves = [][]core.Place{{at}, {}} }),
			"twice":      with(func(s *plans.Spec) { s.Waves = [][]core.Place{{at}, {at}} }),
			"none":       with(func(s *plans.Spec) { s.AtOnce = 0 }),
			"day":        with(func(s *plans.Spec) { s.Window = &property.Window{Days: []int{7}, To: 1} }),
			"zone":       with(func(s *plans.Spec) { s.Window = &property.Window{To: 1, Zone: "Mars/Olympus"} }),
			"too many":   with(func(s *plans.Spec) { s.Waves = [][]core.Place{make([]core.Place, plans.MostPlaces+1)} }),
		} {
			if _, err := l.CreatePlan(l.vendor(), s); license.CodeOf(err) != license.CodeInvalidInput {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := l.CreatePlan(l.stranger(), good); license.CodeOf(err) != license.CodeNotFound {
			t.Errorf("a stranger's: %v", err)
		}
		if _, err := l.CreatePlan(l.with("VIEWER"), good); license.CodeOf(err) != license.CodeForbidden {
			t.Errorf("a viewer's: %v", err)
		}
		if n := l.Store().Client().RolloutPlan.Query().CountX(l.system()); n != 0 {
			t.Errorf("%d plans are left", n)
		}
		// The customer plans for its own group.
		plan := l.plan(l.customer(made.Group), good)
		if plan.CustomerID == nil || plan.VendorID != made.Group.VendorID {
			t.Errorf("%+v", plan)
		}
		if got := l.advance(plan); got != "DONE SKIPPED" { // nothing was ordered
			t.Error(got)
		}
	})
}

// TestPlanTellsSubscribers: each change of a plan and of its places is told under
// the topic of rollouts, to all replicas and not before it is committed; a look
// at a plan that changes nothing is not.
func TestPlanTellsSubscribers(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		a, b := l.provision(), l.secondGroup()
		l.order(a, a.Item.ID, 5)
		l.order(b, b.Item.ID, 5)
		plan := l.plan(l.vendor(), plans.Spec{Name: "Charts 2027", AtOnce: 1,
			Waves: [][]core.Place{{{Group: a.Group.ID}}, {{Group: b.Group.ID}}}})
		news, other := l.watch(event.Rollout, plan.ID), l.watch(event.Rollout, "rpl_other")
		look := func(want string) {
			t.Helper()
			if got := l.advance(plan); got != want {
				t.Fatalf("%s instead of %s", got, want)
			}
		}
		decide := func(what string, f func(context.Context, string, int) (*ent.RolloutPlan, error)) {
			t.Helper()
			if _, err := f(l.vendor(), plan.ID, plan.Revision+1); license.CodeOf(err) != license.CodeConflict {
				t.Fatal(err)
			}
			wantQuiet(t, what+" from another revision", news)
			after, err := f(l.vendor(), plan.ID, plan.Revision)
			if err != nil {
				t.Fatal(err)
			}
			plan.Revision = after.Revision
			wantSignal(t, what, news)
		}
		look("RUNNING RUNNING WAITING")
		wantSignal(t, "the first wave begins", news)
		look("RUNNING RUNNING WAITING")
		wantQuiet(t, "nothing has changed", news)
		decide("paused", l.PausePlan)
		l.finish(l.lastRollout(a))
		look("PAUSED DONE WAITING")
		wantSignal(t, "a place of a paused plan is done", news)
		look("PAUSED DONE WAITING")
		wantQuiet(t, "paused", news)
		decide("resumed", l.ResumePlan)
		look("RUNNING DONE RUNNING")
		wantSignal(t, "the second wave begins", news)
		if err := l.Store().Client().Rollout.UpdateOneID(l.lastRollout(b).ID).SetState(property.RolloutHeld).Exec(l.system()); err != nil {
			t.Fatal(err)
		}
		look("STOPPED DONE FAILED")
		wantSignal(t, "it stops", news)
		decide("given up", l.AbortPlan)
		wantQuiet(t, "another plan's", other)

		last := l.plan(l.customer(a.Group), plans.Spec{Name: "x", AtOnce: 1, Waves: [][]core.Place{{{Group: a.Group.ID}}}})
		news = l.watch(event.Rollout, last.ID)
		if got := l.advance(last); got != "DONE SKIPPED" {
			t.Error(got)
		}
		wantSignal(t, "it finishes", news)
	})
}

// TestReplicasStartAWaveOnce: many replicas that hear at the same time that a
// wave has ended start each rollout of the next one once, no more than may run
// at once, and tell of it once.
func TestReplicasStartAWaveOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		first := l.provision()
		l.order(first, first.Item.ID, 5)
		wave := []core.Place{}
		for i := range 4 {
			made := l.box(uint64(700+i), "Port")
			l.buy(first.Item.ID, made, 1)
			wave = append(wave, made.place())
		}
		plan := l.plan(l.vendor(), plans.Spec{Name: "Charts 2027", AtOnce: 3, Waves: [][]core.Place{{{Group: first.Group.ID}}, wave}})
		l.advance(plan)
		l.finish(l.lastRollout(first))
		sequence := plan.Sequence
		begin := make(chan struct{})
		var replicas sync.WaitGroup
		for range 6 {
			p := l.again(history.UsagePolicy{})
			replicas.Go(func() {
				<-begin
				if err := errors.Join(p.AdvancePlan(t.Context(), plan.ID), p.AdvancePlans(t.Context())); err != nil {
					t.Error(err)
				}
			})
		}
		close(begin)
		replicas.Wait()
		if got := l.advance(plan); got != "RUNNING DONE RUNNING RUNNING RUNNING WAITING" {
			t.Error(got)
		}
		started := map[string]int{}
		for _, r := range l.Store().Client().Rollout.Query().AllX(l.system()) {
			started[core.RolloutPlace(r)]++
		}
		if len(started) != 4 || l.audited("rollout.start") != 4 || plan.Sequence != sequence+4 {
			t.Errorf("started: %v, %d told of, %d changes", started, l.audited("rollout.start"), plan.Sequence-sequence)
		}
		for place, n := range started {
			if n != 1 {
				t.Errorf("%s has %d rollouts", place, n)
			}
		}
	})
}

// TestManyPlans: none of them waits for others to end.
func TestManyPlans(t *testing.T) {
	l := newLab(t, databases.SQLite(t))
	made := l.provision()
	client, many := l.Store().Client(), []*ent.RolloutPlanCreate{}
	for range 220 {
		many = append(many, client.RolloutPlan.Create().SetVendorID(made.Group.VendorID).SetName("later").SetStartedBy("me").SetState(property.PlanPaused))
	}
	client.RolloutPlan.CreateBulk(many...).ExecX(l.system())
	plan := l.plan(l.vendor(), plans.Spec{Name: "last", AtOnce: 1, Waves: [][]core.Place{{{Group: made.Group.ID}}}})
	if got := l.advance(plan); got != "DONE SKIPPED" {
		t.Error(got)
	}
}
