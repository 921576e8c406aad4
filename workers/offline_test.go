package workers_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/auditentry"
	entcontainer "github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/rollouts"
	"github.com/quorate/quorate/internal/seal"
)

var virtual = license.Serial{Mask: 131, Number: 4837572}

// request is the group's request file, as its TMR server writes it.
func (l *lab) request() string {
	l.t.Helper()
	f := armor.File{Kind: armor.Request, Group: virtual}
	for _, c := range l.containers {
		b, err := c.Fingerprint([]byte("one for each request"))
		if err != nil {
			l.t.Fatal(err)
		}
		f.Messages = append(f.Messages, b)
	}
	return l.text(f)
}

func (l *lab) text(f armor.File) string {
	l.t.Helper()
	b, err := armor.Encode(f)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(b)
}

// apply installs the update file on some of the containers, and gives their
// receipts.
func (l *lab) apply(update string, positions ...int) armor.File {
	l.t.Helper()
	f, err := armor.Parse([]byte(update))
	if err != nil {
		l.t.Fatal(err)
	}
	out := armor.File{Kind: armor.Receipt, Group: virtual}
	for _, p := range positions {
		i := p - 1
		staged, err := l.containers[i].Stage(f.Messages[i])
		if err != nil {
			l.t.Fatal(err)
		}
		receipt := staged.Receipt
		if !staged.Installed {
			all, err := l.statements(i, staged.Nonce)
			if err != nil {
				l.t.Fatal(err)
			}
			if receipt, err = l.containers[i].Activate(staged.Digest, [][]byte{all[(i+1)%3], all[(i+2)%3]}); err != nil {
				l.t.Fatal(err)
			}
		}
		out.Messages = append(out.Messages, receipt)
	}
	return out
}

// updates is a file without the time certificates, which are made each time it
// is given out.
func (l *lab) updates(text string) string {
	f, err := armor.Parse([]byte(text))
	if err != nil {
		l.t.Error(err)
		return ""
	}
	f.Messages = slices.DeleteFunc(f.Messages, seal.IsTime)
	b, err := armor.Encode(f)
	if err != nil {
		l.t.Error(err)
	}
	return string(b)
}

func (l *lab) startOffline(request string) rollouts.OfflineRollout {
	l.t.Helper()
	r, err := l.StartOfflineRollout(l.as(l.owner), core.Place{Group: l.group.VirtualSerial}, request)
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

func (l *lab) finish(id, receipt string) *ent.Rollout {
	l.t.Helper()
	r, err := l.FinishOfflineRollout(l.as(l.owner), id, receipt)
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

// roll brings an order to the containers by files.
func (l *lab) roll() rollouts.OfflineRollout {
	l.t.Helper()
	r := l.startOffline(l.request())
	l.finish(r.Row.ID, l.text(l.apply(r.Update, 1, 2, 3)))
	return r
}

func (l *lab) wantRefused(what string, err error, code license.Code) {
	l.t.Helper()
	if err == nil || license.CodeOf(err) != code {
		l.t.Errorf("%s: %v instead of %s", what, err, code)
	}
}

func (l *lab) suspected() int {
	return l.store.Client().Container.Query().Where(entcontainer.ManipulationSuspected(true)).CountX(l.system())
}

func TestOfflineRollout(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		l.order(20)
		first := l.roll()
		l.holds(first.Row.ID, 20, 7)

		l.order(10)
		second := l.startOffline(l.request())
		if row := l.row(second.Row.ID); row.State != property.RolloutStaging || !row.Running || row.Blocker == nil || !strings.Contains(*row.Blocker, "receipt file") {
			t.Errorf("handed out: %+v", row)
		}
		if again := l.startOffline(l.request()); again.Row.ID != second.Row.ID || l.updates(again.Update) != l.updates(second.Update) {
			t.Error("the same request again gives another update")
		}
		_, err := l.AbortRollout(l.as(l.owner), second.Row.ID)
		l.wantRefused("aborted after the file went out", err, license.CodeRolloutState)
		if err := l.AdvanceRollout(l.system(), second.Row.ID, nil); err != nil || l.row(second.Row.ID).State != property.RolloutStaging {
			t.Errorf("a worker's look: %v", err)
		}

		receipts := l.text(l.apply(second.Update, 1, 2, 3))
		for range 2 { // finishing twice is finishing once
			if row := l.finish(second.Row.ID, receipts); row.State != property.RolloutDone {
				t.Errorf("finished: %s", row.State)
			}
		}
		l.holds(second.Row.ID, 30, 8)
		for action, want := range map[string]int{"rollout.startOffline": 2, "rollout.finishOffline": 2} {
			if n := l.store.Client().AuditEntry.Query().Where(auditentry.Action(action)).CountX(l.system()); n != want {
				t.Errorf("%d audit entries %s, want %d", n, action, want)
			}
		}
		_, err = l.StartOfflineRollout(l.as(l.owner), core.Place{Group: l.group.ID}, l.request())
		l.wantRefused("nothing ordered", err, license.CodeRolloutUpToDate)
	})
}

