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

// holding are licenses under a TMR-ID; each has terms of its own.
func holding(id uint32) []license.Held {
	h := license.Held{License: terms(id*10-50, id)}
	if id > 1 {
		before := terms((id-1)*10-50, id-1).Options
		h.Predecessor = &before
	}
	return []license.Held{h}
}

// behind is the start of a rollout that brings #10, where the containers hold
// some TMR-IDs and #9 was issued for all.
func behind(ids [3]uint32) (found [3]rollout.Found) {
	for i, id := range ids {
		found[i] = rollout.Found{
			Serial: license.Serial{Mask: 130, Number: uint64(i + 1)},
			Number: 9, Previous: rollout.Digest{byte(i + 1), 9}, Licenses: holding(9),
		}
		for n := id + 1; n <= 9; n++ {
			found[i].Missing = append(found[i].Missing, rollout.Missing{
				Firm: chart.Firm, Number: uint64(n), Update: rollout.Digest{byte(i + 1), byte(n)}, Held: holding(n - 1),
			})
		}
	}
	return found
}

// TestMissingUpdatesGoFirst walks a rollout for containers that lost updates: in
// every state the others carry what is in force, each update is installed in
// order, and no effect has the key of another.
func TestMissingUpdatesGoFirst(t *testing.T) {
	for _, ids := range [][3]uint32{{9, 9, 9}, {7, 9, 9}, {9, 6, 9}, {9, 9, 5}, {5, 7, 9}, {7, 5, 9}, {9, 7, 5}, {7, 7, 8}, {5, 6, 7}, {8, 8, 8}} {
		t.Run(fmt.Sprint(ids), func(t *testing.T) {
			s := next(t, rollout.New(), rollout.Started{At: instant, Terms: []license.License{terms(50, 10)}})
			s = next(t, s, rollout.Collected{At: instant, Key: key(s), Found: behind(ids)})
			var issued [3]rollout.Digest
			for i := range issued {
				issued[i] = rollout.Digest{byte(i + 1), 10}
				if s.Number(i+1) != 10 || s.Brings(i + 1)[0].Predecessor.TMRID != 9 {
					t.Errorf("backend %d gets update %d: %+v", i+1, s.Number(i+1), s.Brings(i+1))
				}
			}
			s = next(t, s, rollout.Issued{At: instant, Key: key(s), Updates: issued})
			s = next(t, s, rollout.Staged{At: instant, Key: key(s)})
			now, keys := ids, map[string]bool{}
			inForce := func() uint32 {
				var obs [3]license.Observation
				for i, id := range now {
					obs[i] = license.Observation{Presence: license.Present, Licenses: holding(id)}
				}
				l, _ := license.Merge(license.View{}, obs).Find(chart)
				if !l.InForce {
					t.Fatalf("%v: nothing is in force", now)
				}
				return l.Options.TMRID
			}
			last := inForce()
			for range 200 {
				a, ok := rollout.Pending(s)
				if !ok || a.Kind == rollout.AwaitView {
					break
				}
				if keys[a.Key] {
					t.Fatalf("%s again", a.Key)
				}
				keys[a.Key] = true
				b := a.Backend - 1
				switch a.Kind {
				case rollout.AskOthers:
					var stated [3][]license.Held
					for i, id := range now {
						stated[i] = holding(id)
					}
					s = next(t, s, rollout.Guarded{At: instant, Key: a.Key, Others: stated})
				case rollout.Activate:
					due := s.Due(a.Backend)
					if want := (rollout.Digest{byte(a.Backend), byte(now[b] + 1)}); due != want {
						t.Fatalf("backend %d with #%d gets %v", a.Backend, now[b], due)
					}
					if behindYet := slices.Min(now[:]) < 9; behindYet && now[b] >= 9 {
						t.Fatalf("%v: backend %d gets the new one before the others have what they miss", now, a.Backend)
					}
					now[b]++
					if after := s.After(a.Backend); len(after) != 1 || after[0].Options.TMRID != now[b] {
						t.Errorf("after it: %+v", after)
					}
					s = next(t, s, rollout.Activated{At: instant, Key: a.Key, Update: due})
				case rollout.Verify:
					s = next(t, s, rollout.Verified{At: instant, Key: a.Key})
				}
				if s.Phase == rollout.Held {
					t.Fatalf("%v: held: %s", now, s.Hold.Message)
				}
				if id := inForce(); id < last {
					t.Fatalf("#%d in force after #%d", id, last)
				} else {
					last = id
				}
			}
			if now != [3]uint32{10, 10, 10} {
				t.Fatalf("it ends with %v in %s", now, line(s))
			}
			s = next(t, s, rollout.Viewed{At: instant, Unanimous: []license.License{terms(50, 10)}})
			if s.Phase != rollout.Done {
				t.Errorf("it ends in %s", line(s))
			}
		})
	}
}

// TestMissingUpdateFails: it is held as any other is, goes on with the same one,
// and may be given up as long as no backend was asked for the new one.
func TestMissingUpdateFails(t *testing.T) {
	s := next(t, rollout.New(), rollout.Started{At: instant, Terms: []license.License{terms(50, 10)}})
	s = next(t, s, rollout.Collected{At: instant, Key: key(s), Found: behind([3]uint32{9, 7, 9})})
	s = next(t, s, rollout.Issued{At: instant, Key: key(s)})
	s = next(t, s, rollout.Staged{At: instant, Key: key(s)})
	if line(s) != "GUARDING2 WAITING RUNNING WAITING" {
		t.Fatalf("first: %s", line(s))
	}
	others := [3][]license.Held{holding(9), nil, holding(9)}
	s = next(t, s, rollout.Guarded{At: instant, Key: key(s), Others: others})
	if s.Asked() || !strings.Contains(s.Steps[1].Note, "lost") {
		t.Errorf("asked: %+v", s.Steps[1])
	}
	wrong := next(t, s, rollout.Activated{At: instant, Key: key(s), Update: rollout.Digest{2, 9}})
	if wrong.Phase != rollout.Held || wrong.Hold.Code != license.CodeUpdateConflict {
		t.Errorf("the receipt of another one: %s", line(wrong))
	}
	held := next(t, s, rollout.Failed{At: instant, Key: key(s), Code: license.CodeBackendAbsent, Message: "away"})
	again := next(t, held, rollout.Retried{At: instant})
	if line(again) != "GUARDING2 WAITING RUNNING WAITING" || again.Due(2) != s.Due(2) {
		t.Errorf("retried: %s", line(again))
	}
	if up := next(t, held, rollout.GivenUp{At: instant}); up.Phase != rollout.Aborted {
		t.Errorf("given up: %s", line(up))
	}
	s = next(t, s, rollout.Activated{At: instant, Key: key(s), Update: s.Due(2)})
	if s.Steps[1].Receipt {
		t.Error("the receipt of a missing update counts as that of the new one")
	}
	before := s
	s = next(t, s, rollout.Verified{At: instant, Key: key(s)})
	if line(s) != "GUARDING2 WAITING RUNNING WAITING" || s.Steps[1].Repaired != 1 || s.Due(2) == before.Due(2) {
		t.Errorf("the next missing one: %s", line(s))
	}
	if late := next(t, s, rollout.Verified{At: instant, Key: key(before)}); !reflect.DeepEqual(late, s) {
		t.Error("a late answer counts")
	}
}
