package store_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/firm"
	"github.com/quorate/quorate/ent/product"
	"github.com/quorate/quorate/internal/store"
)

// Rows that belong to others are asked for by the same statement however many
// those are, on PostgreSQL, and are all found.
func TestRowsOfOthersAreAskedForByOneStatement(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		var mu sync.Mutex
		said := map[string]bool{}
		s, err := store.Open(t.Context(), dsn, store.Watched(func(_ context.Context, statement string) {
			mu.Lock()
			defer mu.Unlock()
			said[statement] = true
		}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		ctx, names := system(t), []string{`a,b`, `"c`, `{d}`, `e\`, "NULL", "é"}
		if err := s.WithTx(ctx, func(tx *store.Tx) error {
			if err := tx.Organization.Create().SetID("org_v").SetName("v").SetVendor(true).Exec(ctx); err != nil {
				return err
			}
			for i, name := range names {
				if err := tx.Firm.Create().SetID(name).SetVendorID("org_v").SetName(name).SetCode(6000010 + i).SetSealedKey([]byte("-")).SetPublicKey([]byte("-")).SetCert([]byte("-")).Exec(ctx); err != nil {
					return err
				}
				for n := range 2 {
					if err := tx.Product.Create().SetVendorID("org_v").SetFirmID(name).SetCode(10*i + n + 1).SetName(fmt.Sprint(name, n)).SetSealedKey([]byte("-")).SetPublicKey([]byte("-")).Exec(ctx); err != nil {
						return err
					}
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		var texts []int
		for _, most := range []int{2, 4, len(names)} {
			clear(said)
			firms, err := s.Client().Firm.Query().Where(firm.CodeLT(6000010 + most)).WithProducts(func(q *ent.ProductQuery) { q.Order(ent.Asc(product.FieldCode)) }).All(ctx)
			if err != nil || len(firms) != most {
				t.Fatal(len(firms), err)
			}
			for _, f := range firms {
				if p := f.Edges.Products; len(p) != 2 || p[0].Name != f.Name+"0" || p[1].Name != f.Name+"1" {
					t.Errorf("%s has %v", f.Name, p)
				}
			}
			rows, err := s.Client().Product.Query().Where(product.CodeLT(10 * most)).WithFirm().All(ctx)
			if err != nil || len(rows) != 2*most {
				t.Fatal(len(rows), err)
			}
			for _, p := range rows {
				if p.Edges.Firm == nil || !strings.HasPrefix(p.Name, p.Edges.Firm.Name) {
					t.Errorf("%s is of %v", p.Name, p.Edges.Firm)
				}
			}
			many := 0
			for text := range said {
				if strings.Contains(text, " IN (") {
					many++
				}
			}
			texts = append(texts, many)
		}
		if want := map[string]int{"postgres": 0, "sqlite3": 2}[s.Dialect()]; slices.ContainsFunc(texts, func(n int) bool { return n != want }) {
			t.Errorf("%v statements list what they ask for, instead of %d", texts, want)
		}
	})
}
