package rollout_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rollout"
)

// group is what three containers hold, while a rollout with a replaced backend
// goes on: TMR-IDs, 0 for a new one that has nothing yet.
type group struct {
	ids       [3]uint32
	activated []string
}

func (g *group) inForce() bool {
	var obs [3]license.Observation
	for i, id := range g.ids {
		obs[i] = license.Observation{Presence: license.Present, Licenses: g.held(i)}
		if id == 0 {
			obs[i].Licenses = nil
		}
	}
	l, ok := license.Merge(license.View{}, obs).Find(chart)
	return ok && l.InForce
}

func (g *group) held(i int) []license.Held {
	if g.ids[i] == 0 {
		return nil
	}
	return holding(g.ids[i])
}

// answer is what comes of the effect that is due.
func (g *group) answer(s rollout.State) rollout.Event {
	a, _ := rollout.Pending(s)
	first := rollout.Digest{99}
	switch a.Kind {
	case rollout.Collect:
		e := rollout.Collected{At: instant, Key: a.Key, Found: found()}
		for i, id := range g.ids {
			e.Found[i].Licenses = holding(7)
			switch id {
			case 0:
				e.Found[i].Missing = []rollout.Missing{{Firm: chart.Firm, Number: 1, Update: first}}
			case 8:
				e.Installed[i] = true
			}
		}
		return e
	case rollout.Issue:
		e := rollout.Issued{At: instant, Key: a.Key}
		for i := range e.Updates {
			e.Updates[i] = rollout.Digest{byte(i + 1), 80}
			if g.ids[i] == 8 {
				e.Updates[i] = s.Steps[i].Update // as it was issued first
			}
		}
		return e
	case rollout.AskOthers:
		e := rollout.Guarded{At: instant, Key: a.Key}
		for i := range g.ids {
			e.Others[i] = g.held(i)
		}
		return e
	case rollout.Activate:
		due := s.Due(a.Backend)
		if g.ids[a.Backend-1]++; due == first {
			g.ids[a.Backend-1] = 7
		} else if g.ids[a.Backend-1] > 8 {
			g.ids[a.Backend-1] = 8 // its receipt again
		}
		g.activated = append(g.activated, fmt.Sprint(a.Backend, "#", g.ids[a.Backend-1]))
		return rollout.Activated{At: instant, Key: a.Key, Update: due}
	}
	return success(s)
}

// TestReplacedBackend replaces each backend in each state of a rollout. It ends
// with the update on all three, the license in force throughout, and no update
// installed on a container that has it.
func TestReplacedBackend(t *testing.T) {
	for _, from := range path(t) {
		for lost := 1; lost <= 3; lost++ {
			for _, unseen := range []bool{false, true} { // an activation whose answer was lost
				if unseen && (from.Phase != rollout.Activating || from.Backend == lost) {
					continue
				}
				for _, held := range []bool{false, true} {
					name := fmt.Sprintf("%s, backend %d, unseen=%v, held=%v", line(from), lost, unseen, held)
					s := from
					if held {
						if a, ok := rollout.Pending(s); !ok || a.Kind == rollout.AwaitView {
							continue
						}
						s = fail(t, s)
					}
					n := next(t, s, rollout.Replaced{At: instant, Backend: lost})
					if from.Phase == rollout.Queued || from.Phase == rollout.Done {
						if n.Sequence != s.Sequence {
							t.Errorf("%s: it changes something", name)
						}
						continue
					}
					if n.Phase != rollout.Collecting || n.Hold != nil || n.Sequence <= s.Sequence ||
						!reflect.DeepEqual(n.Steps[lost-1], rollout.Step{State: rollout.StepWaiting, Note: "waits for its turn"}) {
						t.Fatalf("%s: %s", name, line(n))
					}
					if a, _ := rollout.Pending(n); a.Key == key(from) {
						t.Errorf("%s: the key %s again", name, a.Key)
					}
					g := &group{ids: [3]uint32{7, 7, 7}}
					for i, step := range from.Steps {
						if step.Receipt || (unseen && from.Backend == i+1) {
							g.ids[i] = 8
						}
					}
					g.ids[lost-1] = 0
					for range 40 {
						if n.Phase == rollout.Done {
							break
						}
						before := n
						if n = next(t, n, g.answer(n)); n.Phase == rollout.Held {
							t.Fatalf("%s: held in %s: %s", name, line(before), n.Hold.Message)
						}
						if !g.inForce() {
							t.Fatalf("%s: not in force in %s with %v", name, line(n), g.ids)
						}
					}
					if n.Phase != rollout.Done || g.ids != [3]uint32{8, 8, 8} {
						t.Fatalf("%s: ends in %s with %v", name, line(n), g.ids)
					}
					if i := slices.Index(g.activated, fmt.Sprint(lost, "#7")); i != 0 {
						t.Errorf("%s: the new one is not the first: %v", name, g.activated)
					}
					for i, step := range from.Steps {
						if done := step.State == rollout.StepDone && i+1 != lost; done && slices.Contains(g.activated, fmt.Sprint(i+1, "#8")) {
							t.Errorf("%s: %v, and %d was done", name, g.activated, i+1)
						}
					}
				}
			}
		}
	}
}

