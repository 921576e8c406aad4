package rollout_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rollout"
)

var (
	chart   = license.Product{Firm: 6000010, Code: 14}
	instant = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

func terms(quantity, id uint32) license.License {
	return license.License{Product: chart, Name: "Chart Processing", Options: license.Options{Quantity: quantity, TMRID: id}}
}

func held(quantity, id uint32) []license.Held {
	h := license.Held{License: terms(quantity, id)}
	if id == 8 {
		before := terms(20, 7).Options
		h.Predecessor = &before
	}
	return []license.Held{h}
}

func digest(backend int) rollout.Digest { return rollout.Digest{byte(backend), 8} }

func found() [3]rollout.Found {
	var f [3]rollout.Found
	for i := range f {
		f[i] = rollout.Found{
			Serial: license.Serial{Mask: 130, Number: uint64(i + 1)},
			Number: 1, Previous: rollout.Digest{byte(i + 1), 7}, Licenses: held(20, 7),
		}
	}
	return f
}

func view(ids ...uint32) license.View {
	var obs [3]license.Observation
	for i, id := range ids {
		if id != 0 {
			obs[i] = license.Observation{Presence: license.Present, Licenses: held(map[uint32]uint32{7: 20, 8: 30}[id], id)}
		}
	}
	return license.Merge(license.View{}, obs)
}

// shown are the licenses in force that all three backends show.
func shown(v license.View) (all []license.License) {
	for _, l := range v.Licenses {
		if l.InForce && l.Unanimous() {
			all = append(all, l.License)
		}
	}
	return all
}

// key is that of the action now due.
func key(s rollout.State) string {
	a, _ := rollout.Pending(s)
	return a.Key
}

// others are the statements of a group in which the containers hold ids.
func others(ids ...uint32) (o [3][]license.Held) {
	for i, id := range ids {
		if id != 0 {
			o[i] = held(map[uint32]uint32{7: 20, 8: 30}[id], id)
		}
	}
	return o
}

// success is the event by which the rollout moves on.
func success(s rollout.State) rollout.Event {
	a, _ := rollout.Pending(s)
	switch a.Kind {
	case rollout.Collect:
		return rollout.Collected{At: instant, Key: a.Key, Found: found()}
	case rollout.Issue:
		return rollout.Issued{At: instant, Key: a.Key, Updates: [3]rollout.Digest{digest(1), digest(2), digest(3)}}
	case rollout.Stage:
		return rollout.Staged{At: instant, Key: a.Key}
	case rollout.AskOthers:
		ids := []uint32{7, 7, 7}
		for i := range a.Backend - 1 {
			ids[i] = 8
		}
		return rollout.Guarded{At: instant, Key: a.Key, Others: others(ids...)}
	case rollout.Activate:
		return rollout.Activated{At: instant, Key: a.Key, Update: digest(a.Backend)}
	case rollout.Verify:
		return rollout.Verified{At: instant, Key: a.Key}
	case rollout.AwaitView:
		return rollout.Viewed{At: instant, Unanimous: shown(view(8, 8, 8))}
	}
	if s.Phase == rollout.Queued {
		return rollout.Started{At: instant, Terms: []license.License{terms(30, 8)}}
	}
	return nil
}

func next(t *testing.T, s rollout.State, e rollout.Event) rollout.State {
	t.Helper()
	n, err := rollout.Next(s, e)
	if err != nil {
		t.Fatalf("%T in %s: %v", e, s.Phase, err)
	}
	return n
}

// path gives every state of an undisturbed rollout, in order.
func path(t *testing.T) []rollout.State {
	t.Helper()
	states := []rollout.State{rollout.New()}
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

func line(s rollout.State) string {
	var b strings.Builder
	b.WriteString(string(s.Phase))
	if s.Backend != 0 {
		b.WriteByte('0' + byte(s.Backend))
	}
	for _, step := range s.Steps {
		b.WriteByte(' ')
		b.WriteString(string(step.State))
	}
	return b.String()
}

func TestUndisturbed(t *testing.T) {
	want := []string{
		"QUEUED WAITING WAITING WAITING",
		"COLLECTING WAITING WAITING WAITING",
		"ISSUING WAITING WAITING WAITING",
		"STAGING WAITING WAITING WAITING",
		"GUARDING1 RUNNING WAITING WAITING",
		"ACTIVATING1 RUNNING WAITING WAITING",
		"CONFIRMING1 VERIFYING WAITING WAITING",
		"GUARDING2 DONE RUNNING WAITING",
		"ACTIVATING2 DONE RUNNING WAITING",
		"CONFIRMING2 DONE VERIFYING WAITING",
		"GUARDING3 DONE DONE RUNNING",
		"ACTIVATING3 DONE DONE RUNNING",
		"CONFIRMING3 DONE DONE VERIFYING",
		"CONFIRMING3 DONE DONE DONE",
		"DONE DONE DONE DONE",
	}
	states := path(t)
	if len(states) != len(want) {
		t.Fatalf("%d states, want %d", len(states), len(want))
	}
	keys := map[string]bool{}
	for i, s := range states {
		if line(s) != want[i] {
			t.Errorf("state %d: %s, want %s", i, line(s), want[i])
		}
		if s.Sequence != uint64(i) {
			t.Errorf("%s: sequence %d, want %d", want[i], s.Sequence, i)
		}
		if a, ok := rollout.Pending(s); ok {
			if keys[a.Key] {
				t.Errorf("key %s twice", a.Key)
			}
			keys[a.Key] = true
		} else if s.Phase != rollout.Queued && !s.Phase.Ended() {
			t.Errorf("nothing due in %s", s.Phase)
		}
	}
	end := states[len(states)-1]
	if end.EndedAt == nil || !end.Phase.Ended() || end.Blocker() != "" {
		t.Errorf("end: %+v", end)
	}
	for i, step := range end.Steps {
		if !step.Receipt || step.StartedAt == nil || step.FinishedAt == nil || step.Update != digest(i+1) {
			t.Errorf("step %d: %+v", i+1, step)
		}
	}
	if b := states[len(states)-2].Blocker(); !strings.Contains(b, "on all three") {
		t.Errorf("blocker while waiting for the view: %q", b)
	}
	if states[0].Blocker() == "" || states[5].Blocker() != "" {
		t.Errorf("blockers: %q, %q", states[0].Blocker(), states[5].Blocker())
	}
}

func TestStateSurvivesJSON(t *testing.T) {
	states := path(t)
	for _, s := range states {
		if f := fail(t, s); f.Phase == rollout.Held {
			states = append(states, f)
		}
	}
	for _, s := range states {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back rollout.State
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back, s) {
			t.Errorf("%s comes back as\n%+v, was\n%+v", line(s), back, s)
		}
	}
	var d rollout.Digest
	for _, bad := range []string{"", "00", strings.Repeat("0", 63), strings.Repeat("g", 64), strings.Repeat("0", 66)} {
		if d.UnmarshalText([]byte(bad)) == nil {
			t.Errorf("digest %q accepted", bad)
		}
	}
}

func TestNextKeepsItsArgument(t *testing.T) {
	for _, s := range path(t) {
		before, _ := json.Marshal(s)
		for _, e := range []rollout.Event{success(s), rollout.Retried{At: instant}, rollout.GivenUp{At: instant}} {
			if e != nil {
				rollout.Next(s, e)
			}
		}
		fail(t, s)
		if after, _ := json.Marshal(s); string(after) != string(before) {
			t.Errorf("%s was changed", line(s))
		}
	}
}

func fail(t *testing.T, s rollout.State) rollout.State {
	return next(t, s, rollout.Failed{At: instant, Key: key(s), Code: license.CodeBackendAbsent, Message: "backend 2 does not answer"})
}

func TestOnlyTheDueAnswerCounts(t *testing.T) {
	states := path(t)
	for i, s := range states {
		for j, other := range states {
			e := success(other)
			if i == j || e == nil {
				continue
			}
			if n := next(t, s, e); !reflect.DeepEqual(n, s) {
				t.Errorf("%T of %s changed %s to %s", e, line(other), line(s), line(n))
			}
			if j < i {
				late := rollout.Failed{At: instant, Key: key(other), Code: license.CodeInternal, Message: "late"}
				if key(other) != "" && !reflect.DeepEqual(next(t, s, late), s) {
					t.Errorf("late failure of %s changed %s", line(other), line(s))
				}
			}
		}
	}
}

func TestFailureHoldsAndRetryGoesOnThere(t *testing.T) {
	resumes := map[rollout.Phase]rollout.Phase{
		rollout.Collecting: rollout.Collecting, rollout.Issuing: rollout.Issuing, rollout.Staging: rollout.Staging,
		rollout.Guarding: rollout.Guarding, rollout.Activating: rollout.Guarding, rollout.Confirming: rollout.Confirming,
	}
	for _, s := range path(t) {
		h := fail(t, s)
		want, moves := resumes[s.Phase]
		if moves && s.Steps[2].State == rollout.StepDone { // waits for the view: nothing to fail
			moves = false
		}
		if !moves {
			if !reflect.DeepEqual(h, s) {
				t.Errorf("%s failed", line(s))
			}
			continue
		}
		if h.Phase != rollout.Held || h.Hold.Code != license.CodeBackendAbsent || h.Blocker() != "backend 2 does not answer" {
			t.Errorf("%s held as %+v", line(s), h)
		}
		if _, ok := rollout.Pending(h); ok {
			t.Errorf("%s: something is due while held", line(s))
		}
		for i, step := range h.Steps {
			want := rollout.StepHeld
			switch {
			case i+1 == s.Backend:
				want = rollout.StepFailed
			case s.Steps[i].State == rollout.StepDone:
				want = rollout.StepDone
			}
			if step.State != want {
				t.Errorf("%s: step %d is %s, want %s", line(s), i+1, step.State, want)
			}
		}
		r := next(t, h, rollout.Retried{At: instant})
		if r.Phase != want || r.Backend != s.Backend || r.Hold != nil || r.Sequence != h.Sequence+1 {
			t.Errorf("%s resumes as %s", line(s), line(r))
		}
		if key(r) == key(s) {
			t.Errorf("%s: the second try has the first one's key %s", line(s), key(r))
		}
		if late := next(t, r, success(s)); !reflect.DeepEqual(late, r) {
			t.Errorf("%s: a late answer to the first try counts", line(s))
		}
		for range 20 { // and it reaches the end
			if e := success(r); e != nil {
				r = next(t, r, e)
			}
		}
		if r.Phase != rollout.Done {
			t.Errorf("%s: after a retry it ends in %s", line(s), line(r))
		}
	}
}

func TestRefusedGuardHolds(t *testing.T) {
	for _, s := range path(t) {
		if s.Phase != rollout.Guarding {
			continue
		}
		g := success(s).(rollout.Guarded)
		g.Others[s.Backend%3] = nil // one of the other two has nothing
		h := next(t, s, g)
		if h.Phase != rollout.Held || h.Hold.Code != license.CodeGuardRefused || h.Hold.Backend != s.Backend {
			t.Errorf("%s with one other empty: %s %+v", line(s), line(h), h.Hold)
		}
		if h.Steps[s.Backend-1].Asked {
			t.Errorf("%s: activation was asked for", line(s))
		}
	}
}

func TestForeignReceiptHolds(t *testing.T) {
	s := path(t)[5]
	h := next(t, s, rollout.Activated{At: instant, Key: key(s), Update: digest(9)})
	if h.Phase != rollout.Held || h.Hold.Code != license.CodeUpdateConflict || h.Steps[0].Receipt {
		t.Errorf("%s %+v", line(h), h.Hold)
	}
}

func TestGiveUp(t *testing.T) {
	for _, s := range path(t) {
		tries := []rollout.State{s}
		if h := fail(t, s); h.Phase == rollout.Held {
			tries = append(tries, h)
		}
		for _, s := range tries {
			n, err := rollout.Next(s, rollout.GivenUp{At: instant})
			if s.Asked() || s.Phase == rollout.Done {
				if license.CodeOf(err) != license.CodeRolloutState || !reflect.DeepEqual(n, s) {
					t.Errorf("%s given up: %v", line(s), err)
				}
				continue
			}
			if err != nil || n.Phase != rollout.Aborted || n.EndedAt == nil || n.Hold != nil {
				t.Errorf("%s given up: %s, %v", line(s), line(n), err)
			}
			if again := next(t, n, rollout.GivenUp{At: instant}); !reflect.DeepEqual(again, n) {
				t.Errorf("given up twice: %s", line(again))
			}
			if _, ok := rollout.Pending(n); ok {
				t.Error("something is due after it was given up")
			}
		}
	}
}

func TestUnlinkedIsToldAndChangesNothingElse(t *testing.T) {
	for i, s := range path(t) {
		a, due := rollout.Pending(s)
		lost := next(t, s, rollout.Linked{})
		if tells := due && a.Kind != rollout.Issue; lost.Unlinked != tells || (tells && !strings.Contains(lost.Blocker(), "does not hear")) {
			t.Errorf("%s: %+v, %q", line(s), lost.Unlinked, lost.Blocker())
			continue
		}
		if again := next(t, lost, rollout.Linked{}); !reflect.DeepEqual(again, lost) {
			t.Errorf("%s: told twice", line(s))
		}
		found := next(t, lost, rollout.Linked{Up: true})
		found.Sequence = s.Sequence
		if !reflect.DeepEqual(found, s) {
			t.Errorf("%s: found again as %+v", line(s), found)
		}
		if e := success(s); e != nil {
			after := next(t, lost, e)
			after.Sequence = path(t)[i+1].Sequence
			if !reflect.DeepEqual(after, path(t)[i+1]) {
				t.Errorf("%s goes on to %s", line(s), line(after))
			}
		}
	}
}

func TestRetryNeedsHeld(t *testing.T) {
	for _, s := range path(t) {
		n, err := rollout.Next(s, rollout.Retried{At: instant})
		if license.CodeOf(err) != license.CodeRolloutState || !reflect.DeepEqual(n, s) {
			t.Errorf("%s retried: %v", line(s), err)
		}
	}
}

func TestDoneNeedsTheView(t *testing.T) {
	states := path(t)
	s := states[len(states)-2]
	for _, v := range []license.View{{}, view(7, 7, 7), view(8, 7, 7), view(8, 8, 7), view(8, 8, 0)} {
		if n := next(t, s, rollout.Viewed{At: instant, Unanimous: shown(v)}); n.Phase == rollout.Done {
			t.Errorf("done with the view %s", v.Status())
		}
	}
}

func TestBrings(t *testing.T) {
	s := path(t)[2]
	for i := 1; i <= 3; i++ {
		set := s.Brings(i)
		if len(set) != 1 || set[0].Options.TMRID != 8 || set[0].Predecessor == nil || !set[0].Predecessor.Equal(terms(20, 7).Options) {
			t.Errorf("backend %d: %+v", i, set)
		}
		if s.Number(i) != 2 {
			t.Errorf("backend %d: number %d", i, s.Number(i))
		}
	}
	s.Steps[0].Found = rollout.Found{}
	if set := s.Brings(1); set[0].Predecessor != nil || s.Number(1) != 1 {
		t.Errorf("the first update has a predecessor: %+v", set)
	}
}

func TestGuard(t *testing.T) {
	other := license.Held{License: license.License{Product: license.Product{Firm: 6000010, Code: 15}, Options: license.Options{Quantity: 1, TMRID: 3}}}
	both := func(id uint32) []license.Held { return append(held(20, id), other) }
	for _, c := range []struct {
		name    string
		held    [3][]license.Held
		backend int
		ok      bool
	}{
		{"nothing rolled out yet", others(0, 0, 0), 1, true},
		{"the first license on one backend", others(7, 0, 0), 2, true},
		{"before 1", others(7, 7, 7), 1, true},
		{"before 2", others(8, 7, 7), 2, true},
		{"before 3", others(8, 8, 7), 3, true},
		{"two of the first license", others(7, 7, 0), 3, true},
		{"needed for the majority", others(7, 7, 0), 1, false},
		{"without 1 only #7 would be in force", others(8, 8, 7), 1, false},
		{"without 1 nothing would be in force", others(8, 0, 7), 1, false},
		{"another product would be lost", [3][]license.Held{both(7), both(7), held(20, 7)}, 1, false},
		{"another product stays", [3][]license.Held{both(7), both(7), held(20, 7)}, 3, true},
	} {
		err := rollout.Guard(c.held, c.backend)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil && license.CodeOf(err) != license.CodeGuardRefused {
			t.Errorf("%s: code %s", c.name, license.CodeOf(err))
		}
	}
}
