package workers_test

import (
	"fmt"
	"strings"
	"testing"

	entcontainer "github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/predicate"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/orders"
)

// copies are the files of the group's containers.
func (l *lab) copies() (all [3][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range all {
		all[i] = l.read(l.paths[i])
	}
	return all
}

// restore puts a copy of the container at a position back.
func (l *lab) restore(position int, file []byte) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	i := position - 1
	l.containers[i].Close()
	l.write(l.paths[i], file)
	c, err := container.Open(l.paths[i])
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { c.Close() })
	l.containers[i] = c
	l.pushView()
}

func (l *lab) accept(position int) {
	l.t.Helper()
	if _, err := l.DecideContainer(l.as(l.owner), l.containers[position-1].Serial().String(), property.DecideAccept, "restored"); err != nil {
		l.t.Fatal(err)
	}
}

// always asserts that the views since one have the license in force.
func (l *lab) always(since int) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	least := uint32(0)
	for _, v := range l.views[since:] {
		h, ok := v.Find(chart)
		if !ok || !h.InForce || h.Options.TMRID < least {
			l.t.Errorf("not in force meanwhile: %s", v.Status())
		}
		least = h.Options.TMRID
	}
}

// TestRestoredBackendOverTheLink: one that was restored is outvoted, suspected,
// accepted by a person, and gets what it misses before the next update; or with
// nothing new ordered.
func TestRestoredBackendOverTheLink(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := filled(t, dsn) // 20/#7
		old := l.copies()
		for range 2 {
			l.order(10)
			l.until(l.start().ID, property.RolloutDone)
		}
		since := len(l.views)
		l.restore(2, old[1])
		if status := l.views[len(l.views)-1].Status(); status != "1:#9 2:(#7) 3:#9" {
			t.Errorf("restored: %s", status)
		}
		l.order(10)
		r := l.until(l.start().ID, property.RolloutHeld)
		if *r.ErrorCode != string(license.CodeManipulation) || l.suspected() != 1 {
			t.Errorf("held with %s, %d suspected", *r.ErrorCode, l.suspected())
		}
		l.accept(2)
		if l.suspected() != 0 {
			t.Error("accepted, and suspected")
		}
		if _, err := l.RetryRollout(l.as(l.owner), r.ID); err != nil {
			t.Fatal(err)
		}
		l.until(r.ID, property.RolloutDone)
		l.holds(r.ID, 50, 10)
		l.always(since)

		// Two of them, and nothing is ordered: what they agree on is in force.
		since = len(l.views)
		l.restore(1, old[0])
		l.restore(3, old[2])
		if _, err := l.StartRollout(l.as(l.owner), core.Place{Group: l.group.ID}, ""); license.CodeOf(err) != license.CodeRolloutUpToDate {
			t.Errorf("before the platform knows: %v", err)
		}
		for range 2 {
			_, err := l.StartOfflineRollout(l.as(l.owner), core.Place{Group: l.group.ID}, l.request())
			l.wantRefused("restored", err, license.CodeManipulation)
			for p := range 3 {
				c := l.store.Client().Container.Query().Where(serialIs(l.containers[p].Serial())).OnlyX(l.system())
				if c.ManipulationSuspected {
					l.accept(p + 1)
				}
			}
		}
		l.mu.Lock()
		l.views = l.views[:since] // they were restored: that is a step back
		l.mu.Unlock()
		repair := l.start()
		if repair.TmrID != 11 {
			t.Errorf("%+v", repair)
		}
		l.until(repair.ID, property.RolloutDone)
		l.holds(repair.ID, 50, 11)
		l.always(since)
		_, err := l.StartRollout(l.as(l.owner), core.Place{Group: l.group.ID}, "")
		l.wantRefused("repaired", err, license.CodeRolloutUpToDate)
	})
}

