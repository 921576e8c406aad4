package workers_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/orders"
	"github.com/quorate/quorate/internal/platform/rollouts"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/testenv"
)

// lose makes a backend answer nothing any more. It needs l.mu.
func (l *lab) lose(position int) {
	l.dead[position-1], l.marks[position-1] = true, false
	l.pushView()
}

// fresh makes a new container for the group, with its request file.
func (l *lab) fresh(number uint64) (c *container.Container, request string) {
	l.t.Helper()
	l.mu.Lock()
	root := l.containers[0].Root()
	l.mu.Unlock()
	c, err := container.Create(filepath.Join(l.t.TempDir(), fmt.Sprint("container", number)), container.Params{
		Serial: license.Serial{Mask: 130, Number: number}, Root: root, ActivationID: [16]byte{1, 2, 3},
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { c.Close() })
	b, err := c.Fingerprint(nil)
	if err != nil {
		l.t.Fatal(err)
	}
	return c, l.text(armor.File{Kind: armor.Request, Messages: [][]byte{b}})
}

// configure gives the TMR server the new container.
func (l *lab) configure(position int, c *container.Container) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.containers[position-1], l.dead[position-1] = c, false
	l.pushView()
}

// inForce asserts that the views since one have the license in force, be it the
// older one: an updated backend may be lost before the others have the update.
func (l *lab) inForce(what string, since int) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, v := range l.views[since:] {
		if h, ok := v.Find(chart); !ok || !h.InForce {
			l.t.Errorf("%s: not in force meanwhile: %s", what, v.Status())
		}
	}
}

func (l *lab) replace(spec rollouts.ReplaceSpec) rollouts.BackendReplaced {
	l.t.Helper()
	r, err := l.ReplaceBackend(l.as(l.owner), spec)
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

// carries asserts what the containers hold of the one product.
func (l *lab) carries(quantity, id uint32) {
	l.t.Helper()
	for i, c := range l.containers {
		_, held := c.Licenses()
		if len(held) != 1 || held[0].Options.Quantity != quantity || held[0].Options.TMRID != id {
			l.t.Errorf("container %d holds %+v, want %d/#%d", i+1, held, quantity, id)
		}
		if g, ok := c.Group(); !ok || g.Members[0].Serial != l.containers[0].Serial() || g.Members[1].Serial != l.containers[1].Serial() || g.Members[2].Serial != l.containers[2].Serial() {
			l.t.Errorf("container %d has the members %+v", i+1, g.Members)
		}
	}
}

// TestLostBackendIsReplaced: with nothing else going on, a rollout brings the new
// one the license in force and then all three the next TMR-ID, with the new
// member.
func TestLostBackendIsReplaced(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := filled(t, dsn) // 20/#7
		since := len(l.views)
		l.mu.Lock()
		l.lose(2)
		l.mu.Unlock()
		c, request := l.fresh(900)
		spec := rollouts.ReplaceSpec{Backend: "130-27845973", Request: request, Reason: "the disk broke"}
		done := l.replace(spec)
		if old := done.Old; old.BlockedAt == nil || old.TmrGroupID != nil || old.Position != nil || *old.ReplacedByID != done.New.ID {
			t.Fatalf("the old one: %v %v %v", old.BlockedAt, old.TmrGroupID, old.ReplacedByID)
		}
		if done.Rollout == nil || *done.New.Position != 2 {
			t.Fatalf("position %d, rollout %v", *done.New.Position, done.Rollout)
		}
		// The TMR servers have the old one still: that is said, and waited for.
		testenv.Eventually(t, 30*time.Second, func() error {
			if r := l.row(done.Rollout.ID); r.Blocker == nil || !strings.Contains(*r.Blocker, "replaced backend 2") {
				return fmt.Errorf("%s: %v", r.State, r.Blocker)
			}
			return nil
		})
		if again := l.replace(spec); again.New.ID != done.New.ID || again.Rollout.ID != done.Rollout.ID {
			t.Errorf("again: %s, %s", again.New.ID, again.Rollout.ID)
		}
		l.configure(2, c)
		l.until(done.Rollout.ID, property.RolloutDone)
		l.carries(20, 8)
		l.always(since)
		if l.suspected() != 0 {
			t.Error("one is suspected")
		}
		l.order(10)
		l.until(l.start().ID, property.RolloutDone)
		l.carries(30, 9)
	})
}

