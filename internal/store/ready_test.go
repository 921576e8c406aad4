package store_test

import (
	"testing"

	"github.com/quorate/quorate/internal/license"
)

// A database is ready with all migrations of the program, and with newer ones.
func TestReady(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		if err := s.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		change := func(statement string) {
			if _, err := s.DB().ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		change("INSERT INTO schema_revisions (version, name, hash, applied_at) VALUES ('99991231235959', 'newer', 'x', 'now')")
		if err := s.Ready(t.Context()); err != nil {
			t.Errorf("with a newer migration: %v", err)
		}
		change("DELETE FROM schema_revisions WHERE version = (SELECT min(version) FROM schema_revisions)")
		if err := s.Ready(t.Context()); license.CodeOf(err) != license.CodeUnavailable {
			t.Errorf("without a migration: %v", err)
		}
	})
}
