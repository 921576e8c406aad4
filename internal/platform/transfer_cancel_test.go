package platform_test

import (
	"strings"
	"testing"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
)

func TestCancelTransfer(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		customer := l.customer(made.Group)
		b := l.box(77, "Shipping Company")
		l.buy(made.Item.ID, b, 5)
		b.roll()
		back, err := l.ReturnLicenses(customer, b.leave(2))
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.CancelTransfer(l.stranger(), back.ID)
		wantCode(t, "by somebody else", err, license.CodeNotFound)
		_, err = l.CancelTransfer(l.with(auth.Viewer), back.ID)
		wantCode(t, "by a viewer", err, license.CodeForbidden)
		for range 2 {
			row, err := l.CancelTransfer(customer, back.ID)
			if err != nil || row.State != property.TransferRefused || !strings.Contains(row.Note, "cancelled by Carl Customer") {
				t.Fatalf("%+v, %v", row, err)
			}
		}
		if n := l.audited("transfer.cancel"); n != 1 {
			t.Errorf("%d audit entries", n)
		}
		_, err = l.StartOfflineRollout(l.vendor(), b.place(), b.request())
		wantCode(t, "nothing is to leave", err, license.CodeRolloutUpToDate)
		if back, err = l.ReturnLicenses(customer, b.leave(5)); err != nil { // all of them again
			t.Fatal(err)
		}
		r, err := l.StartOfflineRollout(l.vendor(), b.place(), b.request())
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.CancelTransfer(customer, back.ID)
		wantCode(t, "in a rollout", err, license.CodeConflict)
		if _, err := l.FinishOfflineRollout(l.vendor(), r.Row.ID, b.apply(r.Update, 0)); err != nil {
			t.Fatal(err)
		}
		_, err = l.CancelTransfer(customer, back.ID)
		wantCode(t, "confirmed", err, license.CodeConflict)

		c := l.box(78, "Shipping Company")
		l.buy(made.Item.ID, c, 3)
		c.roll()
		gone, err := l.RevokeLicenses(l.vendor(), c.leave(1))
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.CancelTransfer(customer, gone.ID)
		wantCode(t, "a revocation by the customer", err, license.CodeForbidden)
		if _, err := l.CancelTransfer(l.vendor(), gone.ID); err != nil {
			t.Error(err)
		}
		lost, err := l.ReturnLicenses(customer, c.leave(1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.RehostContainer(customer, c.serial, b.serial, "burned", ""); err != nil {
			t.Fatal(err)
		}
		_, err = l.CancelTransfer(customer, lost.ID)
		wantCode(t, "refused for another reason", err, license.CodeConflict)
		_, err = l.CancelTransfer(customer, "trf_none")
		wantCode(t, "there is none", err, license.CodeNotFound)
	})
}
