// Package apitools has the command that runs any query or mutation of the
// platform's API. Its flags and its help are made from the API's definition.
package apitools

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/graph/schema"
	"github.com/quorate/quorate/internal/license"
)

// API runs one operation.
type API struct {
	cli.APIFlags
	Args []string `arg:"" optional:"" passthrough:"" name:"operation" help:"A query or a mutation, and a flag for each of its inputs. Without one, the operations are listed."`
}

// Help has the examples.
func (API) Help() string {
	return `Every query and every mutation of the API is here, with a flag for each of its
inputs. A value that begins with @ is read from that file, @- from the standard input.

Examples:
  quorate api                                   lists the operations
  quorate api createFirm --help                 tells of one
  quorate api createFirm --code 6000010 --name "Nautical Charts"
  quorate api startRollout --tmr-group 131-4837572 --not-before 2027-01-01T22:00:00Z --json
  quorate api firms --first 10 --select "totalCount edges { node { code } }"
  quorate api updateItem --item itm_… --revision 3 --null expiration
  quorate api createRolloutPlan --name Spring --waves '{"tmrGroups": ["131-4837572"]}'`
}

// Run runs the operation and writes what it answers.
func (c *API) Run(ctx context.Context, std cli.Streams) error {
	s, err := schema.Load()
	if err != nil {
		return err
	}
	if len(c.Args) == 0 {
		return c.list(s, std.Out)
	}
	op, err := find(s, c.Args[0])
	if err != nil {
		return err
	}
	in := &inputs{op: op, stdin: std.In, flags: &c.APIFlags}
	if err := in.parse(c.Args[1:]); err != nil {
		if errors.Is(err, errHelp) {
			return op.help(std.Out)
		}
		return err
	}
	var data map[string]json.RawMessage
	if err := c.Query(ctx, op.query(in.selection, in.variables()), in.variables(), &data); err != nil {
		return err
	}
	answer := data[op.field.Name]
	if c.JSON {
		_, err := fmt.Fprintf(std.Out, "%s\n", answer)
		return err
	}
	return show(std.Out, answer)
}

// list tells of every operation in one line.
func (c *API) list(s *ast.Schema, w io.Writer) error {
	type line struct {
		Name string `json:"name"`
		Kind string `json:"kind"`
		Text string `json:"description"`
	}
	var all []line
	for kind, root := range map[string]*ast.Definition{"query": s.Query, "mutation": s.Mutation} {
		for _, f := range root.Fields {
			if !strings.HasPrefix(f.Name, "__") {
				all = append(all, line{f.Name, kind, firstSentence(f.Description)})
			}
		}
	}
	slices.SortFunc(all, func(a, b line) int { return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name)) })
	if c.JSON {
		return cli.WriteJSON(w, all)
	}
	t := cli.NewTable(w)
	kind := ""
	for _, l := range all {
		if l.Kind != kind {
			kind = l.Kind
			fmt.Fprintf(t, "%s\n", map[string]string{"query": "Queries:", "mutation": "Mutations:"}[kind])
		}
		fmt.Fprintf(t, "  %s\t%s\n", l.Name, l.Text)
	}
	return t.Flush()
}

// operation is a query or a mutation. Its inputs are the fields of its one
// argument "input", or else its arguments.
type operation struct {
	schema *ast.Schema
	kind   string
	field  *ast.FieldDefinition
	inputs []input
	// wrapped: the inputs are fields of the argument "input".
	wrapped bool
}

type input struct {
	name, text string
	of         *ast.Type
	required   bool
	preset     string
}

