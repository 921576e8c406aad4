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
	"github.com/quorate/quorate/internal/platform"
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

func (l *lab) replace(spec platform.ReplaceSpec) platform.BackendReplaced {
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
		spec := platform.ReplaceSpec{Backend: "130-27845973", Request: request, Reason: "the disk broke"}
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
			if kind == property.WorkActivate {
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
		held := 0
		for _, at := range points {
			for lost := 1; lost <= 3; lost++ {
				name := fmt.Sprintf("backend %d at %s %d after=%v", lost, at.kind, at.position, at.after)
				serial := l.containers[lost-1].Serial().String()
				hook := func(w platform.LinkWork) error {
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
				done := l.replace(platform.ReplaceSpec{Backend: serial, Request: request})
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
		if held < len(points) {
			t.Errorf("only %d of %d were held", held, 3*len(points))
		}
	})
}
