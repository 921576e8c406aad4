package store

import (
	"context"
	"database/sql"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/testenv"
)

// TestAFailedMigrationLeavesNothing: all files or none, and the next try works.
func TestAFailedMigrationLeavesNothing(t *testing.T) {
	for name, dsn := range map[string]string{"sqlite": filepath.Join(t.TempDir(), "db"), "postgres": testenv.Postgres(t)} {
		t.Run(name, func(t *testing.T) {
			p, dial, err := connect(dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = p.close() }()
			db := p.all
			files := []file{
				{version: "1", name: "1_a.sql", hash: "a", statements: says("CREATE TABLE a (x int)")},
				{version: "2", name: "2_b.sql", hash: "b", statements: says("CREATE TABLE b (x int)", "CREATE TABLE a (x int)")},
			}
			if err := apply(t.Context(), db, dial, files, nothing); err == nil {
				t.Fatal("a table was made twice")
			}
			if _, err := db.ExecContext(t.Context(), "SELECT * FROM a"); err == nil {
				t.Error("half of it is left")
			}
			files[1].statements = says("CREATE TABLE b (x int)")
			for range 2 {
				if err := apply(t.Context(), db, dial, files, nothing); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := db.ExecContext(t.Context(), "SELECT a.x, b.x FROM a, b"); err != nil {
				t.Error(err)
			}
			var n int
			if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM schema_revisions").Scan(&n); err != nil || n != 2 {
				t.Errorf("%d revisions, %v", n, err)
			}
			if name == "sqlite" {
				if err := db.QueryRowContext(t.Context(), "PRAGMA foreign_keys").Scan(&n); err != nil || n != 1 {
					t.Errorf("foreign keys are %d, %v", n, err)
				}
			}
		})
	}
}

// unmigrated connects to an empty database, and gives what would be applied to it.
func unmigrated(t *testing.T, dsn string) (*sql.DB, string, []file) {
	t.Helper()
	p, dial, err := connect(dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.close() })
	files, err := embedded(dial)
	if err != nil {
		t.Fatal(err)
	}
	return p.all, dial, files
}