func find(s *ast.Schema, name string) (*operation, error) {
	for kind, root := range map[string]*ast.Definition{"query": s.Query, "mutation": s.Mutation} {
		if f := root.Fields.ForName(name); f != nil && !strings.HasPrefix(name, "__") {
			op := &operation{schema: s, kind: kind, field: f}
			if len(f.Arguments) == 1 && f.Arguments[0].Name == "input" {
				op.wrapped = true
				for _, in := range s.Types[f.Arguments[0].Type.Name()].Fields {
					op.inputs = append(op.inputs, input{in.Name, in.Description, in.Type, in.Type.NonNull && in.DefaultValue == nil, preset(in.DefaultValue)})
				}
			} else {
				for _, a := range f.Arguments {
					op.inputs = append(op.inputs, input{a.Name, a.Description, a.Type, a.Type.NonNull && a.DefaultValue == nil, preset(a.DefaultValue)})
				}
			}
			return op, nil
		}
	}
	if s.Subscription != nil && s.Subscription.Fields.ForName(name) != nil {
		return nil, license.Errorf(license.CodeInvalidInput, "follow it over WebSocket or SSE, as docs/api.md shows", "%s is a subscription", name)
	}
	return nil, license.Errorf(license.CodeInvalidInput, "list the operations with: quorate api", "the API has no operation %q", name)
}

func preset(v *ast.Value) string {
	if v == nil {
		return ""
	}
	return v.String()
}

// query is the operation with a variable for each argument that is given: the
// others have their defaults.
func (o *operation) query(selection string, given map[string]any) string {
	var declared, passed []string
	for _, a := range o.field.Arguments {
		if _, ok := given[a.Name]; !ok {
			continue
		}
		declared = append(declared, "$"+a.Name+": "+a.Type.String())
		passed = append(passed, a.Name+": $"+a.Name)
	}
	query := o.kind
	if len(declared) > 0 {
		query += "(" + strings.Join(declared, ", ") + ") { " + o.field.Name + "(" + strings.Join(passed, ", ") + ")"
	} else {
		query += " { " + o.field.Name
	}
	if selection == "" {
		selection = o.selection()
	}
	if selection != "" {
		query += " { " + selection + " }"
	}
	return query + " }"
}

// selection is all that is worth to be seen of the answer.
func (o *operation) selection() string {
	return selectOf(o.schema, o.schema.Types[o.field.Type.Name()], 3)
}

// selectOf selects a type's own values, and those of what belongs to it, so
// many steps deep. Lists of things that go on in pages are left out, but for
// the answer's own page.
func selectOf(s *ast.Schema, t *ast.Definition, depth int) string {
	if t == nil || t.IsLeafType() {
		return ""
	}
	if t.Kind == ast.Interface || t.Kind == ast.Union {
		return "__typename" + map[bool]string{true: " id"}[t.Fields.ForName("id") != nil]
	}
	var out []string
	connection := strings.HasSuffix(t.Name, "Connection")
	for _, f := range t.Fields {
		of := s.Types[f.Type.Name()]
		switch {
		case needs(f) || f.Name == "clientMutationId" || strings.HasPrefix(f.Name, "__"):
		case of.IsLeafType():
			if !strings.HasSuffix(t.Name, "Edge") {
				out = append(out, f.Name)
			}
		case depth == 0 || strings.HasSuffix(of.Name, "Connection"):
		case !connection && !strings.HasSuffix(t.Name, "Edge") && !strings.HasSuffix(t.Name, "Payload") && depth < 2 && f.Type.Elem != nil:
		default:
			next := depth - 1
			if connection || strings.HasSuffix(t.Name, "Edge") {
				next = min(next, 1)
			}
			if inner := selectOf(s, of, next); inner != "" {
				out = append(out, f.Name+" { "+inner+" }")
			}
		}
	}
	return strings.Join(out, " ")
}

// needs says whether a field has an argument that must be given.
func needs(f *ast.FieldDefinition) bool {
	for _, a := range f.Arguments {
		if a.Type.NonNull && a.DefaultValue == nil {
			return true
		}
	}
	return false
}

func firstSentence(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if head, _, ok := strings.Cut(s, ". "); ok {
		return head + "."
	}
	return s
}
