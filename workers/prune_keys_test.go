package workers

import (
	"context"
	"database/sql"
	"testing"
	"time"
)

type keysFunc func(context.Context) (int, error)

func (f keysFunc) PruneKeys(ctx context.Context) (int, error) { return f(ctx) }

// TestKeysArePruned when the queue starts.
func TestKeysArePruned(t *testing.T) {
	databases(t, func(t *testing.T, db *sql.DB, dialect string) {
		q, err := Open(t.Context(), Config{DB: db, Dialect: dialect, Poll: 20 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		pruned := make(chan struct{}, 10)
		q.RegisterKeys(keysFunc(func(context.Context) (int, error) { pruned <- struct{}{}; return 1, nil }))
		start(t, q)
		select {
		case <-pruned:
		case <-time.After(30 * time.Second):
			t.Error("nothing was pruned")
		}
	})
}
