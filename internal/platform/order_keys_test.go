package platform_test

import (
	"testing"
	"time"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/orders"
	"github.com/quorate/quorate/internal/platform/rollouts"
)

// An idempotency key tells nobody that another organization has used it, nor
// what for: the vendor and its customer have keys of their own.
func TestOrderKeysAreOnesOwn(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		customer := l.customer(made.Group)
		b := l.box(77, "Shipping Company")
		bought := orders.OrderRequest{Item: made.Item.ID, Container: b.serial, Quantity: 2, IdempotencyKey: "order-1"}
		first, err := l.Order(l.vendor(), bought)
		if err != nil {
			t.Fatal(err)
		}
		b.roll()
		if _, err := l.ReturnLicenses(customer, b.leave(2)); err != nil {
			t.Fatal(err)
		}
		b.roll()
		credit := bought
		credit.Credit = true
		_, err = l.Order(l.vendor(), credit)
		wantCode(t, "a purchase's key for a credit", err, license.CodeConflict)
		small := credit
		small.Quantity = 1
		mine, err := l.Order(customer, small)
		if err != nil || mine.ID == first.ID || mine.Source != property.OrderCredit {
			t.Fatalf("with the vendor's key: %+v, %v", mine, err)
		}
		again, err := l.Order(customer, small)
		if err != nil || again.ID != mine.ID || l.credit() != 1 {
			t.Errorf("once more: %+v, %v; the credit is %d", again, err, l.credit())
		}
		_, err = l.Order(customer, credit)
		wantCode(t, "another order with one's own key", err, license.CodeConflict)
		if again, err := l.Order(l.vendor(), bought); err != nil || again.ID != first.ID {
			t.Errorf("the vendor's once more: %+v, %v", again, err)
		}
	})
}

// TestRolloutKeysAreOnesOwn: so are those of rollouts, at one place too, and one
// with another time is another request.
func TestRolloutKeysAreOnesOwn(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		l.order(made, made.Item.ID, 5)
		at := core.Place{Group: made.Group.ID}
		first, err := l.StartRollout(l.vendor(), at, "k")
		if err != nil {
			t.Fatal(err)
		}
		if again, err := l.StartRollout(l.vendor(), at, "k"); err != nil || again.ID != first.ID {
			t.Errorf("once more: %+v, %v", again, err)
		}
		_, err = l.ScheduleRollout(l.vendor(), at, "k", rollouts.Schedule{NotBefore: time.Now().Add(time.Hour)})
		wantKeyRefused(t, err)
		_, err = l.StartRollout(l.customer(made.Group), at, "k")
		wantCode(t, "the customer, with the vendor's key", err, license.CodeRolloutUpToDate)
		l.order(made, made.Item.ID, 2)
		mine, err := l.StartRollout(l.customer(made.Group), at, "k")
		if err != nil || mine.ID == first.ID {
			t.Errorf("of what was ordered since: %+v, %v", mine, err)
		}
		if again, err := l.StartRollout(l.vendor(), at, "k"); err != nil || again.ID != first.ID {
			t.Errorf("the vendor's once more: %+v, %v", again, err)
		}
	})
}
