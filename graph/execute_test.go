package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

func encoded(m graphql.Marshaler) string {
	var b bytes.Buffer
	m.MarshalGQL(&b)
	return b.String()
}

// executing gives a context of an operation, and what executes it.
func executing(t *testing.T) (context.Context, *executionContext) {
	t.Helper()
	op := &graphql.OperationContext{
		Doc: &ast.QueryDocument{}, RecoverFunc: func(context.Context, any) error { return errors.New("it panicked") },
		ResolverMiddleware: func(ctx context.Context, next graphql.Resolver) (any, error) { return next(ctx) },
	}
	ctx := graphql.WithOperationContext(t.Context(), op)
	ctx = graphql.WithResponseContext(ctx, graphql.DefaultErrorPresenter, op.RecoverFunc)
	return ctx, newExecutionContext(op, &executableSchema{}, nil)
}

func selected(names ...string) (set ast.SelectionSet) {
	for _, n := range names {
		set = append(set, &ast.Field{Name: n, Alias: n})
	}
	return set
}

// Fields stand in the order they were asked for, however they got their values.
func TestObjectsAreWrittenInOrder(t *testing.T) {
	ctx, ec := executing(t)
	one := graphql.MarshalInt(1)
	now := func() graphql.Marshaler { return one }
	for _, c := range []struct{ kinds, want string }{
		{"", `{}`},
		{"t", `{"a":"x"}`},
		{"v", `{"a":1}`},
		{"tv", `{"a":"x","b":1}`},
		{"vt", `{"a":1,"b":"x"}`},
		{"ttvvl", `{"a":"x","b":"x","c":1,"d":1,"e":1}`},
		{"lvtlt", `{"a":1,"b":1,"c":"x","d":1,"e":"x"}`},
		{"0nbmz", `{"a":null,"b":-7,"c":true,"d":"2026-12-01T00:00:00.5Z","e":null}`},
	} {
		out := ec.object(c.kinds, selected("a", "b", "c", "d", "e")[:len(c.kinds)], nil)
		for i, kind := range c.kinds {
			switch kind {
			case 't':
				out.text(i, "x")
			case 'v':
				out.set(i, now(), true)
			case 'l':
				out.later(i, true, func(context.Context) graphql.Marshaler { return now() })
			case '0':
				out.null(i)
			case 'n':
				out.number(i, -7)
			case 'b':
				out.truth(i, true)
			case 'm':
				out.moment(i, time.Date(2026, 12, 1, 0, 0, 0, 5e8, time.UTC))
			case 'z':
				out.moment(i, time.Time{})
			}
		}
		if got := encoded(out.done(ctx)); got != c.want {
			t.Errorf("%s: %s, want %s", c.kinds, got, c.want)
		}
	}
}

// An object without a value that it must have is null; so is one whose field
// panics.
func TestObjectsWithoutWhatTheyMustHaveAreNull(t *testing.T) {
	for name, c := range map[string]struct {
		fill   func(o *object)
		null   bool
		errors int
	}{
		"required":       {fill: func(o *object) { o.set(0, graphql.Null, true) }, null: true},
		"not required":   {fill: func(o *object) { o.set(0, graphql.Null, false) }},
		"required later": {fill: func(o *object) { o.later(0, true, func(context.Context) graphql.Marshaler { return graphql.Null }) }, null: true},
		"not later":      {fill: func(o *object) { o.later(0, false, func(context.Context) graphql.Marshaler { return graphql.Null }) }},
		"panic":          {fill: func(o *object) { o.later(0, true, func(context.Context) graphql.Marshaler { panic("x") }) }, null: true, errors: 1},
	} {
		ctx, ec := executing(t)
		out := ec.object("X", selected("a"), nil)
		c.fill(out)
		got := encoded(out.done(ctx))
		if (got == "null") != c.null || !c.null && got != `{"a":null}` || len(graphql.GetErrors(ctx)) != c.errors {
			t.Errorf("%s: %s, %v", name, got, graphql.GetErrors(ctx))
		}
	}
}

// Entries keep their order and know their place, whoever executes them.
func TestListsAreExecutedInOrder(t *testing.T) {
	for _, n := range []int{0, 1, few - 1, few, few + 1, 50} {
		ctx, ec := executing(t)
		all := ec.list(ctx, n, func(ctx context.Context, i int) graphql.Marshaler {
			if at := *graphql.GetFieldContext(ctx).Index; at != i {
				t.Errorf("%d is told that it is %d", i, at)
			}
			return graphql.MarshalInt(i)
		})
		var got []int
		if err := json.Unmarshal([]byte(encoded(all)), &got); err != nil || len(got) != n || !slices.IsSorted(got) {
			t.Errorf("%d: %v, %v", n, got, err)
		}
	}
	for _, n := range []int{1, 50} {
		ctx, ec := executing(t)
		all := ec.list(ctx, n, func(context.Context, int) graphql.Marshaler { panic("x") })
		if errs := graphql.GetErrors(ctx); all != nil || len(errs) != n || errs[0].Path.String() == "" {
			t.Errorf("%d: %v, %v", n, all, errs)
		}
	}
}

func TestNamesAreWrittenOnce(t *testing.T) {
	_, ec := executing(t)
	set := ast.SelectionSet{
		&ast.Field{Name: "a", Alias: "a", ObjectDefinition: &ast.Definition{Name: "X"}},
		&ast.Field{Name: "a", Alias: "a", ObjectDefinition: &ast.Definition{Name: "Y"}},
		&ast.Field{Name: "a", Alias: "b"},
	}
	if out := ec.object("X", set, nil); len(out.fields) != 2 {
		t.Errorf("%d fields", len(out.fields))
	}
}

// What is asked for later is not part of the first answer, and comes with its
// label.
func TestDeferredFieldsComeLater(t *testing.T) {
	ctx, ec := executing(t)
	ec.DeferredResults = make(chan graphql.DeferredResult)
	later := &ast.InlineFragment{Directives: ast.DirectiveList{{Name: "defer"}}, SelectionSet: selected("b")}
	out := ec.object("X", append(selected("a"), later), nil)
	out.text(0, "x")
	out.later(1, true, func(context.Context) graphql.Marshaler { return graphql.MarshalInt(2) })
	if got := encoded(out.done(ctx)); got != `{"a":"x","b":null}` {
		t.Error(got)
	}
	if got := encoded((<-ec.DeferredResults).Result); got != `{"b":2}` {
		t.Error(got)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"", "a", "\"\\/", "\x00\n\r\t\x1f", "ü€😀", "\u2028<>&", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got, want string
		if err := json.Unmarshal(appendText(nil, s), &got); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if err := json.Unmarshal([]byte(encoded(graphql.MarshalString(s))), &want); err != nil || got != want {
			t.Fatalf("%q, want %q, %v", got, want, err)
		}
	})
}
