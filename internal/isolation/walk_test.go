package isolation_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/quorate/quorate/ent/migrate"
	"github.com/quorate/quorate/graph"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/httpd"
	"github.com/quorate/quorate/internal/platform"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/session"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/store/storetest"
	"github.com/quorate/quorate/internal/usageapi"
	"github.com/quorate/quorate/resolvers"
)

//nolint:gochecknoglobals // prepared once for all tests
var databases = storetest.New("isolation", nil)

// noJobs is a queue that nobody works on.
type noJobs struct{}

func (noJobs) EnqueueTx(context.Context, *sql.Tx, core.Job) error { return nil }

// walk is a platform with three worlds of tenants, of whom one is the victim.
type walk struct {
	t              testing.TB
	store          *store.Store
	handler        http.Handler
	exports        []string
	seed           *seeder
	ops            *operations
	victim, others *tenants
	// sent are ids and texts of the victim's that askers themselves have sent: they
	// may have kept them in rows of their own.
	sent map[string]bool

	mu sync.Mutex
	// internal are the causes of INTERNAL answers that the platform has logged.
	internal []string
}

// causes notes why an answer was INTERNAL.
type causes struct {
	slog.Handler
	w *walk
}

func (causes) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }

func (c causes) WithAttrs([]slog.Attr) slog.Handler { return c }

func (c causes) Handle(_ context.Context, r slog.Record) error {
	said := r.Message
	r.Attrs(func(a slog.Attr) bool { said += " " + a.String(); return true })
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.w.internal = append(c.w.internal, said)
	return nil
}

// causes gives what was logged since the last call.
func (w *walk) causes() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.internal
	w.internal = nil
	return all
}

