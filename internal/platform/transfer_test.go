package platform_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/ent/order"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/orders"
)

func TestReturnCountsWhenItIsConfirmed(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		customer := l.customer(made.Group)
		b := l.box(77, "Shipping Company")
		l.buy(made.Item.ID, b, 5)
		_, err := l.ReturnLicenses(customer, b.leave(1))
		wantCode(t, "returned before it is rolled out", err, license.CodeConflict)
		b.roll()
		back, err := l.ReturnLicenses(customer, b.leave(2))
		if err != nil || back.State != property.TransferRequested || back.RequestedBy != "Carl Customer" {
			t.Fatalf("%+v, %v", back, err)
		}
		_, err = l.ReturnLicenses(customer, b.leave(4))
		wantCode(t, "more than is left", err, license.CodeConflict)
		spend := func(n int) error {
			_, err := l.Order(customer, orders.OrderRequest{Item: made.Item.ID, Container: b.serial, Quantity: n, Credit: true})
			return err
		}
		wantCode(t, "credit before the rollout", spend(1), license.CodeConflict)
		r, err := l.StartOfflineRollout(l.vendor(), b.place(), b.request())
		if err != nil {
			t.Fatal(err)
		}
		receipts := b.apply(r.Update, 0)
		if b.quantity() != 3 || l.credit() != 0 {
			t.Errorf("it holds %d, the credit is %d", b.quantity(), l.credit())
		}
		wantCode(t, "credit before the receipt", spend(1), license.CodeConflict)
		for range 2 {
			if _, err := l.FinishOfflineRollout(l.vendor(), r.Row.ID, receipts); err != nil {
				t.Fatal(err)
			}
		}
		if l.credit() != 2 || b.state() != property.ContainerUpToDate {
			t.Errorf("the credit is %d, the container %s", l.credit(), b.state())
		}
		wantCode(t, "more than came back", spend(3), license.CodeConflict)
		_, err = l.Order(customer, orders.OrderRequest{Item: made.Item.ID, Container: b.serial, Quantity: 1})
		wantCode(t, "the customer buys", err, license.CodeForbidden)
		if err := spend(2); err != nil {
			t.Error(err)
		}
		if l.credit() != 0 {
			t.Errorf("the credit is %d after it was spent", l.credit())
		}
		b.roll()
		if b.quantity() != 5 {
			t.Errorf("it holds %d", b.quantity())
		}
		if _, err := l.ReturnLicenses(customer, b.leave(5)); err != nil {
			t.Fatal(err)
		}
		b.roll()
		if _, held := b.Licenses(); len(held) != 0 || l.credit() != 5 {
			t.Errorf("it holds %+v, the credit is %d", held, l.credit())
		}
		if n := l.audited("transfer.RETURN"); n != 2 {
			t.Errorf("%d audit entries", n)
		}
	})
}

func TestMove(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		customer := l.customer(made.Group)
		a, b := l.box(77, "Shipping Company"), l.box(78, "Shipping Company")
		l.buy(made.Item.ID, a, 5)
		a.roll()
		r := a.leave(2)
		r.To = b.serial
		if _, err := l.MoveLicenses(customer, r); err != nil {
			t.Fatal(err)
		}
		if b.state() != property.ContainerUpToDate {
			t.Errorf("the target is %s before the source has confirmed", b.state())
		}
		a.roll()
		b.roll()
		if a.quantity() != 3 || b.quantity() != 2 || l.credit() != 0 {
			t.Errorf("%d and %d, credit %d", a.quantity(), b.quantity(), l.credit())
		}
		o := l.Store().Client().Order.Query().Where(order.ContainerID(b.row.ID)).OnlyX(l.system())
		if o.Source != property.OrderMove || o.TransferID == nil {
			t.Errorf("%+v", o)
		}
		// The target is replaced while they are under way: they go to its replacement.
		if _, err := l.MoveLicenses(customer, r); err != nil {
			t.Fatal(err)
		}
		c := l.box(79, "Shipping Company")
		if _, err := l.RehostContainer(customer, b.serial, c.serial, "stolen", ""); err != nil {
			t.Fatal(err)
		}
		a.roll()
		c.roll()
		if a.quantity() != 1 || c.quantity() != 4 {
			t.Errorf("%d and %d", a.quantity(), c.quantity())
		}
		// It is blocked without a replacement: they are a credit.
		r.Quantity, r.To = 1, c.serial
		if _, err := l.MoveLicenses(customer, r); err != nil {
			t.Fatal(err)
		}
		if _, err := l.DecideContainer(l.vendor(), c.serial, property.DecideBlock, "tampered"); err != nil {
			t.Fatal(err)
		}
		a.roll()
		if l.credit() != 1 {
			t.Errorf("credit %d", l.credit())
		}
		other := l.box(80, "Somebody Else")
		l.buy(made.Item.ID, other, 1)
		other.roll()
		r = other.leave(1)
		r.To = a.serial
		_, err := l.MoveLicenses(l.vendor(), r)
		wantCode(t, "to another customer", err, license.CodeInvalidInput)
	})
}

