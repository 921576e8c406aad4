package platform_test

import (
	"testing"

	entcontainer "github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/transfer"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/containers"
	"github.com/quorate/quorate/internal/platform/links"
	"github.com/quorate/quorate/internal/platform/provision"
)

func TestRehost(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		customer := l.customer(made.Group)
		a, b := l.box(77, "Shipping Company"), l.box(78, "Shipping Company")
		l.buy(made.Item.ID, a, 5)
		a.roll()
		l.buy(made.Item.ID, a, 2) // not rolled out yet
		if _, err := l.ReturnLicenses(customer, a.leave(1)); err != nil {
			t.Fatal(err)
		}
		if _, err := l.RevokeLicenses(l.vendor(), a.leave(1)); err != nil {
			t.Fatal(err)
		}
		r, err := l.StartOfflineRollout(l.vendor(), a.place(), a.request())
		if err != nil {
			t.Fatal(err)
		}
		receipts := a.apply(r.Update, 0)
		moved, err := l.RehostContainer(customer, a.serial, b.serial, "the machine burned", "")
		if err != nil || len(moved) != 1 || moved[0].Quantity != 6 { // seven bought, one revoked; the return can't come about
			t.Fatalf("%+v, %v", moved, err)
		}
		again, err := l.RehostContainer(customer, a.serial, b.serial, "the machine burned", "")
		if err != nil || len(again) != 1 || again[0].ID != moved[0].ID {
			t.Errorf("again: %+v, %v", again, err)
		}
		_, err = l.RehostContainer(customer, a.serial, l.box(79, "Shipping Company").serial, "x", "")
		wantCode(t, "replaced twice", err, license.CodeConflict)
		_, err = l.FinishOfflineRollout(l.vendor(), r.Row.ID, receipts)
		wantCode(t, "its receipts", err, license.CodeContainerBlocked)
		_, err = l.StartOfflineRollout(l.vendor(), a.place(), a.request())
		wantCode(t, "its request", err, license.CodeContainerBlocked)
		_, err = l.StartRollout(l.vendor(), a.place(), "")
		wantCode(t, "its rollout", err, license.CodeContainerBlocked)
		_, err = l.ReturnLicenses(customer, a.leave(1))
		wantCode(t, "its licenses", err, license.CodeContainerBlocked)
		if n := l.audited("container.blockedSeen"); n != 2 || a.state() != property.ContainerBlocked {
			t.Errorf("%d times seen, %s", n, a.state())
		}
		if c := l.Store().Client().Container.GetX(l.system(), a.row.ID); !c.ManipulationSuspected {
			t.Error("it showed up and is not suspected")
		}
		if err := l.AdvanceRollout(l.system(), r.Row.ID, nil); err != nil {
			t.Fatal(err)
		}
		if row := l.Store().Client().Rollout.GetX(l.system(), r.Row.ID); row.State != property.RolloutAborted || row.Running {
			t.Errorf("its rollout is %s", row.State)
		}
		b.roll()
		if b.quantity() != 6 || l.credit() != 0 {
			t.Errorf("the replacement holds %d, credit %d", b.quantity(), l.credit())
		}
		for _, w := range l.Store().Client().Transfer.Query().Where(transfer.KindEQ(property.TransferReturn)).AllX(l.system()) {
			if w.State != property.TransferRefused || w.Credited || w.Note == "" {
				t.Errorf("%+v", w)
			}
		}
	})
}

// TestBlockedServerIsRefused: the link of a blocked container ends.
func TestBlockedServerIsRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		l.provision()
		b := l.box(77, "Shipping Company")
		made, err := l.RegisterContainer(l.vendor(), provision.RegisterSpec{Request: b.request(), Customer: "Shipping Company", Server: &provision.ServerSpec{Name: "ls"}})
		if err != nil {
			t.Fatal(err)
		}
		who, err := l.AuthenticateLink(t.Context(), made.Token)
		if err != nil || who.Container != b.row.ID || who.Group != "" {
			t.Fatalf("%+v, %v", who, err)
		}
		if at, err := l.Push(l.as(who), links.LinkPush{Leading: true}); err != nil || at.EventPosition != 0 {
			t.Errorf("%+v, %v", at, err)
		}
		if c := l.Store().Client().Container.Query().Where(entcontainer.ID(b.row.ID)).OnlyX(l.system()); !containers.ContainerLinked(c) {
			t.Error("its server is not noted")
		}
		if _, err := l.DecideContainer(l.vendor(), b.serial, property.DecideBlock, "stolen"); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			_, err = l.AuthenticateLink(t.Context(), made.Token)
			wantCode(t, "its server", err, license.CodeContainerBlocked)
		}
		if n := l.audited("container.blockedSeen"); n != 1 {
			t.Errorf("%d audit entries for one link", n)
		}
	})
}

