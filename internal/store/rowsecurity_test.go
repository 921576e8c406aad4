package store_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/migrate"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/testenv"
)

// tableOf is where ent keeps an entity.
func tableOf(t *testing.T, entity string) string {
	t.Helper()
	for _, table := range migrate.Tables {
		name := strings.ReplaceAll(table.Name, "_", "")
		for _, plural := range []string{entity, entity + "s", entity + "es", strings.TrimSuffix(entity, "y") + "ies"} {
			if strings.EqualFold(name, plural) {
				return table.Name
			}
		}
	}
	t.Fatalf("%s has no table", entity)
	return ""
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func column(t *testing.T, ctx context.Context, q querier, query string) ([]string, error) {
	t.Helper()
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	all := []string{}
	for rows.Next() {
		var one string
		if err := rows.Scan(&one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	slices.Sort(all)
	return all, rows.Err()
}

// content is each table's rows, as the system sees them.
func content(t *testing.T, s *store.Store) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, table := range migrate.Tables {
		rows, err := column(t, system(t), s.DB(), fmt.Sprintf("SELECT to_jsonb(x)::text FROM %q x", table.Name))
		if err != nil {
			t.Fatal(err)
		}
		all[table.Name] = rows
	}
	return all
}

// TestRowSecurityBehindTheGuard: SQL that passed no guard finds exactly the rows
// that the guard would let through, for each table and whoever asks, changes
// none that the guard wouldn't, and adds none for others.
func TestRowSecurityBehindTheGuard(t *testing.T) {
	s := open(t, testenv.Postgres(t))
	a, b := build(t, s, 0), build(t, s, 1)
	before := content(t, s)
	askers := map[string]context.Context{
		"vendor": member(t, a.vendor), "customer": member(t, a.customer),
		"other vendor": member(t, b.vendor), "other customer": member(t, b.customer),
		"nobody": t.Context(), "incomplete": auth.With(t.Context(), auth.Principal{Kind: auth.KindMember, ID: "mem_x"}),
		"of no organization": auth.With(t.Context(), auth.Principal{Kind: auth.KindMember, ID: "mem_x", Organization: "org_x"}),
	}
	for _, e := range entities(s.Client()) {
		t.Run(e.name, func(t *testing.T) {
			table := tableOf(t, e.name)
			var rows []map[string]any
			for _, row := range before[table] {
				var one map[string]any
				if err := json.Unmarshal([]byte(row), &one); err != nil {
					t.Fatal(err)
				}
				rows = append(rows, one)
			}
			if all, err := column(t, system(t), s.DB(), fmt.Sprintf("SELECT id FROM %q", table)); err != nil || len(all) < 2 || len(all) != len(rows) {
				t.Fatalf("the system sees %d rows, %v", len(all), err)
			}
			for who, ctx := range askers {
				sees, err := column(t, ctx, s.DB(), fmt.Sprintf("SELECT id FROM %q", table))
				if err != nil {
					t.Fatalf("%s: %v", who, err)
				}
				if guarded := e.ids(ctx); !slices.Equal(sees, guarded) {
					t.Errorf("%s sees %v by SQL, and %v under the guard", who, sees, guarded)
				}
				alters(t, s, ctx, e, table, who, sees, rows)
			}
		})
	}
	after := content(t, s)
	for table := range before {
		if !slices.Equal(before[table], after[table]) {
			t.Errorf("%s was changed", table)
		}
	}
}

// alters tries to change, delete and copy all rows, each in a transaction that
// is taken back.
func alters(t *testing.T, s *store.Store, ctx context.Context, e entity, table, who string, sees []string, rows []map[string]any) {
	t.Helper()
	rule := owners[e.name]
	changed, err := within(t, s, ctx, fmt.Sprintf("UPDATE %q SET id = id RETURNING id", table))
	deleted, delErr := within(t, s, ctx, fmt.Sprintf("DELETE FROM %q RETURNING id", table))
	refusable := func(err error) bool { return strings.Contains(fmt.Sprint(err), "row-level security") }
	switch {
	case rule.global || len(sees) == 0:
		if err != nil || len(changed) > 0 || delErr != nil || len(deleted) > 0 {
			t.Errorf("%s changes %v, %v and deletes %v, %v", who, changed, err, deleted, delErr)
		}
	case rule.customer == reads && strings.HasSuffix(who, "customer"):
		if !refusable(err) || delErr != nil || len(deleted) > 0 {
			t.Errorf("%s changes what one only reads: %v, %v; deletes %v, %v", who, changed, err, deleted, delErr)
		}
	default:
		if err != nil || !slices.Equal(changed, sees) {
			t.Errorf("%s changes %v instead of %v, %v", who, changed, sees, err)
		}
		if delErr == nil && !slices.Equal(deleted, sees) { // a foreign key may forbid it
			t.Errorf("%s deletes %v instead of %v", who, deleted, sees)
		}
	}
	p, _ := auth.From(ctx)
	for _, row := range rows {
		copied := maps.Clone(row)
		copied["id"] = "new"
		if fmt.Sprint(row["id"]) != row["id"] { // a number
			copied["id"] = 1 << 30
		}
		content, _ := json.Marshal(copied)
		_, err := within(t, s, ctx, fmt.Sprintf("INSERT INTO %q SELECT (jsonb_populate_record(NULL::%[1]q, '%s')).* RETURNING id",
			table, strings.ReplaceAll(string(content), "'", "''")))
		own := p.Organization != "" && !rule.global
		switch {
		case row["organization_id"] != nil:
			own = own && row["organization_id"] == p.Organization
		case row["vendor_id"] != nil:
			own = own && (row["vendor_id"] == p.Organization ||
				rule.customer == changes && row["customer_id"] == p.Organization && row["vendor_id"] == p.Provider)
		default:
			own = own && row["provider_id"] == p.Organization
		}
		if refusable(err) == own {
			t.Errorf("%s copies %v: %v", who, row["id"], err)
		}
	}
}

// within runs a statement in a transaction that is taken back.
func within(t *testing.T, s *store.Store, ctx context.Context, statement string) ([]string, error) {
	t.Helper()
	tx, err := s.DB().BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	return column(t, ctx, tx, statement)
}

// ids are those of all rows that the guard lets through; none on an error.
func (e entity) ids(ctx context.Context) []string {
	out := call(call(e.client, "Query")[0], "IDs", ctx)
	all := []string{}
	for i := range out[0].Len() {
		all = append(all, fmt.Sprint(out[0].Index(i).Interface()))
	}
	slices.Sort(all)
	return all
}

// TestConnectionsCarryNobodysRights: whoever gets a connection from the pool
// has his own rights on it, whatever went wrong on it before.
func TestConnectionsCarryNobodysRights(t *testing.T) {
	s := open(t, testenv.Postgres(t))
	s.DB().SetMaxOpenConns(4)
	a, b := build(t, s, 0), build(t, s, 1)
	const query = "SELECT id FROM orders"
	want := map[string][]string{"nobody": {}, "system": nil, "a": nil, "b": nil}
	askers := map[string]context.Context{"nobody": t.Context(), "system": system(t), "a": member(t, a.vendor), "b": member(t, b.customer)}
	for who := range want {
		ids, err := column(t, askers[who], s.DB(), query)
		if err != nil {
			t.Fatal(err)
		}
		want[who] = ids
	}
	if len(want["nobody"]) != 0 || len(want["system"]) != len(want["a"])+len(want["b"]) || len(want["a"]) != 1 || len(want["b"]) != 1 {
		t.Fatalf("%v", want)
	}
	prepared, err := s.DB().PrepareContext(system(t), query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = prepared.Close() }()
	names := slices.Collect(maps.Keys(want))
	check := func(ctx context.Context, q querier, who string) {
		if got, err := column(t, ctx, q, query); err != nil && ctx.Err() == nil || err == nil && !slices.Equal(got, want[who]) {
			t.Errorf("%s sees %v instead of %v, %v", who, got, want[who], err)
		}
	}
	var all sync.WaitGroup
	for g := range 16 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(g)))
			for range 40 {
				who, second := names[r.IntN(len(names))], names[r.IntN(len(names))]
				ctx, cancel := context.WithCancel(askers[who])
				switch r.IntN(5) {
				case 0:
					check(ctx, s.DB(), who)
				case 1: // given up somewhere in the middle
					go cancel()
					check(ctx, s.DB(), who)
				case 2:
					check(ctx, statement{prepared}, who)
				default: // two principals in one transaction, with a savepoint
					tx, err := s.DB().BeginTx(ctx, nil)
					if err != nil {
						t.Error(err)
						break
					}
					check(ctx, tx, who)
					_, err = tx.ExecContext(ctx, "SAVEPOINT s")
					check(askers[second], tx, second)
					check(askers[second], statement{tx.StmtContext(ctx, prepared)}, second)
					if r.IntN(2) == 0 && err == nil {
						_, err = tx.ExecContext(askers[second], "ROLLBACK TO SAVEPOINT s")
						check(askers[second], tx, second)
					}
					if r.IntN(2) == 0 {
						_, _ = tx.ExecContext(ctx, "SELECT 1/0") // the commit fails
					}
					if err != nil || r.IntN(2) == 0 {
						_ = tx.Rollback()
					} else {
						_ = tx.Commit()
					}
				}
				cancel()
			}
		})
	}
	all.Wait()
}

