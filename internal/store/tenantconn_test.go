package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/lib/pq"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/testenv"
)

// watched counts connections, settings and closings, and has settings fail
// after PostgreSQL made them.
type watched struct {
	driver.Connector
	opened, closed, made atomic.Int32
	fail                 atomic.Bool
}

func (w *watched) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := w.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	w.opened.Add(1)
	return &watchedConn{c.(wholeConn), w}, nil
}

type watchedConn struct {
	wholeConn
	w *watched
}

var errCut = errors.New("cut off")

func (c *watchedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	result, err := c.wholeConn.ExecContext(ctx, query, args)
	if strings.Contains(query, "quorate.") {
		c.w.made.Add(1)
		if c.w.fail.Load() {
			return nil, errCut
		}
	}
	return result, err
}

func (c *watchedConn) Close() error {
	c.w.closed.Add(1)
	return c.wholeConn.Close()
}

func watch(t *testing.T) (*watched, *sql.DB) {
	t.Helper()
	connector, err := pq.NewConnector(testenv.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	w := &watched{Connector: connector}
	db := sql.OpenDB(tenantConnector{Connector: w, schema: new(atomic.Uint64)})
	t.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	return w, db
}

func tenantOf(organization string) context.Context {
	return auth.With(context.Background(), auth.Principal{Kind: auth.KindMember, ID: "mem_1", Organization: organization, Provider: "of ' " + organization})
}

// asked gives what a policy would see.
func asked(t *testing.T, ctx context.Context, q interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}) string {
	t.Helper()
	var said string
	if err := q.QueryRowContext(ctx, `SELECT concat_ws('|', current_setting('quorate.organization', true), current_setting('quorate.provider', true))`).Scan(&said); err != nil {
		t.Fatal(err)
	}
	return said
}

func TestSettingsTellWhoAsks(t *testing.T) {
	w, db := watch(t)
	for ctx, want := range map[context.Context]string{
		tenantOf("org_a"): "org_a|of ' org_a", auth.With(t.Context(), auth.System("x")): "*|", context.WithoutCancel(t.Context()): "|",
		tenantOf(`o'\`): `o'\|of ' o'\`,
	} {
		made := w.made.Load()
		for range 3 {
			if got := asked(t, ctx, db); got != want {
				t.Errorf("%q instead of %q", got, want)
			}
		}
		if n := w.made.Load() - made; n != 1 {
			t.Errorf("%d round trips for one principal", n)
		}
	}
	// Nobody becomes the system by a name.
	if got := asked(t, tenantOf("*"), db); got != "|" {
		t.Errorf("%q", got)
	}
	// A transaction of one principal makes the settings once.
	made := w.made.Load()
	tx, err := db.BeginTx(tenantOf("org_b"), nil)
	if err != nil {
		t.Fatal(err)
	}
	asked(t, tenantOf("org_b"), tx)
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := asked(t, tenantOf("org_b"), db); got != "org_b|of ' org_b" || w.made.Load()-made != 1 {
		t.Errorf("%q after %d round trips", got, w.made.Load()-made)
	}
}

// TestAFailedSettingDropsTheConnection: nobody knows what it tells then.
func TestAFailedSettingDropsTheConnection(t *testing.T) {
	a := tenantOf("org_a")
	for name, use := range map[string]func(db *sql.DB) error{
		"query":   func(db *sql.DB) error { return db.QueryRowContext(a, "SELECT 1").Scan(new(int)) },
		"exec":    func(db *sql.DB) error { _, err := db.ExecContext(a, "SELECT 1"); return err },
		"prepare": func(db *sql.DB) error { _, err := db.PrepareContext(a, "SELECT 1"); return err },
		"begin":   func(db *sql.DB) error { _, err := db.BeginTx(a, nil); return err },
	} {
		t.Run(name, func(t *testing.T) {
			w, db := watch(t)
			asked(t, tenantOf("org_c"), db)
			w.fail.Store(true)
			if err := use(db); !errors.Is(err, errCut) {
				t.Errorf("the statement: %v", err)
			}
			if w.closed.Load() != 1 {
				t.Error("the connection is kept")
			}
			w.fail.Store(false)
			if got := asked(t, a, db); got != "org_a|of ' org_a" || w.opened.Load() != 2 {
				t.Errorf("%q, of %d connections", got, w.opened.Load())
			}
		})
	}
	t.Run("in a transaction", func(t *testing.T) {
		w, db := watch(t)
		tx, err := db.BeginTx(a, nil)
		if err != nil {
			t.Fatal(err)
		}
		w.fail.Store(true)
		if _, err := tx.ExecContext(tenantOf("org_b"), "SELECT 1"); !errors.Is(err, errCut) {
			t.Error(err)
		}
		w.fail.Store(false)
		if _, err := tx.ExecContext(a, "SELECT 1"); !errors.Is(err, driver.ErrBadConn) {
			t.Errorf("it goes on: %v", err)
		}
		_ = tx.Rollback()
		if w.closed.Load() != 1 {
			t.Error("the connection is kept")
		}
	})
}

// TestRolledBackSettings: PostgreSQL takes settings back with the transaction,
// or the savepoint, in which they were made.
func TestRolledBackSettings(t *testing.T) {
	a, b := tenantOf("org_a"), tenantOf("org_b")
	const saysA, saysB = "org_a|of ' org_a", "org_b|of ' org_b"
	for name, end := range map[string]func(tx *sql.Tx) error{
		"rollback": (*sql.Tx).Rollback,
		"commit":   (*sql.Tx).Commit,
		"failed commit": func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(b, "SELECT 1/0"); err == nil {
				t.Error("divided by zero")
			}
			if tx.Commit() == nil {
				t.Error("a failed transaction was committed")
			}
			return nil
		},
		"savepoint": func(tx *sql.Tx) error {
			for _, say := range []string{"ROLLBACK TO SAVEPOINT s", " rollback to s", "-- back\nROLLBACK TO s", "SELECT 1; ROLLBACK TO s"} {
				if _, err := tx.ExecContext(b, say); err != nil {
					return err
				}
				if got := asked(t, b, tx); got != saysB {
					t.Errorf("after %q: %q", say, got)
				}
			}
			return tx.Commit()
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, db := watch(t)
			tx, err := db.BeginTx(a, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.ExecContext(a, "SAVEPOINT s"); err != nil {
				t.Fatal(err)
			}
			if got := asked(t, b, tx); got != saysB {
				t.Errorf("another principal in it: %q", got)
			}
			if err := end(tx); err != nil {
				t.Fatal(err)
			}
			for ctx, want := range map[context.Context]string{b: saysB, a: saysA} {
				if got := asked(t, ctx, db); got != want {
					t.Errorf("%q instead of %q", got, want)
				}
			}
		})
	}
	t.Run("a transaction that database/sql doesn't know of", func(t *testing.T) {
		_, db := watch(t)
		for range 2 {
			if _, err := db.ExecContext(a, "BEGIN"); err != nil {
				t.Fatal(err)
			}
			if got := asked(t, b, db); got != saysB {
				t.Errorf("%q", got)
			}
			_, err := db.ExecContext(b, "rollback")
			if got := asked(t, b, db); err != nil || got != saysB {
				t.Errorf("%q, %v", got, err)
			}
		}
	})
}

