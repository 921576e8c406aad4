package store

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/testenv"
)

// TestWatched: every statement is told before it runs, with whom it runs as, by
// whichever way it was asked for.
func TestWatched(t *testing.T) {
	for name, dsn := range map[string]string{"sqlite": filepath.Join(t.TempDir(), "db"), "postgres": testenv.Postgres(t)} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var said []string
			s, err := Open(t.Context(), dsn, Watched(func(ctx context.Context, statement string) {
				mu.Lock()
				defer mu.Unlock()
				if p, err := auth.From(ctx); err == nil {
					said = append(said, p.Name+": "+statement)
				}
			}))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			ctx := auth.With(t.Context(), auth.System("watcher"))
			said = nil
			err = s.WithTx(ctx, func(tx *Tx) error {
				if err := tx.Organization.Create().SetName("v").Exec(ctx); err != nil {
					return err
				}
				_, err := tx.SQL().ExecContext(ctx, "UPDATE organizations SET name = 'w'")
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Client().Organization.Query().All(ctx); err != nil {
				t.Fatal(err)
			}
			p, err := s.DB().PrepareContext(ctx, "DELETE FROM organizations")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = p.Close() }()
			for _, want := range []string{"INSERT INTO", "UPDATE organizations", "SELECT", "DELETE FROM organizations"} {
				if !slices.ContainsFunc(said, func(s string) bool { return strings.HasPrefix(s, "watcher: "+want) }) {
					t.Errorf("no %s among %q", want, said)
				}
			}
		})
	}
}