func TestOnlineRolloutsQueueBehindAnOfflineOne(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		l.work(nil)
		l.link()
		l.order(20)
		offline := l.startOffline(l.request())
		l.order(10)
		online := l.start()
		if l.row(online.ID).State != property.RolloutQueued {
			t.Errorf("the one over the link is %s", l.row(online.ID).State)
		}
		l.finish(offline.Row.ID, l.text(l.apply(offline.Update, 1, 2, 3)))
		l.mu.Lock()
		l.pushView()
		l.mu.Unlock()
		l.until(online.ID, property.RolloutDone)
		l.holds(online.ID, 30, 8)
	})
}

func TestOfflineIsRefusedWhileOneRunsOverTheLink(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		l.order(20)
		online := l.start()
		l.order(10)
		_, err := l.StartOfflineRollout(l.as(l.owner), core.Place{Group: l.group.ID}, l.request())
		l.wantRefused("while one runs", err, license.CodeRolloutState)
		_, err = l.FinishOfflineRollout(l.as(l.owner), online.ID, l.text(armor.File{Kind: armor.Receipt, Group: virtual, Messages: l.anyReceipts()}))
		l.wantRefused("finished by a file", err, license.CodeRolloutState)
		if _, err := l.AbortRollout(l.as(l.owner), online.ID); err != nil {
			t.Fatal(err)
		}
		r := l.roll()
		l.holds(r.Row.ID, 30, 8)
	})
}

