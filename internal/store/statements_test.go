package store

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/migrate"
	"github.com/quorate/quorate/ent/order"
	"github.com/quorate/quorate/ent/predicate"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/testenv"
)

// TestEveryStatementNamesTheTenant records the SQL of all ways to read and
// change, and requires the tenant's predicate in each SELECT, UPDATE and DELETE
// on a table, subselects for themselves.
func TestEveryStatementNamesTheTenant(t *testing.T) {
	for name, dsn := range map[string]string{"sqlite": filepath.Join(t.TempDir(), "db"), "postgres": testenv.Postgres(t)} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(t.Context(), dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			var mu sync.Mutex
			var said []string
			c := ent.NewClient(ent.Driver(dialect.DebugWithContext(entsql.OpenDB(s.dialect, s.pools.all), func(_ context.Context, v ...any) {
				mu.Lock()
				defer mu.Unlock()
				said = append(said, fmt.Sprint(v...))
			})))
			guard(c)
			fill(t, c)
			said = nil
			exercise(t, c)
			if len(said) < 20 {
				t.Fatalf("only %d statements were recorded", len(said))
			}
			for _, line := range said {
				if bad := unguarded(line); bad != "" {
					t.Errorf("no tenant in %s\nof %s", bad, line)
				}
			}
		})
	}
}

var (
	quoted  = regexp.MustCompile("[\"`]")
	reading = regexp.MustCompile(`(?:FROM|UPDATE) (\w+)`)
	tenant  = regexp.MustCompile(`\b(vendor_id|customer_id|organization_id|provider_id) = `)
)

// unguarded gives the part of a statement that reads or changes a table
// without a tenant's predicate after it.
func unguarded(line string) string {
	line = quoted.ReplaceAllString(line, "")
	tables := make(map[string]bool)
	for _, t := range migrate.Tables {
		tables[t.Name] = true
	}
	found := reading.FindAllStringSubmatchIndex(line, -1)
	for i, at := range found {
		end := len(line)
		if i+1 < len(found) {
			end = found[i+1][0]
		}
		// A subselect that follows may stand before this one's own condition.
		own := line[at[0]:end]
		if tables[line[at[2]:at[3]]] && !tenant.MatchString(own) && strings.Count(line, "FROM") == 1 {
			return own
		}
	}
	if n := len(tenant.FindAllString(line, -1)); n < len(found) {
		return line
	}
	return ""
}

func fill(t *testing.T, c *ent.Client) {
	t.Helper()
	ctx := auth.With(t.Context(), auth.System("test"))
	v := c.Organization.Create().SetID("org_v").SetName("v").SetVendor(true).SaveX(ctx)
	f := c.Firm.Create().SetVendorID(v.ID).SetCode(6_000_010).SetName("f").SetSealedKey([]byte{1}).SetPublicKey([]byte{1}).SetCert([]byte{1}).SaveX(ctx)
	p := c.Product.Create().SetVendorID(v.ID).SetFirmID(f.ID).SetCode(1).SetName("p").SetSealedKey([]byte{1}).SetPublicKey([]byte{1}).SaveX(ctx)
	i := c.Item.Create().SetVendorID(v.ID).SetProductID(p.ID).SetName("i").SetQuantity(1).SaveX(ctx)
	g := c.TmrGroup.Create().SetID("tmr_g").SetVendorID(v.ID).SetName("g").SetVirtualSerial("131-1").SetActivationID(make([]byte, 16)).
		SetTokenKey(make([]byte, 32)).SetNextTmrID(1).SaveX(ctx)
	c.Order.Create().SetVendorID(v.ID).SetItemID(i.ID).SetTmrGroupID(g.ID).SetNumber(1).SetQuantity(1).SaveX(ctx)
}

// exercise reads and changes in each of the ways that there are.
func exercise(t *testing.T, c *ent.Client) {
	t.Helper()
	ctx := auth.With(t.Context(), auth.Principal{Kind: auth.KindMember, ID: "mem_1", Organization: "org_v", Role: auth.Owner})
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	var sums []struct {
		Sum int `json:"sum"`
	}
	var groups []struct {
		Group string `json:"tmr_group_id"`
		Count int    `json:"count"`
	}
	first := 10
	must(c.Order.Query().All(ctx))
	must(c.Order.Query().First(ctx))
	must(c.Order.Query().Count(ctx))
	must(c.Order.Query().Exist(ctx))
	must(c.Order.Query().IDs(ctx))
	must(c.Order.Query().Select(order.FieldNumber).Ints(ctx))
	must(nil, c.Order.Query().Aggregate(ent.As(ent.Sum(order.FieldQuantity), "sum")).Scan(ctx, &sums))
	must(nil, c.Order.Query().GroupBy(order.FieldTmrGroupID).Aggregate(ent.Count()).Scan(ctx, &groups))
	must(c.Order.Query().WithVendor().WithTmrGroup(func(q *ent.TmrGroupQuery) { q.WithServers().WithContainers().WithRollouts() }).
		WithItem(func(q *ent.ItemQuery) { q.WithProduct(func(q *ent.ProductQuery) { q.WithFirm() }) }).All(ctx))
	must(c.Organization.Query().WithCustomers().WithProvider().All(ctx))
	must(c.Member.Query().WithOrganization().All(ctx))
	must(c.ApiToken.Query().All(ctx))
	must(c.AuditEntry.Query().All(ctx))
	must(c.TmrGroup.Query().QueryOrders().QueryItem().QueryProduct().QueryFirm().All(ctx))
	must(c.Order.Query().Paginate(ctx, nil, &first, nil, nil))
	must(c.TmrGroup.Query().Where(predicate.TmrGroup(Locked)).All(ctx))
	g, err := c.TmrGroup.Get(ctx, "tmr_g")
	must(g, err)
	must(g.QueryOrders().All(ctx))
	must(c.Noder(ctx, "tmr_g", ent.WithFixedNodeType("tmr_groups")))
	must(c.Noders(ctx, []string{"tmr_g"}, ent.WithFixedNodeType("tmr_groups")))
	must(c.Order.Update().ClearRolloutID().Save(ctx))
	must(c.Order.Delete().Exec(ctx))
}