// TestBackendLostInARollout loses each backend at each point of a rollout. It
// goes on with the new one, under the same TMR-ID, and the license is in force
// throughout.
func TestBackendLostInARollout(t *testing.T) {
	points := []struct {
		kind     property.WorkKind
		position int
		after    bool
	}{
		{property.WorkCollect, 0, false}, {property.WorkStage, 0, false}, {property.WorkStage, 0, true},
	}
	for _, kind := range []property.WorkKind{property.WorkGuard, property.WorkActivate, property.WorkVerify} {
		for p := 1; p <= 3; p++ {
			points = append(points, struct {
				kind     property.WorkKind
				position int
				after    bool
			}{kind, p, false})
			if kind != property.WorkGuard {
				points = append(points, struct {
					kind     property.WorkKind
					position int
					after    bool
				}{kind, p, true})
			}
		}
	}
	databases(t, func(t *testing.T, dsn string) {
		l := filled(t, dsn)
		quantity, id, number := uint32(20), uint32(7), uint64(1000)
		walked, held := 0, 0
		for i, at := range points {
			for lost := 1; lost <= 3; lost++ {
				// One backend at each point, on PostgreSQL at every third point: all of
				// them are walked in internal/rollout.
				postgres := strings.HasPrefix(dsn, "postgres")
				if lost != i%3+1 || postgres && i%3 != 1 || testing.Short() && i%2 != 0 {
					continue
				}
				walked++
				name := fmt.Sprintf("backend %d at %s %d after=%v", lost, at.kind, at.position, at.after)
				serial := l.containers[lost-1].Serial().String()
				hook := func(w tasks.LinkWork) error {
					if w.Kind == at.kind && w.Position == at.position && !l.dead[lost-1] {
						l.lose(lost)
						if at.after {
							return absent(lost - 1)
						}
					}
					return nil
				}
				since := len(l.views)
				l.mu.Lock()
				if at.after {
					l.after = hook
				} else {
					l.fail = hook
				}
				l.mu.Unlock()
				l.order(10)
				quantity, id, number = quantity+10, id+1, number+1
				r := l.start()
				testenv.Eventually(t, 30*time.Second, func() error {
					row := l.row(r.ID)
					if row.State == property.RolloutHeld || (row.Blocker != nil && strings.Contains(*row.Blocker, "All three receipts")) {
						return nil
					}
					return fmt.Errorf("%s: the rollout is %s", name, row.State)
				})
				if l.row(r.ID).State == property.RolloutHeld {
					held++
				}
				l.mu.Lock()
				l.fail, l.after = nil, nil
				l.mu.Unlock()
				c, request := l.fresh(number)
				if number%2 == 0 {
					l.configure(lost, c)
				}
				done := l.replace(rollouts.ReplaceSpec{Backend: serial, Request: request})
				if number%2 == 1 {
					l.configure(lost, c)
				}
				if done.Rollout == nil || done.Rollout.ID != r.ID {
					t.Fatalf("%s: %+v", name, done.Rollout)
				}
				if row := l.until(r.ID, property.RolloutDone); row.TmrID != int(id) {
					t.Errorf("%s: TMR-ID %d", name, row.TmrID)
				}
				l.inForce(name, since)
				for i, c := range l.containers {
					_, h := c.Licenses()
					if len(h) != 1 || h[0].Options.Quantity != quantity || h[0].Options.TMRID != id {
						t.Errorf("%s: container %d holds %+v, want %d/#%d", name, i+1, h, quantity, id)
					}
				}
				if l.suspected() != 0 {
					t.Errorf("%s: one is suspected", name)
				}
				if t.Failed() {
					return
				}
			}
		}
		if held < walked/3 || held == 0 {
			t.Errorf("only %d of %d were held", held, walked)
		}
	})
}

