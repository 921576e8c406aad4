package platform_test

import (
	"testing"
	"time"

	"github.com/quorate/quorate/ent/itemversion"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/store"
)

// TestItemVersions: each change keeps what the item was, who changed it and
// what; any two revisions are compared; nobody but the vendor sees them.
func TestItemVersions(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		it, err := l.CreateItem(l.vendor(), product.String(), catalog.ItemSpec{Name: "Everything", Options: license.Options{Quantity: 5}})
		if err != nil {
			t.Fatal(err)
		}
		if it, err = l.UpdateItem(l.vendor(), it.ID, 1, func(s *catalog.ItemSpec) {
			s.Name, s.Options.Quantity, s.Secret = "All", 7, catalog.Data("unreadable")
		}); err != nil {
			t.Fatal(err)
		}
		if it, err = l.RenewItem(l.vendor(), it.ID, 2); err != nil {
			t.Fatal(err)
		}
		kept, err := l.Store().Client().ItemVersion.Query().Where(itemversion.ItemID(it.ID)).All(l.vendor())
		if err != nil || len(kept) != 3 {
			t.Fatalf("%d versions, %v", len(kept), err)
		}
		var changed []string
		for _, term := range kept[1].Terms {
			if term.Was != nil {
				changed = append(changed, term.Name)
			}
		}
		if kept[1].ChangedBy == "" || len(changed) != 3 || changed[0] != "name" || changed[1] != "quantity" || changed[2] != "secretData" {
			t.Errorf("changed by %q: %v", kept[1].ChangedBy, changed)
		}
		for _, c := range []struct {
			from, to int
			want     []catalog.Difference
		}{
			{3, 3, nil},
			{2, 3, []catalog.Difference{{Name: "issue", From: "0", To: "1"}}},
			{2, 1, []catalog.Difference{{Name: "name", From: "All", To: "Everything"}, {Name: "quantity", From: "7", To: "5"},
				{Name: "secretData", From: dataName(kept[1].Terms), To: ""}}},
		} {
			got, err := l.ItemDifference(l.vendor(), it.ID, c.from, c.to)
			if err != nil || len(got) != len(c.want) {
				t.Fatalf("%d to %d: %v, %v", c.from, c.to, got, err)
			}
			for i := range got {
				if got[i] != c.want[i] {
					t.Errorf("%d to %d: %v", c.from, c.to, got[i])
				}
			}
		}
		if _, err := l.ItemDifference(l.vendor(), it.ID, 1, 9); license.CodeOf(err) != license.CodeNotFound {
			t.Error(err)
		}
		if n, err := l.Store().Client().ItemVersion.Query().Count(l.customer(made.Group)); err != nil || n != 0 {
			t.Errorf("the customer sees %d versions, %v", n, err)
		}
		if _, err := l.ItemDifference(l.customer(made.Group), it.ID, 1, 2); license.CodeOf(err) != license.CodeNotFound {
			t.Errorf("the customer: %v", err)
		}

		// Of before versions were kept there are none: the first change keeps
		// what was, too.
		if err := l.Store().WithTx(l.system(), func(tx *store.Tx) error {
			_, err := tx.ItemVersion.Delete().Where(itemversion.ItemID(it.ID)).Exec(l.system())
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if _, err = l.UpdateItem(l.vendor(), it.ID, 3, func(s *catalog.ItemSpec) {
			s.Options.Expiration = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
		}); err != nil {
			t.Fatal(err)
		}
		got, err := l.ItemDifference(l.vendor(), it.ID, 3, 4)
		if err != nil || len(got) != 1 || got[0] != (catalog.Difference{Name: "expiration", To: "2027-01-01T00:00:00Z"}) {
			t.Errorf("%v, %v", got, err)
		}
	})
}

func dataName(terms []property.Term) string {
	for _, term := range terms {
		if term.Name == "secretData" {
			return term.Value
		}
	}
	return ""
}

// TestRename: a firm and a product get another name from the revision that was
// seen, and only by their vendor.
func TestRename(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		for range 2 { // the same name again changes nothing
			f, err := l.UpdateFirm(l.vendor(), "6000010", 1, "Sea Charts")
			if err == nil {
				if f.Name != "Sea Charts" || f.Revision != 2 {
					t.Errorf("%+v", f)
				}
			} else if license.CodeOf(err) != license.CodeConflict {
				t.Error(err)
			}
		}
		if f, err := l.UpdateFirm(l.vendor(), "6000010", 2, "Sea Charts"); err != nil || f.Revision != 2 {
			t.Errorf("%+v, %v", f, err)
		}
		if p, err := l.UpdateProduct(l.vendor(), product.String(), 1, "Chart Viewing"); err != nil || p.Name != "Chart Viewing" || p.Revision != 2 {
			t.Errorf("%+v, %v", p, err)
		}
		for what, err := range map[string]error{
			"old revision": second(l.UpdateProduct(l.vendor(), product.String(), 1, "x")),
		} {
			if license.CodeOf(err) != license.CodeConflict {
				t.Errorf("%s: %v", what, err)
			}
		}
		for what, err := range map[string]error{
			"no name": second(l.UpdateFirm(l.vendor(), "6000010", 2, "")),
			"control": second(l.UpdateProduct(l.vendor(), product.String(), 2, "a\x00b")),
		} {
			if license.CodeOf(err) != license.CodeInvalidInput {
				t.Errorf("%s: %v", what, err)
			}
		}
		for what, err := range map[string]error{
			"firm":    second(l.UpdateFirm(l.customer(made.Group), "6000010", 2, "x")),
			"product": second(l.UpdateProduct(l.customer(made.Group), product.String(), 2, "x")),
		} {
			if code := license.CodeOf(err); code != license.CodeForbidden && code != license.CodeNotFound {
				t.Errorf("the customer's %s: %v", what, err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }
