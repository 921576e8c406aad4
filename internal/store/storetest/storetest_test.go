package storetest_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/store/storetest"
)

func TestTemplateIsPreparedOnceAndCopied(t *testing.T) {
	for name, give := range map[string]func(*storetest.Template, testing.TB) string{
		"sqlite": (*storetest.Template).SQLite, "postgres": (*storetest.Template).Postgres,
	} {
		t.Run(name, func(t *testing.T) {
			prepared := 0
			template := storetest.New("once", func(ctx context.Context, dsn string) error {
				prepared++
				s, err := store.Open(ctx, dsn)
				if err != nil {
					return err
				}
				defer func() { _ = s.Close() }()
				_, err = s.DB().ExecContext(ctx, "CREATE TABLE more (x integer)")
				return err
			})
			for range 2 {
				s, err := store.Open(t.Context(), give(template, t))
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = s.Close() }()
				n := count(t, s.DB())
				if _, err := s.DB().Exec("INSERT INTO more VALUES (1)"); err != nil || n != 0 {
					t.Fatalf("a copy that has %d rows of another test, or %v", n, err)
				}
			}
			if prepared != 1 {
				t.Fatalf("prepared %d times", prepared)
			}
		})
	}
}

func count(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	if err := db.QueryRow("SELECT count(*) FROM more").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
