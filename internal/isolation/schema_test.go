package isolation_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/quorate/quorate/ent/migrate"
)

// position is a place in a field's arguments where an id, or something else
// that may name a row, goes: "input.tmrGroup".
type position struct {
	path, name, scalar string
}

// operations writes operations by the schema.
type operations struct {
	t      testing.TB
	schema *ast.Schema
	seed   *seeder
	failed map[string]bool
}

// unfillable fails the test for what has no value here, once.
func (o *operations) unfillable(what string) string {
	if !o.failed[what] {
		o.failed[what] = true
		o.t.Errorf("%s: teach the walk how to fill it in", what)
	}
	return "null"
}

func isPaging(name string) bool {
	return slices.Contains([]string{"after", "before", "first", "last"}, name)
}

// positions are those of a field.
func (o *operations) positions(f *ast.FieldDefinition) []position {
	var all []position
	for _, a := range f.Arguments {
		if !isPaging(a.Name) {
			o.find(a.Name, a.Name, a.Type, 0, &all)
		}
	}
	return all
}

func (o *operations) find(path, name string, t *ast.Type, depth int, all *[]position) {
	def := o.schema.Types[t.Name()]
	switch {
	case def.Kind == ast.InputObject && depth < 4:
		for _, f := range def.Fields {
			o.find(path+"."+f.Name, f.Name, f.Type, depth+1, all)
		}
	case slices.Contains([]string{"ID", "String", "Int"}, t.Name()):
		*all = append(*all, position{path, name, t.Name()})
	}
}

// arguments writes a field's: what is at a path in given is taken from there;
// else what must be there, or with all everything, is filled in with base.
func (o *operations) arguments(root string, f *ast.FieldDefinition, given map[string]string, all bool, base func(position) (string, bool)) string {
	var args []string
	for _, a := range f.Arguments {
		if isPaging(a.Name) {
			continue
		}
		if v, ok := o.value(root, a.Name, a.Name, a.Type, a.DefaultValue != nil, given, all, base, 0); ok {
			args = append(args, a.Name+": "+v)
		}
	}
	if len(args) == 0 {
		return ""
	}
	return "(" + strings.Join(args, ", ") + ")"
}

func (o *operations) value(root, path, name string, t *ast.Type, hasDefault bool, given map[string]string, all bool, base func(position) (string, bool), depth int) (string, bool) {
	wanted := false
	for p := range given {
		wanted = wanted || p == path || strings.HasPrefix(p, path+".")
	}
	if !wanted && !all && (!t.NonNull || hasDefault) || depth > 6 {
		return "", false
	}
	if t.Elem != nil {
		v, ok := o.value(root, path, name, t.Elem, false, given, true, base, depth+1)
		return "[" + v + "]", ok
	}
	if v, ok := given[path]; ok {
		return v, true
	}
	def := o.schema.Types[t.Name()]
	switch def.Kind {
	case ast.InputObject:
		var fields []string
		place := placeOf(def, path, given)
		for _, f := range def.Fields {
			if place != "" && isPlace(f) && f.Name != place {
				continue
			}
			if v, ok := o.value(root, path+"."+f.Name, f.Name, f.Type, f.DefaultValue != nil, given, all && depth < 3 || f.Name == place, base, depth+1); ok {
				fields = append(fields, f.Name+": "+v)
			}
		}
		return "{" + strings.Join(fields, ", ") + "}", true
	case ast.Enum:
		return def.EnumValues[0].Name, true
	}
	switch t.Name() {
	case "ID", "String", "Int":
		return base(position{path, name, t.Name()})
	case "Boolean":
		return "false", true
	case "Float":
		return "1.0", true
	case "Time":
		if slices.Contains([]string{"from", "since", "start"}, name) {
			return quote(time.Now().UTC().Add(-time.Hour).Truncate(time.Second)), true
		}
		return quote(time.Now().UTC().Add(24 * time.Hour).Truncate(time.Second)), true
	case "Cursor":
		return "null", !t.NonNull
	}
	return o.unfillable(fmt.Sprintf("%s(%s: %s)", root, path, t)), true
}

// isPage says whether a type is a connection, or one of its edges.
func isPage(name string) bool {
	return strings.HasSuffix(name, "Connection") || strings.HasSuffix(name, "Edge") || name == "PageInfo"
}

func isPlace(f *ast.FieldDefinition) bool { return f.Name == "tmrGroup" || f.Name == "container" }