func TestGroupGivesLicensesBack(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		g := orders.TransferRequest{From: core.Place{Group: made.Group.ID}, Product: product.String(), Quantity: 5}
		if _, err := l.Order(l.vendor(), orders.OrderRequest{Item: made.Item.ID, Group: made.Group.ID, Quantity: 20}); err != nil {
			t.Fatal(err)
		}
		r, err := l.StartRollout(l.vendor(), core.Place{Group: made.Group.ID}, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Store().Client().Rollout.UpdateOneID(r.ID).SetState(property.RolloutDone).SetRunning(false).Exec(l.system()); err != nil {
			t.Fatal(err)
		}
		g.Quantity = 20
		_, err = l.ReturnLicenses(l.vendor(), g)
		wantCode(t, "all of a group's", err, license.CodeConflict)
		g.Quantity = 5
		if _, err := l.ReturnLicenses(l.vendor(), g); err != nil {
			t.Fatal(err)
		}
		r, err = l.StartRollout(l.vendor(), core.Place{Group: made.Group.ID}, "")
		if err != nil || r.Quantity != 15 || r.TmrID != 8 {
			t.Fatalf("%+v, %v", r, err)
		}
		if _, err := l.AbortRollout(l.vendor(), r.ID); err != nil {
			t.Fatal(err)
		}
		if w := l.Store().Client().Transfer.Query().OnlyX(l.system()); w.State != property.TransferRequested || w.RolloutID != nil {
			t.Errorf("after the rollout was given up: %+v", w)
		}
	})
}

func TestLimits(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		customer := l.customer(made.Group)
		a, b := l.box(77, "Shipping Company"), l.box(78, "Shipping Company")
		l.buy(made.Item.ID, a, 5)
		a.roll()
		one, none := 1, 0
		set := func(r orders.TransferRules) {
			t.Helper()
			if _, err := l.SetTransferRules(l.vendor(), made.Firm.ID, r); err != nil {
				t.Fatal(err)
			}
		}
		r := a.leave(1)
		r.To = b.serial
		set(orders.TransferRules{Moves: &none, Days: 30})
		_, err := l.MoveLicenses(customer, r)
		wantCode(t, "moves are forbidden", err, license.CodeLimitReached)
		set(orders.TransferRules{Moves: &one, Rehosts: &one, Days: 30})
		first, err := l.MoveLicenses(customer, r)
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.MoveLicenses(customer, r)
		wantCode(t, "a second move", err, license.CodeLimitReached)
		if next := first.CreatedAt.Add(30 * 24 * time.Hour).UTC().Format(time.RFC3339); err == nil || !strings.Contains(err.Error(), next) {
			t.Errorf("it doesn't say that the next is possible at %s: %v", next, err)
		}
		_, err = l.MoveLicenses(l.with(auth.Administrator), r)
		wantCode(t, "the vendor's administrator", err, license.CodeLimitReached)
		scopes, err := auth.ParseScopes([]string{"ORDER", "RUN_ROLLOUTS", "PROVISION"}) // an administrator can make such a token
		if err != nil {
			t.Fatal(err)
		}
		token := l.owner
		token.Kind, token.Scopes = auth.KindToken, scopes
		_, err = l.MoveLicenses(l.as(token), r)
		wantCode(t, "an owner's token with scopes", err, license.CodeLimitReached)
		if _, err := l.MoveLicenses(l.vendor(), r); err != nil {
			t.Errorf("the vendor's owner: %v", err)
		}
		if e := l.Store().Client().AuditEntry.Query().AllX(l.system()); !strings.Contains(fmt.Sprint(e[len(e)-1].After), "beyondLimit") {
			t.Errorf("the audit log does not tell: %+v", e[len(e)-1])
		}
		c, d := l.box(79, "Shipping Company"), l.box(80, "Shipping Company")
		if _, err := l.RehostContainer(customer, a.serial, c.serial, "lost", ""); err != nil {
			t.Fatal(err)
		}
		_, err = l.RehostContainer(customer, c.serial, d.serial, "lost too", "")
		wantCode(t, "a second replacement", err, license.CodeLimitReached)
		if c.state() == property.ContainerBlocked {
			t.Error("it was blocked though it was refused")
		}
		set(orders.TransferRules{Days: 30})
		if _, err := l.RehostContainer(customer, c.serial, d.serial, "lost too", ""); err != nil {
			t.Errorf("without a limit: %v", err)
		}
		_, err = l.SetTransferRules(l.vendor(), made.Firm.ID, orders.TransferRules{Days: 0})
		wantCode(t, "no period", err, license.CodeInvalidInput)
		_, err = l.SetTransferRules(customer, made.Firm.ID, orders.TransferRules{Days: 1})
		wantCode(t, "by the customer", err, license.CodeForbidden)
	})
}