// secondFirm orders licenses of another firm for the group.
func (l *lab) secondFirm(quantity int) {
	l.t.Helper()
	owner := l.as(l.owner)
	f, err := l.CreateFirm(owner, catalog.FirmSpec{Code: 6000011, Name: "Other"})
	if err != nil {
		l.t.Fatal(err)
	}
	p, err := l.CreateProduct(owner, f.ID, catalog.ProductSpec{Code: 5, Name: "Plot"})
	if err != nil {
		l.t.Fatal(err)
	}
	item, err := l.CreateItem(owner, p.ID, catalog.ItemSpec{Name: "Plot", TMR: true, Options: license.Options{Quantity: 1}})
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := l.Platform.Order(owner, orders.OrderRequest{Item: item.ID, Group: l.group.ID, Quantity: quantity}); err != nil {
		l.t.Fatal(err)
	}
	l.until(l.start().ID, property.RolloutDone)
}

// both asserts what the containers hold of the two firms.
func (l *lab) both(chart, plot uint32) {
	l.t.Helper()
	for i, c := range l.containers {
		_, held := c.Licenses()
		if len(held) != 2 || held[0].Options.Quantity != chart || held[1].Options.Quantity != plot {
			l.t.Errorf("container %d holds %+v, want %d and %d", i+1, held, chart, plot)
		}
	}
	if l.suspected() != 0 {
		l.t.Error("one is suspected")
	}
}

// TestReplacedBackendOfTwoFirms: the new one gets the licenses of every firm
// first; also where two of three are replaced, and where a new one is lost
// before it got anything.
func TestReplacedBackendOfTwoFirms(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := filled(t, dsn)
		l.secondFirm(3)
		since := len(l.views)
		swap := func(position int, number uint64, configured bool) rollouts.BackendReplaced {
			t.Helper()
			l.mu.Lock()
			serial := l.containers[position-1].Serial().String()
			if !l.dead[position-1] {
				l.lose(position)
			}
			l.mu.Unlock()
			c, request := l.fresh(number)
			if configured {
				l.configure(position, c)
			} else {
				l.mu.Lock()
				l.containers[position-1] = c // and dead still
				l.mu.Unlock()
			}
			return l.replace(rollouts.ReplaceSpec{Backend: serial, Request: request, Reason: "lost"})
		}
		l.until(swap(1, 901, true).Rollout.ID, property.RolloutDone)
		l.both(20, 3)
		l.inForce("one replaced", since)

		// A rotated key is the one that signs.
		if _, err := l.RotateFirmKey(l.as(l.owner), "6000011", 1); err != nil {
			t.Fatal(err)
		}
		swap(1, 902, false)
		l.until(swap(1, 903, true).Rollout.ID, property.RolloutDone)
		l.both(20, 3)

		// Two of three at once: there is no license until the first of them has it.
		swap(2, 904, false)
		second := swap(3, 905, true)
		l.mu.Lock()
		two := l.containers[1]
		l.mu.Unlock()
		l.configure(2, two)
		testenv.Eventually(t, 30*time.Second, func() error {
			row := l.row(second.Rollout.ID)
			if row.State == property.RolloutHeld { // it was asked before both were there
				if _, err := l.RetryRollout(l.as(l.owner), row.ID); err != nil {
					return err
				}
			}
			if row.State != property.RolloutDone {
				return fmt.Errorf("%s", row.State)
			}
			return nil
		})
		l.both(20, 3)
		l.order(10)
		l.until(l.start().ID, property.RolloutDone)
		l.both(30, 3)
	})
}

