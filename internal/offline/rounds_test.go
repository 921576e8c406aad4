package offline_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/offline"
)

// restore brings containers back to the state after their first update.
func (l *lab) restore(first [][]byte, positions ...int) {
	l.t.Helper()
	for _, p := range positions {
		was := l.containers[p-1]
		c, err := container.Create(filepath.Join(l.t.TempDir(), "restored"), container.Params{
			Serial: was.Serial(), Root: l.root.Public(), ActivationID: was.ActivationID(), Identity: l.identities[p-1],
		})
		if err != nil {
			l.t.Fatal(err)
		}
		l.t.Cleanup(func() { c.Close() })
		staged, err := c.Stage(first[p-1])
		if err != nil {
			l.t.Fatal(err)
		}
		if _, err := c.Activate(staged.Digest, nil); err != nil {
			l.t.Fatal(err)
		}
		l.containers[p-1] = c
	}
	l.look()
}

// TestMissingUpdatesComeFirst: each container gets those that it lost, one at a
// time and guarded, before any gets the new one.
func TestMissingUpdatesComeFirst(t *testing.T) {
	for _, lost := range [][]int{{1}, {2}, {3}, {1, 2}, {2, 3}, {1, 2, 3}} {
		t.Run(fmt.Sprint(lost), func(t *testing.T) {
			l := newLab(t)
			second, third := l.issue(30, 8), l.issue(40, 9)
			l.apply(second)
			l.apply(third)
			l.restore(l.first, lost...)
			want := uint32(40)
			if len(lost) > 1 {
				want = 20 // two say so
			}
			if v, ok := l.last.Find(chart()); !ok || !v.InForce || v.Options.Quantity != want {
				t.Fatalf("restored: %+v", v)
			}
			fourth := l.issue(50, 10)
			var file [][]byte
			for i := range fourth {
				if slices.Contains(lost, i+1) {
					file = append(file, second[i], third[i])
				}
				file = append(file, fourth[i])
			}
			var turns []string
			receipts, err := l.applier().Apply(t.Context(), l.virtual, file, func(s offline.Step) {
				if s.Kind == offline.Activated {
					turns = append(turns, s.Message)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(receipts) != len(file) || len(turns) != len(file) {
				t.Errorf("%d receipts, turns:\n%s", len(receipts), strings.Join(turns, "\n"))
			}
			for i, turn := range turns[:2*len(lost)] {
				if number := 2 + i/len(lost); !strings.Contains(turn, fmt.Sprintf("update %d ", number)) {
					t.Errorf("turn %d: %s, want update %d", i+1, turn, number)
				}
			}
			l.holds(50, 10)
			if l.outage {
				t.Errorf("no license meanwhile:\n%s", strings.Join(l.statuses, "\n"))
			}
			if receipts, err := l.try(file); err != nil || len(receipts) != 3 {
				t.Errorf("again: %d receipts, %v", len(receipts), err)
			}
		})
	}
}

// TestMissingUpdatesAreGuardedToo: while the others don't carry the licenses,
// nothing is installed.
func TestMissingUpdatesAreGuardedToo(t *testing.T) {
	l := newLab(t)
	second, third := l.issue(30, 8), l.issue(40, 9)
	l.apply(second)
	l.restore(l.first, 2)
	absent := license.Errorf(license.CodeBackendAbsent, "", "backend 3 does not answer")
	l.fault = func(call string) error {
		if call == "statement 3" {
			return absent
		}
		return nil
	}
	file := slices.Concat(third, second[1:2])
	slices.Reverse(file) // in number order for each container
	_, err := l.try(file)
	wantCode(t, "one of the others is away", err, license.CodeBackendAbsent)
	if _, held := l.containers[1].Licenses(); held[0].Options.Quantity != 20 {
		t.Errorf("backend 2 holds %+v", held)
	}
	l.fault = nil
	l.apply(file)
	l.holds(40, 9)
	if l.outage {
		t.Error("no license meanwhile")
	}
}
