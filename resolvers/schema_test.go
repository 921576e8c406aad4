package resolvers_test

import (
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/quorate/quorate/graph"
)

// Everything in the schema says what it is: types, fields, arguments, values.
func TestSchemaIsDescribed(t *testing.T) {
	schema := graph.NewExecutableSchema(graph.Config{}).Schema()
	seen := 0
	check := func(what, description string) {
		seen++
		if strings.TrimSpace(description) == "" {
			t.Errorf("%s has no description", what)
		}
	}
	for name, d := range schema.Types {
		if d.BuiltIn || strings.HasPrefix(name, "__") {
			continue
		}
		check(name, d.Description)
		for _, f := range d.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			check(name+"."+f.Name, f.Description)
			for _, a := range f.Arguments {
				check(name+"."+f.Name+"("+a.Name+")", a.Description)
			}
		}
		for _, v := range d.EnumValues {
			check(name+"."+v.Name, v.Description)
		}
	}
	if seen < 300 {
		t.Errorf("only %d things were looked at", seen)
	}
}

// The conventions of Relay hold everywhere: pages have a default size, nodes an
// id, mutations one input.
func TestSchemaConventions(t *testing.T) {
	schema := graph.NewExecutableSchema(graph.Config{}).Schema()
	for name, d := range schema.Types {
		for _, f := range d.Fields {
			at := name + "." + f.Name
			if strings.HasSuffix(f.Type.Name(), "Connection") {
				first := f.Arguments.ForName("first")
				if first == nil || first.DefaultValue == nil || first.DefaultValue.Raw != "50" || f.Arguments.ForName("last") == nil {
					t.Errorf("%s does not page as all others", at)
				}
			}
			if name == "Mutation" && (len(f.Arguments) != 1 || f.Arguments[0].Name != "input") {
				t.Errorf("%s does not take one input", at)
			}
		}
		if d.Kind == ast.Object && len(d.Interfaces) > 0 && d.Fields.ForName("id") == nil {
			t.Errorf("%s is a node without id", name)
		}
	}
}
