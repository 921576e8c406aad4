package store

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/lib/pq"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/testenv"
)

// divide gives the connections that a store has, watched.
func divide(t *testing.T) (*watched, pools) {
	t.Helper()
	connector, err := pq.NewConnector(testenv.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	w := &watched{Connector: connector}
	p := postgresPools(w, options{})
	t.Cleanup(func() { _ = p.close() })
	return w, p
}

// read gives what a policy would see, by ent's way, and which connection it was.
func read(t *testing.T, ctx context.Context, d dialect.ExecQuerier) (said string, pid int) {
	t.Helper()
	var rows entsql.Rows
	if err := d.Query(ctx, `SELECT concat_ws('|', current_setting('quorate.organization', true), current_setting('quorate.provider', true)), pg_backend_pid()`, []any{}, &rows); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	if !rows.Next() {
		t.Fatal("no row", rows.Err())
	}
	if err := rows.Scan(&said, &pid); err != nil {
		t.Fatal(err)
	}
	return said, pid
}

// TestTheSystemHasConnectionsOfItsOwn: nobody has to be told anew because the
// system has looked who he is.
func TestTheSystemHasConnectionsOfItsOwn(t *testing.T) {
	w, p := divide(t)
	d := p.driver(dialect.Postgres)
	system, a, b := auth.With(t.Context(), auth.System("x")), tenantOf("org_a"), tenantOf("org_b")
	_, ofSystem := read(t, system, d)
	for range 5 {
		if said, pid := read(t, system, d); said != "*|" || pid != ofSystem {
			t.Errorf("%q, by %d instead of %d", said, pid, ofSystem)
		}
		if said, pid := read(t, a, d); said != "org_a|of ' org_a" || pid == ofSystem {
			t.Errorf("%q, by %d", said, pid)
		}
	}
	if n := w.made.Load(); n != 2 {
		t.Errorf("%d round trips to tell who asks, of two", n)
	}
	if said, pid := read(t, b, d); said != "org_b|of ' org_b" || pid == ofSystem {
		t.Errorf("%q, by %d", said, pid)
	}
	if said, pid := read(t, context.WithoutCancel(t.Context()), d); said != "|" || pid == ofSystem {
		t.Errorf("nobody: %q, by %d", said, pid)
	}
	// A transaction, whose principal may change, is none of these connections'.
	tx, err := d.Tx(system)
	if err != nil {
		t.Fatal(err)
	}
	for ctx, want := range map[context.Context]string{system: "*|", a: "org_a|of ' org_a"} {
		if said, pid := read(t, ctx, tx); said != want || pid == ofSystem {
			t.Errorf("in a transaction: %q, by %d", said, pid)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	// Those that PostgreSQL ended are replaced, by ones that know who asks.
	if err := d.Exec(a, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()", []any{}, nil); err != nil {
		t.Fatal(err)
	}
	_ = d.Exec(system, "SELECT 1", []any{}, nil) // may learn that the connection is gone
	if said, pid := read(t, system, d); said != "*|" || pid == ofSystem {
		t.Errorf("%q, by %d after %d", said, pid, ofSystem)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if opened, closed := w.opened.Load(), w.closed.Load(); opened != closed {
		t.Errorf("%d connections of %d are closed", closed, opened)
	}
	if err := p.ping(t.Context()); err == nil {
		t.Error("they are pinged")
	}
}

// TestAConnectionOfTheSystemServesNobodyElse, whichever way it is asked.
func TestAConnectionOfTheSystemServesNobodyElse(t *testing.T) {
	w, p := divide(t)
	db := p.system
	db.SetMaxOpenConns(1)
	system := auth.With(t.Context(), auth.System("x"))
	kept, err := db.PrepareContext(system, "SELECT 1")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = kept.Close() }()
	for name, use := range map[string]func(ctx context.Context) error{
		"query":      func(ctx context.Context) error { return db.QueryRowContext(ctx, "SELECT 1").Scan(new(int)) },
		"exec":       func(ctx context.Context) error { _, err := db.ExecContext(ctx, "SELECT 1"); return err },
		"prepare":    func(ctx context.Context) error { _, err := db.PrepareContext(ctx, "SELECT 2"); return err },
		"begin":      func(ctx context.Context) error { _, err := db.BeginTx(ctx, nil); return err },
		"prepared":   func(ctx context.Context) error { return kept.QueryRowContext(ctx).Scan(new(int)) },
		"executed":   func(ctx context.Context) error { _, err := kept.ExecContext(ctx); return err },
		"connection": func(ctx context.Context) error { return on(db, ctx) },
	} {
		for who, ctx := range map[string]context.Context{
			"a tenant": tenantOf("org_a"), "nobody": context.WithoutCancel(t.Context()), "one called as everybody is": tenantOf("*"),
		} {
			if err := use(ctx); err == nil || !strings.Contains(err.Error(), "of the system") {
				t.Errorf("%s by %s: %v", name, who, err)
			}
			if got := asked(t, system, db); got != "*|" {
				t.Errorf("after %s by %s the system is %q", name, who, got)
			}
		}
	}
	if n := w.made.Load(); n != 1 {
		t.Errorf("the settings were made %d times", n)
	}
}

func on(db *sql.DB, ctx context.Context) error {
	c, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_, err = c.ExecContext(ctx, "SELECT 1")
	return err
}
