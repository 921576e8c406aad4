package workers_test

import (
	"strings"
	"testing"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/rollouts"
)

// install applies a group's update file as the TMR server does: a container's
// missing updates first. It ends after some, with the receipts.
func (l *lab) install(update string, most int) armor.File {
	l.t.Helper()
	f, err := armor.Parse([]byte(update))
	if err != nil {
		l.t.Fatal(err)
	}
	parts, err := armor.Parts(f)
	if err != nil {
		l.t.Fatal(err)
	}
	updates, _ := armor.Split(parts)
	count := map[license.Serial]int{}
	for _, p := range updates {
		count[p.Serial]++
	}
	out := armor.File{Kind: armor.Receipt, Group: virtual}
	done := make([]bool, len(updates))
	for range updates { // who has most left goes first
		next := -1
		for i, p := range updates {
			if !done[i] && (next < 0 || count[p.Serial] > count[updates[next].Serial]) {
				next = i
			}
		}
		p := updates[next]
		done[next] = true
		count[p.Serial]--
		for i, c := range l.containers {
			if c.Serial() != p.Serial {
				continue
			}
			staged, err := c.Stage(p.Message)
			if err != nil {
				l.t.Fatal(err)
			}
			receipt := staged.Receipt
			if !staged.Installed {
				if most--; most < 0 {
					return out
				}
				all, err := l.statements(i, staged.Nonce)
				if err != nil {
					l.t.Fatal(err)
				}
				if receipt, err = c.Activate(staged.Digest, [][]byte{all[(i+1)%3], all[(i+2)%3]}); err != nil {
					l.t.Fatal(err)
				}
			}
			out.Messages = append(out.Messages, receipt)
		}
	}
	return out
}

// TestReplacedByFiles: a backend of a group without a network is lost, with
// nothing going on and after some of a file was installed.
func TestReplacedByFiles(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		l.order(20)
		l.roll()
		spec := func(position int, number uint64) rollouts.ReplaceSpec {
			old := l.containers[position-1].Serial().String()
			c, request := l.fresh(number)
			l.containers[position-1] = c
			return rollouts.ReplaceSpec{Backend: old, Request: request, ByFiles: true}
		}
		if r := l.replace(spec(2, 930)); r.Rollout != nil {
			t.Errorf("it started the rollout %d", r.Rollout.Number)
		}
		first := l.startOffline(l.request())
		l.finish(first.Row.ID, l.text(l.install(first.Update, 99)))
		l.carries(20, 8)

		// With the group's own request file, which has the new one in it.
		s := spec(3, 931)
		s.Request = l.request()
		l.replace(s)
		second := l.startOffline(l.request())
		l.finish(second.Row.ID, l.text(l.install(second.Update, 99)))
		l.carries(20, 9)

		id := uint32(9)
		for done := range 4 { // so many updates of the file were installed, and nobody told
			for lost := 1; lost <= 3; lost++ {
				l.order(10)
				id++
				r := l.startOffline(l.request())
				l.install(r.Update, done)
				replaced := l.replace(spec(lost, uint64(940)+uint64(id)))
				if replaced.Rollout == nil || replaced.Rollout.ID != r.Row.ID || !strings.Contains(*replaced.Rollout.Blocker, "new request file") {
					t.Fatalf("%d installed, backend %d lost: %+v", done, lost, replaced.Rollout)
				}
				_, err := l.OfflineUpdate(l.as(l.owner), r.Row.ID)
				l.wantRefused("the file of before", err, license.CodeRolloutState)
				again := l.startOffline(l.request())
				if again.Row.ID != r.Row.ID {
					t.Fatalf("another rollout: %s", again.Row.ID)
				}
				l.finish(r.Row.ID, l.text(l.install(again.Update, 99)))
				if row := l.row(r.Row.ID); row.State != property.RolloutDone || row.TmrID != int(id) {
					t.Errorf("%d installed, backend %d lost: %s #%d", done, lost, row.State, row.TmrID)
				}
				for i, c := range l.containers {
					if _, held := c.Licenses(); len(held) != 1 || held[0].Options.TMRID != id {
						t.Errorf("%d installed, backend %d lost: container %d holds %+v", done, lost, i+1, held)
					}
				}
				if l.suspected() != 0 || t.Failed() {
					t.Fatalf("%d installed, backend %d lost: suspected %d", done, lost, l.suspected())
				}
			}
		}
	})
}
