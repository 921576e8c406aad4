package limits_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/99designs/gqlgen/graphql/handler/extension"

	"github.com/quorate/quorate/graph"
	"github.com/quorate/quorate/resolvers/limits"
)

// reader looks at documents as the platform does, and executes nothing.
func reader() *executor.Executor {
	e, queries := executor.New(graph.NewExecutableSchema(graph.Config{})), limits.NewQueryCache()
	e.SetParserTokenLimit(limits.MostTokens)
	e.SetDefaultRulesFn(limits.Validation)
	e.SetQueryCache(queries)
	e.Use(extension.Introspection{})
	e.Use(limits.Limits{Known: queries})
	return e
}

func repeat(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format+" ", i)
	}
	return b.String()
}

// TestNoDocumentTakesLong: whatever is sent is refused soon, or right. Some rules
// of validation take time that doubles with each fragment, others look through the
// schema for each name that is unknown.
func TestNoDocumentTakesLong(t *testing.T) {
	doubling := func(last string) string {
		var b strings.Builder
		b.WriteString("{ __schema { types { ...F0 } } }")
		for i := range 40 {
			fmt.Fprintf(&b, " fragment F%d on __Type { name ofType { ...F%d } interfaces { ...F%[2]d } }", i, i+1)
		}
		return b.String() + last
	}
	everyOther := "{ __schema { types { ...F0 } } }"
	for i := range 20 {
		everyOther += fmt.Sprintf(" fragment F%d on __Type { name", i)
		for j := range 20 {
			if i != j {
				everyOther += fmt.Sprintf(" ...F%d", j)
			}
		}
		everyOther += " }"
	}
	for name, c := range map[string]struct {
		document, want string
		errors         int
	}{
		"fragments that double":         {doubling(" fragment F40 on __Type { name }"), "the query has more than 20000 fields", 1},
		"fragments that lead round":     {doubling(" fragment F40 on __Type { ...F0 }"), "the query has more than 20000 fields", 1},
		"fragments of all fragments":    {everyOther, "the query has more than 20000 fields", 1},
		"a cycle":                       {"{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }", `Cannot spread fragment "A" within itself via "B".`, 1},
		"51 fragments":                  {"{ " + repeat(51, "...F%d") + "} " + repeat(51, "fragment F%d on Query { __typename }"), "the query has more than 50 fragments", 1},
		"50 fragments":                  {"{ " + repeat(50, "...F%d") + "} " + repeat(50, "fragment F%d on Query { __typename }"), "", 0},
		"names that are nothing's":      {"{ " + repeat(1900, "v%d") + "}", `Cannot query field "v0" on type "Query".`, 20},
		"fragments that there are none": {"{ " + repeat(900, "...U%d") + "}", `Unknown fragment "U0".`, 20},
		"a long name":                   {"{ " + strings.Repeat("v", 101) + " }", "the query has a name of more than 100 characters", 1},
		"one that may be":               {"{ " + strings.Repeat("v", 100) + ": __typename }", "", 0},
		"one that is nearly right":      {"{ viewr { role } }", `Cannot query field "viewr" on type "Query". Did you mean "viewer"?`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			e := reader()
			for range 2 { // the second time it may be known
				begun := time.Now()
				_, errs := e.CreateOperationContext(graphql.StartOperationTrace(t.Context()), &graphql.RawParams{Query: c.document})
				if took := time.Since(begun); took > 2*time.Second {
					t.Fatalf("it took %v", took)
				}
				if len(errs) != c.errors || c.want != "" && !strings.HasPrefix(errs[0].Message, c.want) {
					t.Errorf("%d errors: %.300v", len(errs), errs)
				}
			}
		})
	}
}

// TestWhatTakesLongHasItsPrice: reading all of the schema takes as long as a large
// page, and counting rows may take longer than reading some.
func TestWhatTakesLongHasItsPrice(t *testing.T) {
	for document, want := range map[string]int{
		"{ orders(first: 1) { totalCount } }": 1 + 1 + 200,
		"{ orders(first: 3) { ...A edges { node { id } } } } fragment A on OrderConnection { ... { totalCount } }": 1 + 3*4 + 200,
		"{ __typename }":                                                          1,
		"{ __schema { queryType { name } } }":                                     1 + 20*2,
		`{ __type(name: "A") { name } viewer { role } }`:                          1 + 20 + 2,
		"{ __schema { ...A } } fragment A on __Schema { types { ... { name } } }": 1 + 20*2,
	} {
		op, errs := reader().CreateOperationContext(graphql.StartOperationTrace(t.Context()), &graphql.RawParams{Query: document})
		if errs != nil || limits.Cost(op) != want {
			t.Errorf("%s costs %d instead of %d, %v", document, limits.Cost(op), want, errs)
		}
	}
}

// An empty key is no key: wherever it stands, and however the input is sent.
func TestAnEmptyIdempotencyKeyIsRefused(t *testing.T) {
	e := reader()
	input := map[string]any{"item": "itm_1", "tmrGroup": "tmr_1", "quantity": 1, "idempotencyKey": ""}
	for what, c := range map[string]struct {
		params  graphql.RawParams
		refused bool
	}{
		"in the document":   {graphql.RawParams{Query: `mutation { order(input: {item: "itm_1", quantity: 1, idempotencyKey: ""}) { order { id } } }`}, true},
		"in a fragment":     {graphql.RawParams{Query: `mutation { ...m } fragment m on Mutation { order(input: {item: "itm_1", quantity: 1, idempotencyKey: ""}) { order { id } } }`}, true},
		"as a variable":     {graphql.RawParams{Query: `mutation($k: String) { order(input: {item: "itm_1", quantity: 1, idempotencyKey: $k}) { order { id } } }`, Variables: map[string]any{"k": ""}}, true},
		"within a variable": {graphql.RawParams{Query: `mutation($in: OrderInput!) { order(input: $in) { order { id } } }`, Variables: map[string]any{"in": input}}, true},
		"null":              {graphql.RawParams{Query: `mutation { order(input: {item: "itm_1", quantity: 1, idempotencyKey: null}) { order { id } } }`}, false},
		"a key":             {graphql.RawParams{Query: `mutation { order(input: {item: "itm_1", quantity: 1, idempotencyKey: "k"}) { order { id } } }`}, false},
		"none":              {graphql.RawParams{Query: `mutation { order(input: {item: "itm_1", quantity: 1}) { order { id } } }`}, false},
	} {
		_, errs := e.CreateOperationContext(graphql.StartOperationTrace(t.Context()), &c.params)
		if refused := strings.Contains(errs.Error(), "idempotency key is empty"); refused != c.refused || refused != (len(errs) > 0) {
			t.Errorf("%s: %v", what, errs)
		}
	}
}