func TestReplacedIsOfGroupsAlone(t *testing.T) {
	s := next(t, rollout.NewSingle(), rollout.Started{At: instant, Terms: []license.License{terms(30, 0)}})
	if n := next(t, s, rollout.Replaced{At: instant, Backend: 1}); n.Sequence != s.Sequence {
		t.Error("a container alone was replaced in its rollout")
	}
}

// TestGivenUpAfterReplacing: where the replaced backend alone was asked to
// activate, nobody has the update.
func TestGivenUpAfterReplacing(t *testing.T) {
	for _, from := range path(t) {
		if from.Phase != rollout.Confirming || from.Backend > 2 {
			continue
		}
		for lost := 1; lost <= 3; lost++ {
			n := next(t, from, rollout.Replaced{At: instant, Backend: lost})
			_, err := rollout.Next(n, rollout.GivenUp{At: instant})
			if free := from.Backend == 1 && lost == 1; (err == nil) != free {
				t.Errorf("%s, backend %d replaced: %v", line(from), lost, err)
			}
		}
	}
}

// TestGapCollectsAgain: a backend that lost updates meanwhile is looked at anew.
func TestGapCollectsAgain(t *testing.T) {
	for _, s := range path(t) {
		if s.Phase != rollout.Staging && s.Phase != rollout.Activating {
			continue
		}
		held := next(t, s, rollout.Failed{At: instant, Key: key(s), Code: license.CodeUpdateGap, Message: "a gap"})
		n := next(t, held, rollout.Retried{At: instant})
		if n.Phase != rollout.Collecting || n.Hold != nil || n.Attempt != s.Attempt+1 {
			t.Errorf("%s: retried in %s", line(s), line(n))
		}
		for i := range n.Steps {
			if n.Steps[i].Update != s.Steps[i].Update || n.Steps[i].Asked != s.Steps[i].Asked {
				t.Errorf("%s: step %d forgets its update", line(s), i+1)
			}
		}
	}
}

func TestOutdatedServersAreTold(t *testing.T) {
	s := next(t, rollout.New(), success(rollout.New()))
	n := next(t, s, rollout.Configured{Outdated: 2})
	if !strings.Contains(n.Blocker(), "replaced backend 2") || n.Sequence != s.Sequence+1 || key(n) != key(s) {
		t.Errorf("%q, sequence %d after %d", n.Blocker(), n.Sequence, s.Sequence)
	}
	if again := next(t, n, rollout.Configured{Outdated: 2}); again.Sequence != n.Sequence {
		t.Error("told twice is a change")
	}
	if n = next(t, n, success(n)); n.Outdated != 0 || n.Blocker() != "" {
		t.Errorf("collected, and %q", n.Blocker())
	}
	if late := next(t, n, rollout.Configured{Outdated: 2}); late.Outdated != 0 {
		t.Error("told while nothing is collected")
	}
}

func TestReplacedByFilesAwaitsARequest(t *testing.T) {
	s := next(t, rollout.New(), rollout.Started{At: instant, Terms: []license.License{terms(30, 8)}, Offline: true})
	s = next(t, s, success(s))
	s = next(t, s, success(s))
	n := next(t, s, rollout.Replaced{At: instant, Backend: 3})
	if !n.AwaitsRequest() || !strings.Contains(n.Blocker(), "new request file") {
		t.Fatalf("%s: %q", line(n), n.Blocker())
	}
	late := rollout.Delivered{At: instant, Key: key(s), Updates: [3]rollout.Digest{digest(1), digest(2), digest(3)}}
	if got := next(t, n, late); got.Sequence != n.Sequence {
		t.Error("receipts of the file before count")
	}
	if _, err := rollout.Next(n, rollout.GivenUp{At: instant}); license.CodeOf(err) != license.CodeRolloutState {
		t.Errorf("given up, and the others may have it: %v", err)
	}
	g := &group{ids: [3]uint32{8, 7, 0}} // one was installed, and nobody told
	n = next(t, n, g.answer(n))
	n = next(t, n, g.answer(n))
	e := rollout.Delivered{At: instant, Key: key(n)}
	for i := range e.Updates {
		e.Updates[i] = n.Steps[i].Update
	}
	if e.Updates[0] != digest(1) || e.Updates[1] == digest(2) {
		t.Errorf("issued %v", e.Updates)
	}
	if n = next(t, n, e); n.Phase != rollout.Done {
		t.Errorf("%s", line(n))
	}
}
