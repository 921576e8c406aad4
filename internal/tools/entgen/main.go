// Command entgen makes the generated code of package ent. It is run from the
// repository's root: go run ./internal/tools/entgen
package main

import (
	"bytes"
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"entgo.io/contrib/entgql"
	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "entgen:", err)
		os.Exit(1)
	}
}

func run() error {
	if _, err := os.Stat("go.mod"); err != nil {
		return fmt.Errorf("run it from the repository's root: %w", err)
	}
	// The public schema is written by hand, so entgql's schema generator and
	// its filters stay off: it makes the Relay pages and the node lookup.
	graphql, err := entgql.NewExtension(entgql.WithRelaySpec(true))
	if err != nil {
		return err
	}
	if err := entc.Generate("./ent/schema", &gen.Config{
		Target:  "ent",
		Package: "github.com/quorate/quorate/ent",
		// No upserts, modifiers or SQL text through a client: each is a way past
		// the tenant guard of internal/store.
		Features: []gen.Feature{gen.FeatureIntercept, gen.FeatureVersionedMigration, gen.FeatureNamedEdges},
	}, entc.Extensions(graphql)); err != nil {
		return err
	}
	if err := joinErrors(filepath.Join("ent", "gql_node.go")); err != nil {
		return err
	}
	if err := anyNames(filepath.Join("ent", "gql_pagination.go"), filepath.Join("ent", "gql_collection.go")); err != nil {
		return err
	}
	if err := countWhenAsked(filepath.Join("ent", "gql_pagination.go"), filepath.Join("ent", "gql_collection.go")); err != nil {
		return err
	}
	if err := betweenCursors(filepath.Join("ent", "gql_pagination.go")); err != nil {
		return err
	}
	if err := scanAgain("ent"); err != nil {
		return err
	}
	if err := askTogether("ent"); err != nil {
		return err
	}
	return newestFirst(filepath.Join("ent", "gql_pagination.go"), "Allocation", "Denial", "ItemVersion", "Order", "Rollout", "RolloutPlan", "AuditEntry")
}

// anyNames has fields found by what they are, whatever a query calls them: entgql
// knows `edges`, `node`, `pageInfo` and `totalCount` by these names alone, and
// reads of what is asked for under two names what the last one wants
// (ent/collected.go).
func anyNames(pages, fields string) error {
	if err := replace(pages, []edit{
		{was: `(?s)func collectedField\(.*?\n\}\n`},
		{`(edges|node|pageInfo|totalCount)Field(\s+)= "`, `${1}Field${2}= byName + "`},
	}); err != nil {
		return err
	}
	return replace(fields, []edit{
		{`for _, field := range graphql\.CollectFields\(opCtx, collected\.Selections, satisfies\) \{`,
			"fields := graphql.CollectFields(opCtx, collected.Selections, satisfies)\nfor _, field := range fields {"},
		{`alias = field\.Alias\s+(path\s+= append\(path, )alias(\)\s+query = [^\n]+\s+\)\s+if err := query\.collectField\(ctx, oneNode, opCtx, )field(, path, [^\n]+\s+return err\s+\}\s+_q\.with\w+ = query)`,
			"${1}byName+field.Name${2}allNames(fields, field)${3}"},
	})
}

// countWhenAsked keeps a page from counting all rows where nobody asks how many
// there are: whether there are more is told by the one row that it reads too
// many, also where nobody asks for its entries.
func countWhenAsked(pages, fields string) error {
	if err := replace(pages, []edit{
		{`ignoredEdges := !hasCollectedField\(ctx, edgesField\)`, "ignoredEdges := !hasCollectedField(ctx, edgesField) && !hasCollectedField(ctx, pageInfoField)"},
		{`if hasCollectedField\(ctx, totalCountField\) \|\| hasCollectedField\(ctx, pageInfoField\) \{`, "if hasCollectedField(ctx, totalCountField) {"},
	}); err != nil {
		return err
	}
	return replace(fields, []edit{
		{`ignoredEdges := !hasCollectedField\(ctx, append\(path, edgesField\)\.\.\.\)`,
			"ignoredEdges := !hasCollectedField(ctx, append(path, edgesField)...) && !hasCollectedField(ctx, append(path, pageInfoField)...)"},
		{`if hasCollectedField\(ctx, append\(path, totalCountField\)\.\.\.\) \|\| hasCollectedField\(ctx, append\(path, pageInfoField\)\.\.\.\) \{`,
			"if hasCollectedField(ctx, append(path, totalCountField)...) {"},
	})
}

