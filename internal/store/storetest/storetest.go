// Package storetest gives tests databases whose schema is up to date already:
// to migrate an empty one takes longer than most tests.
package storetest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/testenv"
)

// Template is a database that was prepared once per test process and is copied
// for each test.
type Template struct {
	name    string
	prepare func(ctx context.Context, dsn string) error

	once   sync.Once
	sqlite []byte
	err    error
}

// New makes a template of the store's schema. Name tells it from others of the
// process. More, which may be nil, adds to it; it must close its connections.
func New(name string, more func(ctx context.Context, dsn string) error) *Template {
	return &Template{name: name, prepare: func(ctx context.Context, dsn string) error {
		s, err := store.Open(ctx, dsn)
		if err != nil {
			return err
		}
		if err := s.Close(); err != nil || more == nil {
			return err
		}
		return more(ctx, dsn)
	}}
}

// SQLite gives the path of an SQLite database of the test's own.
func (p *Template) SQLite(t testing.TB) string {
	t.Helper()
	p.once.Do(func() { p.sqlite, p.err = p.file() })
	if p.err != nil {
		t.Fatalf("SQLite template %s: %v", p.name, p.err)
	}
	path := filepath.Join(t.TempDir(), "quorate.db")
	if err := os.WriteFile(path, p.sqlite, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Postgres gives the DSN of a PostgreSQL database of the test's own.
func (p *Template) Postgres(t testing.TB) string {
	t.Helper()
	return testenv.PostgresFrom(t, p.name, func(dsn string) error { return p.prepare(context.Background(), dsn) })
}

// file is the content of a prepared SQLite database.
func (p *Template) file() ([]byte, error) {
	dir, err := os.MkdirTemp("", "storetest")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "db")
	if err := p.prepare(context.Background(), path); err != nil {
		return nil, err
	}
	// The last connection to close moves everything into the one file.
	if info, err := os.Stat(path + "-wal"); err == nil && info.Size() > 0 {
		return nil, fmt.Errorf("%s was left open", path)
	}
	return os.ReadFile(path)
}
