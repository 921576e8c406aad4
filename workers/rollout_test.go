package workers_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/quorate/quorate/ent/auditentry"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/work"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/rollout"
)

func itoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// filled gives a lab whose group holds 20/#7, with workers and link running.
func filled(t *testing.T, dsn string) *lab {
	l := newLab(t, dsn)
	l.link()
	l.work(nil)
	l.order(20)
	first := l.until(l.start().ID, property.RolloutDone)
	l.holds(first.ID, 20, 7)
	return l
}

func TestRolloutFromTwentyToThirty(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := filled(t, dsn)
		before := len(l.views)
		l.order(10)
		second := l.until(l.start().ID, property.RolloutDone)
		l.holds(second.ID, 30, 8)
		want := []string{
			"1:- 2:#7 3:#7 20", "1:(#8) 2:#7 3:#7 20", "1:(#8) 2:- 3:#7 20",
			"1:#8 2:#8 3:(#7) 30", "1:#8 2:#8 3:- 30", "1:#8 2:#8 3:#8 30",
		}
		var got []string
		for _, v := range l.views[before:] {
			h, _ := v.Headline()
			got = append(got, v.Status()+" "+itoa(h.Options.Quantity))
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("the platform was shown\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		stored, err := l.ViewsAfter(l.as(l.owner), l.group.ID, before, 100)
		if err != nil || len(stored) != len(want) {
			t.Fatalf("%d views stored, want %d (%v)", len(stored), len(want), err)
		}
		for i, v := range stored {
			if at := v.Payload.Status + " " + strconv.Itoa(v.Payload.Quantity); at != want[i] {
				t.Errorf("stored stage %d: %s, want %s", i+1, at, want[i])
			}
		}
		if second.Number != 2 || second.StartedBy != "Olga Owner" || second.Blocker != nil || second.ErrorCode != nil {
			t.Errorf("rollout: %+v", second)
		}
		actions, err := l.store.Client().AuditEntry.Query().Where(auditentry.Action("rollout.start"), auditentry.Target(second.ID)).Count(l.system())
		if err != nil || actions != 1 {
			t.Errorf("%d audit entries, %v", actions, err)
		}
		if _, err := l.StartRollout(l.as(l.owner), core.Place{Group: l.group.ID}, ""); license.CodeOf(err) != license.CodeRolloutUpToDate {
			t.Errorf("nothing new ordered: %v", err)
		}
	})
}

// One rollout whose worker process is killed in every state that it goes
// through, and started again each time: with the end that it has undisturbed.
func TestKilledInEachState(t *testing.T) {
	stops := []string{"COLLECTING", "ISSUING", "STAGING"}
	for i := 1; i <= 3; i++ {
		for _, phase := range []rollout.Phase{rollout.Guarding, rollout.Activating, rollout.Confirming} {
			stops = append(stops, fmt.Sprintf("%s%d", phase, i))
		}
	}
	stops = append(stops, "DONE")
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		l.link()
		l.order(20)
		c := l.child("")
		first := l.start()
		l.until(first.ID, property.RolloutDone)
		l.holds(first.ID, 20, 7)
		c.kill()
		l.order(10)
		second := l.start()
		for _, stop := range stops {
			c := l.child(stop)
			c.expect(stop)
			if got := l.row(second.ID).State; !strings.HasPrefix(stop, string(got)) {
				t.Errorf("the worker is in %s, stored is %s", stop, got)
			}
			c.kill()
		}
		l.child("")
		l.until(second.ID, property.RolloutDone)
		l.holds(second.ID, 30, 8)
		l.everyNumberOnce(2)
	})
}

// everyNumberOnce asserts that each container has exactly the updates 1…n, and
// that each was activated once.
func (l *lab) everyNumberOnce(n int) {
	l.t.Helper()
	updates, err := l.store.Client().Update.Query().All(l.system())
	if err != nil {
		l.t.Fatal(err)
	}
	seen := map[string]int{}
	for _, u := range updates {
		seen[fmt.Sprintf("%s/%d", u.ContainerID, u.Number)]++
		if u.Number > uint64(n) {
			l.t.Errorf("update %d", u.Number)
		}
	}
	if len(seen) != 3*n || len(updates) != 3*n {
		l.t.Errorf("%d updates with %d numbers, want %d", len(updates), len(seen), 3*n)
	}
	items, err := l.store.Client().Work.Query().Where(work.KindEQ(property.WorkActivate)).Count(l.system())
	if err != nil || items != 3*n {
		l.t.Errorf("activation was asked for %d times, want %d (%v)", items, 3*n, err)
	}
}

