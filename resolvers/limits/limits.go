// Package limits refuses operations of GraphQL before anything of them is
// executed: by their words, depth, aliases, page sizes and cost, and texts that
// no database takes. It bounds the cache of documents, too.
package limits

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/resolvers/present"
)

// What one operation may ask for.
const (
	// MostTokens bounds a document, in words.
	MostTokens = 2_000
	// mostRepeats bounds how often a document may write one name: validation
	// compares fields of the same name with each other, every pair of them.
	mostRepeats = 200
	// longestName bounds a name, in bytes: for one that is unknown those are
	// looked for that are spelt alike.
	longestName = 100
	// mostFragments bounds a document's fragments: validation compares each pair.
	mostFragments = 50
	mostDepth     = 15
	mostAliases   = 50
	// MostPage bounds a page, in entries.
	MostPage = 100
	// MostCost is what one operation may cost.
	MostCost = 50_000
	// mostVisits bounds the counting itself: fragments that spread fragments
	// make a small document large.
	mostVisits = 20_000
	// listCost is what a list without pages (backends, steps …) counts as.
	listCost = 5
	// countCost is what a page costs beside its entries whose `totalCount` is asked
	// for: all rows are counted, however many there are.
	countCost = 200
	// pointsAtOne is how many points that a report adds up cost one.
	pointsAtOne = 10
	// schemaCost is what a field within an introspection counts as: it is written
	// for each type, or each field or argument of each.
	schemaCost = 20
	// schemaAlias is how many aliases one within an introspection counts as:
	// each repeats a good part of the schema, for anybody who asks.
	schemaAlias = 10
)

// Limits refuses an operation before it is executed. Every field costs one, those
// of the schema schemaCost;
// what is below a page costs as many times as the page is large, and what is below
// the points of usage over time as many times as there may be. A report costs by
// the points that it adds up, too.
type Limits struct {
	// Known are documents that were found to be right: their words were looked at.
	Known QueryCache
}

var _ interface {
	graphql.HandlerExtension
	graphql.OperationParameterMutator
	graphql.OperationContextMutator
} = Limits{}

// ExtensionName names the extension.
func (Limits) ExtensionName() string { return "Limits" }

// Validate has nothing to check.
func (Limits) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext counts.
func (Limits) MutateOperationContext(_ context.Context, op *graphql.OperationContext) *gqlerror.Error {
	if !storableAll(op.Variables) {
		return present.Final(unstorable("a variable"))
	}
	c := counter{vars: op.Variables}
	cost := c.selections(op.Operation.SelectionSet, 1)
	if c.err == nil && cost > MostCost {
		c.err = tooLarge("the query costs %d of at most %d", cost, MostCost)
	}
	if c.err != nil {
		return present.Final(c.err)
	}
	op.Stats.SetExtension(costKey, cost)
	return nil
}

const costKey = "Limits.cost"

// Cost is what an operation costs that passed the limits; at least 1.
func Cost(op *graphql.OperationContext) int {
	cost, _ := op.Stats.GetExtension(costKey).(int)
	return max(cost, 1)
}

type counter struct {
	vars    map[string]any
	visits  int
	aliases int
	points  int // of the usage over time that is looked at
	err     *license.Error
}

func (c *counter) selections(set ast.SelectionSet, depth int) int {
	cost := 0
	for _, s := range set {
		if c.visits++; c.err == nil && c.visits > mostVisits {
			c.err = tooLarge("the query has more than %d fields", mostVisits)
		}
		if c.err != nil {
			return 0
		}
		switch s := s.(type) {
		case *ast.Field:
			cost = add(cost, c.field(s, depth))
		case *ast.FragmentSpread:
			cost = add(cost, c.selections(s.Definition.SelectionSet, depth))
		case *ast.InlineFragment:
			cost = add(cost, c.selections(s.SelectionSet, depth))
		}
	}
	return cost
}

func (c *counter) field(f *ast.Field, depth int) int {
	if f.Name == "__schema" || f.Name == "__type" {
		c.alias(f, schemaAlias)
		return 1 + schemaCost*c.introspection(f.SelectionSet)
	}
	if depth > mostDepth {
		c.err = tooLarge("the query is more than %d levels deep", mostDepth)
		return 0
	}
	c.alias(f, 1)
	if f.Name == "usage" {
		defer func(before int) { c.points = before }(c.points)
		c.points = usagePoints(f.ArgumentMap(c.vars))
	}
	for _, a := range f.Arguments {
		if !storableValue(a.Value) {
			c.err = unstorable(fmt.Sprintf("`%s` of `%s`", a.Name, f.Name))
			return 0
		}
	}
	if f.Arguments.ForName("input") != nil {
		if in, _ := f.ArgumentMap(c.vars)["input"].(map[string]any); in["idempotencyKey"] == "" {
			c.err = noKey()
			return 0
		}
	}
	times := 1
	switch {
	case paged(f.Definition):
		times = c.page(f)
	case f.Name == "points":
		times = c.points
	case f.Definition.Type.Elem != nil && f.Name != "edges":
		times = listCost
	}
	cost := 1
	switch {
	case f.Name == "usageReport":
		cost += times * usagePoints(f.ArgumentMap(c.vars)) / pointsAtOne
	case paged(f.Definition) && counts(f.SelectionSet):
		cost += countCost
	}
	return add(cost, times*c.selections(f.SelectionSet, depth+1))
}

