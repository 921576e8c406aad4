package store

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/quorate/quorate/internal/testenv"
)

// TestAFailedMigrationLeavesNothing: all files or none, and the next try works.
func TestAFailedMigrationLeavesNothing(t *testing.T) {
	for name, dsn := range map[string]string{"sqlite": filepath.Join(t.TempDir(), "db"), "postgres": testenv.Postgres(t)} {
		t.Run(name, func(t *testing.T) {
			db, dial, err := connect(dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			files := []file{
				{version: "1", name: "1_a.sql", hash: "a", statements: says("CREATE TABLE a (x int)")},
				{version: "2", name: "2_b.sql", hash: "b", statements: says("CREATE TABLE b (x int)", "CREATE TABLE a (x int)")},
			}
			if err := apply(t.Context(), db, dial, files, nothing); err == nil {
				t.Fatal("a table was made twice")
			}
			if _, err := db.ExecContext(t.Context(), "SELECT * FROM a"); err == nil {
				t.Error("half of it is left")
			}
			files[1].statements = says("CREATE TABLE b (x int)")
			for range 2 {
				if err := apply(t.Context(), db, dial, files, nothing); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := db.ExecContext(t.Context(), "SELECT a.x, b.x FROM a, b"); err != nil {
				t.Error(err)
			}
			var n int
			if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM schema_revisions").Scan(&n); err != nil || n != 2 {
				t.Errorf("%d revisions, %v", n, err)
			}
			if name == "sqlite" {
				if err := db.QueryRowContext(t.Context(), "PRAGMA foreign_keys").Scan(&n); err != nil || n != 1 {
					t.Errorf("foreign keys are %d, %v", n, err)
				}
			}
		})
	}
}

// TestFirmsGetTheirFirstKey: what was made before firms' keys had a history
// gets its first entry.
func TestFirmsGetTheirFirstKey(t *testing.T) {
	for name, dsn := range map[string]string{"sqlite": filepath.Join(t.TempDir(), "db"), "postgres": testenv.Postgres(t)} {
		t.Run(name, func(t *testing.T) {
			db, dial, err := connect(dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			files, err := embedded(dial)
			if err != nil {
				t.Fatal(err)
			}
			if err := apply(t.Context(), db, dial, files[:1], nothing); err != nil {
				t.Fatal(err)
			}
			for _, statement := range []string{
				"INSERT INTO organizations (id, created_at, name, vendor, customer) VALUES ('org_1', '2026-11-22 09:00:00+00:00', 'V', true, false)",
				"INSERT INTO firms (id, created_at, code, name, sealed_key, public_key, cert, vendor_id) VALUES ('frm_0123', '2026-11-22 09:00:00+00:00', 6000010, 'F', 'a', 'public', 'c', 'org_1')",
			} {
				if _, err := db.ExecContext(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
			}
			if err := apply(t.Context(), db, dial, files, nothing); err != nil {
				t.Fatal(err)
			}
			var id, firm, public, vendor string
			var serial int
			if err := db.QueryRowContext(t.Context(), "SELECT id, firm_id, public_key, vendor_id, serial FROM firm_keys WHERE retired_at IS NULL").
				Scan(&id, &firm, &public, &vendor, &serial); err != nil {
				t.Fatal(err)
			}
			if id != "fky_0123" || firm != "frm_0123" || public != "public" || vendor != "org_1" || serial != 1 {
				t.Errorf("%s of %s: %q, %s, %d", id, firm, public, vendor, serial)
			}
		})
	}
}

func nothing(context.Context, *sql.Tx) error { return nil }

func says(statements ...string) func() ([]string, error) {
	return func() ([]string, error) { return statements, nil }
}