func TestUsedUpLicensesStay(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		units := uint64(100)
		it, err := l.CreateItem(l.vendor(), product.String(), catalog.ItemSpec{Name: "Metered", Options: license.Options{Quantity: 1, Units: &units}})
		if err != nil {
			t.Fatal(err)
		}
		b := l.box(77, "Shipping Company")
		l.buy(it.ID, b, 2)
		b.roll()
		_, err = l.ReturnLicenses(l.customer(made.Group), b.leave(1))
		wantCode(t, "returned", err, license.CodeInvalidInput)
		if _, err := l.RevokeLicenses(l.vendor(), b.leave(1)); err != nil {
			t.Fatal(err)
		}
		b.roll()
		if _, held := b.Licenses(); len(held) != 1 || held[0].Options.Quantity != 1 || *held[0].Options.Units != 100 {
			t.Errorf("%+v", held)
		}
	})
}

// TestCopyIsNoticed: two containers with one identity can't both go on, though
// both hold exactly what is recorded.
func TestCopyIsNoticed(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		b := l.box(77, "Shipping Company")
		l.buy(made.Item.ID, b, 5)
		b.roll()
		twin := b.copied()
		l.buy(made.Item.ID, b, 1)
		first := b.request()
		if _, err := l.StartOfflineRollout(l.vendor(), b.place(), first); err != nil {
			t.Fatal(err)
		}
		if _, err := l.StartOfflineRollout(l.vendor(), b.place(), first); err != nil {
			t.Errorf("the same request again: %v", err)
		}
		if _, err := l.StartOfflineRollout(l.vendor(), b.place(), b.request()); err != nil {
			t.Errorf("the next one: %v", err)
		}
		_, err := l.StartOfflineRollout(l.vendor(), b.place(), first)
		wantCode(t, "an older one", err, license.CodeRequestStale)
		b.restore(twin)
		suspected := false
		for range 5 { // it counts on from where it was copied
			_, err := l.StartOfflineRollout(l.vendor(), b.place(), b.request())
			if suspected = license.CodeOf(err) == license.CodeManipulation; suspected {
				break
			}
			wantCode(t, "the copy counts on", err, license.CodeRequestStale)
		}
		if !suspected || b.state() != property.ContainerSuspected {
			t.Errorf("the copy goes unnoticed: %s", b.state())
		}
		if _, err := l.DecideContainer(l.vendor(), b.serial, property.DecideAccept, "the other one was destroyed"); err != nil {
			t.Fatal(err)
		}
		b.roll()
		if b.quantity() != 6 {
			t.Errorf("it holds %d", b.quantity())
		}
	})
}

// TestNewFirmBoundsReplacements: who calls containers lost that aren't comes to
// an end before the vendor has thought of a rule.
func TestNewFirmBoundsReplacements(t *testing.T) {
	l := newLab(t, databases.SQLite(t))
	made := l.provision()
	customer := l.customer(made.Group)
	at := l.box(940, "Shipping Company")
	l.buy(made.Item.ID, at, 5)
	for n := range uint64(4) {
		next := l.fresh(941 + n)
		if _, err := l.RegisterContainer(customer, provision.RegisterSpec{Request: next.request()}); err != nil {
			t.Fatal(err)
		}
		_, err := l.RehostContainer(customer, at.serial, next.serial, "lost", "")
		if n == 3 {
			wantCode(t, "a fourth within a year", err, license.CodeLimitReached)
			_, err = l.RehostContainer(l.vendor(), at.serial, next.serial, "lost", "")
		}
		if err != nil {
			t.Fatal(err)
		}
		at = next
	}
}
