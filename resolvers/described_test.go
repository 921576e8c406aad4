package resolvers_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/quorate/quorate/graph/schema"
)

// TestOperationsHaveExamples: each query, mutation and subscription shows how it
// is asked for, by a document that fits the schema.
func TestOperationsHaveExamples(t *testing.T) {
	s, err := schema.Load()
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("(?s)`([^`]*\\{[^`]*)`")
	for _, root := range []*ast.Definition{s.Query, s.Mutation, s.Subscription} {
		for _, f := range root.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			shown := false
			for _, m := range quoted.FindAllStringSubmatch(f.Description, -1) {
				text := m[1]
				if !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "mutation") && !strings.HasPrefix(text, "subscription") {
					text = "{ " + text + " }"
				}
				doc, err := gqlparser.LoadQueryWithRules(s, text, rules.NewDefaultRules())
				if err != nil {
					t.Errorf("%s: %s: %v", f.Name, text, err)
					continue
				}
				for _, sel := range doc.Operations[0].SelectionSet {
					asked, ok := sel.(*ast.Field)
					shown = shown || ok && asked.Name == f.Name
				}
			}
			if !shown {
				t.Errorf("%s.%s has no example", root.Name, f.Name)
			}
		}
	}
}

// TestEverythingIsDescribed: types, fields, arguments and values.
func TestEverythingIsDescribed(t *testing.T) {
	s, err := schema.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range s.Types {
		if d.BuiltIn {
			continue
		}
		if d.Description == "" {
			t.Errorf("%s is not described", d.Name)
		}
		for _, v := range d.EnumValues {
			if v.Description == "" {
				t.Errorf("%s.%s is not described", d.Name, v.Name)
			}
		}
		for _, f := range d.Fields {
			if f.Description == "" && !strings.HasPrefix(f.Name, "__") {
				t.Errorf("%s.%s is not described", d.Name, f.Name)
			}
			for _, a := range f.Arguments {
				if a.Description == "" && !strings.HasPrefix(f.Name, "__") {
					t.Errorf("%s of %s.%s is not described", a.Name, d.Name, f.Name)
				}
			}
		}
	}
}