// TestPreparedStatementsRunAsWhoRunsThem, not as who prepared them.
func TestPreparedStatementsRunAsWhoRunsThem(t *testing.T) {
	_, db := watch(t)
	a, b := tenantOf("org_a"), tenantOf("org_b")
	s, err := db.PrepareContext(auth.With(t.Context(), auth.System("x")), "SELECT current_setting('quorate.organization', true) || $1::text")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	is := func(row *sql.Row, want string) {
		t.Helper()
		var got string
		if err := row.Scan(&got); err != nil || got != want {
			t.Errorf("%q, %v instead of %q", got, err, want)
		}
	}
	for range 7 { // PostgreSQL keeps a plan from the sixth time on
		is(s.QueryRowContext(a, "+"), "org_a+")
		is(s.QueryRowContext(b, "+"), "org_b+")
		is(s.QueryRowContext(t.Context(), "+"), "+")
	}
	tx, err := db.BeginTx(a, nil)
	if err != nil {
		t.Fatal(err)
	}
	in := tx.StmtContext(a, s)
	is(in.QueryRowContext(b, "+"), "org_b+")
	if _, err := in.ExecContext(b, "+"); err != nil {
		t.Error(err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	is(s.QueryRowContext(b, "+"), "org_b+")
}

// Every table that ent has belongs to somebody by guard.go.
func TestTablesWithoutAnOwnerAreRefused(t *testing.T) {
	for table, want := range map[string]ownership{
		"organizations": itself, "audit_entries": owned, "usage_series": shared, "works": shared, "items": catalog, "sessions": global,
		"river_job": unknown, "nothings": unknown, "": unknown,
	} {
		if got := ownershipOfTable(table); got != want {
			t.Errorf("%s: %d instead of %d", table, got, want)
		}
	}
}
