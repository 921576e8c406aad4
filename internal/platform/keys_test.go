package platform_test

import (
	"testing"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
)

// TestKeysOfCatalogAndTransfers: the same key makes nothing anew, and is no key
// of another request.
func TestKeysOfCatalogAndTransfers(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		b := l.box(77, "Shipping Company")
		l.buy(made.Item.ID, b, 5)
		b.roll()
		same := func(what string, make func(key string, other bool) (string, error)) {
			t.Helper()
			first, err := make("k", false)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if again, err := make("k", false); err != nil || again != first {
				t.Errorf("%s: %s instead of %s, %v", what, again, first, err)
			}
			_, err = make("k", true)
			wantCode(t, what, err, license.CodeConflict)
		}
		same("a firm", func(key string, other bool) (string, error) {
			f, err := l.CreateFirm(l.vendor(), catalog.FirmSpec{Code: 6000011, Name: pick(other, "A", "B"), Key: key})
			if err != nil {
				return "", err
			}
			return f.ID, nil
		})
		same("a product", func(key string, other bool) (string, error) {
			p, err := l.CreateProduct(l.vendor(), made.Firm.ID, catalog.ProductSpec{Code: 99, Name: pick(other, "A", "B"), Key: key})
			if err != nil {
				return "", err
			}
			return p.ID, nil
		})
		same("an item", func(key string, other bool) (string, error) {
			i, err := l.CreateItem(l.vendor(), made.Product.ID, catalog.ItemSpec{Name: pick(other, "A", "B"), Secret: catalog.Data("x"), Key: key})
			if err != nil {
				return "", err
			}
			return i.ID, nil
		})
		same("a return", func(key string, other bool) (string, error) {
			r := b.leave(1)
			r.Key, r.Reason = key, pick(other, "A", "B")
			tr, err := l.ReturnLicenses(l.vendor(), r)
			if err != nil {
				return "", err
			}
			return tr.ID, nil
		})
	})
}

func pick(second bool, a, b string) string {
	if second {
		return b
	}
	return a
}