func TestKilledWhileQueuedHeldAndAborted(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		l.link()
		l.order(20)
		l.setFail(func(w tasks.LinkWork) error {
			if w.Kind == property.WorkStage {
				return license.Errorf(license.CodeBackendAbsent, "bring it up", "backend 2 does not answer")
			}
			return nil
		})
		c := l.child("HELD")
		first := l.start()
		c.expect("HELD")
		c.kill()
		l.order(10)
		second := l.start()
		if second.State != property.RolloutQueued || second.Blocker == nil || second.Running {
			t.Errorf("second rollout: %+v", second)
		}
		c = l.child("QUEUED")
		c.expect("QUEUED")
		c.kill()
		c = l.child("ABORTED")
		if _, err := l.AbortRollout(l.as(l.owner), first.ID); err != nil {
			t.Fatal(err)
		}
		c.expect("ABORTED")
		c.kill()
		l.setFail(nil)
		l.child("")
		l.until(second.ID, property.RolloutDone)
		l.holds(second.ID, 10, 8) // the first one's order was given up
		third := l.start()        // which another rollout brings
		l.until(third.ID, property.RolloutDone)
		l.holds(third.ID, 30, 9)
	})
}

func (l *lab) setForge(f func(tasks.LinkWork, *tasks.LinkReport)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forge = f
}

func (l *lab) setFail(f func(tasks.LinkWork) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = f
}

func TestManyWorkersAtOnce(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := filled(t, dsn)
		l.child("")
		l.child("")
		l.order(10)
		r := l.start()
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for ctx.Err() == nil {
					if err := l.AdvanceRollout(ctx, r.ID, nil); err != nil && ctx.Err() == nil {
						t.Error(err)
						return
					}
				}
			})
		}
		l.until(r.ID, property.RolloutDone)
		cancel()
		all.Wait()
		l.holds(r.ID, 30, 8)
		l.everyNumberOnce(2)
		if n := l.done[property.WorkActivate]; n != 6 {
			t.Errorf("%d activations carried out, want 6", n)
		}
	})
}

