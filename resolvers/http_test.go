package resolvers_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/httpd"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/telemetry"
	"github.com/quorate/quorate/resolvers"
)

const (
	asJSON    = "application/json"
	asGraphQL = "application/graphql-response+json"
)

// The rules of GraphQL over HTTP: which status, which type, and no data where
// nothing was executed.
func TestGraphQLOverHTTP(t *testing.T) {
	w := newWorld(t)
	h := http.MaxBytesHandler(w.serve("owner"), 1<<20)
	query := func(q string, more ...string) string {
		v := url.Values{"query": {q}}
		for i := 0; i+1 < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		return "/graphql?" + v.Encode()
	}
	const good, parse, invalid = `{"query":"{ viewer { name } }"}`, `{"query":"{ viewer {"}`, `{"query":"{ nothing }"}`
	cases := []struct {
		name, method, target, body, accept, contentType string

		status int
		typ    string
		data   bool
		code   string
	}{
		{"query", "POST", "/graphql", good, "", asJSON, 200, asJSON, true, ""},
		{"any type", "POST", "/graphql", good, "*/*", asJSON, 200, asJSON, true, ""},
		{"new type", "POST", "/graphql", good, asGraphQL + ", application/json;q=0.9", asJSON, 200, asGraphQL, true, ""},
		{"the type of the highest quality", "POST", "/graphql", good, asJSON + ";q=0.5, " + asGraphQL, asJSON, 200, asGraphQL, true, ""},
		{"a type that is refused", "POST", "/graphql", good, asGraphQL + ";q=0, */*;q=0.1", asJSON, 200, asJSON, true, ""},
		{"all types that are refused", "POST", "/graphql", good, asJSON + ";q=0", asJSON, 406, asJSON, false, "INVALID_INPUT"},
		{"several operations", "POST", "/graphql", `{"query":"query A { viewer { name } } query B { viewer { name } }"}`, "", asJSON, 200, asJSON, false, "GRAPHQL_VALIDATION_FAILED"},
		{"with charset", "POST", "/graphql", good, "", asJSON + "; charset=UTF-8", 200, asJSON, true, ""},
		{"no such type", "POST", "/graphql", good, "text/html", asJSON, 406, asJSON, false, "INVALID_INPUT"},
		{"parse error", "POST", "/graphql", parse, asJSON, asJSON, 200, asJSON, false, "GRAPHQL_PARSE_FAILED"},
		{"parse error, new type", "POST", "/graphql", parse, asGraphQL, asJSON, 400, asGraphQL, false, "GRAPHQL_PARSE_FAILED"},
		{"invalid", "POST", "/graphql", invalid, asJSON, asJSON, 200, asJSON, false, "GRAPHQL_VALIDATION_FAILED"},
		{"invalid, new type", "POST", "/graphql", invalid, asGraphQL, asJSON, 400, asGraphQL, false, "GRAPHQL_VALIDATION_FAILED"},
		{"over the limits, new type", "POST", "/graphql", `{"query":"{ firms(first: 1000) { totalCount } }"}`, asGraphQL, asJSON, 400, asGraphQL, false, "INVALID_INPUT"},
		{"not JSON", "POST", "/graphql", `{"query":`, "", asJSON, 400, asJSON, false, "INVALID_INPUT"},
		{"two values", "POST", "/graphql", good + good, "", asJSON, 400, asJSON, false, "INVALID_INPUT"},
		{"query of a wrong type", "POST", "/graphql", `{"query":1}`, "", asJSON, 400, asJSON, false, "INVALID_INPUT"},
		{"variables of a wrong type", "POST", "/graphql", `{"query":"{ viewer { name } }","variables":[]}`, "", asJSON, 400, asJSON, false, "INVALID_INPUT"},
		{"no query", "POST", "/graphql", `{}`, "", asJSON, 400, asJSON, false, "INVALID_INPUT"},
		{"other operation", "POST", "/graphql", `{"query":"query A { viewer { name } }","operationName":"B"}`, "", asJSON, 200, asJSON, false, "GRAPHQL_VALIDATION_FAILED"},
		{"a form", "POST", "/graphql", "query=x", "", "application/x-www-form-urlencoded", 415, asJSON, false, "INVALID_INPUT"},
		{"another charset", "POST", "/graphql", good, "", asJSON + "; charset=latin1", 415, asJSON, false, "INVALID_INPUT"},
		{"too large", "POST", "/graphql", `{"query":"` + strings.Repeat(" ", 1<<20) + `"}`, "", asJSON, 413, asJSON, false, "TOO_LARGE"},
		{"GET", "GET", query("{ viewer { name } }"), "", "", "", 200, asJSON, true, ""},
		{"GET with variables", "GET", query("query Q($id: ID!) { node(id: $id) { id } }", "variables", `{"id":"frm_1"}`, "operationName", "Q"), "", "", "", 200, asJSON, true, ""},
		{"GET with broken variables", "GET", query("{ viewer { name } }", "variables", `{"id"`), "", "", "", 400, asJSON, false, "INVALID_INPUT"},
		{"GET without query", "GET", "/graphql", "", "", "", 400, asJSON, false, "INVALID_INPUT"},
		{"GET of a mutation", "GET", query(`mutation { startRollout(input: {tmrGroup: "tmr_1"}) { rollout { id } } }`), "", "", "", 405, asJSON, false, "INVALID_INPUT"},
		{"PUT", "PUT", "/graphql", good, "", asJSON, 405, asJSON, false, "INVALID_INPUT"},
		{"a mutation as stream by GET", "GET", query(`mutation { startRollout(input: {tmrGroup: "tmr_1"}) { rollout { id } } }`), "", "text/event-stream", "", 405, asGraphQL, false, "INVALID_INPUT"},
		{"a broken stream", "POST", "/graphql", parse, "text/event-stream", asJSON, 400, asGraphQL, false, "GRAPHQL_PARSE_FAILED"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, "http://quorate.test"+c.target, strings.NewReader(c.body))
			for name, v := range map[string]string{"Accept": c.accept, "Content-Type": c.contentType} {
				if v != "" {
					r.Header.Set(name, v)
				}
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			if rec.Code != c.status {
				t.Errorf("status %d, want %d: %s", rec.Code, c.status, rec.Body)
			}
			if got := rec.Header().Get("Content-Type"); got != c.typ+"; charset=utf-8" {
				t.Errorf("type %q", got)
			}
			if c.status == 405 && rec.Header().Get("Allow") == "" {
				t.Error("405 without Allow")
			}
			var body struct {
				Data   json.RawMessage
				Errors []struct{ Extensions struct{ Code string } }
			}
			if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil {
				t.Fatalf("%v: %s", err, rec.Body)
			}
			if (body.Data != nil) != c.data || strings.Contains(rec.Body.String(), `"data"`) != c.data {
				t.Errorf("data: %s", rec.Body)
			}
			if code := append(body.Errors, struct{ Extensions struct{ Code string } }{})[0].Extensions.Code; code != c.code {
				t.Errorf("code %q, want %q: %s", code, c.code, rec.Body)
			}
			if len(c.body) > 20 && len(c.body) < 500 && strings.Contains(rec.Body.String(), c.body) {
				t.Error("the request is repeated in the answer")
			}
		})
	}
}

