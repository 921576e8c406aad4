// Apidocs writes the reference part of docs/api.md from graph/schema: what
// follows the marker. The guide before it is written by hand.
package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/quorate/quorate/graph/schema"
)

const (
	file   = "docs/api.md"
	marker = "<!-- What follows is written by `make generate` from graph/schema. -->\n"
)

func main() {
	if err := run(file); err != nil {
		fmt.Fprintln(os.Stderr, "apidocs:", err)
		os.Exit(1)
	}
}

func run(path string) error {
	s, err := schema.Load()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	guide, _, found := strings.Cut(string(text), marker)
	if !found {
		return fmt.Errorf("%s has no line %s", path, strings.TrimSpace(marker))
	}
	return os.WriteFile(path, []byte(guide+marker+reference(s)), 0o644) //nolint:gosec // G306: of the repository
}

// reference is everything in the schema, in an order that changes little.
func reference(s *ast.Schema) string {
	var b strings.Builder
	b.WriteString("\n## Reference\n")
	for _, root := range []struct {
		title string
		d     *ast.Definition
	}{{"Queries", s.Query}, {"Mutations", s.Mutation}, {"Subscriptions", s.Subscription}} {
		if root.d == nil {
			continue
		}
		fmt.Fprintf(&b, "\n### %s\n", root.title)
		for _, f := range sorted(root.d.Fields) {
			fmt.Fprintf(&b, "\n#### %s\n\n`%s`\n\n%s\n", f.Name, signature(f), paragraph(f.Description))
		}
	}
	for _, group := range []struct {
		title string
		kinds []ast.DefinitionKind
	}{
		{"Types", []ast.DefinitionKind{ast.Object, ast.Interface, ast.Union}}, {"Inputs", []ast.DefinitionKind{ast.InputObject}},
		{"Enums", []ast.DefinitionKind{ast.Enum}}, {"Scalars", []ast.DefinitionKind{ast.Scalar}},
	} {
		fmt.Fprintf(&b, "\n### %s\n", group.title)
		for _, d := range definitions(s, group.kinds) {
			fmt.Fprintf(&b, "\n#### %s\n\n%s\n", d.Name, paragraph(d.Description))
			if len(d.Interfaces) > 0 {
				fmt.Fprintf(&b, "\nIs a %s.\n", strings.Join(d.Interfaces, ", "))
			}
			if len(d.Types) > 0 {
				fmt.Fprintf(&b, "\nOne of %s.\n", strings.Join(d.Types, ", "))
			}
			rows(&b, d)
		}
	}
	return b.String()
}

func rows(b *strings.Builder, d *ast.Definition) {
	if len(d.Fields)+len(d.EnumValues) == 0 {
		return
	}
	b.WriteString("\n| name | meaning |\n| --- | --- |\n")
	for _, f := range d.Fields {
		if !strings.HasPrefix(f.Name, "__") {
			fmt.Fprintf(b, "| `%s` | %s |\n", strings.ReplaceAll(signature(f), "|", `\|`), cell(f.Description))
		}
	}
	for _, v := range d.EnumValues {
		fmt.Fprintf(b, "| `%s` | %s |\n", v.Name, cell(v.Description))
	}
}

func definitions(s *ast.Schema, kinds []ast.DefinitionKind) (all []*ast.Definition) {
	for name, d := range s.Types {
		if !d.BuiltIn && !strings.HasPrefix(name, "__") && slices.Contains(kinds, d.Kind) && d != s.Query && d != s.Mutation && d != s.Subscription {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b *ast.Definition) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

func sorted(fields ast.FieldList) ast.FieldList {
	out := slices.DeleteFunc(slices.Clone(fields), func(f *ast.FieldDefinition) bool { return strings.HasPrefix(f.Name, "__") })
	slices.SortFunc(out, func(a, b *ast.FieldDefinition) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func signature(f *ast.FieldDefinition) string {
	out := f.Name
	if len(f.Arguments) > 0 {
		args := make([]string, len(f.Arguments))
		for i, a := range f.Arguments {
			args[i] = a.Name + ": " + a.Type.String() + defaulted(a.DefaultValue)
		}
		out += "(" + strings.Join(args, ", ") + ")"
	}
	return out + ": " + f.Type.String() + defaulted(f.DefaultValue)
}

func defaulted(v *ast.Value) string {
	if v == nil {
		return ""
	}
	return " = " + v.String()
}

func paragraph(text string) string { return strings.Join(strings.Fields(text), " ") }

func cell(text string) string { return strings.ReplaceAll(paragraph(text), "|", `\|`) }