type statement struct{ *sql.Stmt }

func (s statement) QueryContext(ctx context.Context, _ string, args ...any) (*sql.Rows, error) {
	return s.Stmt.QueryContext(ctx, args...)
}

// TestPoliciesAreMadeOnce: a start leaves right ones alone, and puts right what
// was changed.
func TestPoliciesAreMadeOnce(t *testing.T) {
	dsn := testenv.Postgres(t)
	s := open(t, dsn)
	const query = "SELECT polrelid::regclass || ' ' || polname || ' ' || oid FROM pg_policy"
	policies := func() []string {
		t.Helper()
		all, err := column(t, system(t), s.DB(), query)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	before := policies()
	if len(before) != 4*len(migrate.Tables) {
		t.Errorf("%d policies for %d tables", len(before), len(migrate.Tables))
	}
	open(t, dsn)
	if !slices.Equal(before, policies()) {
		t.Error("a start made the policies anew")
	}
	for _, statement := range []string{
		"DROP POLICY quorate_read ON orders", "ALTER TABLE firms DISABLE ROW LEVEL SECURITY", "ALTER TABLE items NO FORCE ROW LEVEL SECURITY",
		"DROP POLICY quorate_add ON items", "CREATE POLICY quorate_add ON items FOR INSERT WITH CHECK (true)",
	} {
		if _, err := s.DB().ExecContext(system(t), statement); err != nil {
			t.Fatal(err)
		}
	}
	open(t, dsn)
	if after := policies(); len(after) != len(before) || slices.Equal(before, after) {
		t.Errorf("%d policies instead of %d", len(after), len(before))
	}
	open, err := column(t, system(t), s.DB(), `SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
		AND NOT (relrowsecurity AND relforcerowsecurity)`)
	if err != nil || !slices.Equal(open, []string{"schema_revisions"}) {
		t.Errorf("tables without: %v, %v", open, err)
	}
}

func TestARoleThatBypassesPoliciesIsTold(t *testing.T) {
	dsn := testenv.Postgres(t)
	for _, c := range []struct {
		as   string
		code license.Code
	}{{dsn, ""}, {testenv.Superuser(t, dsn), license.CodeForbidden}, {t.TempDir() + "/db", ""}} { // who is first owns the tables
		if err := open(t, c.as).CheckRole(t.Context()); err != nil && license.CodeOf(err) != c.code || err == nil && c.code != "" {
			t.Errorf("%s: %v", c.as, err)
		}
	}
}

// BenchmarkListWithAndWithoutRowSecurity reads a page as a tenant, after a
// look-up by the system, as requests do.
func BenchmarkListWithAndWithoutRowSecurity(b *testing.B) {
	dsn := testenv.Postgres(b)
	s, err := store.Open(b.Context(), dsn)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	ctx := auth.With(b.Context(), auth.System("bench"))
	if _, err := s.DB().ExecContext(ctx, `INSERT INTO organizations (id, created_at, name, vendor, customer)
		SELECT 'org_' || n, now(), 'v' || n, true, false FROM generate_series(1, 20) n`); err != nil {
		b.Fatal(err)
	}
	for n := range 20 {
		var rows []*ent.TmrGroupCreate
		for i := range 500 {
			rows = append(rows, s.Client().TmrGroup.Create().SetVendorID(fmt.Sprintf("org_%d", n+1)).SetName(fmt.Sprint(i)).
				SetVirtualSerial(fmt.Sprintf("131-%d", n*500+i)).SetActivationID(make([]byte, 16)).SetTokenKey(make([]byte, 32)).SetNextTmrID(1))
		}
		if err := s.Client().TmrGroup.CreateBulk(rows...).Exec(ctx); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := s.DB().ExecContext(ctx, "ANALYZE"); err != nil {
		b.Fatal(err)
	}
	plain, err := store.OpenWithoutRowSecurity(testenv.Superuser(b, dsn))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = plain.Close() }()
	tenant := auth.With(b.Context(), auth.Principal{Kind: auth.KindMember, ID: "mem_1", Organization: "org_7", Role: auth.Viewer})
	first := 50
	for name, s := range map[string]*store.Store{"with": s, "without": plain} {
		b.Run(name, func(b *testing.B) {
			began := time.Now()
			for b.Loop() {
				if _, err := s.Client().Organization.Get(ctx, "org_7"); err != nil {
					b.Fatal(err)
				}
				page, err := s.Client().TmrGroup.Query().Paginate(tenant, nil, &first, nil, nil)
				if err != nil || len(page.Edges) != 50 {
					b.Fatalf("%d, %v", len(page.Edges), err)
				}
			}
			b.ReportMetric(float64(time.Since(began).Microseconds())/float64(b.N), "µs/page")
		})
	}
}