// What goes wrong inside is logged with the request's id, and not shown.
func TestInternalErrorsAreHidden(t *testing.T) {
	w := newWorld(t, func(c *resolvers.Config) {
		c.RequestID = telemetry.RequestID
		c.Logger = slog.New(telemetry.LogHandler(c.Logger.Handler()))
	})
	server, err := httpd.New(httpd.Config{GraphQL: w.serve("owner")})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.Close(); err != nil { // every statement fails from now on
		t.Fatal(err)
	}
	body := ask(server.Handler(), request{Query: `{ firms { totalCount } }`}, "X-Request-Id", "r-17").Body.String()
	if !strings.Contains(body, `"code":"INTERNAL"`) || !strings.Contains(body, `"requestId":"r-17"`) {
		t.Errorf("answer: %s", body)
	}
	for _, leak := range []string{"sql", "database", "closed"} {
		if strings.Contains(strings.ToLower(body), leak) {
			t.Errorf("the answer tells %q: %s", leak, body)
		}
	}
	if log := w.log.String(); !strings.Contains(log, "r-17") || !strings.Contains(log, "closed") || !strings.Contains(log, "path=firms") {
		t.Errorf("log: %s", log)
	}
}

func TestIntrospectionIsASetting(t *testing.T) {
	for _, on := range []bool{true, false} {
		w := newWorld(t, func(c *resolvers.Config) { c.Introspection = on })
		body := ask(w.serve("owner"), request{Query: `{ __schema { queryType { name } } }`}).Body.String()
		if got := strings.Contains(body, `"name":"Query"`); got != on {
			t.Errorf("introspection %v: %s", on, body)
		}
	}
}

