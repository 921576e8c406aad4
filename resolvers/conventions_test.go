package resolvers_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/quorate/quorate/graph/schema"
)

// makes are the verbs of mutations that make something. Of what is revoked only
// licenses go, by a transfer that is made; the rest is revoked, and stays so.
var makes = regexp.MustCompile(`^(create|register|order|start|return|move|rehost|replace|replay|invite|activate|issue|test|save|accept|enroll|make|revokeLicenses)`)

// errorCodes are all that there are.
func errorCodes(t *testing.T) (all []string) {
	t.Helper()
	source, err := os.ReadFile("../internal/license/errors.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\tCode\w+\s+Code = "(\w+)"`).FindAllStringSubmatch(string(source), -1) {
		all = append(all, m[1])
	}
	if len(all) < 40 {
		t.Fatalf("only %d codes", len(all))
	}
	return all
}

// TestMutationConventions: what GitHub's API does, all of this one does: one
// input, a payload, clientMutationId in both, errors by stable codes, keys that
// make repeating safe, revisions that keep changes from being lost.
func TestMutationConventions(t *testing.T) {
	s, err := schema.Load()
	if err != nil {
		t.Fatal(err)
	}
	codes := errorCodes(t)
	code := regexp.MustCompile(`\b[A-Z][A-Z]+(?:_[A-Z]+)+\b|\b(?:INTERNAL|FORBIDDEN|CONFLICT|UNAVAILABLE|THROTTLED|EXPIRED|BORROWED|QUEUED)\b`)
	for _, f := range s.Mutation.Fields {
		if strings.HasPrefix(f.Name, "__") {
			continue
		}
		if len(f.Arguments) != 1 || f.Arguments[0].Name != "input" {
			t.Errorf("%s does not take one input", f.Name)
			continue
		}
		in, out := s.Types[f.Arguments[0].Type.Name()], s.Types[f.Type.Name()]
		if !f.Arguments[0].Type.NonNull || !strings.HasSuffix(in.Name, "Input") || !f.Type.NonNull || !strings.HasSuffix(out.Name, "Payload") {
			t.Errorf("%s takes %s and gives %s", f.Name, f.Arguments[0].Type, f.Type)
		}
		for _, d := range []*ast.Definition{in, out} {
			if id := d.Fields.ForName("clientMutationId"); id == nil || id.Type.String() != "String" {
				t.Errorf("%s of %s has no clientMutationId", d.Name, f.Name)
			}
		}
		_, told, has := strings.Cut(f.Description, "Errors:")
		if !has {
			t.Errorf("%s doesn't say its errors", f.Name)
		}
		named := code.FindAllString(told, -1)
		if has && len(named) == 0 {
			t.Errorf("%s names no error code", f.Name)
		}
		for _, c := range named {
			if !slices.Contains(codes, c) {
				t.Errorf("%s names %s, which is no error code", f.Name, c)
			}
		}
		if key := in.Fields.ForName("idempotencyKey"); key != nil && key.Type.String() != "String" {
			t.Errorf("%s: the idempotencyKey is a %s", f.Name, key.Type)
		} else if key == nil && makes.MatchString(f.Name) {
			t.Errorf("%s makes something, and takes no idempotencyKey", f.Name)
		}
		if revision := in.Fields.ForName("revision"); revision != nil && revision.Type.String() != "Int!" {
			t.Errorf("%s: the revision is a %s", f.Name, revision.Type)
		} else if revision == nil && strings.HasPrefix(f.Name, "update") {
			t.Errorf("%s takes no revision", f.Name)
		}
	}
}

// TestConnections have Relay's form.
func TestConnections(t *testing.T) {
	s, err := schema.Load()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for name, d := range s.Types {
		node, ok := strings.CutSuffix(name, "Connection")
		if !ok || d.BuiltIn {
			continue
		}
		n++
		is := func(d *ast.Definition, field string, types ...string) {
			if d == nil {
				t.Errorf("%s has no edges of its own", name)
			} else if f := d.Fields.ForName(field); f == nil || !slices.Contains(types, f.Type.String()) {
				t.Errorf("%s.%s is no %s", d.Name, field, types[0])
			}
		}
		is(d, "edges", "["+node+"Edge]", "["+node+"Edge!]!")
		is(d, "pageInfo", "PageInfo!")
		is(d, "totalCount", "Int!")
		is(s.Types[node+"Edge"], "node", node, node+"!")
		is(s.Types[node+"Edge"], "cursor", "Cursor!")
	}
	if n < 15 {
		t.Errorf("only %d connections", n)
	}
	page := s.Types["PageInfo"]
	for _, f := range []string{"hasNextPage", "hasPreviousPage", "startCursor", "endCursor"} {
		if page.Fields.ForName(f) == nil {
			t.Errorf("PageInfo has no %s", f)
		}
	}
}