// TestFirmsGetTheirFirstKey: what was made before firms' keys had a history
// gets its first entry.
func TestFirmsGetTheirFirstKey(t *testing.T) {
	for name, dsn := range map[string]string{"sqlite": filepath.Join(t.TempDir(), "db"), "postgres": testenv.Postgres(t)} {
		t.Run(name, func(t *testing.T) {
			db, dial, files := unmigrated(t, dsn)
			if err := apply(t.Context(), db, dial, files[:1], nothing); err != nil {
				t.Fatal(err)
			}
			for _, statement := range []string{
				"INSERT INTO organizations (id, created_at, name, vendor, customer) VALUES ('org_1', '2026-11-22 09:00:00+00:00', 'V', true, false)",
				"INSERT INTO firms (id, created_at, code, name, sealed_key, public_key, cert, vendor_id) VALUES ('frm_0123', '2026-11-22 09:00:00+00:00', 6000010, 'F', 'a', 'public', 'c', 'org_1')",
			} {
				if _, err := db.ExecContext(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
			}
			if err := apply(t.Context(), db, dial, files, nothing); err != nil {
				t.Fatal(err)
			}
			var id, firm, public, vendor string
			var serial int
			if err := db.QueryRowContext(t.Context(), "SELECT id, firm_id, public_key, vendor_id, serial FROM firm_keys WHERE retired_at IS NULL").
				Scan(&id, &firm, &public, &vendor, &serial); err != nil {
				t.Fatal(err)
			}
			if id != "fky_0123" || firm != "frm_0123" || public != "public" || vendor != "org_1" || serial != 1 {
				t.Errorf("%s of %s: %q, %s, %d", id, firm, public, vendor, serial)
			}
		})
	}
}

// TestMembersBecomeUsers: whoever signed in as a member signs in as a user of the
// same number from then on, by the same address and password, and is that member
// still; tokens, which are nobody's own, stay as they are. What people have after
// that belongs to users: a second organization takes one in by the same address.
func TestMembersBecomeUsers(t *testing.T) {
	for name, dsn := range map[string]string{"sqlite": filepath.Join(t.TempDir(), "db"), "postgres": testenv.Postgres(t)} {
		t.Run(name, func(t *testing.T) {
			db, dial, files := unmigrated(t, dsn)
			before := slices.IndexFunc(files, func(f file) bool { return strings.HasSuffix(f.name, "_accounts_tickets_webhooks.sql") })
			if before < 0 {
				t.Fatal("there is no such migration")
			}
			if err := apply(t.Context(), db, dial, files[:before], nothing); err != nil {
				t.Fatal(err)
			}
			do := func(statements ...string) {
				t.Helper()
				for _, s := range statements {
					if _, err := db.ExecContext(t.Context(), s); err != nil {
						t.Fatal(err)
					}
				}
			}
			do(
				"INSERT INTO organizations (id, created_at, name, vendor, customer) VALUES ('org_1', '2026-11-20 09:00:00+00:00', 'V', true, false)",
				"INSERT INTO organizations (id, created_at, name, vendor, customer, provider_id) VALUES ('org_2', '2026-11-20 09:00:00+00:00', 'C', false, true, 'org_1')",
				"INSERT INTO members (id, created_at, email, name, role, password_hash, organization_id) VALUES ('mem_01ab', '2026-11-21 10:11:12+00:00', 'olga@example.com', 'Olga', 'OWNER', '$argon2id$secret', 'org_1')",
				"INSERT INTO members (id, created_at, email, name, role, password_hash, organization_id) VALUES ('mem_02cd', '2026-11-22 10:11:12+00:00', 'carl@example.com', 'Carl', 'VIEWER', '$argon2id$other', 'org_2')",
				"INSERT INTO api_tokens (id, created_at, name, role, hash, organization_id) VALUES ('tok_1', '2026-11-21 10:11:12+00:00', 'CI', 'OPERATOR', 'h', 'org_1')",
				"INSERT INTO sessions (id, data, expires_at) VALUES ('s', 'd', '2026-12-21 10:11:12+00:00')",
			)
			if err := apply(t.Context(), db, dial, files, nothing); err != nil {
				t.Fatal(err)
			}
			rows := func(query string) (all []string) {
				t.Helper()
				found, err := db.QueryContext(t.Context(), query)
				if err != nil {
					t.Fatal(err)
				}
				defer found.Close()
				names, err := found.Columns()
				if err != nil {
					t.Fatal(err)
				}
				for found.Next() {
					cells, to := make([]sql.NullString, len(names)), make([]any, len(names))
					for i := range cells {
						to[i] = &cells[i]
					}
					if err := found.Scan(to...); err != nil {
						t.Fatal(err)
					}
					line := ""
					for _, c := range cells {
						if line += "|"; c.Valid {
							line += c.String
						}
					}
					all = append(all, line)
				}
				if err := found.Err(); err != nil {
					t.Fatal(err)
				}
				return all
			}
			for query, want := range map[string][]string{
				"SELECT id, email, name, password_hash, totp_secret, totp_step FROM users ORDER BY id": {
					"|usr_01ab|olga@example.com|Olga|$argon2id$secret||0", "|usr_02cd|carl@example.com|Carl|$argon2id$other||0",
				},
				"SELECT m.id, m.email, m.name, m.role, m.organization_id, m.revision, u.id FROM members m JOIN users u ON u.id = m.user_id AND u.created_at = m.created_at ORDER BY m.id": {
					"|mem_01ab|olga@example.com|Olga|OWNER|org_1|1|usr_01ab", "|mem_02cd|carl@example.com|Carl|VIEWER|org_2|1|usr_02cd",
				},
				"SELECT id, role, hash, scopes, created_by, revoked_at FROM api_tokens":               {"|tok_1|OPERATOR|h|||"},
				"SELECT id, provider_id, environment, user_visibility FROM organizations ORDER BY id": {"|org_1||LIVE|ALL", "|org_2|org_1|LIVE|ALL"},
			} {
				if got := rows(query); !slices.Equal(got, want) {
					t.Errorf("%s\ngives %q\nwant  %q", query, got, want)
				}
			}
			do("INSERT INTO members (id, created_at, email, name, role, organization_id, user_id) VALUES ('mem_03ef', '2026-11-23 09:00:00+00:00', 'olga@example.com', 'Olga', 'VIEWER', 'org_2', 'usr_01ab')")
			for _, twice := range []string{
				"INSERT INTO users (id, created_at, email, name) VALUES ('usr_3', '2026-11-23 09:00:00+00:00', 'olga@example.com', 'O')",
				"INSERT INTO members (id, created_at, email, name, role, organization_id, user_id) VALUES ('mem_4', '2026-11-23 09:00:00+00:00', 'o@example.com', 'O', 'VIEWER', 'org_1', 'usr_01ab')",
			} {
				if _, err := db.ExecContext(t.Context(), twice); err == nil {
					t.Errorf("somebody is there twice: %s", twice)
				}
			}
		})
	}
}

func nothing(context.Context, *sql.Tx) error { return nil }

func says(statements ...string) func() ([]string, error) {
	return func() ([]string, error) { return statements, nil }
}
