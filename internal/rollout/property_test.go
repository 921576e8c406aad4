package rollout_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rollout"
)

// answer gives what may come of the effect that is due. Of a group's containers
// some turn out to miss earlier updates, and collected again some have theirs.
func answer(t *rapid.T, s rollout.State, offline bool) rollout.Event {
	a, _ := rollout.Pending(s)
	switch e := success(s).(type) {
	case rollout.Started:
		e.Offline = offline
		return e
	case rollout.Collected:
		for i, step := range s.Steps[:s.Backends()] {
			installed := step.Update != rollout.Digest{} && (step.Asked || step.Receipt)
			if e.Installed[i] = installed && rapid.IntRange(0, 4).Draw(t, "installed") > 0; e.Installed[i] {
				continue
			}
			for n := range rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "missing") {
				if !s.Single {
					e.Found[i].Missing = append(e.Found[i].Missing, rollout.Missing{
						Firm: chart.Firm, Number: uint64(n + 1), Update: rollout.Digest{byte(i + 1), 9, byte(n)}, Held: held(20, 7),
					})
				}
			}
		}
		return e
	case rollout.Issued:
		for i, step := range s.Steps {
			if e.Updates[i] = step.Update; step.Update == (rollout.Digest{}) {
				e.Updates[i] = rollout.Digest{byte(i + 1), 8, byte(s.Attempt)}
			}
		}
		return e
	case rollout.Guarded:
		for i, step := range s.Steps {
			switch {
			case step.Receipt:
				e.Others[i] = s.Holds(i + 1)
			case len(step.Found.Missing) > step.Repaired:
				e.Others[i] = step.Found.Missing[step.Repaired].Held
			default:
				e.Others[i] = step.Found.Licenses
			}
		}
		return e
	case rollout.Activated:
		e.Update = s.Due(a.Backend)
		return e
	case nil:
		if a.Kind == rollout.AwaitFile {
			return file(t, s, a.Key)
		}
		return nil
	default:
		return e
	}
}

// file is what a customer hands in: receipts of some, or another one's.
func file(t *rapid.T, s rollout.State, key string) rollout.Event {
	e := rollout.Delivered{At: instant, Key: key}
	for i, step := range s.Steps[:s.Backends()] {
		switch rapid.IntRange(0, 3).Draw(t, "receipt") {
		case 0:
		case 1:
			e.Updates[i] = rollout.Digest{77}
		default:
			e.Updates[i] = step.Update
		}
	}
	return e
}

// attempt is what is known of one attempt of a rollout: which backends have been
// activated under it.
type attempt struct {
	number    uint32
	activated [license.Backends]bool
}

// step follows a change, and says what is wrong with it: under one attempt no
// backend is asked to swap its update in before those that were asked before it
// are done.
func (a *attempt) step(before, after rollout.State) string {
	if a.number != after.Attempt {
		*a = attempt{number: after.Attempt}
	}
	began := after.Phase == rollout.Activating && (before.Phase != rollout.Activating || before.Backend != after.Backend || before.Attempt != after.Attempt)
	if !began || len(after.Steps[after.Backend-1].Found.Missing) > after.Steps[after.Backend-1].Repaired {
		return ""
	}
	for i, step := range after.Steps {
		if a.activated[i] && i+1 != after.Backend && step.State != rollout.StepDone {
			return "activated before another one was confirmed: " + line(after)
		}
	}
	a.activated[after.Backend-1] = true
	return ""
}

