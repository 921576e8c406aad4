package rollout_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rollout"
)

func single(t *testing.T, offline bool) []rollout.State {
	t.Helper()
	states := []rollout.State{rollout.NewSingle()}
	states = append(states, next(t, states[0], rollout.Started{At: instant, Terms: []license.License{terms(30, 0)}, Offline: offline}))
	for range 20 {
		s := states[len(states)-1]
		e := success(s)
		if e == nil {
			return states
		}
		states = append(states, next(t, s, e))
	}
	t.Fatal("the rollout does not end")
	return nil
}

// first is how one step's rollout is shown.
func first(s rollout.State) string {
	l := string(s.Phase)
	if s.Backend != 0 {
		l += fmt.Sprint(s.Backend)
	}
	return l + " " + string(s.Steps[0].State)
}

func TestSingleUndisturbed(t *testing.T) {
	want := []string{
		"QUEUED WAITING", "COLLECTING WAITING", "ISSUING WAITING", "STAGING WAITING",
		"ACTIVATING1 RUNNING", "CONFIRMING1 VERIFYING", "DONE DONE",
	}
	var got []string
	keys := map[string]bool{}
	states := single(t, false)
	for _, s := range states {
		got = append(got, first(s))
		if k := key(s); k != "" && keys[k] {
			t.Errorf("key %s twice", k)
		} else {
			keys[k] = true
		}
		if s.Backends() != 1 || !reflect.DeepEqual(s.Steps[1], rollout.Step{}) {
			t.Errorf("%s: %d backends, %+v", first(s), s.Backends(), s.Steps[1])
		}
		if strings.Contains(s.Blocker(), "group") {
			t.Errorf("%s: %s", first(s), s.Blocker())
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	end := states[len(states)-1]
	if step := end.Steps[0]; end.EndedAt == nil || !step.Receipt || step.StartedAt == nil || step.FinishedAt == nil || end.Blocker() != "" {
		t.Errorf("%+v", end)
	}
	if lost := next(t, states[3], rollout.Linked{}); !strings.Contains(lost.Blocker(), "the container's license server") {
		t.Errorf("not linked: %q", lost.Blocker())
	}
}

// TestSingleHasNoPredecessor: nobody else vouches for what was before.
func TestSingleHasNoPredecessor(t *testing.T) {
	if set := single(t, false)[2].Brings(1); len(set) != 1 || set[0].Predecessor != nil || set[0].Options.Quantity != 30 {
		t.Errorf("%+v", set)
	}
}

func TestSingleRemoves(t *testing.T) {
	started := rollout.Started{At: instant, Removes: []license.Product{chart}}
	s := next(t, rollout.NewSingle(), started)
	if s.Phase != rollout.Collecting || !slices.Equal(s.Removes, started.Removes) || len(s.Brings(1)) != 0 {
		t.Errorf("%+v", s)
	}
	if s := next(t, rollout.New(), started); s.Phase != rollout.Queued {
		t.Errorf("a group's license is taken away: %s", line(s))
	}
	b, err := json.Marshal(s)
	var back rollout.State
	if err != nil || json.Unmarshal(b, &back) != nil || !reflect.DeepEqual(back, s) {
		t.Errorf("comes back as %+v, %v", back, err)
	}
}

func TestSingleOffline(t *testing.T) {
	states := single(t, true)
	s := states[len(states)-1]
	if a, ok := rollout.Pending(s); !ok || a.Kind != rollout.AwaitFile || first(s) != "STAGING WAITING" {
		t.Fatalf("%s %+v", first(s), a)
	}
	if _, err := rollout.Next(s, rollout.GivenUp{At: instant}); license.CodeOf(err) != license.CodeRolloutState {
		t.Errorf("given up after the file went out: %v", err)
	}
	// What is there of other positions, even zero digests, doesn't count.
	if n := next(t, s, deliver(s, 2, 3)); !reflect.DeepEqual(n, s) {
		t.Errorf("receipts of others: %s", first(n))
	}
	if n := next(t, s, deliver(s, 1)); first(n) != "DONE DONE" || n.EndedAt == nil {
		t.Errorf("with the receipt: %s", first(n))
	}
}

func TestSingleBlocked(t *testing.T) {
	all := append(single(t, false), single(t, true)...)
	for _, s := range all[:len(all):len(all)] {
		if f, err := rollout.Next(s, rollout.Failed{At: instant, Key: key(s), Code: license.CodeUnavailable, Message: "no"}); err == nil && f.Phase == rollout.Held {
			all = append(all, f)
		}
	}
	for _, s := range all {
		n := next(t, s, rollout.Blocked{At: instant})
		if s.Phase == rollout.Done {
			if !reflect.DeepEqual(n, s) {
				t.Errorf("a rollout that is done changes: %s", first(n))
			}
			continue
		}
		if n.Phase != rollout.Aborted || n.EndedAt == nil || n.Hold != nil || n.Sequence != s.Sequence+1 {
			t.Errorf("%s blocked: %s", first(s), first(n))
		}
		if _, ok := rollout.Pending(n); ok {
			t.Errorf("%s: something is due for a blocked container", first(s))
		}
	}
	for _, s := range path(t) {
		if n := next(t, s, rollout.Blocked{At: instant}); !reflect.DeepEqual(n, s) {
			t.Errorf("a group's rollout was ended: %s", line(n))
		}
	}
}

// lone is the model of a single container: a coordinator that may crash at any
// instant, an executor that does each command any number of times and late, and
// a container that loses power.
type lone struct {
	rollout           rollout.State
	alive, up         bool
	has               bool // the update is installed
	commands, answers string
	crashes, faults   int
}

func (w lone) key() string {
	hold := ""
	if w.rollout.Hold != nil {
		hold = string(w.rollout.Hold.Phase)
	}
	return fmt.Sprint(first(w.rollout), w.rollout.Attempt, hold, w.alive, w.up, w.has, w.commands, "|", w.answers, w.crashes, w.faults)
}

func (w lone) steps(t *testing.T) (to []lone) {
	may := func(change func(*lone)) {
		n := w
		change(&n)
		due := key(n.rollout)
		n.answers = keep(n.answers, func(a string) bool { return strings.Split(a, "|")[1] == due })
		n.commands = keep(n.commands, func(c string) bool { return c == due || strings.HasPrefix(c, "ACTIVATE") })
		to = append(to, n)
	}
	apply := func(e rollout.Event) { may(func(n *lone) { n.rollout = next(t, w.rollout, e) }) }
	if w.alive {
		if a, ok := rollout.Pending(w.rollout); ok {
			if a.Kind == rollout.Collect || a.Kind == rollout.Issue {
				apply(success(w.rollout))
			} else {
				may(func(n *lone) { n.commands = add(n.commands, a.Key) })
			}
		} else if w.rollout.Phase == rollout.Queued {
			apply(success(w.rollout))
		}
		if w.rollout.Phase == rollout.Held && w.up {
			apply(rollout.Retried{At: instant})
		}
		for _, a := range strings.Fields(w.answers) {
			apply(decode(a, w.rollout))
		}
		if w.crashes > 0 {
			may(func(n *lone) { n.alive, n.answers, n.crashes = false, "", n.crashes-1 })
		}
	} else {
		may(func(n *lone) { n.alive = true })
	}
	if !w.up {
		may(func(n *lone) { n.up = true })
	} else if w.faults > 0 {
		may(func(n *lone) { n.up, n.faults = false, n.faults-1 })
	}
	for _, c := range strings.Fields(w.commands) {
		may(func(n *lone) {
			word := "fail"
			if w.up {
				word = "ok"
				n.has = n.has || strings.HasPrefix(c, "ACTIVATE")
			}
			n.answers = add(n.answers, word+"|"+c+"|")
		})
	}
	return to
}

func TestSingleModel(t *testing.T) {
	start := lone{rollout: rollout.NewSingle(), alive: true, up: true, crashes: 2, faults: 2}
	seen := map[string]int{start.key(): 0}
	all, from := []lone{start}, [][]int{nil}
	for at := 0; at < len(all); at++ {
		if w := all[at]; w.rollout.Phase == rollout.Done && !w.has {
			t.Fatalf("done, but the container hasn't the update: %s", w.key())
		} else if w.has && !w.rollout.Asked() {
			t.Fatalf("installed, and it could still be given up: %s", w.key())
		}
		for _, n := range all[at].steps(t) {
			i, known := seen[n.key()]
			if !known {
				i = len(all)
				seen[n.key()] = i
				all, from = append(all, n), append(from, nil)
			}
			from[i] = append(from[i], at)
		}
	}
	reaches := make([]bool, len(all))
	var queue []int
	held := 0
	for i, w := range all {
		if w.rollout.Phase == rollout.Done {
			reaches[i], queue = true, append(queue, i)
		}
		if w.rollout.Phase == rollout.Held {
			held++
		}
	}
	done := len(queue)
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, f := range from[at] {
			if !reaches[f] {
				reaches[f], queue = true, append(queue, f)
			}
		}
	}
	if i := slices.Index(reaches, false); i >= 0 {
		t.Errorf("can't be completed from %s", all[i].key())
	}
	if done == 0 || held == 0 {
		t.Errorf("%d states, %d done, %d held", len(all), done, held)
	}
}
