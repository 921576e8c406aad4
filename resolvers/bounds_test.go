package resolvers_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/quorate/quorate/resolvers/limits"
)

// TestBounds asks for as much as may be, and for one more.
func TestBounds(t *testing.T) {
	w := newWorld(t)
	h := w.serve("owner")
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			if strings.Contains(format, "%d") {
				fmt.Fprintf(&b, format+" ", i)
			} else {
				b.WriteString(format + " ")
			}
		}
		return b.String()
	}
	deep := func(levels int) string { // levels is even, of the last field
		open, pairs := "", (levels-1)/2
		for i := range pairs {
			if i == 0 {
				open += `{ tmrGroup(id: "tmr_1") { virtualContainer `
				continue
			}
			open += "{ tmrGroup { virtualContainer "
		}
		if levels%2 == 0 {
			return open + "{ tmrGroup { id } } " + strings.Repeat("} }", pairs)
		}
		return open + "{ id } " + strings.Repeat("} }", pairs)
	}
	for what, c := range map[string]struct {
		most, more   string
		ok, exceeded string // codes
	}{
		"words":                   {"{ " + many(limits.MostTokens-2, "t%d") + "}", "{ " + many(limits.MostTokens-1, "t%d") + "}", "GRAPHQL_VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED"},
		"one name":                {"{ " + many(200, "__typename") + "}", "{ " + many(201, "__typename") + "}", "", "TOO_LARGE"},
		"depth":                   {deep(15), deep(16), "", "TOO_LARGE"},
		"aliases":                 {"{ " + many(50, "a%d: __typename") + "}", "{ " + many(51, "a%d: __typename") + "}", "", "TOO_LARGE"},
		"aliases of the schema":   {"{ " + many(5, "a%d: __schema { queryType { name } }") + "}", "{ " + many(6, "a%d: __schema { queryType { name } }") + "}", "", "TOO_LARGE"},
		"aliases within it":       {"{ __schema { " + many(5, "a%d: queryType { name }") + "} }", "{ __schema { " + many(6, "a%d: queryType { name }") + "} }", "", "TOO_LARGE"},
		"the first of a page":     {`{ firms(first: 100) { totalCount } }`, `{ firms(first: 101) { totalCount } }`, "", "INVALID_INPUT"},
		"the last of a page":      {`{ firms(last: 100) { totalCount } }`, `{ firms(last: 101) { totalCount } }`, "", "INVALID_INPUT"},
		"the least of a page":     {`{ firms(first: 1) { totalCount } }`, `{ firms(first: 0) { totalCount } }`, "", "INVALID_INPUT"},
		"a page from both ends":   {`{ firms(first: 1) { totalCount } }`, `{ firms(first: 1, last: 1) { totalCount } }`, "", "INVALID_INPUT"},
		"what is looked at":       {"{ " + many(100, "...A") + "} fragment A on Query { " + many(199, "__typename") + "}", "{ __typename " + many(100, "...A") + "} fragment A on Query { " + many(199, "__typename") + "}", "", "TOO_LARGE"},
		"cost (1 + 100 × 499 + …": {costing(99), costing(100), "", "TOO_LARGE"},
	} {
		if code, _ := refusal(t, ask(h, request{Query: c.most}).Body.Bytes()); code != c.ok {
			t.Errorf("%s, as many as may be: %q, want %q", what, code, c.ok)
		}
		if code, _ := refusal(t, ask(h, request{Query: c.more}).Body.Bytes()); code != c.exceeded {
			t.Errorf("%s, one more: %q, want %q", what, code, c.exceeded)
		}
	}
	if cost := ask(w.serve("owner"), request{Query: costing(99)}).Header().Get("RateLimit-Cost"); cost != "" {
		t.Errorf("without a limit a cost of %s is told", cost)
	}
}

// TestCostAsDocumented: docs/api-limits.md counts an example.
func TestCostAsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/api-limits.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s) = ([0-9]+) points:\n\n```graphql\n(.*?)```").FindSubmatch(text)
	if m == nil {
		t.Fatal("the example is gone")
	}
	w := newWorld(t, rated(1000, 1000))
	if cost := ask(w.serve("owner"), request{Query: string(m[2])}).Header().Get("RateLimit-Cost"); cost != string(m[1]) {
		t.Errorf("it costs %s, not %s", cost, m[1])
	}
}

// costing costs 49,901 and the number given.
func costing(more int) string {
	return "{ " + strings.Repeat("__typename ", more) + "firms(first: 100) { edges { node { products(first: 62) { edges { node { " +
		strings.Repeat("__typename ", 6) + "} } } } } } }"
}

// TestSocketMessagesAreBounded: one is at most 1 MiB.
func TestSocketMessagesAreBounded(t *testing.T) {
	w := newWorld(t)
	server := w.server(t, "owner")
	message := func(size int) []byte {
		m, err := json.Marshal(message{ID: "1", Type: "subscribe", Payload: json.RawMessage(`{"query":"{ viewer { name } }"}`)})
		if err != nil {
			t.Fatal(err)
		}
		return append(m, strings.Repeat(" ", size-len(m))...)
	}
	s := dial(t, server, nil)
	s.init()
	if err := s.conn.Write(t.Context(), websocket.MessageText, message(1<<20)); err != nil {
		t.Fatal(err)
	}
	s.want("next")
	s.want("complete")
	_ = s.conn.Write(t.Context(), websocket.MessageText, message(1<<20+1)) // it may be told of while it is written
	if _, _, err := s.conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
		t.Errorf("a byte more: %v", err)
	}
}