// betweenCursors has a page lie behind `after` and before `before`, whichever end
// it is read from, and refuses cursors of other lists (ent/between.go).
func betweenCursors(path string) error {
	var edits []edit
	src, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, e := range regexp.MustCompile(`var Default(\w+)Order = `).FindAllSubmatch(src, -1) {
		column := "Default" + string(e[1]) + "Order.Field.column"
		edits = append(edits, edit{
			`direction := p\.order\.Direction\s+if p\.reverse \{\s+direction = direction\.Reverse\(\)\s+\}\s+for _, predicate := range entgql\.CursorsPredicate\(after, before, ` + column + `, p\.order\.Field\.column, direction\) \{\s+query = query\.Where\(predicate\)\s+\}`,
			"places, err := between(after, before, " + column + ", p.order.Direction, " + strings.ToLower(string(e[1])) + ".DefaultID)\nif err != nil {\nreturn nil, err\n}\nfor _, place := range places {\nquery = query.Where(place)\n}",
		})
	}
	return replace(path, edits)
}

// edit is of each place that a pattern matches; without new text it goes.
type edit struct{ was, now string }

// replace edits generated code, and fails where it isn't as expected.
func replace(path string, edits []edit) error {
	src, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, e := range edits {
		was := regexp.MustCompile(e.was)
		if !was.Match(src) {
			return fmt.Errorf("%s has no %s: entgql has changed", path, e.was)
		}
		src = was.ReplaceAll(src, []byte(e.now))
	}
	if src, err = format.Source(src); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, src, 0o644)
}

// scanAgain has a query scan all its rows into the same values (ent/scan.go).
func scanAgain(dir string) error {
	all, err := filepath.Glob(filepath.Join(dir, "*_query.go"))
	if err != nil {
		return err
	}
	was := regexp.MustCompile(`_spec\.ScanValues = func\(columns \[\]string\) \(\[\]any, error\) \{\s+return \(\*(\w+)\)\.scanValues\(nil, columns\)\s+\}`)
	for _, path := range all {
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if len(was.FindAll(src, -1)) != 1 {
			return fmt.Errorf("%s no longer scans as expected: ent has changed", path)
		}
		if err := os.WriteFile(path, was.ReplaceAll(src, []byte("_spec.ScanValues = reused((*${1})(nil).scanValues)")), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// askTogether has rows that belong to others asked for by one statement for any
// number of them (ent/among.go).
func askTogether(dir string) error {
	all, err := filepath.Glob(filepath.Join(dir, "*_query.go"))
	if err != nil {
		return err
	}
	byID := regexp.MustCompile(`query\.Where\((\w+)\.IDIn\(ids\.\.\.\)\)`)
	byKey := regexp.MustCompile(`query\.Where\(predicate\.\w+\(func\(s \*sql\.Selector\) \{\s+s\.Where\(sql\.InValues\(s\.C\(([\w.]+)\), fks\.\.\.\)\)\s+\}\)\)`)
	other := regexp.MustCompile(`IDIn\(|InValues\(`)
	for _, path := range all {
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		src = byID.ReplaceAll(src, []byte("query.Where(among(${1}.FieldID, ids))"))
		src = byKey.ReplaceAll(src, []byte("query.Where(amongKeys(${1}, fks))"))
		if other.Match(src) {
			return fmt.Errorf("%s asks for rows of others in another way than expected: ent has changed", path)
		}
		if err := os.WriteFile(path, src, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// newestFirst makes the pages of some entities begin with the newest one, also
// where entgql loads a nested page together with its parents.
func newestFirst(path string, entities ...string) error {
	src, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, e := range entities {
		was := fmt.Sprintf("var Default%[1]sOrder = &%[1]sOrder{\n\tDirection: entgql.OrderDirectionAsc,", e)
		if !bytes.Contains(src, []byte(was)) {
			return fmt.Errorf("%s no longer declares Default%sOrder as expected: entgql has changed", path, e)
		}
		src = bytes.Replace(src, []byte(was), bytes.Replace([]byte(was), []byte("Asc"), []byte("Desc"), 1), 1)
	}
	if src, err = format.Source(src); err != nil {
		return err
	}
	return os.WriteFile(path, src, 0o644)
}

// joinErrors makes entgql's node lookup join errors by the standard library:
// the template asks for a module of its own for two calls.
func joinErrors(path string) error {
	src, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, r := range [][2]string{
		{`"github.com/hashicorp/go-multierror"`, `stderrors "errors"`},
		{`multierror.Append(`, `stderrors.Join(`},
	} {
		if !bytes.Contains(src, []byte(r[0])) {
			return fmt.Errorf("%s no longer contains %s: entgql has changed", path, r[0])
		}
		src = bytes.ReplaceAll(src, []byte(r[0]), []byte(r[1]))
	}
	if src, err = format.Source(src); err != nil {
		return err
	}
	return os.WriteFile(path, src, 0o644)
}
