package store

import (
	"context"
	"fmt"

	"github.com/quorate/quorate/internal/license"
)

// Ready says whether the database answers and has every migration of this
// program. That it has newer ones too is fine: replicas are replaced one after
// another.
func (s *Store) Ready(ctx context.Context) error {
	files, err := embedded(s.dialect)
	if err != nil {
		return err
	}
	if err := s.Ping(ctx); err != nil {
		return err
	}
	rows, err := s.pools.all.QueryContext(ctx, "SELECT version FROM schema_revisions")
	if err != nil {
		return fmt.Errorf("read the revisions: %w", err)
	}
	defer func() { _ = rows.Close() }()
	applied := map[string]bool{}
	for rows.Next() {
		var version string
		if err := rows.Scan(&version); err != nil {
			return fmt.Errorf("read the revisions: %w", err)
		}
		applied[version] = true
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the revisions: %w", err)
	}
	for _, f := range files {
		if !applied[f.version] {
			return license.Errorf(license.CodeUnavailable, "start this program anew: it migrates when it starts", "the database lacks the migration %s", f.version)
		}
	}
	return nil
}
