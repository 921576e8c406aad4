package rollout_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rollout"
)

// handedOut is an offline rollout whose updates are in a file.
func handedOut(t *testing.T) rollout.State {
	t.Helper()
	s := next(t, rollout.New(), rollout.Started{At: instant, Terms: []license.License{terms(30, 8)}, Offline: true})
	for range 2 {
		s = next(t, s, success(s))
	}
	return s
}

func deliver(s rollout.State, backends ...int) rollout.Delivered {
	e := rollout.Delivered{At: instant, Key: key(s)}
	for _, b := range backends {
		e.Updates[b-1] = digest(b)
	}
	return e
}

func TestOfflineWaitsForThreeReceipts(t *testing.T) {
	s := handedOut(t)
	a, ok := rollout.Pending(s)
	if line(s) != "STAGING WAITING WAITING WAITING" || !ok || a.Kind != rollout.AwaitFile || !strings.Contains(s.Blocker(), "receipt file") {
		t.Fatalf("%s %+v %q", line(s), a, s.Blocker())
	}
	two := next(t, s, deliver(s, 1, 3))
	if line(two) != "STAGING DONE WAITING DONE" || two.Sequence != s.Sequence+1 {
		t.Errorf("after two: %s, sequence %d", line(two), two.Sequence)
	}
	if again := next(t, two, deliver(two, 1, 3)); !reflect.DeepEqual(again, two) {
		t.Errorf("the same two again: %s", line(again))
	}
	end := next(t, two, deliver(two, 2))
	if line(end) != "DONE DONE DONE DONE" || end.EndedAt == nil || end.Blocker() != "" {
		t.Errorf("after three: %s %+v", line(end), end)
	}
	if at := next(t, s, deliver(s, 1, 2, 3)); line(at) != line(end) {
		t.Errorf("three at once: %s", line(at))
	}
}

func TestOfflineTakesNothingElse(t *testing.T) {
	s := handedOut(t)
	other := rollout.Delivered{At: instant, Key: key(s), Updates: [3]rollout.Digest{digest(9), digest(9), digest(9)}}
	late := deliver(s, 1, 2, 3)
	late.Key = "AWAIT_FILE/0/7"
	for _, e := range []rollout.Event{
		rollout.Staged{At: instant, Key: key(s)}, rollout.Linked{}, rollout.Delivered{At: instant, Key: key(s)}, other, late,
		rollout.Failed{At: instant, Key: key(s), Code: license.CodeInternal},
	} {
		if n := next(t, s, e); !reflect.DeepEqual(n, s) {
			t.Errorf("%T changed it to %s", e, line(n))
		}
	}
	if n, err := rollout.Next(s, rollout.GivenUp{At: instant}); license.CodeOf(err) != license.CodeRolloutState || !reflect.DeepEqual(n, s) {
		t.Errorf("given up after the file went out: %v", err)
	}
	for _, online := range path(t) {
		if n := next(t, online, deliver(online, 1, 2, 3)); !reflect.DeepEqual(n, online) {
			t.Errorf("an online rollout took receipts from a file: %s", line(n))
		}
	}
}

func TestOfflineSurvivesJSON(t *testing.T) {
	s := handedOut(t)
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back rollout.State
	if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(back, s) {
		t.Errorf("%+v, %v", back, err)
	}
}
