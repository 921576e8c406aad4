package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"ariga.io/atlas/sql/migrate"
	"entgo.io/ent/dialect"

	"github.com/quorate/quorate/ent/migrate/migrations"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
)

// migrationLock is the key of PostgreSQL's advisory lock.
const migrationLock = 0x71756f72617465 // "quorate"

// Migrate applies the embedded migrations that db doesn't have, all of them or
// none. Others that try at the same time wait and find nothing to do. A
// database made by a newer program, or by files that were changed afterwards,
// is refused with license.CodeConflict and left as it is.
func Migrate(ctx context.Context, db *sql.DB, dial string) error {
	files, err := embedded(dial)
	if err != nil {
		return err
	}
	return apply(ctx, db, dial, files, secure)
}

type file struct {
	version, name, hash string
	statements          func() ([]string, error)
}

func embedded(dial string) ([]file, error) {
	var dir embed.FS
	var folder string
	switch dial {
	case dialect.Postgres:
		dir, folder = migrations.PostgreSQL, "postgres"
	case dialect.SQLite:
		dir, folder = migrations.SQLite, "sqlite"
	default:
		return nil, fmt.Errorf("no migrations for %q", dial)
	}
	names, err := fs.Glob(dir, folder+"/*.sql") // sorted
	if err != nil {
		return nil, err
	}
	files := make([]file, len(names))
	for i, name := range names {
		content, err := dir.ReadFile(name)
		if err != nil {
			return nil, err
		}
		f := migrate.NewLocalFile(path.Base(name), content)
		sum := sha256.Sum256(content)
		files[i] = file{version: f.Version(), name: f.Name(), hash: hex.EncodeToString(sum[:]), statements: f.Stmts}
	}
	return files, nil
}

// apply runs what is pending, and on PostgreSQL then secures the tables.
func apply(ctx context.Context, db *sql.DB, dial string, files []file, secure func(context.Context, *sql.Tx) error) (err error) {
	ctx = auth.With(ctx, auth.System("migrations"))
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("reach the database: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if dial == dialect.SQLite {
		// Rebuilding a table drops it; its references are checked at the end.
		if _, err := conn.ExecContext(ctx, "PRAGMA foreign_keys = off"); err != nil {
			return fmt.Errorf("reach the database: %w", err)
		}
		defer func() {
			_, on := conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA foreign_keys = on")
			err = errors.Join(err, on)
		}()
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin the migration: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // nothing is left to roll back after a commit
	if dial == dialect.Postgres {
		if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
			return fmt.Errorf("lock the schema: %w", err)
		}
	}
	applied, err := revisions(ctx, tx)
	if err != nil {
		return err
	}
	if err := pending(ctx, tx, files, applied); err != nil {
		return err
	}
	if dial == dialect.SQLite {
		err = checkReferences(ctx, tx)
	} else {
		err = secure(ctx, tx)
	}
	if err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit the migration: %w", err)
	}
	return nil
}

func revisions(ctx context.Context, tx *sql.Tx) (map[string]string, error) {
	if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS schema_revisions (
		version varchar(32) NOT NULL PRIMARY KEY, name varchar(255) NOT NULL,
		hash varchar(64) NOT NULL, applied_at varchar(32) NOT NULL)`); err != nil {
		return nil, fmt.Errorf("make the table of revisions: %w", err)
	}
	rows, err := tx.QueryContext(ctx, "SELECT version, hash FROM schema_revisions")
	if err != nil {
		return nil, fmt.Errorf("read the revisions: %w", err)
	}
	defer func() { _ = rows.Close() }()
	applied := make(map[string]string)
	for rows.Next() {
		var version, hash string
		if err := rows.Scan(&version, &hash); err != nil {
			return nil, fmt.Errorf("read the revisions: %w", err)
		}
		applied[version] = hash
	}
	return applied, rows.Err()
}

func pending(ctx context.Context, tx *sql.Tx, files []file, applied map[string]string) error {
	known := 0
	for _, f := range files {
		if hash, ok := applied[f.version]; ok {
			if hash != f.hash {
				return license.Errorf(license.CodeConflict, "use the program that the database was made by",
					"the migration %s of this database is not the one of this program", f.version)
			}
			known++
			continue
		}
		statements, err := f.statements()
		if err != nil {
			return fmt.Errorf("migration %s: %w", f.name, err)
		}
		for i, statement := range statements {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("migration %s, statement %d: %w", f.name, i+1, err)
			}
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO schema_revisions (version, name, hash, applied_at) VALUES ($1, $2, $3, $4)",
			f.version, f.name, f.hash, time.Now().UTC().Format(time.RFC3339)); err != nil {
			return fmt.Errorf("record the migration %s: %w", f.name, err)
		}
	}
	if known != len(applied) {
		return license.Errorf(license.CodeConflict, "use the newest program that has run on it, or restore a backup",
			"the database was made by a newer program")
	}
	return nil
}

func checkReferences(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, "PRAGMA foreign_key_check")
	if err != nil {
		return fmt.Errorf("check the references: %w", err)
	}
	defer func() { _ = rows.Close() }()
	if rows.Next() {
		return errors.New("the migration leaves a reference without its row")
	}
	return rows.Err()
}