// placeOf is which of a TMR group and a container an input names that has a
// choice; "" when it has none.
func placeOf(def *ast.Definition, path string, given map[string]string) string {
	group, container := def.Fields.ForName("tmrGroup"), def.Fields.ForName("container")
	if group == nil || container == nil || group.Type.NonNull || container.Type.NonNull {
		return ""
	}
	if given[path+".tmrGroup"] != "" {
		return "tmrGroup"
	}
	return "container"
}

// selection takes all fields that need no argument, depth levels of them.
func (o *operations) selection(name string, depth int) string {
	def := o.schema.Types[name]
	if def.Kind == ast.Scalar || def.Kind == ast.Enum {
		return ""
	}
	fields := []string{"__typename"}
	if def.Kind == ast.Object {
		for _, f := range def.Fields {
			if strings.HasPrefix(f.Name, "__") || slices.ContainsFunc(f.Arguments, func(a *ast.ArgumentDefinition) bool { return a.Type.NonNull && a.DefaultValue == nil }) {
				continue
			}
			leaf := o.schema.Types[f.Type.Name()].IsLeafType()
			if !leaf && depth == 0 && !isPage(name) {
				continue
			}
			below := ""
			if !leaf {
				// What a page is of is no level of its own.
				less := 1
				if isPage(name) {
					less = 0
				}
				below = o.selection(f.Type.Name(), depth-less)
			}
			page := ""
			if f.Arguments.ForName("first") != nil {
				page = "(first: 5)"
			}
			fields = append(fields, f.Name+page+below)
		}
	}
	for _, possible := range o.schema.PossibleTypes[name] {
		if def.Kind != ast.Object {
			fields = append(fields, "... on "+possible.Name+" { id }")
		}
	}
	return " { " + strings.Join(fields, " ") + " }"
}

// nodes are the types with global ids, and their tables.
func (o *operations) nodes() map[string]string {
	tables := map[string]string{}
	for _, def := range o.schema.PossibleTypes["Node"] {
		for _, table := range migrate.Tables {
			if same(table.Name, def.Name) {
				tables[def.Name] = table.Name
			}
		}
		if tables[def.Name] == "" {
			o.unfillable("the table of " + def.Name)
		}
	}
	return tables
}

// tableOf guesses from the names what an id is of; "" when they don't tell.
func (o *operations) tableOf(root string, p position) string {
	if slices.Contains([]string{"customer", "vendor", "organization", "provider"}, p.name) {
		return "organizations"
	}
	best, table := "", ""
	for name, of := range o.nodes() {
		name, at, in := strings.ToLower(name), strings.ToLower(strings.TrimSuffix(p.name, "s")), strings.ToLower(root)
		fits := strings.HasSuffix(at, name) || strings.HasSuffix(name, at) && len(at) > 3
		if at == "id" {
			fits = strings.Contains(in, name) || strings.HasPrefix(name, "tmr") && strings.Contains(in, strings.TrimPrefix(name, "tmr"))
		}
		if fits && (len(name) > len(best) || name == at) {
			best, table = name, of
		}
	}
	return table
}

func quote(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

// walkedPath leads to objects of a type: what comes before their fields, and after.
type walkedPath struct {
	before, after string
	table         string // of the node that it begins at; "": at the root
	depth         int
}

// paths finds, for each object type, a way to it.
func (o *operations) paths(base func(root string, p position) (string, bool)) map[string]walkedPath {
	found := map[string]walkedPath{"Query": {}}
	queue := []string{"Query"}
	for name, table := range o.nodes() {
		found[name] = walkedPath{before: "node(id: %s) { ... on " + name + " { ", after: " } }", table: table, depth: 2}
		queue = append(queue, name)
	}
	slices.Sort(queue)
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, f := range o.schema.Types[at].Fields {
			to := o.schema.Types[f.Type.Name()]
			if _, ok := found[to.Name]; ok || to.Kind != ast.Object || strings.HasPrefix(to.Name, "__") {
				continue
			}
			root := at + "." + f.Name
			args := o.arguments(root, f, nil, false, func(p position) (string, bool) { return base(root, p) })
			p := found[at]
			p.before += strings.ReplaceAll(f.Name+args, "%", "%%") + " { "
			p.after = " }" + p.after
			p.depth++
			found[to.Name] = p
			queue = append(queue, to.Name)
		}
	}
	return found
}
