package isolation_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

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
	postgres       bool
	store          *store.Store
	notes          *sql.DB // where changes are observed
	handler        http.Handler
	server         *httptest.Server // of handler, for WebSockets
	exports        []string
	seed           *seeder
	ops            *operations
	victim, others *tenants
	// sent are ids and texts of the victim's that askers themselves have sent: they
	// may have kept them in rows of their own.
	sent map[string]bool

	// What a mutant changes: spoil answers in place of the API, and impostor is who
	// asks over a WebSocket whatever he says. They are set between requests.
	spoil    func(w http.ResponseWriter, r *http.Request, api http.Handler)
	impostor *auth.Principal

	mu sync.Mutex
	// internal are the causes of INTERNAL answers that the platform has logged.
	internal []string
	// statements are those that ran while this was not nil, by whom.
	statements map[statement]bool
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

// setting is what a walk's platform is made of; the zero value is as it should be,
// on SQLite.
type setting struct {
	postgres bool
	// both: the others' vendor is a customer of the victim's, too, or the victim's
	// vendor one of theirs.
	both both
}

// both is which vendor has a provider.
type both int

const (
	neither both = iota
	othersAreBoth
	victimIsBoth
)

func newWalk(t testing.TB, how setting) *walk {
	t.Helper()
	w := &walk{t: t, postgres: how.postgres, sent: map[string]bool{}, statements: map[statement]bool{}}
	dsn := ""
	if how.postgres {
		dsn = databases.Postgres(t)
	} else {
		dsn = databases.SQLite(t)
	}
	st, err := store.Open(t.Context(), dsn, store.Watched(w.ran))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	w.store, w.notes, w.seed = st, st.DB(), newSeeder(t, st)
	if how.postgres { // whose rows are observed has nothing to do with who asks
		if err := st.CheckRole(t.Context()); err != nil {
			t.Fatal(err)
		}
		if w.notes, err = sql.Open("postgres", dsn); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = w.notes.Close() })
	}
	log := slog.New(causes{slog.DiscardHandler, w})
	p, err := platform.New(platform.Config{Store: st, Bus: event.NewLocal(), Keys: w.seed.keys.wrapper, Jobs: noJobs{}, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	sessions := session.New(p, st.Sessions(), false, log)
	exports := usageapi.Exports(p)
	graphql := resolvers.NewHandler(resolvers.Config{Platform: p, Logger: log, Introspection: true,
		Authenticate: func(ctx context.Context, authorization string) (auth.Principal, error) {
			if w.impostor != nil {
				return *w.impostor, nil
			}
			return sessions.Authenticate(ctx, authorization)
		}})
	spoiled := http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if w.spoil != nil {
			w.spoil(out, r, graphql)
			return
		}
		graphql.ServeHTTP(out, r)
	})
	server, err := httpd.New(httpd.Config{GraphQL: spoiled, Sessions: sessions, Auth: sessions.Endpoints(), Exports: exports})
	if err != nil {
		t.Fatal(err)
	}
	w.handler, w.exports = server.Handler(), slices.Sorted(maps.Keys(exports))
	w.server = httptest.NewServer(w.handler)
	t.Cleanup(w.server.Close)
	w.ops = &operations{t: t, schema: graph.NewExecutableSchema(graph.Config{}).Schema(), seed: w.seed, failed: map[string]bool{}}
	if w.seed.password, err = auth.NewHasher(auth.DefaultCost(), 1).Hash(t.Context(), password); err != nil {
		t.Fatal(err)
	}
	w.seed.rootKey(t.Context())
	switch how.both { // a provider is there before its customers
	case victimIsBoth:
		w.others = w.seed.seed(t.Context(), "others", "")
		w.victim = w.seed.seed(t.Context(), "victim", w.others.vendor)
	case othersAreBoth:
		w.victim = w.seed.seed(t.Context(), "victim", "")
		w.others = w.seed.seed(t.Context(), "others", w.victim.vendor)
	default:
		w.victim, w.others = w.seed.seed(t.Context(), "victim", ""), w.seed.seed(t.Context(), "others", "")
	}
	w.observe()
	clear(w.statements)
	return w
}

// password is everybody's who has one.
const password = "correct horse battery staple"

// observe has the database itself note each change of the victim's rows.
func (w *walk) observe() {
	w.t.Helper()
	statements := []string{"CREATE TABLE observed (what text)"}
	if w.postgres {
		statements = append(statements, `CREATE FUNCTION observe() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			INSERT INTO observed VALUES (TG_OP || ' ' || TG_TABLE_NAME || ' ' || CASE TG_OP WHEN 'INSERT' THEN NEW.id ELSE OLD.id END); RETURN NULL; END $$`)
	}
	for table, rows := range w.victim.rows {
		var ids []string
		for _, r := range rows {
			ids = append(ids, strings.ReplaceAll(quote(r["id"]), `"`, "'"))
		}
		note := func(name, op, condition, id string) string {
			if w.postgres {
				return fmt.Sprintf("CREATE TRIGGER observed_%s_%s AFTER %s ON %[2]q FOR EACH ROW WHEN (%[4]s) EXECUTE FUNCTION observe()", name, table, op, condition)
			}
			return fmt.Sprintf("CREATE TRIGGER observed_%s_%s AFTER %s ON %[2]q WHEN %[4]s BEGIN INSERT INTO observed VALUES ('%[3]s %[2]s ' || %[5]s); END",
				name, table, op, condition, id)
		}
		known := "OLD.id IN (" + strings.Join(ids, ", ") + ")"
		statements = append(statements, note("update", "UPDATE", known, "OLD.id"), note("delete", "DELETE", known, "OLD.id"))
		for _, c := range columnsOf(table) {
			if slices.Contains([]string{"organization_id", "vendor_id", "customer_id", "provider_id"}, c) {
				statements = append(statements, note(c, "INSERT", fmt.Sprintf("NEW.%s IN ('%s', '%s')", c, w.victim.vendor, w.victim.customer), "NEW.id"))
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
	db, ctx := w.notes, w.t.Context()
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
