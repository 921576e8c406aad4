package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/lib/pq"

	"github.com/quorate/quorate/ent/migrate"
	"github.com/quorate/quorate/internal/license"
)

// PostgreSQL's row-level security stands behind the guard: were a predicate
// forgotten, the database itself would keep foreign rows back. The policies say
// the same as guard.go, by the same table of ownership; what a session's
// settings tell them is made by tenantconn.go before each statement. Foreign
// keys and unique indexes are checked by PostgreSQL regardless of policies, and
// the tables of migrations and of the job queue have none.

// policy is one of a table's: which rows a command finds (using), and which it
// may leave behind (check).
type policy struct{ name, command, using, check string }

func (p policy) hash() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{p.command, p.using, p.check}, "\x00")))
	return hex.EncodeToString(sum[:])
}

// policies are those of an entity by its ownership.
func policies(rule ownership) []policy {
	// A subselect is evaluated once per statement, not once per row.
	const asks, provider = "(SELECT current_setting('quorate.organization', true))", "(SELECT current_setting('quorate.provider', true))"
	// CASE, as PostgreSQL takes it for half of the rows: estimated by its
	// parts, the guard's own predicate would count twice and a page would be
	// sorted instead of read along its index.
	is := func(otherwise string, columns ...string) string {
		return fmt.Sprintf("CASE %s WHEN %s THEN true ELSE %s END", asks, strings.Join(append(columns, "'"+everybody+"'"), " THEN true WHEN "), otherwise)
	}
	var reads, changes, adds string
	switch rule {
	case itself:
		reads, adds = is("false", "id", "provider_id"), is("false", "provider_id")
		changes = reads
	case owned:
		reads = is("false", "organization_id")
		changes, adds = reads, reads
	case shared:
		reads = is("false", "vendor_id", "customer_id")
		changes, adds = reads, is(asks+" = customer_id AND "+provider+" = vendor_id", "vendor_id")
	case catalog:
		reads = is("customer_id IS NULL AND "+provider+" = vendor_id", "vendor_id", "customer_id")
		changes = is("false", "vendor_id")
		adds = changes
	default: // global
		reads = is("false")
		changes, adds = reads, reads
	}
	return []policy{
		{"quorate_read", "SELECT", reads, ""},
		{"quorate_add", "INSERT", "", adds},
		// Rows that may be read may be locked; none may be left changed.
		{"quorate_change", "UPDATE", reads, changes},
		{"quorate_remove", "DELETE", changes, ""},
	}
}

// ownershipOfTable finds the entity that ent keeps in a table; unknown when
// there is none.
func ownershipOfTable(table string) ownership {
	name := ""
	for part := range strings.FieldsFuncSeq(table, func(r rune) bool { return r == '_' }) {
		name += strings.ToUpper(part[:1]) + part[1:]
	}
	for suffix, with := range map[string]string{"": "", "s": "", "es": "", "ies": "y"} {
		if stem, ok := strings.CutSuffix(name, suffix); ok {
			if rule := ownershipOf(stem + with); rule != unknown {
				return rule
			}
		}
	}
	return unknown
}

// secure makes the policies of all tables that don't have them as they are
// here. Those that are right already are not touched, so that a start locks
// nothing.
func secure(ctx context.Context, tx *sql.Tx) error {
	present, err := secured(ctx, tx)
	if err != nil {
		return err
	}
	var say strings.Builder
	for _, table := range migrate.Tables {
		rule := ownershipOfTable(table.Name)
		if rule == unknown {
			return fmt.Errorf("whose the rows of %s are is not said in guard.go", table.Name)
		}
		name := pq.QuoteIdentifier(table.Name)
		if !present[table.Name]["enabled"] {
			fmt.Fprintf(&say, "ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;\n", name)
		}
		for _, p := range policies(rule) {
			if present[table.Name][p.name+" "+p.hash()] {
				continue
			}
			fmt.Fprintf(&say, "DROP POLICY IF EXISTS %s ON %s;\nCREATE POLICY %[1]s ON %[2]s FOR %s", p.name, name, p.command)
			if p.using != "" {
				fmt.Fprintf(&say, " USING (%s)", p.using)
			}
			if p.check != "" {
				fmt.Fprintf(&say, " WITH CHECK (%s)", p.check)
			}
			fmt.Fprintf(&say, ";\nCOMMENT ON POLICY %s ON %s IS '%s';\n", p.name, name, p.hash())
		}
	}
	if say.Len() == 0 {
		return nil
	}
	if _, err := tx.ExecContext(ctx, say.String()); err != nil {
		return fmt.Errorf("make the policies of row-level security: %w", err)
	}
	return nil
}

// secured gives, by table, "enabled" and "policy hash" of what there is.
func secured(ctx context.Context, tx *sql.Tx) (map[string]map[string]bool, error) {
	rows, err := tx.QueryContext(ctx, `SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity,
		coalesce(p.polname || ' ' || obj_description(p.oid, 'pg_policy'), '')
		FROM pg_class c LEFT JOIN pg_policy p ON p.polrelid = c.oid
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'`)
	if err != nil {
		return nil, fmt.Errorf("read the policies of row-level security: %w", err)
	}
	defer func() { _ = rows.Close() }()
	found := make(map[string]map[string]bool)
	for rows.Next() {
		var table, described string
		var enabled bool
		if err := rows.Scan(&table, &enabled, &described); err != nil {
			return nil, fmt.Errorf("read the policies of row-level security: %w", err)
		}
		if found[table] == nil {
			found[table] = make(map[string]bool)
		}
		found[table][described] = true
		found[table]["enabled"] = enabled
	}
	return found, rows.Err()
}

// CheckRole says by an error with license.CodeForbidden that row-level security
// has no effect, because the role that s is connected as bypasses it. What is
// left then is the guard. On SQLite, which has no such thing, it is nil.
func (s *Store) CheckRole(ctx context.Context) error {
	if s.dialect != "postgres" {
		return nil
	}
	var role string
	var bypasses bool
	if err := s.pools.all.QueryRowContext(ctx, "SELECT rolname, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user").Scan(&role, &bypasses); err != nil {
		return fmt.Errorf("ask what the database's role may do: %w", err)
	}
	if bypasses {
		return license.Errorf(license.CodeForbidden, "make the database's owner an ordinary role: CREATE ROLE … LOGIN NOSUPERUSER NOBYPASSRLS",
			"the PostgreSQL role %q bypasses row-level security", role)
	}
	return nil
}
