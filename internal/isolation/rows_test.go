package isolation_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/auth"
)

// open are the tables of the platform's database that nothing stands behind, and
// why that is right.
var open = map[string]string{
	"observed":         "the walk's own",
	"schema_revisions": "the names of migrations",
}

// rowsAreHidden: SQL of a tenant's that passed no guard finds no row of the
// victim's, in any table that the database's catalog has, nor changes one.
func (w *walk) rowsAreHidden(t *testing.T) {
	t.Helper()
	db := w.store.DB()
	rows, err := db.QueryContext(system(t.Context()), `SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity FROM pg_class c
		WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	hidden := map[string]bool{}
	for rows.Next() {
		var name string
		var secured bool
		if err := rows.Scan(&name, &secured); err != nil {
			t.Fatal(err)
		}
		hidden[name] = secured
	}
	if err := rows.Err(); err != nil || len(hidden) < len(w.victim.rows) {
		t.Fatalf("%d tables, %v", len(hidden), err)
	}
	provider, _ := w.others.rows["organizations"][0]["provider_id"].(string)
	for who, p := range map[string]auth.Principal{
		"a vendor":              {Kind: auth.KindMember, ID: "mem_1", Organization: w.others.vendor, Provider: provider, Role: auth.Owner},
		"a customer":            {Kind: auth.KindMember, ID: "mem_2", Organization: w.others.customer, Provider: w.others.vendor, Role: auth.Owner},
		"of no organization":    {Kind: auth.KindMember, ID: "mem_3", Organization: "org_none", Role: auth.Owner},
		"of an odd name":        {Kind: auth.KindMember, ID: "mem_4", Organization: "*", Role: auth.Owner},
		"of a name to break it": {Kind: auth.KindMember, ID: "mem_5", Organization: "x', false), set_config('quorate.organization', '*", Role: auth.Owner},
	} {
		ctx, shown := auth.With(t.Context(), p), visible(w.victim, p.Organization, p.Provider)
		shown["organizations "+p.Provider] = true // it knows whose customer it is
		for table, secured := range hidden {
			if !secured {
				if open[table] == "" {
					t.Errorf("nothing hides the rows of %s", table)
				}
				continue
			}
			// to_jsonb has whatever columns there are.
			text := w.all(t, ctx, fmt.Sprintf("SELECT coalesce(string_agg(to_jsonb(x)::text, ' '), '') FROM %q x", table))
			for _, r := range w.victim.rows[table] {
				if !shown[fmt.Sprint(table, " ", r["id"])] && strings.Contains(text, fmt.Sprint(r["id"])) {
					t.Errorf("%s sees the row %v of %s by SQL", who, r["id"], table)
				}
			}
			for _, mark := range marks.FindAllString(text, -1) {
				of := w.seed.canaries[mark]
				if (!shown[of.table+" "+of.id] || of.column != "id" && of.id == p.Provider) && slices.ContainsFunc(w.victim.rows[of.table], func(r row) bool { return r.id() == of.id }) {
					t.Errorf("%s sees %s.%s by SQL on %s", who, of.table, of.column, table)
				}
			}
			for _, r := range w.victim.rows[table] {
				if shown[fmt.Sprint(table, " ", r["id"])] && r["customer_id"] == p.Organization {
					continue // what it has there is its own
				}
				for _, change := range []string{"UPDATE %q SET id = id WHERE id = $1", "DELETE FROM %q WHERE id = $1"} {
					result, err := db.ExecContext(ctx, fmt.Sprintf(change, table), r["id"])
					if err != nil {
						// What may be read, but not changed.
						if !shown[fmt.Sprint(table, " ", r["id"])] || !strings.Contains(err.Error(), "row-level security") {
							t.Errorf("%s: %s: %v", who, fmt.Sprintf(change, table), err)
						}
						continue
					}
					if n, err := result.RowsAffected(); err != nil || n != 0 {
						t.Errorf("%s: %s: %d rows, %v", who, fmt.Sprintf(change, table), n, err)
					}
				}
			}
		}
	}
	if changed := w.observed(); len(changed) != 0 {
		t.Errorf("changed: %v", changed)
	}
	// That all of this is there to be seen.
	if text := w.all(t, system(t.Context()), `SELECT string_agg(name, ' ') FROM organizations`); !strings.Contains(text, fmt.Sprint(w.victim.rows["organizations"][0]["name"])) {
		t.Errorf("the system sees %q", text)
	}
	for table := range open {
		if _, there := hidden[table]; !there {
			t.Errorf("there is no table %s", table)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.statements) // these are the test's
}

func (w *walk) all(t *testing.T, ctx context.Context, query string) string {
	t.Helper()
	var text string
	if err := w.store.DB().QueryRowContext(ctx, query).Scan(&text); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return text
}