// anyReceipts are signed by the right containers, for an update that nobody
// issued.
func (l *lab) anyReceipts() (all [][]byte) {
	for i, c := range l.containers {
		b, err := seal.SignReceipt(l.identities[i], seal.Receipt{Serial: c.Serial(), Firm: chart.Firm, Number: 1, Update: [32]byte{7}, At: time.Now()})
		if err != nil {
			l.t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// The receipts got lost; the next request shows what is installed.
func TestRequestStandsForALostReceipt(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		l.order(20)
		first := l.startOffline(l.request())
		l.apply(first.Update, 1, 3)

		half := l.startOffline(l.request())
		if half.Row.ID != first.Row.ID || l.updates(half.Update) != l.updates(first.Update) {
			t.Error("the update of a half installed rollout is another one")
		}
		if s := l.row(first.Row.ID).Steps; s[0].State != property.StepDone || s[1].State != property.StepWaiting || s[2].State != property.StepDone {
			t.Errorf("steps: %+v", s)
		}
		l.apply(half.Update, 1, 2, 3)
		l.order(10)
		second := l.startOffline(l.request())
		if row := l.row(first.Row.ID); row.State != property.RolloutDone {
			t.Errorf("the first is %s", row.State)
		}
		if second.Row.ID == first.Row.ID || second.Update == "" {
			t.Error("what was ordered since did not begin")
		}
		l.apply(second.Update, 1, 2, 3)
		last := l.startOffline(l.request())
		if last.Row.ID != second.Row.ID || last.Row.State != property.RolloutDone || last.Update != "" {
			t.Errorf("everything is installed, and it gave %s with an update of %d bytes", last.Row.State, len(last.Update))
		}
		if l.suspected() != 0 {
			t.Error("a container is suspected")
		}
	})
}

func TestOfflineFilesAreRefusedWithTheReason(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		l.order(20)
		old := l.request()
		first := l.roll()
		l.order(10)

		start := func(request string) error {
			_, err := l.StartOfflineRollout(l.as(l.owner), core.Place{Group: l.group.VirtualSerial}, request)
			return err
		}
		l.wantRefused("a stale request", start(old), license.CodeRequestStale)
		fresh := l.request()
		l.wantRefused("an altered request", start(strings.Replace(fresh, "130-1874829", "130-1874820", 1)), license.CodeFingerprintForged)
		l.wantRefused("an update as the request", start(first.Update), license.CodeInvalidInput)
		l.wantRefused("no file", start("hello"), license.CodeFormatUnknown)
		parsed, err := armor.Parse([]byte(fresh))
		if err != nil {
			t.Fatal(err)
		}
		l.wantRefused("one container's request", start(l.text(armor.File{Kind: armor.Request, Messages: parsed.Messages[:1]})), license.CodeInvalidInput)
		parsed.Group.Number++
		l.wantRefused("another group's request", start(l.text(parsed)), license.CodeUpdateForeign)
		_, err = l.StartOfflineRollout(l.as(l.server), core.Place{Group: l.group.VirtualSerial}, fresh)
		l.wantRefused("a server's request", err, license.CodeForbidden)
		if l.suspected() != 0 {
			t.Error("a refused file put a container under suspicion")
		}

		second := l.startOffline(fresh)
		finish := func(receipt string) error {
			_, err := l.FinishOfflineRollout(l.as(l.owner), second.Row.ID, receipt)
			return err
		}
		stale := armor.File{Kind: armor.Receipt, Group: virtual}
		for _, c := range l.containers {
			r, err := c.Receipts()
			if err != nil || len(r) != 1 {
				t.Fatal(len(r), err)
			}
			stale.Messages = append(stale.Messages, r[0])
		}
		l.wantRefused("receipts of the update before", finish(l.text(stale)), license.CodeUpdateReplayed)
		good := l.apply(second.Update, 1, 2, 3)
		l.wantRefused("an altered receipt", finish(strings.Replace(l.text(good), "number 2", "number 3", 1)), license.CodeReceiptForged)
		other := good
		other.Group.Number++
		l.wantRefused("another group's receipts", finish(l.text(other)), license.CodeUpdateForeign)
		forged := armor.File{Kind: armor.Receipt, Group: virtual, Messages: append([][]byte{}, good.Messages...)}
		bad := append([]byte{}, good.Messages[1]...)
		bad[len(bad)-1] ^= 1
		forged.Messages[1] = bad
		l.wantRefused("a forged receipt", finish(l.text(forged)), license.CodeReceiptForged)
		if row := l.row(second.Row.ID); row.State != property.RolloutStaging || row.Steps[0].State != property.StepWaiting {
			t.Errorf("a refused file changed something: %+v", row.Steps)
		}
		l.finish(second.Row.ID, l.text(good))
		l.holds(second.Row.ID, 30, 8)
	})
}