// TestRestoredBackendByFiles: the file brings each container what it misses.
func TestRestoredBackendByFiles(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		l.order(20)
		l.roll()
		old := l.copies()
		for range 2 {
			l.order(10)
			l.roll()
		}
		l.restore(3, old[2])
		start := func() error {
			_, err := l.StartOfflineRollout(l.as(l.owner), core.Place{Group: l.group.ID}, l.request())
			return err
		}
		err := start()
		l.wantRefused("nothing is due, and it is as it was", err, license.CodeManipulation)
		l.accept(3)
		r := l.startOffline(l.request())
		if r.Row.TmrID != 10 {
			t.Errorf("%+v", r.Row)
		}
		f, err := armor.Parse([]byte(l.updates(r.Update)))
		if err != nil {
			t.Fatal(err)
		}
		parts, err := armor.Parts(f)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range parts {
			got = append(got, fmt.Sprint(p.Serial, " ", p.Update.Header.Number))
		}
		if want := "130-1874829 4, 130-27845973 4, 130-3879234 2, 130-3879234 3, 130-3879234 4"; strings.Join(got, ", ") != want {
			t.Fatalf("the file has %v", got)
		}
		install := func(i int) []byte {
			t.Helper()
			p, at := parts[i], min(i, 2)
			staged, err := l.containers[at].Stage(p.Message)
			if err != nil {
				t.Fatal(err)
			}
			all, err := l.statements(at, staged.Nonce)
			if err != nil {
				t.Fatal(err)
			}
			receipt, err := l.containers[at].Activate(staged.Digest, [][]byte{all[(at+1)%3], all[(at+2)%3]})
			if err != nil {
				t.Fatal(err)
			}
			return receipt
		}
		install(2) // and interrupted
		again := l.startOffline(l.request())
		if again.Row.ID != r.Row.ID || strings.Contains(l.updates(again.Update), "130-3879234 number 2") {
			t.Errorf("again: %+v", again.Row)
		}
		out := armor.File{Kind: armor.Receipt, Group: virtual}
		for _, i := range []int{3, 0, 1, 4} {
			out.Messages = append(out.Messages, install(i))
		}
		l.finish(r.Row.ID, l.text(out))
		l.holds(r.Row.ID, 40, 10)
		if l.suspected() != 0 {
			t.Error("one is suspected")
		}
		err = start()
		l.wantRefused("repaired", err, license.CodeRolloutUpToDate)
	})
}

func serialIs(s license.Serial) predicate.Container { return entcontainer.Serial(s.String()) }

// TestRestoredBackendOfTwoFirms: what it lost of any firm goes first, since the
// guard of the others looks at all licenses.
func TestRestoredBackendOfTwoFirms(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := filled(t, dsn)
		old := l.copies()
		owner := l.as(l.owner)
		f, err := l.CreateFirm(owner, catalog.FirmSpec{Code: 6000011, Name: "Other"})
		if err != nil {
			t.Fatal(err)
		}
		p, err := l.CreateProduct(owner, f.ID, catalog.ProductSpec{Code: 5, Name: "Plot"})
		if err != nil {
			t.Fatal(err)
		}
		other, err := l.CreateItem(owner, p.ID, catalog.ItemSpec{Name: "Plot", TMR: true, Options: license.Options{Quantity: 1}})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := l.Platform.Order(owner, orders.OrderRequest{Item: other.ID, Group: l.group.ID, Quantity: 3}); err != nil {
				t.Fatal(err)
			}
			l.until(l.start().ID, property.RolloutDone)
		}
		l.order(10)
		l.until(l.start().ID, property.RolloutDone)
		since := len(l.views)
		l.restore(3, old[2])
		l.order(10)
		r := l.until(l.start().ID, property.RolloutHeld)
		l.accept(3)
		if _, err := l.RetryRollout(owner, r.ID); err != nil {
			t.Fatal(err)
		}
		l.until(r.ID, property.RolloutDone)
		l.always(since)
		for i, c := range l.containers {
			_, held := c.Licenses()
			if len(held) != 2 || held[0].Options.Quantity != 40 || held[1].Options.Quantity != 6 {
				t.Errorf("container %d holds %+v", i+1, held)
			}
		}
		_, err = l.StartRollout(owner, core.Place{Group: l.group.ID}, "")
		l.wantRefused("repaired", err, license.CodeRolloutUpToDate)
	})
}
