package store

import (
	"path/filepath"
	"sync"
	"testing"
)

// Whoever opens a new SQLite file at once with others waits for them, also where
// SQLite itself gives up: while the file gets its kind of journal.
func TestNewFileOpenedAtOnce(t *testing.T) {
	for range 10 {
		dsn := filepath.Join(t.TempDir(), "new.db")
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				p, _, err := connect(dsn)
				if err != nil {
					t.Error(err)
					return
				}
				if err := p.ping(t.Context()); err != nil {
					t.Error(err)
				}
				if err := p.close(); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
}
