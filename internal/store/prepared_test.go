package store

import (
	"context"
	"database/sql"
	"fmt"
	"testing"

	"github.com/quorate/quorate/internal/auth"
)

func readyIn(t *testing.T, db *sql.DB, ctx context.Context) (n int) {
	t.Helper()
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM pg_prepared_statements").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// What is prepared runs with the rights of who runs it, however often.
func TestRepeatedStatementsRunAsWhoAsks(t *testing.T) {
	_, db := watch(t)
	a, b := tenantOf("org_a"), tenantOf("org_b")
	is := func(ctx context.Context, q interface {
		QueryRowContext(context.Context, string, ...any) *sql.Row
	}, want string) {
		t.Helper()
		var got string
		err := q.QueryRowContext(ctx, "SELECT current_setting('quorate.organization', true) || $1::text", "+").Scan(&got)
		if err != nil || got != want {
			t.Errorf("%q, %v instead of %q", got, err, want)
		}
	}
	for range 7 {
		is(a, db, "org_a+")
		is(b, db, "org_b+")
		is(t.Context(), db, "+")
		tx, err := db.BeginTx(a, nil)
		if err != nil {
			t.Fatal(err)
		}
		is(b, tx, "org_b+")
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		is(b, db, "org_b+")
	}
	if n := readyIn(t, db, a); n != 1 {
		t.Errorf("%d statements are prepared", n)
	}
	var mode string
	if err := db.QueryRowContext(a, "SHOW plan_cache_mode").Scan(&mode); err != nil || mode != "force_custom_plan" {
		t.Errorf("plans are kept: %q, %v", mode, err)
	}
}

// Only what comes again is prepared, no more than a bound, and what is used
// stays.
func TestPreparedStatementsAreBounded(t *testing.T) {
	_, db := watch(t)
	ctx := auth.With(t.Context(), auth.System("x"))
	say := func(i int) {
		t.Helper()
		var got int
		if err := db.QueryRowContext(ctx, fmt.Sprintf("SELECT $1::int + %d", i), 1).Scan(&got); err != nil || got != i+1 {
			t.Fatalf("%d, %v", got, err)
		}
	}
	for i := range mostSeen + 10 {
		say(i)
	}
	if n := readyIn(t, db, ctx); n != 0 {
		t.Errorf("%d statements are prepared that came once", n)
	}
	for i := range mostPrepared + 10 {
		say(i)
		say(i)
		say(0)
	}
	if n := readyIn(t, db, ctx); n != mostPrepared {
		t.Errorf("%d statements are prepared", n)
	}
	var there bool
	if err := db.QueryRowContext(ctx, "SELECT exists(SELECT FROM pg_prepared_statements WHERE statement = 'SELECT $1::int + 0')").Scan(&there); err != nil || !there {
		t.Errorf("what is used most was dropped: %v", err)
	}
}

// A schema that changes, or a statement that is gone, makes no request fail
// outside of a transaction, nor one that is a transaction's first; another one
// fails at most once in the process.
func TestPreparedStatementsOutliveTheSchema(t *testing.T) {
	_, db := watch(t)
	ctx := auth.With(t.Context(), auth.System("x"))
	do := func(s string) {
		t.Helper()
		if _, err := db.ExecContext(ctx, s); err != nil {
			t.Fatal(err)
		}
	}
	read := func(q interface {
		QueryRowContext(context.Context, string, ...any) *sql.Row
	}) error {
		return q.QueryRowContext(ctx, "SELECT x FROM things WHERE x::text = $1::text", "1").Scan(new(string))
	}
	do("CREATE TABLE things (x int)")
	do("INSERT INTO things VALUES (1)")
	for _, change := range []string{"ALTER TABLE things ALTER x TYPE bigint", "DEALLOCATE ALL", "ALTER TABLE things ALTER x TYPE text"} {
		for range 3 {
			if err := read(db); err != nil {
				t.Fatal(err)
			}
		}
		if n := readyIn(t, db, ctx); n != 1 {
			t.Fatalf("%d statements are prepared", n)
		}
		do(change)
		if err := read(db); err != nil {
			t.Errorf("after %s: %v", change, err)
		}
	}
	// In a transaction, and by another connection than the one that has noticed.
	db.SetMaxOpenConns(2)
	second, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Close() }()
	for _, c := range []struct {
		change  string
		before  string // in the transaction
		options *sql.TxOptions
		fails   bool
	}{
		{"ALTER TABLE things ALTER x TYPE varchar(9)", "", nil, false},
		{"DEALLOCATE ALL", "", nil, false},
		{"ALTER TABLE things ALTER x TYPE varchar(10)", "INSERT INTO things VALUES (2)", nil, true},
		{"ALTER TABLE things ALTER x TYPE varchar(11)", "SAVEPOINT a", nil, true},
		{"ALTER TABLE things ALTER x TYPE varchar(12)", "", &sql.TxOptions{Isolation: sql.LevelRepeatableRead}, true},
	} {
		for range 3 {
			_ = read(db)
			if err := read(second); err != nil {
				t.Fatal(err)
			}
		}
		do(c.change)
		for i, fails := range []bool{c.fails, false} {
			tx, err := db.BeginTx(auth.With(ctx, auth.Principal{Kind: auth.KindToken, ID: "t", Organization: "org_a"}), c.options)
			if err != nil {
				t.Fatal(err)
			}
			if c.before != "" {
				if _, err := tx.ExecContext(ctx, c.before); err != nil {
					t.Fatal(err)
				}
			}
			if err := read(tx); (err != nil) != fails {
				t.Errorf("%s, then %v, %d: %v", c.change, c.before, i, err)
			}
			if !fails {
				var who string
				if err := tx.QueryRowContext(ctx, "SELECT current_setting('quorate.organization')").Scan(&who); err != nil || who != "*" {
					t.Errorf("the transaction goes on for %q, %v", who, err)
				}
			}
			_ = tx.Rollback()
		}
		// What one connection has noticed the others know.
		tx, err := second.BeginTx(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(ctx, "SAVEPOINT a"); err != nil {
			t.Fatal(err)
		}
		if err := read(tx); err != nil {
			t.Errorf("another connection after %s: %v", c.change, err)
		}
		_ = tx.Rollback()
	}
}
