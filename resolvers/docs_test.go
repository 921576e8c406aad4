package resolvers_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/quorate/quorate/graph"
)

func guide(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The guide's examples are valid, also those inside its curl commands.
func TestGuideExamplesFitTheSchema(t *testing.T) {
	schema := graph.NewExecutableSchema(graph.Config{}).Schema()
	text := guide(t)
	var examples []string
	for _, m := range regexp.MustCompile("(?s)```graphql\n(.*?)```").FindAllStringSubmatch(text, -1) {
		examples = append(examples, m[1])
	}
	for _, m := range regexp.MustCompile(`-d '\{"query": "((?:[^"\\]|\\.)*)"`).FindAllStringSubmatch(text, -1) {
		examples = append(examples, strings.ReplaceAll(m[1], `\"`, `"`))
	}
	if len(examples) < 7 {
		t.Errorf("only %d examples were found", len(examples))
	}
	for _, e := range examples {
		if _, err := gqlparser.LoadQueryWithRules(schema, e, rules.NewDefaultRules()); err != nil {
			t.Errorf("%v in:\n%s", err, e)
		}
	}
}

// Every code that the product can answer with is explained.
func TestGuideExplainsEveryCode(t *testing.T) {
	text := guide(t)
	f, err := parser.ParseFile(token.NewFileSet(), "../internal/license/errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := 0
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || len(v.Values) != 1 || !strings.HasPrefix(v.Names[0].Name, "Code") {
			return true
		}
		if lit, ok := v.Values[0].(*ast.BasicLit); ok {
			codes++
			if !strings.Contains(text, "`"+strings.Trim(lit.Value, `"`)+"`") {
				t.Errorf("%s is not explained in docs/api.md", lit.Value)
			}
		}
		return true
	})
	if codes < 30 {
		t.Errorf("only %d codes were found", codes)
	}
}
