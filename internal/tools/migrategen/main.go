// Command migrategen writes the next versioned migration of both dialects: what
// leads from the files that are there to the schema of package ent. It is run
// from the repository's root:
//
//	go run ./internal/tools/migrategen -name add_tickets -postgres postgres://…/empty
//
// The PostgreSQL database must be an empty one: the files are tried on it.
// Where nothing has changed, nothing is written. The test of this package does
// the same with a private server: go test ./internal/tools/migrategen -write add_tickets
package main

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"ariga.io/atlas/sql/migrate"
	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/schema"
	_ "github.com/lib/pq"
	_ "modernc.org/sqlite"

	tables "github.com/quorate/quorate/ent/migrate"
)

func main() {
	name := flag.String("name", "", "what the migration does, in snake case")
	postgres := flag.String("postgres", "", "an empty PostgreSQL database to try the files on")
	flag.Parse()
	if *name == "" || *postgres == "" {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(context.Background(), filepath.Join("ent", "migrate", "migrations"), *name, *postgres); err != nil {
		fmt.Fprintln(os.Stderr, "migrategen:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, root, name, postgres string) error {
	tmp, err := os.MkdirTemp("", "migrategen")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	sqlite := "file:" + filepath.Join(tmp, "scratch.db") + "?_pragma=foreign_keys(1)"
	if err := diff(ctx, name, "sqlite", sqlite, dialect.SQLite, root, "sqlite"); err != nil {
		return err
	}
	return diff(ctx, name, "postgres", postgres, dialect.Postgres, root, "postgres")
}

func diff(ctx context.Context, name, driver, dsn, dial, root, folder string) error {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	dir, err := migrate.NewLocalDir(filepath.Join(root, folder))
	if err != nil {
		return err
	}
	m, err := schema.NewMigrate(entsql.OpenDB(dial, db),
		schema.WithDir(dir), schema.WithMigrationMode(schema.ModeReplay), schema.WithDialect(dial),
		schema.WithFormatter(migrate.DefaultFormatter), schema.WithDropColumn(true), schema.WithDropIndex(true))
	if err != nil {
		return err
	}
	if err := m.NamedDiff(ctx, name, tables.Tables...); err != nil {
		return fmt.Errorf("%s: %w", folder, err)
	}
	return nil
}