func TestLimits(t *testing.T) {
	w := newWorld(t)
	deep := strings.Repeat("{ tmrGroup(id: \"tmr_1\") { virtualContainer ", 1) + strings.Repeat("{ tmrGroup { virtualContainer ", 10) + "{ id }" + strings.Repeat("} }", 10) + "} }"
	var aliases, tokens strings.Builder
	for i := range 51 {
		fmt.Fprintf(&aliases, "a%d: __typename ", i)
	}
	for i := range 2001 {
		fmt.Fprintf(&tokens, "t%d ", i)
	}
	// All pairs of these would be compared with each other.
	same := "{ " + strings.Repeat("__typename ", 201) + "}"
	schema := "{ a: __schema { types { name } } b: __schema { types { c: name d: name e: name } } f: __type(name: \"Item\") { name } }"
	nested := "{ __schema { ...F } } fragment F on __Schema { types { " + aliases.String() + "} }"
	// Few lines that would mean millions of fields.
	bomb := "{ ...F0 }"
	for i := range 20 {
		bomb += fmt.Sprintf(" fragment F%d on Query { ...F%d ...F%d }", i, i+1, i+1)
	}
	bomb += " fragment F20 on Query { __typename }"
	cases := []struct {
		name, query string
		code        license.Code
	}{
		{"nested pages of a million", `{ firms(first: 1000000) { edges { node { products(first: 1000000) { edges { node { items(first: 1000000) { edges { node { id } } } } } } } } } }`, license.CodeInvalidInput},
		{"a million further down", `{ firms(first: 1) { edges { node { products(first: 1000000) { totalCount } } } } }`, license.CodeInvalidInput},
		{"allowed pages that multiply", `{ firms(first: 100) { edges { node { products(first: 100) { edges { node { items(first: 100) { edges { node { id } } } } } } } } } }`, license.CodeTooLarge},
		{"within a fragment", `{ ...F } fragment F on Query { firms(first: 100) { edges { node { products(first: 100) { edges { node { items { edges { node { id } } } } } } } } } }`, license.CodeTooLarge},
		{"depth", deep, license.CodeTooLarge},
		{"aliases", "{ " + aliases.String() + "}", license.CodeTooLarge},
		{"tokens", "{ " + tokens.String() + "}", "GRAPHQL_PARSE_FAILED"},
		{"fragments upon fragments", bomb, license.CodeTooLarge},
		{"one name over and over", same, license.CodeTooLarge},
		{"the schema over and over", schema, license.CodeTooLarge},
		{"aliases within the schema", nested, license.CodeTooLarge},
	}
	for _, c := range cases {
		body := ask(w.serve("owner"), request{Query: c.query}).Body.String()
		if !strings.Contains(body, fmt.Sprintf(`"code":%q`, c.code)) {
			t.Errorf("%s: %.300s", c.name, body)
		}
	}
	allowed := `{ tmrGroups { edges { node { backends { cell } servers { name } licenses { status } rollouts(first: 10) { edges { node { id steps { state } } } } } } } }`
	if body := ask(w.serve("owner"), request{Query: allowed}).Body.String(); strings.Contains(body, "errors") {
		t.Errorf("an ordinary query is refused: %.300s", body)
	}
}

// TestTextThatNoDatabaseTakes: PostgreSQL refuses NUL and what is not UTF-8;
// that is the caller's mistake and no trouble of ours.
func TestTextThatNoDatabaseTakes(t *testing.T) {
	w := newWorld(t)
	cursor := base64.RawStdEncoding.EncodeToString([]byte("\x82\xa1i\xa2a\x00\xa1v\xc0"))
	for what, r := range map[string]request{
		"argument":         {Query: `{ tmrGroup(id: "a\u0000b") { id } }`},
		"within an input":  {Query: `mutation { startRollout(input: {tmrGroup: "tmr_1", idempotencyKey: "\u0000"}) { rollout { id } } }`},
		"variable":         {Query: `query Q($id: ID!) { node(id: $id) { id } }`, Variables: json.RawMessage(`{"id":"frm_\u0000"}`)},
		"within variables": {Query: `mutation M($i: OrderInput!) { order(input: $i) { order { id } } }`, Variables: json.RawMessage(`{"i":{"item":"\u0000","tmrGroup":"tmr_1","quantity":1}}`)},
		"cursor":           {Query: fmt.Sprintf(`{ firms(first: 1, after: %q) { totalCount } }`, cursor)},
	} {
		if body := ask(w.serve("owner"), r).Body.String(); !strings.Contains(body, `"code":"INVALID_INPUT"`) {
			t.Errorf("%s: %s", what, body)
		}
	}
	r := httptest.NewRequest("GET", "http://quorate.test/graphql?query="+url.QueryEscape("{ tmrGroup(id: \"\xff\") { id } }"), nil)
	rec := httptest.NewRecorder()
	w.serve("owner").ServeHTTP(rec, r)
	if body := rec.Body.String(); !strings.Contains(body, `"code":"INVALID_INPUT"`) {
		t.Errorf("not UTF-8: %s", body)
	}
}

// TestWhatIsWrongIsTold: which operation is meant, and that a body is compressed.
func TestWhatIsWrongIsTold(t *testing.T) {
	h := newWorld(t).serve("owner")
	for _, c := range []struct {
		body, coding, want string
		status             int
	}{
		{`{"query":"query A { viewer { name } } query B { viewer { name } }"}`, "", "has 2 operations, and none is named", 200},
		{`{"query":"query A { viewer { name } }","operationName":"B"}`, "", "has no operation of this name", 200},
		{"\x1f\x8b", "gzip", "is compressed", 415},
		{`{"query":"{ viewer { role } }"}`, "identity", `"role"`, 200},
	} {
		r := httptest.NewRequest("POST", "http://quorate.test/graphql", strings.NewReader(c.body))
		r.Header.Set("Content-Type", asJSON)
		if c.coding != "" {
			r.Header.Set("Content-Encoding", c.coding)
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code != c.status || !strings.Contains(rec.Body.String(), c.want) {
			t.Errorf("%q: %d %s", c.body, rec.Code, rec.Body)
		}
	}
}