func TestWorkerThatWasTakenOverStops(t *testing.T) {
	t.Parallel()
	l := newLab(t, migrated.SQLite(t))
	l.order(20)
	r := l.start()
	if err := l.AdvanceRollout(t.Context(), r.ID, nil); err != nil {
		t.Fatal(err)
	}
	l.answer(1)
	if err := l.AdvanceRollout(t.Context(), r.ID, func(_ context.Context, s rollout.State) {
		if s.Phase == rollout.Issuing { // another worker writes meanwhile
			if err := l.store.Client().Rollout.UpdateOneID(r.ID).AddEpoch(1).Exec(l.system()); err != nil {
				t.Error(err)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	if got := l.row(r.ID); got.State != property.RolloutIssuing {
		t.Errorf("a worker that was taken over went on to %s", got.State)
	}
	if n, err := l.store.Client().Update.Query().Count(l.system()); err != nil || n != 0 {
		t.Errorf("it made %d updates (%v)", n, err)
	}
}

// answer carries out n work items, one after the other, as the TMR server.
func (l *lab) answer(n int) {
	l.t.Helper()
	for range n {
		due, err := l.Pull(l.as(l.server), true, 0)
		if err != nil || len(due) != 1 {
			l.t.Fatalf("due: %v, %v", due, err)
		}
		if err := l.Report(l.as(l.server), l.execute(due[0])); err != nil {
			l.t.Fatal(err)
		}
	}
}

func TestHeldThenRetried(t *testing.T) {
	t.Parallel()
	l := filled(t, t.TempDir()+"/quorate.db")
	quantity, id := uint32(20), uint32(7)
	for _, kind := range []tasks.WorkKind{
		tasks.WorkCollect, tasks.WorkStage, tasks.WorkGuard, tasks.WorkActivate, tasks.WorkVerify,
	} {
		l.setFail(func(w tasks.LinkWork) error {
			if w.Kind == kind && (w.Position == 0 || w.Position == 2) {
				return license.Errorf(license.CodeBackendAbsent, "bring it up", "backend 3 does not answer")
			}
			return nil
		})
		l.order(10)
		quantity, id = quantity+10, id+1
		r := l.until(l.start().ID, property.RolloutHeld)
		if *r.ErrorCode != string(license.CodeBackendAbsent) || !strings.Contains(*r.ErrorMessage, "backend 3 does not answer: bring it up") ||
			r.Blocker == nil || !r.Running || r.FinishedAt != nil {
			t.Errorf("held in %s: %+v", kind, r)
		}
		l.setFail(nil)
		again, err := l.RetryRollout(l.as(l.owner), r.ID)
		if err != nil || again.ErrorCode != nil || again.Blocker != nil {
			t.Fatalf("retried: %+v, %v", again, err)
		}
		l.until(r.ID, property.RolloutDone)
		l.holds(r.ID, quantity, id)
	}
}

// An activation that came about although its answer says that it failed is
// found again by the retry, and not done twice.
func TestActivatedButReportedAsFailed(t *testing.T) {
	t.Parallel()
	l := filled(t, t.TempDir()+"/quorate.db")
	lost := false
	l.after = func(w tasks.LinkWork) error {
		if w.Kind == tasks.WorkActivate && w.Position == 1 && !lost {
			lost = true
			return license.Errorf(license.CodeUnavailable, "try again", "the backend's answer was lost")
		}
		return nil
	}
	l.order(10)
	r := l.until(l.start().ID, property.RolloutHeld)
	if _, err := l.AbortRollout(l.as(l.owner), r.ID); license.CodeOf(err) != license.CodeRolloutState {
		t.Errorf("given up after an activation: %v", err)
	}
	if _, err := l.RetryRollout(l.as(l.owner), r.ID); err != nil {
		t.Fatal(err)
	}
	l.until(r.ID, property.RolloutDone)
	l.holds(r.ID, 30, 8)
}

func TestRefusedGuardHolds(t *testing.T) {
	t.Parallel()
	l := filled(t, t.TempDir()+"/quorate.db")
	// Backend 3 states that it holds nothing: a container that was wiped.
	l.mu.Lock()
	l.statement = func(i int, nonce []byte) ([]byte, bool) {
		if i != 2 {
			return nil, false
		}
		return l.emptyStatement(nonce), true
	}
	l.mu.Unlock()
	l.order(10)
	r := l.until(l.start().ID, property.RolloutHeld)
	if *r.ErrorCode != string(license.CodeGuardRefused) {
		t.Errorf("held with %s: %s", *r.ErrorCode, *r.ErrorMessage)
	}
	if l.done[tasks.WorkActivate] != 3 {
		t.Error("a backend was activated past the guard")
	}
	l.mu.Lock()
	l.statement = nil
	l.mu.Unlock()
	if _, err := l.RetryRollout(l.as(l.owner), r.ID); err != nil {
		t.Fatal(err)
	}
	l.until(r.ID, property.RolloutDone)
	l.holds(r.ID, 30, 8)
}

func TestAbortBeforeTheFirstActivation(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := filled(t, dsn)
		l.setFail(func(w tasks.LinkWork) error {
			if w.Kind == tasks.WorkGuard {
				return license.Errorf(license.CodeBackendAbsent, "", "backend 2 does not answer")
			}
			return nil
		})
		l.order(10)
		r := l.until(l.start().ID, property.RolloutHeld)
		for range 2 { // giving up twice is no error
			if a, err := l.AbortRollout(l.as(l.owner), r.ID); err != nil || a.State != property.RolloutAborted || a.FinishedAt == nil {
				t.Fatalf("%+v, %v", a, err)
			}
		}
		if _, err := l.RetryRollout(l.as(l.owner), r.ID); license.CodeOf(err) != license.CodeRolloutState {
			t.Errorf("retried after the end: %v", err)
		}
		l.setFail(nil)
		next := l.until(l.start().ID, property.RolloutDone)
		l.holds(next.ID, 30, 9)
		if _, err := l.AbortRollout(l.as(l.owner), next.ID); license.CodeOf(err) != license.CodeRolloutState {
			t.Errorf("given up after the end: %v", err)
		}
	})
}

func TestStartIsRepeatable(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		l.order(20)
		ids := make(chan string, 4)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				r, err := l.StartRollout(l.as(l.owner), core.Place{Group: l.group.ID}, "key")
				if err != nil {
					t.Error(err)
					return
				}
				ids <- r.ID
			})
		}
		all.Wait()
		close(ids)
		first := <-ids
		for id := range ids {
			if id != first {
				t.Errorf("the same key gave %s and %s", first, id)
			}
		}
		if _, err := l.StartRollout(l.as(l.owner), core.Place{Group: l.group.ID}, "other"); license.CodeOf(err) != license.CodeRolloutUpToDate {
			t.Errorf("another key: %v", err)
		}
		if _, err := l.StartRollout(l.as(l.owner), core.Place{Group: "131-1"}, ""); license.CodeOf(err) != license.CodeNotFound {
			t.Errorf("unknown group: %v", err)
		}
		if _, err := l.StartRollout(l.as(l.owner), core.Place{Group: l.group.ID}, strings.Repeat("k", 201)); license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("long key: %v", err)
		}
	})
}

func TestWhoMayRollOut(t *testing.T) {
	t.Parallel()
	l := newLab(t, migrated.SQLite(t))
	l.order(20)
	viewer, stranger := l.owner, l.owner
	viewer.Role = "VIEWER"
	stranger.Organization = "org_elsewhere"
	r := l.start()
	for name, c := range map[string]struct {
		ctx  context.Context
		code license.Code
	}{
		"nobody":       {t.Context(), license.CodeUnauthenticated},
		"viewer":       {l.as(viewer), license.CodeForbidden},
		"server":       {l.as(l.server), license.CodeForbidden},
		"other tenant": {l.as(stranger), license.CodeNotFound},
	} {
		if _, err := l.StartRollout(c.ctx, core.Place{Group: l.group.ID}, ""); license.CodeOf(err) != c.code {
			t.Errorf("%s starts: %v", name, err)
		}
		if _, err := l.RetryRollout(c.ctx, r.ID); license.CodeOf(err) != c.code {
			t.Errorf("%s retries: %v", name, err)
		}
		if _, err := l.AbortRollout(c.ctx, r.ID); license.CodeOf(err) != c.code {
			t.Errorf("%s gives up: %v", name, err)
		}
	}
}
