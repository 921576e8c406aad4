package isolation_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/quorate/quorate/ent/migrate"
	"github.com/quorate/quorate/internal/auth"
)

// TestBothSidesStayApart walks the API around organizations that are a vendor and
// another vendor's customer: as such a one, and as its customer, at its provider's
// data; and as its provider, and as that one's customer, at its own.
func TestBothSidesStayApart(t *testing.T) {
	for _, how := range []struct {
		name             string
		both             both
		vendor, customer string
	}{
		{"seen by it", othersAreBoth, "a customer that is a vendor, too", "that one's own customer"},
		{"seen at it", victimIsBoth, "the provider of a vendor", "another customer of the provider's"},
	} {
		t.Run(how.name, func(t *testing.T) {
			w := newWalk(t, setting{both: how.both})
			provider, _ := w.others.rows["organizations"][0]["provider_id"].(string)
			askers := []*asker{w.asker(t, how.vendor, w.others.vendor, provider, auth.Owner, w.others)}
			if !testing.Short() {
				askers = append(askers, w.asker(t, how.customer, w.others.customer, w.others.vendor, auth.Owner, w.others))
			}
			for i, a := range askers {
				a.fields(false)
				a.roots(i == 0 && !testing.Short())
				a.files()
				t.Logf("%s: %d requests; refusals %v", a.name, a.asked, a.refused)
			}
			askers[0].signIn()
			w.statementsNameTenants(t)
			w.sidesAreWhole(t)
		})
	}
}

// TestBothSidesStayApartOnPostgres: the same with row-level security, each field
// once.
func TestBothSidesStayApartOnPostgres(t *testing.T) {
	w := newWalk(t, setting{postgres: true, both: othersAreBoth})
	w.rowsAreHidden(t)
	a := w.asker(t, "a customer that is a vendor, too", w.others.vendor, w.victim.vendor, auth.Owner, w.others)
	a.brief = true
	a.fields(false)
	a.roots(false)
	w.statementsNameTenants(t)
	w.sidesAreWhole(t)
}

// sidesAreWhole: no row is tied to one of another vendor, and the victim's vendor
// has got no row that isn't for the asker, at whose place it was made.
func (w *walk) sidesAreWhole(t *testing.T) {
	t.Helper()
	count := func(query string, args ...any) (n int) {
		t.Helper()
		if err := w.store.DB().QueryRowContext(system(t.Context()), query, args...).Scan(&n); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		return n
	}
	ties := 0
	for _, table := range migrate.Tables {
		if !slices.Contains(columnsOf(table.Name), "vendor_id") {
			continue
		}
		for _, fk := range table.ForeignKeys {
			if !slices.Contains(columnsOf(fk.RefTable.Name), "vendor_id") {
				continue
			}
			ties++
			if n := count(fmt.Sprintf("SELECT count(*) FROM %q a JOIN %q b ON a.%q = b.%q WHERE a.vendor_id <> b.vendor_id",
				table.Name, fk.RefTable.Name, fk.Columns[0].Name, fk.RefColumns[0].Name)); n != 0 {
				t.Errorf("%d rows of %s are tied to %s of another vendor", n, table.Name, fk.RefTable.Name)
			}
		}
		if !slices.Contains(columnsOf(table.Name), "customer_id") {
			continue
		}
		seeded := 0
		for _, r := range w.victim.rows[table.Name] {
			if r["vendor_id"] == w.victim.vendor {
				seeded++
			}
		}
		if n := count(fmt.Sprintf("SELECT count(*) FROM %q WHERE vendor_id = $1 AND (customer_id IS NULL OR customer_id <> $2)", table.Name),
			w.victim.vendor, w.others.vendor); n != seeded {
			t.Errorf("of %s the victim has %d rows instead of %d", table.Name, n, seeded)
		}
	}
	if ties < 20 {
		t.Errorf("only %d references were looked at", ties)
	}
	for _, table := range []string{"members", "member_groups", "api_tokens", "invitations", "identity_providers", "webhook_endpoints"} {
		seeded := 0
		for _, r := range w.victim.rows[table] {
			if r["organization_id"] == w.victim.vendor {
				seeded++
			}
		}
		if n := count(fmt.Sprintf("SELECT count(*) FROM %q WHERE organization_id = $1", table), w.victim.vendor); n != seeded {
			t.Errorf("of %s the victim has %d rows instead of %d", table, n, seeded)
		}
	}
}