// A container that was restored from a backup, and receipts of updates that
// nobody issued: a person has to look at them.
func TestOfflineSuspicion(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		l.order(20)
		l.roll()
		l.order(10)
		identity := l.identities[1]
		restored, err := container.Create(t.TempDir()+"/old", container.Params{
			Serial: l.containers[1].Serial(), Root: l.containers[1].Root(), ActivationID: l.containers[1].ActivationID(), Identity: identity,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer restored.Close()
		right := l.containers[1]
		l.containers[1] = restored
		_, err = l.StartOfflineRollout(l.as(l.owner), core.Place{Group: l.group.ID}, l.request())
		l.wantRefused("a container in an old state", err, license.CodeManipulation)
		if l.suspected() != 1 {
			t.Errorf("%d containers suspected", l.suspected())
		}
		l.containers[1] = right

		r := l.startOffline(l.request())
		receipts := armor.File{Kind: armor.Receipt, Group: virtual}
		for i, c := range l.containers {
			b, err := seal.SignReceipt(l.identities[i], seal.Receipt{Serial: c.Serial(), Firm: chart.Firm, Number: 2, Update: [32]byte{7}, At: time.Now()})
			if err != nil {
				t.Fatal(err)
			}
			receipts.Messages = append(receipts.Messages, b)
		}
		_, err = l.FinishOfflineRollout(l.as(l.owner), r.Row.ID, l.text(receipts))
		l.wantRefused("receipts of another update", err, license.CodeManipulation)
		if l.suspected() != 2 || l.row(r.Row.ID).State != property.RolloutStaging {
			t.Errorf("%d containers suspected, the rollout is %s", l.suspected(), l.row(r.Row.ID).State)
		}
	})
}

// Whoever asks, and however many at once, with workers at it too: there is one
// rollout, one update, and one end.
func TestOfflineAtOnce(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		l.work(nil)
		l.order(20)
		request := l.request()
		const askers = 6
		at := func(f func() error) {
			t.Helper()
			errs := make(chan error, askers)
			for range askers {
				go func() { errs <- f() }()
			}
			for range askers {
				if err := <-errs; err != nil {
					t.Error(err)
				}
			}
		}
		var mu sync.Mutex
		made := map[string]string{} // update by rollout
		at(func() error {
			r, err := l.StartOfflineRollout(l.as(l.owner), core.Place{Group: l.group.ID}, request)
			if license.CodeOf(err) == license.CodeRolloutState || license.CodeOf(err) == license.CodeRolloutUpToDate {
				r, err = l.StartOfflineRollout(l.as(l.owner), core.Place{Group: l.group.ID}, request) // lost the race: it is there now
			}
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if before, ok := made[r.Row.ID]; ok && before != l.updates(r.Update) {
				return errors.New("two updates of one rollout")
			}
			made[r.Row.ID] = l.updates(r.Update)
			return nil
		})
		if len(made) != 1 {
			t.Fatalf("%d rollouts", len(made))
		}
		for id, u := range made {
			receipts := l.text(l.apply(u, 1, 2, 3))
			at(func() error {
				_, err := l.FinishOfflineRollout(l.as(l.owner), id, receipts)
				return err
			})
			l.holds(id, 20, 7)
		}
		if n := l.store.Client().AuditEntry.Query().Where(auditentry.Action("rollout.startOffline")).CountX(l.system()); n != 1 {
			t.Errorf("%d audit entries of the start", n)
		}
	})
}

// TestOlderGroupRequest: of two requests the older one may come last. That is an
// old file, and no reason to suspect anybody, though a TMR server's fingerprints
// have a nonce.
func TestOlderGroupRequest(t *testing.T) {
	l := newLab(t, filepath.Join(t.TempDir(), "quorate.db"))
	l.order(20)
	older, newer := l.request(), l.request()
	r := l.startOffline(newer)
	for range 2 {
		_, err := l.StartOfflineRollout(l.as(l.owner), core.Place{Group: l.group.VirtualSerial}, older)
		l.wantRefused("the older request", err, license.CodeRequestStale)
	}
	l.finish(r.Row.ID, l.text(l.apply(r.Update, 1, 2, 3)))
	l.order(5)
	older, newer = l.request(), l.request()
	l.startOffline(newer)
	_, err := l.StartOfflineRollout(l.as(l.owner), core.Place{Group: l.group.VirtualSerial}, older)
	l.wantRefused("the older request of a later state", err, license.CodeRequestStale)
	if n := l.suspected(); n != 0 {
		t.Errorf("%d containers are suspected", n)
	}
}
