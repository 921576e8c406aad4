package rollout_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rollout"
)

// TestProperties lets a coordinator crash, repeats answers, delivers them late
// and out of order, and lets a person retry and give up at any time.
func TestProperties(t *testing.T) {
	reached := map[rollout.Phase]int{}
	rapid.Check(t, func(t *rapid.T) {
		start := rollout.New()
		if rapid.Bool().Draw(t, "single") {
			start = rollout.NewSingle()
		}
		stored, _ := json.Marshal(start)
		var sent []rollout.Event // every answer that was ever given
		load := func() (s rollout.State) {
			if err := json.Unmarshal(stored, &s); err != nil {
				t.Fatal(err)
			}
			return s
		}
		deliver := func(e rollout.Event) {
			before := load()
			after, err := rollout.Next(before, e)
			if after.Single != start.Single {
				t.Fatalf("%T makes another kind of rollout", e)
			}
			_, gaveUp := e.(rollout.GivenUp)
			if gaveUp && before.Asked() && before.Phase != rollout.Aborted && err == nil {
				t.Fatalf("given up in %s after an activation", line(before))
			}
			if err != nil && !reflect.DeepEqual(before, after) {
				t.Fatalf("a refused %T changed the state", e)
			}
			if (after.Sequence != before.Sequence) == reflect.DeepEqual(before, after) {
				t.Fatalf("%T: sequence %d after %d in %s", e, after.Sequence, before.Sequence, line(after))
			}
			check(t, after)
			stored, _ = json.Marshal(after)
			reached[after.Phase]++
		}
		t.Repeat(map[string]func(*rapid.T){
			"progress": func(t *rapid.T) {
				for range rapid.IntRange(1, 6).Draw(t, "steps") {
					if e := success(load()); e != nil {
						sent = append(sent, e)
						deliver(e)
					}
				}
			},
			"answer lost in a crash": func(t *rapid.T) {
				if e := success(load()); e != nil {
					sent = append(sent, e)
				}
			},
			"failure": func(t *rapid.T) {
				e := rollout.Failed{At: instant, Key: key(load()), Code: license.CodeBackendAbsent, Message: "away"}
				sent = append(sent, e)
				if rapid.Bool().Draw(t, "delivered") {
					deliver(e)
				}
			},
			"refused guard": func(t *rapid.T) {
				if g, ok := success(load()).(rollout.Guarded); ok {
					g.Others = [3][]license.Held{}
					deliver(g)
				}
			},
			"late or repeated": func(t *rapid.T) {
				if len(sent) > 0 {
					deliver(rapid.SampledFrom(sent).Draw(t, "event"))
				}
			},
			"early view": func(t *rapid.T) {
				deliver(rollout.Viewed{At: instant, Unanimous: shown(rapid.SampledFrom([]license.View{{}, view(7, 7, 7), view(8, 8, 7), view(8, 8, 8)}).Draw(t, "view"))})
			},
			"retry": func(t *rapid.T) { deliver(rollout.Retried{At: instant}) },
			"blocked": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "dice") > 0 {
					return
				}
				before := load()
				deliver(rollout.Blocked{At: instant})
				if after := load(); after.Phase.Ended() != (before.Single || before.Phase.Ended()) {
					t.Fatalf("%s blocked: %s", line(before), line(after))
				}
			},
			"give up": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "dice") == 0 {
					deliver(rollout.GivenUp{At: instant})
				}
			},
		})
	})
	for _, p := range rollout.Phases()[1:] {
		if reached[p] == 0 {
			t.Errorf("%s was never reached", p)
		}
	}
}

// check asserts what holds in every state.
func check(t *rapid.T, s rollout.State) {
	running := 0
	for i, step := range s.Steps[s.Backends():] {
		if !reflect.DeepEqual(step, rollout.Step{}) {
			t.Fatalf("a single container has step %d: %+v", i+2, step)
		}
	}
	if s.Single && s.Phase == rollout.Guarding {
		t.Fatal("a single container has nobody to ask")
	}
	for i, step := range s.Steps[:s.Backends()] {
		if step.State == rollout.StepRunning || step.State == rollout.StepVerifying {
			running++
			if s.Backend != i+1 {
				t.Fatalf("backend %d runs in %s", i+1, line(s))
			}
		}
		if step.Receipt && !step.Asked {
			t.Fatalf("backend %d has a receipt without having been asked", i+1)
		}
		if step.Asked && i > 0 && s.Steps[i-1].State != rollout.StepDone {
			t.Fatalf("backend %d was activated before backend %d was confirmed: %s", i+1, i, line(s))
		}
		if (s.Phase == rollout.Done || step.State == rollout.StepDone) && !step.Receipt {
			t.Fatalf("%s without the receipt of backend %d", line(s), i+1)
		}
	}
	if running > 1 {
		t.Fatalf("two backends at once: %s", line(s))
	}
	if (s.Phase == rollout.Held) != (s.Hold != nil) || s.Phase.Ended() != (s.EndedAt != nil) {
		t.Fatalf("inconsistent: %+v", s)
	}
	if s.Phase == rollout.Aborted && s.Asked() && !s.Single { // a single one may have been blocked
		t.Fatal("given up after an activation was asked for")
	}
}
