package ent

import (
	"context"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// byName begins the steps of a path that are told by what a field is; others are
// told by what the query calls it. No field is called so.
const byName = "#"

// collectedField is the field that a path leads to from the present one, with all
// that is selected of it, under whichever names; nil: it isn't asked for.
func collectedField(ctx context.Context, path ...string) *graphql.CollectedField {
	fc := graphql.GetFieldContext(ctx)
	if fc == nil {
		return nil
	}
	field := fc.Field
	for _, step := range path {
		name, named := strings.CutPrefix(step, byName)
		var next *graphql.CollectedField
		for _, f := range graphql.CollectFields(graphql.GetOperationContext(ctx), field.Selections, nil) {
			switch {
			case named && f.Name != name, !named && f.Alias != step:
			case next == nil:
				next = &f
			default:
				next.Selections = merged(next.Selections, f.Selections)
			}
		}
		if next == nil {
			return nil
		}
		field = *next
	}
	return &field
}

// allNames is a field with what is selected of it under all of its names among
// fields: what it leads to is one row, which is read once.
func allNames(fields []graphql.CollectedField, field graphql.CollectedField) graphql.CollectedField {
	for _, f := range fields {
		if f.Name == field.Name && f.Alias != field.Alias {
			field.Selections = merged(field.Selections, f.Selections)
		}
	}
	return field
}

// merged are two sets of selections as one. Where both use a name for different
// things, as in `a: firm { p: products(first: 1) … } b: firm { p: products(first: 5) … }`,
// it is nothing known: the row is read whole then, and what lies below by itself.
func merged(a, b ast.SelectionSet) ast.SelectionSet {
	both := slices.Concat(a, b)
	if clash(both) {
		return ast.SelectionSet{&ast.Field{Name: byName, Alias: byName}}
	}
	return both
}

// clash says whether selections use a name for different things.
func clash(set ast.SelectionSet) bool {
	called := map[string][]*ast.Field{}
	var gather func(ast.SelectionSet)
	gather = func(set ast.SelectionSet) {
		for _, s := range set {
			switch s := s.(type) {
			case *ast.Field:
				called[s.Alias] = append(called[s.Alias], s)
			case *ast.InlineFragment:
				gather(s.SelectionSet)
			case *ast.FragmentSpread:
				gather(s.Definition.SelectionSet)
			}
		}
	}
	gather(set)
	for name, same := range called {
		if name == byName { // of a clash before
			return true
		}
		var below ast.SelectionSet
		for _, f := range same {
			if f.Name != same[0].Name || !sameArguments(f.Arguments, same[0].Arguments) {
				return true
			}
			below = append(below, f.SelectionSet...)
		}
		if len(same) > 1 && clash(below) {
			return true
		}
	}
	return false
}

func sameArguments(a, b ast.ArgumentList) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(one *ast.Argument) bool {
		other := b.ForName(one.Name)
		return other == nil || other.Value.String() != one.Value.String()
	})
}
