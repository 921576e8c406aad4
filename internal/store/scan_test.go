package store_test

import (
	"fmt"
	"testing"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/store"
)

// Rows of one query share nothing: neither what is missing in one, nor lists and
// bytes.
func TestRowsShareNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s, ctx := open(t, dsn), system(t)
		err := s.WithTx(ctx, func(tx *store.Tx) error {
			if err := tx.Organization.Create().SetID("org_v").SetName("v").SetVendor(true).Exec(ctx); err != nil {
				return err
			}
			for i := range 6 {
				c := tx.Container.Create().SetVendorID("org_v").SetSerial(fmt.Sprint("1-", i)).SetKind(property.ContainerUniversal)
				if i%2 == 0 {
					c.SetServed([]property.ServedLicense{{Product: fmt.Sprint(i), Quantity: i}}).SetSignKey([]byte{byte(i)}).SetCustomerID("org_v")
				}
				if err := c.Exec(ctx); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		rows, err := s.Client().Container.Query().Order(ent.Asc(container.FieldSerial)).All(ctx)
		if err != nil || len(rows) != 6 {
			t.Fatal(len(rows), err)
		}
		for i, r := range rows {
			has := i%2 == 0
			if (r.CustomerID != nil) != has || (len(r.Served) == 1) != has || (len(r.SignKey) == 1) != has || r.Serial != fmt.Sprint("1-", i) {
				t.Errorf("%d: %+v", i, r)
			}
			if has && (r.Served[0].Product != fmt.Sprint(i) || r.SignKey[0] != byte(i)) {
				t.Errorf("%d has another's: %+v", i, r)
			}
		}
	})
}