// TestRestoredThenReplaced: what a restored backend misses names the replaced
// one, so it can't be brought up to date, and is replaced as well.
func TestRestoredThenReplaced(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := filled(t, dsn)
		old := l.copies()
		l.order(10)
		l.until(l.start().ID, property.RolloutDone)
		l.restore(2, old[1])
		l.mu.Lock()
		l.lose(3)
		l.mu.Unlock()
		c, request := l.fresh(910)
		l.configure(3, c)
		r := l.replace(rollouts.ReplaceSpec{Backend: "130-3879234", Request: request}).Rollout
		if row := l.until(r.ID, property.RolloutHeld); *row.ErrorCode != string(license.CodeManipulation) {
			t.Fatalf("held with %s", *row.ErrorCode)
		}
		l.accept(2)
		if _, err := l.RetryRollout(l.as(l.owner), r.ID); err != nil {
			t.Fatal(err)
		}
		if row := l.until(r.ID, property.RolloutHeld); *row.ErrorCode != string(license.CodeConflict) || !strings.Contains(*row.ErrorMessage, "replace") {
			t.Fatalf("held with %s: %s", *row.ErrorCode, *row.ErrorMessage)
		}
		c, request = l.fresh(911)
		l.configure(2, c)
		if again := l.replace(rollouts.ReplaceSpec{Backend: "130-27845973", Request: request}); again.Rollout.ID != r.ID {
			t.Errorf("another rollout")
		}
		l.until(r.ID, property.RolloutDone)
		l.carries(30, 9)
	})
}

// TestRestoredInARollout: a backend that lost updates after it was looked at is
// looked at again, and goes on with what it misses.
func TestRestoredInARollout(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := filled(t, dsn)
		old := l.copies()
		l.order(10)
		l.until(l.start().ID, property.RolloutDone)
		for restored := 2; restored <= 3; restored++ {
			at := restored
			l.setFail(func(w tasks.LinkWork) error {
				if w.Kind != property.WorkActivate || w.Position != at {
					return nil
				}
				l.fail = nil
				return absent(at - 1)
			})
			l.order(10)
			r := l.until(l.start().ID, property.RolloutHeld)
			before := l.copies()
			l.restore(at, old[at-1])
			if _, err := l.RetryRollout(l.as(l.owner), r.ID); err != nil {
				t.Fatal(err)
			}
			testenv.Eventually(t, 30*time.Second, func() error {
				row := l.row(r.ID)
				if row.State != property.RolloutHeld || *row.ErrorCode == string(license.CodeBackendAbsent) {
					return fmt.Errorf("%s", row.State)
				}
				return nil
			})
			if code := *l.row(r.ID).ErrorCode; code != string(license.CodeUpdateGap) {
				t.Fatalf("held with %s", code)
			}
			if _, err := l.RetryRollout(l.as(l.owner), r.ID); err != nil {
				t.Fatal(err)
			}
			testenv.Eventually(t, 30*time.Second, func() error {
				if row := l.row(r.ID); row.State != property.RolloutHeld || *row.ErrorCode != string(license.CodeManipulation) {
					return fmt.Errorf("%s", row.State)
				}
				return nil
			})
			l.accept(at)
			if _, err := l.RetryRollout(l.as(l.owner), r.ID); err != nil {
				t.Fatal(err)
			}
			l.until(r.ID, property.RolloutDone)
			old = before
		}
		l.carries(50, 10)
	})
}

// TestGivenUpAfterTheOnlyUpdatedWasReplaced: nobody has the update then.
func TestGivenUpAfterTheOnlyUpdatedWasReplaced(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := filled(t, dsn)
		l.setFail(func(w tasks.LinkWork) error {
			if w.Kind == property.WorkVerify && !l.dead[0] {
				l.lose(1)
			}
			return nil
		})
		l.order(10)
		r := l.until(l.start().ID, property.RolloutHeld)
		_, err := l.AbortRollout(l.as(l.owner), r.ID)
		l.wantRefused("while one may have it", err, license.CodeRolloutState)
		l.setFail(func(w tasks.LinkWork) error { return absent(0) })
		c, request := l.fresh(920)
		l.configure(1, c)
		l.replace(rollouts.ReplaceSpec{Backend: "130-1874829", Request: request})
		l.until(r.ID, property.RolloutHeld)
		if _, err := l.AbortRollout(l.as(l.owner), r.ID); err != nil {
			t.Fatal(err)
		}
		l.setFail(nil)
		l.until(l.start().ID, property.RolloutDone) // what was ordered, and what the new one lacks
		l.carries(30, 9)
	})
}