// TestProperties lets a coordinator crash, repeats answers, delivers them late
// and out of order, replaces backends, finds some that miss updates, travels in
// files, and lets a person retry and give up at any time.
func TestProperties(t *testing.T) {
	reached := map[rollout.Phase]int{}
	seen := map[string]int{}
	walk := func(t *rapid.T) {
		start := rollout.New()
		if rapid.Bool().Draw(t, "single") {
			start = rollout.NewSingle()
		}
		offline := rapid.IntRange(0, 3).Draw(t, "offline") == 0
		stored, _ := json.Marshal(start)
		var sent []rollout.Event // every answer that was ever given
		var now attempt
		plain := !offline
		load := func() (s rollout.State) {
			if err := json.Unmarshal(stored, &s); err != nil {
				t.Fatal(err)
			}
			return s
		}
		deliver := func(e rollout.Event) {
			before := load()
			after, err := rollout.Next(before, e)
			if !reflect.DeepEqual(before, load()) {
				t.Fatalf("%T changes the state that it is given", e)
			}
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
			if after.Attempt < before.Attempt || (before.Phase.Ended() && !reflect.DeepEqual(before, after)) {
				t.Fatalf("%T: %s after %s", e, line(after), line(before))
			}
			if (after.Sequence != before.Sequence) == reflect.DeepEqual(before, after) {
				t.Fatalf("%T: sequence %d after %d in %s", e, after.Sequence, before.Sequence, line(after))
			}
			if wrong := now.step(before, after); wrong != "" {
				t.Fatalf("%T: %s", e, wrong)
			}
			check(t, after)
			// Where nothing is collected again and nothing is missing, the backends
			// have their turns in order, over all attempts.
			c, collected := e.(rollout.Collected)
			for _, f := range c.Found {
				plain = plain && len(f.Missing) == 0
			}
			if plain = plain && !(collected && before.Attempt > 0); plain && after.Attempt == before.Attempt {
				for i, step := range after.Steps {
					if step.Asked && i > 0 && after.Steps[i-1].State != rollout.StepDone {
						t.Fatalf("backend %d was activated before backend %d was confirmed: %s", i+1, i, line(after))
					}
				}
			}
			stored, _ = json.Marshal(after)
			reached[after.Phase]++
			for i, step := range after.Steps {
				if step.Repaired > before.Steps[i].Repaired {
					seen["repaired"]++
				}
			}
			if after.Sequence != before.Sequence {
				seen[reflect.TypeOf(e).Name()]++
				if after.Offline && after.Phase == rollout.Done {
					seen["done by files"]++
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"progress": func(t *rapid.T) {
				for range rapid.IntRange(1, 6).Draw(t, "steps") {
					if e := answer(t, load(), offline); e != nil {
						sent = append(sent, e)
						deliver(e)
					}
				}
			},
			"answer lost in a crash": func(t *rapid.T) {
				if e := answer(t, load(), offline); e != nil {
					sent = append(sent, e)
				}
			},
			"failure": func(t *rapid.T) {
				e := rollout.Failed{At: instant, Key: key(load()), Message: "away",
					Code: rapid.SampledFrom([]license.Code{license.CodeBackendAbsent, license.CodeUpdateGap}).Draw(t, "code")}
				sent = append(sent, e)
				if rapid.Bool().Draw(t, "delivered") {
					deliver(e)
				}
			},
			"refused guard": func(t *rapid.T) {
				if g, ok := answer(t, load(), offline).(rollout.Guarded); ok {
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
			"replaced": func(t *rapid.T) {
				if rapid.IntRange(0, 4).Draw(t, "dice") > 0 {
					return
				}
				before, e := load(), rollout.Replaced{At: instant, Backend: rapid.IntRange(1, 3).Draw(t, "backend")}
				deliver(e)
				if after := load(); after.Attempt != before.Attempt && (after.Phase != rollout.Collecting || !reflect.DeepEqual(after.Steps[e.Backend-1].Found, rollout.Found{})) {
					t.Fatalf("backend %d replaced in %s: %s", e.Backend, line(before), line(after))
				}
			},
			"told only": func(t *rapid.T) {
				before := load()
				deliver(rapid.SampledFrom([]rollout.Event{
					rollout.Configured{}, rollout.Configured{Outdated: 2}, rollout.Linked{}, rollout.Linked{Up: true},
				}).Draw(t, "event"))
				after := load()
				if was, is := key(before), key(after); was != is || line(before) != line(after) {
					t.Fatalf("%s became %s, and %s is due instead of %s", line(before), line(after), is, was)
				}
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
	}
	// One round, or as many as it takes to see what is rare.
	unseen := func() (missing []string) {
		for _, p := range rollout.Phases()[1:] {
			if reached[p] == 0 {
				missing = append(missing, string(p))
			}
		}
		for _, what := range []string{"Replaced", "Delivered", "Configured", "Linked", "repaired", "done by files"} {
			if seen[what] == 0 {
				missing = append(missing, what)
			}
		}
		return missing
	}
	for range 100 {
		if rapid.Check(t, walk); t.Failed() || len(unseen()) == 0 {
			break
		}
	}
	if missing := unseen(); len(missing) > 0 {
		t.Errorf("never seen: %v", missing)
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
