package workers_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/testenv"
)

func TestRolloutsOfAGroupTakeTurns(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		var all []*ent.Rollout
		for range 3 {
			l.order(10)
			all = append(all, l.start())
		}
		if all[0].State != property.RolloutCollecting || all[1].State != property.RolloutQueued || all[2].State != property.RolloutQueued {
			t.Errorf("%s %s %s", all[0].State, all[1].State, all[2].State)
		}
		if all[2].Quantity != 30 || all[2].TmrID != 9 {
			t.Errorf("the third brings %d/#%d", all[2].Quantity, all[2].TmrID)
		}
		l.link()
		l.work(nil)
		for i, r := range all {
			done := l.until(r.ID, property.RolloutDone)
			if done.TmrID != 7+i || done.Quantity != 10*(i+1) {
				t.Errorf("rollout %d brought %d/#%d", i+1, done.Quantity, done.TmrID)
			}
		}
		l.holds(all[2].ID, 30, 9)
		l.everyNumberOnce(3)
	})
}

// Between the end of one rollout and the turn of the next one, a new rollout
// doesn't slip in: it would bring a higher TMR-ID before a lower one.
func TestNoRolloutOvertakes(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		var all []*ent.Rollout
		for range 2 {
			l.order(10)
			all = append(all, l.start())
		}
		if _, err := l.AbortRollout(l.as(l.owner), all[0].ID); err != nil {
			t.Fatal(err)
		}
		third := l.start() // brings what was given up; no worker runs yet
		if third.State != property.RolloutQueued {
			t.Errorf("the third rollout is %s before the second one's turn", third.State)
		}
		l.link()
		l.work(nil)
		l.until(all[1].ID, property.RolloutDone)
		l.until(third.ID, property.RolloutDone)
		l.holds(third.ID, 20, 9)
	})
}

func TestWaitsForTheView(t *testing.T) {
	t.Parallel()
	l := newLab(t, migrated.SQLite(t))
	l.mute = true
	l.link()
	l.work(nil)
	l.order(20)
	r := l.start()
	testenv.Eventually(t, 20*time.Second, func() error {
		if b := l.row(r.ID).Blocker; b == nil {
			return fmt.Errorf("no blocker in %s", l.row(r.ID).State)
		}
		return nil
	})
	if got := l.row(r.ID); got.State != property.RolloutConfirming || got.Steps[2].State != property.StepDone {
		t.Errorf("without a view: %s", got.State)
	}
	l.mu.Lock()
	l.mute = false
	l.last.Version = 0
	l.pushView()
	l.mu.Unlock()
	l.until(r.ID, property.RolloutDone)
}