func newWalk(t testing.TB) *walk {
	t.Helper()
	st, err := store.Open(t.Context(), databases.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	w := &walk{t: t, store: st, seed: newSeeder(t, st)}
	log := slog.New(causes{slog.DiscardHandler, w})
	p, err := platform.New(platform.Config{Store: st, Bus: event.NewLocal(), Keys: w.seed.keys.wrapper, Jobs: noJobs{}, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	sessions := session.New(p, st.Sessions(), false, log)
	exports := usageapi.Exports(p)
	server, err := httpd.New(httpd.Config{
		GraphQL:  resolvers.NewHandler(resolvers.Config{Platform: p, Logger: log, Authenticate: sessions.Authenticate, Introspection: true}),
		Sessions: sessions, Exports: exports,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.handler, w.exports, w.sent = server.Handler(), slices.Sorted(maps.Keys(exports)), map[string]bool{}
	w.ops = &operations{t: t, schema: graph.NewExecutableSchema(graph.Config{}).Schema(), seed: w.seed, failed: map[string]bool{}}
	if w.seed.password, err = auth.NewHasher(auth.DefaultCost(), 1).Hash(t.Context(), "correct horse battery staple"); err != nil {
		t.Fatal(err)
	}
	w.seed.rootKey(t.Context())
	w.victim, w.others = w.seed.seed(t.Context(), "victim"), w.seed.seed(t.Context(), "others")
	w.observe()
	return w
}

// observe has the database itself note each change of the victim's rows.
func (w *walk) observe() {
	w.t.Helper()
	statements := []string{"CREATE TABLE observed (what text)"}
	for table, rows := range w.victim.rows {
		var ids []string
		for _, r := range rows {
			ids = append(ids, strings.ReplaceAll(quote(r["id"]), `"`, "'"))
		}
		note := func(op, condition, id string) string {
			return fmt.Sprintf("CREATE TRIGGER observed_%s_%s AFTER %[1]s ON %[2]q WHEN %s BEGIN INSERT INTO observed VALUES ('%[1]s %[2]s ' || %[4]s); END",
				op, table, condition, id)
		}
		statements = append(statements,
			note("UPDATE", "OLD.id IN ("+strings.Join(ids, ", ")+")", "OLD.id"), note("DELETE", "OLD.id IN ("+strings.Join(ids, ", ")+")", "OLD.id"))
		for _, c := range columnsOf(table) {
			if slices.Contains([]string{"organization_id", "vendor_id", "customer_id", "provider_id"}, c) {
				statements = append(statements, strings.Replace(note("INSERT", fmt.Sprintf("NEW.%s IN ('%s', '%s')", c, w.victim.vendor, w.victim.customer), "NEW.id"),
					"observed_INSERT", "observed_"+c+"_INSERT", 1))
			}
		}
	}
	for _, s := range statements {
		if _, err := w.store.DB().ExecContext(system(w.t.Context()), s); err != nil {
			w.t.Fatalf("%s: %v", s, err)
		}
	}
}

func columnsOf(table string) []string {
	var all []string
	for _, t := range migrate.Tables {
		if t.Name == table {
			for _, c := range t.Columns {
				all = append(all, c.Name)
			}
		}
	}
	return all
}

// observed gives what changed since the last call.
func (w *walk) observed() []string {
	w.t.Helper()
	db, ctx := w.store.DB(), w.t.Context()
	rows, err := db.QueryContext(ctx, "SELECT what FROM observed")
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var all []string
	for rows.Next() {
		var what string
		if err := rows.Scan(&what); err != nil {
			w.t.Fatal(err)
		}
		all = append(all, what)
	}
	if rows.Err() != nil {
		w.t.Fatal(rows.Err())
	}
	if len(all) > 0 {
		if _, err := db.ExecContext(ctx, "DELETE FROM observed"); err != nil {
			w.t.Fatal(err)
		}
	}
	return all
}

// roots asks each field of Query, Mutation and Subscription for what is not the
// asker's.
func (a *asker) roots(thorough bool) {
	defs := a.ops.schema
	for _, kind := range []*ast.Definition{defs.Query, defs.Mutation, defs.Subscription} {
		for _, f := range kind.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			a.renew()
			base := func(p position) (string, bool) { return a.base(f.Name, p) }
			write := func(given map[string]string, all bool) string {
				return strings.ToLower(kind.Name) + " { " + f.Name + a.ops.arguments(f.Name, f, given, all, base) + a.ops.selection(f.Type.Name(), 1) + " }"
			}
			for _, p := range a.ops.positions(f) {
				for i, one := range a.tries(f.Name, p, thorough) {
					a.compare(f.Name, func(value string) string { return write(map[string]string{p.path: value}, false) }, one)
					if thorough && i == 0 {
						a.compare(f.Name, func(value string) string { return write(map[string]string{p.path: value}, true) }, one)
					}
				}
			}
			a.ask(write(nil, false))
			a.ask(write(nil, true))
		}
	}
	a.renew()
}

// fields asks each field of each type that can be reached from what the asker
// sees, with all that the victim has as arguments. It gives the fields asked.
func (a *asker) fields(thorough bool) map[string]bool {
	done := map[string]bool{}
	for name, path := range a.ops.paths(a.base) {
		if name == "Query" {
			continue
		}
		starts := []string{""}
		if path.table != "" {
			starts = nil
			for _, r := range append(slices.Clone(a.own.rows[path.table][:rowsPerTable]), a.victim.rows[path.table][:rowsPerTable]...) {
				starts = append(starts, r.id())
			}
		}
		for _, f := range a.ops.schema.Types[name].Fields {
			root := name + "." + f.Name
			done[root] = true
			base := func(p position) (string, bool) { return a.base(root, p) }
			write := func(start string, given map[string]string, all bool) string {
				before := path.before
				if strings.Contains(before, "%s") {
					before = fmt.Sprintf(before, quote(start))
				}
				return "query { " + before + f.Name + a.ops.arguments(root, f, given, all, base) + a.ops.selection(f.Type.Name(), 1) + path.after + " }"
			}
			for i, start := range starts {
				a.ask(write(start, nil, true), start)
				if i > 0 && !thorough {
					continue
				}
				for _, p := range a.ops.positions(f) {
					for _, one := range a.tries(root, p, thorough) {
						a.compare(root, func(value string) string { return write(start, map[string]string{p.path: value}, false) }, one)
					}
				}
			}
		}
	}
	return done
}

// TestNobodyGetsAtAnothersData walks the whole API as everybody who has no
// business with the victim's data.
func TestNobodyGetsAtAnothersData(t *testing.T) {
	w := newWalk(t)
	rival := row{"id": w.seed.globalID("organizations", "rival", 0), "created_at": time.Now().UTC(), "name": "rival", "vendor": false, "customer": true, "provider_id": w.victim.vendor}
	if err := w.seed.put(t.Context(), "organizations", rival); err != nil {
		t.Fatal(err)
	}
	w.observed()
	for _, who := range []struct {
		name, organization, provider string
		role                         auth.Role
	}{
		{"an unrelated vendor's owner", w.others.vendor, "", auth.Owner},
		{"an unrelated vendor's administrator", w.others.vendor, "", auth.Administrator},
		{"an unrelated vendor's operator", w.others.vendor, "", auth.Operator},
		{"an unrelated vendor's viewer", w.others.vendor, "", auth.Viewer},
		{"an unrelated customer", w.others.customer, w.others.vendor, auth.Owner},
		{"another customer of the vendor", rival.id(), w.victim.vendor, auth.Owner},
		{"the customer himself", w.victim.customer, w.victim.vendor, auth.Owner},
		{"nobody", "", "", ""},
	} {
		t.Run(who.name, func(t *testing.T) {
			a := w.asker(t, who.name, who.organization, who.provider, who.role, w.others)
			thorough := who.role == auth.Owner && who.provider == ""
			if who.role == auth.Owner || who.role == auth.Viewer { // what lies between reads the same
				if done := a.fields(thorough); thorough {
					a.complete(done)
				}
			}
			a.roots(thorough)
			a.files()
			if a.token == "" {
				a.signIn()
			}
			if seen := a.ask("{ viewer { role } }"); (seen.code == "") != (a.token != "") {
				t.Errorf("the walk ended as %v", seen)
			}
			t.Logf("%d requests; refusals %v", a.asked, a.refused)
		})
	}
}

// complete fails the test for what the walk did not reach.
func (a *asker) complete(done map[string]bool) {
	reachable := map[string]bool{}
	var reach func(name string)
	reach = func(name string) {
		def := a.ops.schema.Types[name]
		if reachable[name] || def.IsLeafType() || strings.HasPrefix(name, "__") {
			return
		}
		reachable[name] = true
		for _, f := range def.Fields {
			reach(f.Type.Name())
		}
		for _, p := range a.ops.schema.PossibleTypes[name] {
			reach(p.Name)
		}
	}
	reach("Query")
	delete(reachable, "Query")
	for name := range reachable {
		for _, f := range a.ops.schema.Types[name].Fields {
			if a.ops.schema.Types[name].Kind == ast.Object && !done[name+"."+f.Name] {
				a.t.Errorf("%s.%s was not asked for", name, f.Name)
			}
		}
	}
	for name, table := range a.ops.nodes() {
		seen := a.ask(fmt.Sprintf("{ node(id: %q) { __typename id } }", a.own.rows[table][0].id()))
		if seen.shape == "{node:null}" || seen.code != "" {
			a.t.Errorf("not even an own %s is seen: %v", name, seen)
		}
	}
}

// files asks for each file.
func (a *asker) files() {
	for _, name := range a.exports {
		for p, table := range map[string]string{"container": "containers", "product": "products", "firm": "firms", "tmrGroup": "tmr_groups", "customer": "organizations", "organization": "organizations"} {
			get := func(id string) (int, string) {
				code, body := a.request("GET", "/export/"+name+"?format=csv&from=2026-01-01T00:00:00Z&"+url.Values{p: {id}}.Encode(), "")
				a.inspect("/export/"+name+"?"+p, body, id)
				return code, strings.ReplaceAll(body, id, "…")
			}
			for i, r := range a.victim.rows[table] {
				if a.visible[table+" "+r.id()] {
					continue
				}
				c1, b1 := get(r.id())
				c2, b2 := get(a.seed.globalID(table, "made up", i))
				if c1 != c2 || b1 != b2 {
					a.t.Errorf("%s: /export/%s tells an existing %s: %d %s, and a made-up one: %d %s", a.name, name, p, c1, b1, c2, b2)
				}
			}
		}
	}
}

// signIn tries to find out who has an account.
func (a *asker) signIn() {
	try := func(email string) (int, string) {
		code, body := a.request("POST", "/auth/login", `{"email": `+quote(email)+`, "password": "not the one"}`, "Origin", "http://quorate.test")
		a.inspect("/auth/login", body, email)
		return code, strings.ReplaceAll(body, email, "…")
	}
	email, _ := a.victim.rows["users"][0]["email"].(string)
	c1, b1 := try(email)
	if c1 != http.StatusUnauthorized {
		a.t.Errorf("a wrong password: %d %s", c1, b1)
	}
	c2, b2 := try("nobody-" + email)
	if c1 != c2 || b1 != b2 {
		a.t.Errorf("%s: signing in as who exists: %d %s; as who doesn't: %d %s", a.name, c1, b1, c2, b2)
	}
	_, body := a.request("GET", "/auth/session", "")
	a.inspect("/auth/session", body)
}