// counts says whether a page's rows are to be counted.
func counts(set ast.SelectionSet) bool {
	return slices.ContainsFunc(set, func(s ast.Selection) bool {
		switch s := s.(type) {
		case *ast.Field:
			return s.Name == "totalCount"
		case *ast.FragmentSpread:
			return counts(s.Definition.SelectionSet)
		case *ast.InlineFragment:
			return counts(s.SelectionSet)
		}
		return false
	})
}

// usagePoints is how many points a question about usage over time may have; the
// most where its arguments don't tell.
func usagePoints(args map[string]any) int {
	moment := func(v any) (time.Time, bool) {
		s, ok := v.(string)
		at, err := time.Parse(time.RFC3339, s)
		return at, ok && err == nil
	}
	from, ok := moment(args["from"])
	to := time.Now()
	if args["to"] != nil && ok {
		to, ok = moment(args["to"])
	}
	name, _ := args["resolution"].(string)
	r, err := history.ResolutionOf(property.UsageResolution(name))
	if !ok || err != nil {
		return history.MostPoints
	}
	return int(min(max(to.Sub(from)/time.Duration(r), 0)+2, history.MostPoints))
}

func (c *counter) alias(f *ast.Field, weight int) {
	if f.Alias == f.Name {
		return
	}
	if c.aliases += weight; c.aliases > mostAliases {
		c.err = tooLarge("the query has more than %d aliases, where one within __schema or __type counts as %d", mostAliases, schemaAlias)
	}
}

// introspection counts the fields below __schema and __type.
func (c *counter) introspection(set ast.SelectionSet) (fields int) {
	for _, s := range set {
		if c.visits++; c.err == nil && c.visits > mostVisits {
			c.err = tooLarge("the query has more than %d fields", mostVisits)
		}
		if c.err != nil {
			return 0
		}
		switch s := s.(type) {
		case *ast.Field:
			c.alias(s, schemaAlias)
			fields += 1 + c.introspection(s.SelectionSet)
		case *ast.FragmentSpread:
			fields += c.introspection(s.Definition.SelectionSet)
		case *ast.InlineFragment:
			fields += c.introspection(s.SelectionSet)
		}
	}
	return fields
}

// page gives the size of a page, and refuses sizes and cursors that are none.
func (c *counter) page(f *ast.Field) int {
	args := f.ArgumentMap(c.vars)
	first, errFirst := size(args["first"])
	last, errLast := size(args["last"])
	switch {
	case errFirst != nil || errLast != nil:
		c.err = license.Errorf(license.CodeInvalidInput, fmt.Sprintf("ask for 1 to %d entries and page on by cursor", MostPage),
			"`%s` asks for a page of a size that is not allowed", f.Name)
		return 0
	case (first == 0) == (last == 0):
		c.err = license.Errorf(license.CodeInvalidInput, "give either `first` or `last`", "the page of `%s` is not well defined", f.Name)
		return 0
	}
	for _, name := range []string{"after", "before"} {
		if v := args[name]; v != nil {
			var cursor ent.Cursor
			if err := cursor.UnmarshalGQL(v); err != nil || !storable(cursor.ID) || !storableAll(cursor.Value) {
				c.err = license.Errorf(license.CodeInvalidInput, "use a cursor out of `pageInfo` or `edges` as it is",
					"`%s` of `%s` is not a cursor", name, f.Name)
				return 0
			}
		}
	}
	return max(first, last)
}

// size reads a page size; 0 is none given.
func size(v any) (int, error) {
	var n int64
	switch v := v.(type) {
	case nil:
		return 0, nil
	case int64:
		n = v
	case int:
		n = int64(v)
	case float64:
		n = int64(v)
	case json.Number:
		var err error
		if n, err = v.Int64(); err != nil {
			return 0, err
		}
	default:
		return 0, fmt.Errorf("%T is no number", v)
	}
	if n < 1 || n > MostPage {
		return 0, strconv.ErrRange
	}
	return int(n), nil
}

func paged(d *ast.FieldDefinition) bool {
	return d.Arguments.ForName("first") != nil && d.Arguments.ForName("last") != nil
}

// add is a sum that stops at the largest number; costs stay far below it, since
// depth and page sizes are bounded first.
func add(a, b int) int {
	if a > math.MaxInt-b {
		return math.MaxInt
	}
	return a + b
}

func tooLarge(format string, args ...any) *license.Error {
	return license.Errorf(license.CodeTooLarge, "ask for smaller pages or fewer fields, in several queries", format, args...)
}

// storable says whether every database takes a text: PostgreSQL has no NUL.
func storable(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

func storableAll(v any) bool {
	switch v := v.(type) {
	case string:
		return storable(v)
	case []any:
		return !slices.ContainsFunc(v, func(v any) bool { return !storableAll(v) })
	case map[string]any:
		for _, v := range v {
			if !storableAll(v) {
				return false
			}
		}
	}
	return true
}

func storableValue(v *ast.Value) bool {
	return v == nil || storable(v.Raw) &&
		!slices.ContainsFunc(v.Children, func(c *ast.ChildValue) bool { return !storableValue(c.Value) })
}

// noKey: whose key got lost on the way would think himself safe, and make
// everything twice.
func noKey() *license.Error {
	return &license.Error{
		Code: license.CodeInvalidInput, Message: "the idempotency key is empty", Fix: "give a key, such as a UUID, or leave it out",
		Details: map[string]any{"field": "idempotencyKey"},
	}
}

func unstorable(what string) *license.Error {
	return license.Errorf(license.CodeInvalidInput, "send text in UTF-8 without NUL characters", "%s is not plain text", what)
}
