package store

import (
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
				{version: "1", name: "1_a.sql", hash: "a", statements: []string{"CREATE TABLE a (x int)"}},
				{version: "2", name: "2_b.sql", hash: "b", statements: []string{"CREATE TABLE b (x int)", "CREATE TABLE a (x int)"}},
			}
			if err := apply(t.Context(), db, dial, files); err == nil {
				t.Fatal("a table was made twice")
			}
			if _, err := db.ExecContext(t.Context(), "SELECT * FROM a"); err == nil {
				t.Error("half of it is left")
			}
			files[1].statements = files[1].statements[:1]
			for range 2 {
				if err := apply(t.Context(), db, dial, files); err != nil {
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
