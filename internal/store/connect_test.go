package store

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"
)

// Whoever connects to a new SQLite file waits for who writes it, also where SQLite
// itself gives up: when it gives the file its kind of journal.
func TestNewFileInUse(t *testing.T) {
	dsn := filepath.Join(t.TempDir(), "new.db")
	other, err := sql.Open("sqlite", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	other.SetMaxOpenConns(1)
	if _, err := other.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	time.AfterFunc(200*time.Millisecond, func() {
		_, err := other.Exec("ROLLBACK")
		ended <- err
	})
	p, _, err := connect(dsn)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.ping(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := p.close(); err != nil {
		t.Error(err)
	}
}
