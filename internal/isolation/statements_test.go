package isolation_test

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"entgo.io/ent/dialect/sql/schema"

	"github.com/quorate/quorate/ent/migrate"
	"github.com/quorate/quorate/internal/auth"
)

// statement is SQL, and which part of the system it ran as: "" for a tenant.
type statement struct{ system, sql string }

// ran notes a statement.
func (w *walk) ran(ctx context.Context, sql string) {
	p, err := auth.From(ctx)
	if err != nil {
		p.Name = "nobody"
	} else if !p.IsSystem() {
		p.Name = ""
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.statements[statement{p.Name, sql}] = true
}

// scopes gives what a statement says in each of its SELECTs, the outermost
// last, without what is said in those inside.
func scopes(sql string) []string {
	var done []string
	open := []string{""}
	for i := range len(sql) {
		switch at := len(open) - 1; {
		case sql[i] == '(':
			open = append(open, "")
		case sql[i] == ')' && at > 0:
			inner := open[at]
			open = open[:at]
			if strings.HasPrefix(strings.TrimLeft(inner, " \n\t"), "SELECT") {
				done = append(done, inner)
				inner = "…"
			}
			open[at-1] += "(" + inner + ")"
		default:
			open[at] += string(sql[i])
		}
	}
	return append(done, strings.Join(open, ""))
}

var (
	unquote  = strings.NewReplacer("`", "", `"`, "")
	reads    = regexp.MustCompile(`(?:FROM|JOIN|UPDATE|INTO) (\w+)`)
	byTenant = regexp.MustCompile(`\b(?:vendor_id|customer_id|organization_id|provider_id)\b`)
	// A row that is known, or that has what nobody can guess.
	byRow = regexp.MustCompile(`\b(?:\w+\.)?(?:id|\w+_id|\w*digest|hash|link_token_hash|serial|virtual_serial|key)\b (?:=|IN)|WHERE FALSE$`)
	// What an edge ties to a row of the SELECT around.
	byEdge = regexp.MustCompile(`\b\w+\.\w+ = \w+\.\w+`)
	// ent reads a row that it has changed: the UPDATE before has found it.
	readsBack = regexp.MustCompile(`^SELECT [^()]* FROM (\w+) WHERE id = (?:\?|\$1)$`)
)

// loose gives the tables that a statement touches without saying of which tenant.
// A tenant's statement must say so in its outermost part; in a part inside, as
// all over in one of the system's, it may name a row instead, or what an edge leads to.
func loose(s statement, updated map[string]bool) []string {
	sql := unquote.Replace(s.sql)
	if m := readsBack.FindStringSubmatch(sql); m != nil && updated[m[1]] {
		return nil
	}
	var all []string
	parts := scopes(sql)
	for i, part := range parts {
		_, condition, _ := strings.Cut(part, " WHERE ")
		if strings.HasPrefix(part, "INSERT") {
			condition = part
		}
		named := byTenant.MatchString(condition)
		if s.system != "" || i < len(parts)-1 {
			named = named || byRow.MatchString(part) || byEdge.MatchString(condition)
		}
		for _, m := range reads.FindAllStringSubmatch(part, -1) {
			if !named && tenantTable(m[1]) {
				all = append(all, m[1])
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func tenantTable(name string) bool {
	return slices.ContainsFunc(migrate.Tables, func(t *schema.Table) bool { return t.Name == name }) && !slices.Contains(leftOut, name)
}

// free are what is said neither of one tenant nor of a row, and why that is right.
var free = map[string]string{
	"sign-in SELECT users":                  "who signs in is known by his address; whether he may is decided by what is found",
	"test environment INSERT organizations": "it is tied to the organization that it is the test environment of by live_id",
}

// statementsNameTenants fails the test for statements that don't say whose rows
// they are about.
func (w *walk) statementsNameTenants(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	found, updated := map[string]string{}, map[string]bool{}
	for s := range w.statements {
		if table, ok := strings.CutPrefix(unquote.Replace(s.sql), "UPDATE "); ok && s.system == "" && len(loose(s, nil)) == 0 {
			table, _, _ = strings.Cut(table, " ")
			updated[table] = true
		}
	}
	for s := range w.statements {
		for _, table := range loose(s, updated) {
			found[strings.TrimSpace(s.system+" "+strings.Fields(s.sql)[0]+" "+table)] = s.sql
		}
	}
	for _, what := range slices.Sorted(maps.Keys(found)) {
		if free[what] == "" {
			t.Errorf("%s: %s", what, found[what])
		}
	}
	for what := range free {
		if found[what] == "" && !w.postgres && len(w.statements) > 500 { // the whole walk
			t.Errorf("%s is not said any more", what)
		}
	}
	t.Logf("%d statements", len(w.statements))
}

// TestLooseStatementsAreFound: statements that say of no tenant whose rows they are
// about, and those that do.
func TestLooseStatementsAreFound(t *testing.T) {
	for _, c := range []struct {
		system, sql string
		want        int
	}{
		{"", "SELECT `id` FROM `orders` WHERE (`orders`.`vendor_id` = ? OR `orders`.`customer_id` = ?)", 0},
		{"", "SELECT `id`, `vendor_id` FROM `orders`", 1},
		{"", "SELECT `id` FROM `orders` WHERE `orders`.`id` = ?", 1},
		{"order", "SELECT `id` FROM `orders` WHERE `orders`.`id` = ?", 0},
		{"order", "SELECT `id` FROM `orders` WHERE `orders`.`quantity` > ?", 1},
		{"", "SELECT `id` FROM `items` WHERE `items`.`vendor_id` = ? AND EXISTS (SELECT `id` FROM `products` WHERE `products`.`id` = `items`.`product_id`)", 0},
		{"", "SELECT `id` FROM `items` WHERE EXISTS (SELECT `id` FROM `products` WHERE `products`.`vendor_id` = ?)", 1},
		{"", "SELECT `id` FROM `items` WHERE `items`.`vendor_id` = ? AND `items`.`name` IN (SELECT `name` FROM `products`)", 1},
		{"", "UPDATE `orders` SET `vendor_id` = ? WHERE `id` = ?", 1},
		{"", "DELETE FROM `orders` WHERE `id` = ?", 1},
		{"", "SELECT `id`, `name` FROM `tickets` WHERE `id` = ?", 0}, // after the UPDATE that it reads back
		{"", "SELECT `id`, `name` FROM `items` WHERE `id` = ?", 1},
		{"", "INSERT INTO `orders` (`id`, `number`) VALUES (?, ?)", 1},
		{"", "INSERT INTO `orders` (`id`, `vendor_id`) VALUES (?, ?)", 0},
		{"", "SELECT 1", 0},
	} {
		if got := loose(statement{c.system, c.sql}, map[string]bool{"tickets": true}); len(got) != c.want {
			t.Errorf("%s %s: %v", c.system, c.sql, got)
		}
	}
}
