package platform_test

import (
	"testing"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/orders"
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
