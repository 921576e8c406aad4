package resolvers_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/quorate/quorate/internal/store"
)

// byOtherNames asks a query anew, once with each field under another name and
// once with what is asked of each field asked for under two names, a half each:
// what is answered must be the same.
func byOtherNames(t *testing.T, asked request, answer []byte, ask func(request) []byte) (compared int) {
	t.Helper()
	var want any
	if err := json.Unmarshal(answer, &want); err != nil || want.(map[string]any)["errors"] != nil {
		return 0
	}
	for _, several := range []bool{false, true} {
		query, only := renamedQuery(t, asked.Query, several)
		if !only {
			return compared
		}
		var got any
		if err := json.Unmarshal(ask(request{Query: query, Variables: asked.Variables}), &got); err != nil {
			t.Fatal(err)
		}
		if text := fmt.Sprint(got.(map[string]any)["errors"]); strings.Contains(text, "TOO_LARGE") || strings.Contains(text, "THROTTLED") {
			continue // has too many names by now, or asks for a check of rules twice
		}
		data, err := ownNames(got.(map[string]any)["data"])
		if got = map[string]any{"data": data}; err != nil || !reflect.DeepEqual(scrub(got), scrub(want)) {
			t.Errorf("%s\ngives\n%v\nand with its own names\n%v\n%v", query, got, want, err)
		}
		compared++
	}
	return compared
}

// What has a name twice, of different things, is each what was asked for.
func TestOneNameForDifferentPages(t *testing.T) {
	w := newWorld(t)
	w.change("", "", func(tx *store.Tx) error {
		for i := range 3 {
			if err := tx.Product.Create().SetVendorID("org_charts").SetFirmID("frm_1").SetCode(100 + i).
				SetName(fmt.Sprint(i)).SetSealedKey([]byte{1}).SetPublicKey([]byte{1}).Exec(w.system()); err != nil {
				return err
			}
		}
		return nil
	})
	const page = `p: products(first: %d) { edges { node { code } } pageInfo { hasNextPage } }`
	one, all := fmt.Sprintf(page, 1), fmt.Sprintf(page, 50)
	for _, query := range []string{
		"{ firms(first: 1) { xa: edges { node { " + one + " } } xb: edges { node { " + all + " } } xc: edges { node { p: name } } } }",
		"{ products(first: 1) { edges { node { xa: firm { " + one + " } xb: firm { " + all + " } xc: firm { p: code } xd: firm { p: name code } } } } }",
		"{ products(first: 1) { xa: edges { node { firm { " + one + " } } } xb: edges { node { firm { " + all + " } } } } }",
	} {
		var got any
		if err := json.Unmarshal(ask(w.serve("owner"), request{Query: query}).Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		pages := map[string]int{}
		var look func(any)
		look = func(v any) {
			switch v := v.(type) {
			case map[string]any:
				if p, ok := v["p"].(map[string]any); ok {
					pages[fmt.Sprint(len(p["edges"].([]any)), p["pageInfo"])]++
				}
				for _, e := range v {
					look(e)
				}
			case []any:
				for _, e := range v {
					look(e)
				}
			}
		}
		look(got)
		if want := map[string]int{"1 map[hasNextPage:true]": 1, "4 map[hasNextPage:false]": 1}; !maps.Equal(pages, want) {
			t.Errorf("%s gives pages %v: %v", query, pages, got)
		}
	}
}

// renamedQuery is a document with its fields renamed; only says whether it asks for
// nothing but queries.
func renamedQuery(t *testing.T, text string, several bool) (out string, only bool) {
	t.Helper()
	doc, err := parser.ParseQuery(&ast.Source{Input: text})
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range doc.Operations {
		if op.Operation != ast.Query {
			return "", false
		}
		op.SelectionSet = renamed(op.SelectionSet, several)
	}
	for _, f := range doc.Fragments {
		f.SelectionSet = renamed(f.SelectionSet, several)
	}
	var b strings.Builder
	formatter.NewFormatter(&b).FormatQueryDocument(doc)
	return b.String(), true
}

func renamed(set ast.SelectionSet, several bool) ast.SelectionSet {
	var out ast.SelectionSet
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			below := renamed(s.SelectionSet, several)
			first := *s
			first.Alias, first.SelectionSet = "x"+s.Alias, below
			out = append(out, &first)
			if n := len(below) / 2; several && n > 0 {
				second := *s
				first.SelectionSet = below[:n]
				second.Alias, second.SelectionSet = "y"+s.Alias, below[n:]
				out = append(out, &second)
			}
		case *ast.InlineFragment:
			s.SelectionSet = renamed(s.SelectionSet, several)
			out = append(out, s)
		default:
			out = append(out, s)
		}
	}
	return out
}

// ownNames undoes renamed in an answer.
func ownNames(v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, e := range v {
			e, err := ownNames(e)
			if err != nil {
				return nil, err
			}
			if old, ok := out[name[1:]]; ok {
				if e, err = joined(old, e); err != nil {
					return nil, fmt.Errorf("%s: %w", name[1:], err)
				}
			}
			out[name[1:]] = e
		}
		return out, nil
	case []any:
		for i := range v {
			e, err := ownNames(v[i])
			if err != nil {
				return nil, err
			}
			v[i] = e
		}
	}
	return v, nil
}

// joined are two halves of one value.
func joined(a, b any) (any, error) {
	switch a := a.(type) {
	case map[string]any:
		other, ok := b.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%v and %v", a, b)
		}
		for name, e := range other {
			if old, ok := a[name]; ok {
				var err error
				if e, err = joined(old, e); err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
			}
			a[name] = e
		}
		return a, nil
	case []any:
		other, ok := b.([]any)
		if !ok || len(other) != len(a) {
			return nil, fmt.Errorf("%v and %v", a, b)
		}
		for i := range a {
			e, err := joined(a[i], other[i])
			if err != nil {
				return nil, err
			}
			a[i] = e
		}
		return a, nil
	}
	if !reflect.DeepEqual(a, b) {
		return nil, fmt.Errorf("%v and %v", a, b)
	}
	return a, nil
}
