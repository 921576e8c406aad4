package resolvers_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/resolvers"
	"github.com/quorate/quorate/resolvers/documents"
)

// persistedRequest names a document by its digest.
type persistedRequest struct {
	Query      string         `json:"query,omitempty"`
	Extensions map[string]any `json:"extensions"`
}

func digestOnly(document string) persistedRequest {
	return persistedRequest{Extensions: map[string]any{"persistedQuery": map[string]any{"version": 1, "sha256Hash": documents.Digest(document)}}}
}

func withDigest(document string) persistedRequest {
	r := digestOnly(document)
	r.Query = document
	return r
}

// TestPersistedQueries: the protocol of automatic persisted queries.
func TestPersistedQueries(t *testing.T) {
	w := newWorld(t)
	const query, refused, tooLarge, change = `{ viewer { name } }`, `{ nothing }`, `{ firms(first: 1000) { totalCount } }`,
		`mutation { order(input: {item: "itm_1", tmrGroup: "tmr_1", quantity: 10}) { order { quantity } } }`
	extension := func(v any) persistedRequest {
		return persistedRequest{Query: query, Extensions: map[string]any{"persistedQuery": v}}
	}
	steps := []struct {
		what, viewer string
		request      any
		code         string
	}{
		{"unknown", "owner", digestOnly(query), "PERSISTED_QUERY_NOT_FOUND"},
		{"from nobody", "nobody", withDigest(query), "UNAUTHENTICATED"},
		{"not kept for nobody", "owner", digestOnly(query), "PERSISTED_QUERY_NOT_FOUND"},
		{"another's digest", "owner", persistedRequest{Query: query, Extensions: digestOnly(refused).Extensions}, "INVALID_INPUT"},
		{"not kept under it", "owner", digestOnly(refused), "PERSISTED_QUERY_NOT_FOUND"},
		{"with its digest", "owner", withDigest(query), ""},
		{"known", "owner", digestOnly(query), ""},
		{"known to all", "stranger", digestOnly(query), ""},
		{"but not executed for nobody", "nobody", digestOnly(query), "UNAUTHENTICATED"},
		{"invalid", "owner", withDigest(refused), "GRAPHQL_VALIDATION_FAILED"},
		{"not kept", "owner", digestOnly(refused), "PERSISTED_QUERY_NOT_FOUND"},
		{"over the limits", "owner", withDigest(tooLarge), "INVALID_INPUT"},
		{"not kept either", "owner", digestOnly(tooLarge), "PERSISTED_QUERY_NOT_FOUND"},
		{"a change", "owner", withDigest(change), ""},
		{"another version", "owner", extension(map[string]any{"version": 2, "sha256Hash": documents.Digest(query)}), "INVALID_INPUT"},
		{"no digest", "owner", extension(map[string]any{"version": 1}), "INVALID_INPUT"},
		{"half a digest", "owner", extension(map[string]any{"version": 1, "sha256Hash": documents.Digest(query)[:32]}), "INVALID_INPUT"},
		{"no object", "owner", extension("x"), "INVALID_INPUT"},
		{"null", "owner", extension(nil), ""},
	}
	for _, s := range steps {
		answer := ask(w.serve(s.viewer), s.request)
		if code, _ := refusal(t, answer.Body.Bytes()); code != s.code || answer.Code != 200 {
			t.Errorf("%s: %d %s", s.what, answer.Code, answer.Body)
		}
	}
	get := func(document string) *httptest.ResponseRecorder {
		ext, _ := json.Marshal(digestOnly(document).Extensions)
		r := httptest.NewRequest("GET", "http://quorate.test/graphql?extensions="+url.QueryEscape(string(ext)), nil)
		r.Header.Set("Accept", asGraphQL)
		rec := httptest.NewRecorder()
		w.serve("owner").ServeHTTP(rec, r)
		return rec
	}
	if rec := get(query); rec.Code != 200 || !strings.Contains(rec.Body.String(), `"name"`) {
		t.Errorf("by GET: %d %s", rec.Code, rec.Body)
	}
	if rec := get(change); rec.Code != http.StatusMethodNotAllowed {
		t.Errorf("a change by GET: %d %s", rec.Code, rec.Body)
	}
	if rec := get("{ a }"); rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), "PersistedQueryNotFound") {
		t.Errorf("an unknown one by GET: %d %s", rec.Code, rec.Body)
	}
}

// TestRegisteredDocuments: callers without a token execute nothing but what was
// registered, over HTTP and WebSocket.
func TestRegisteredDocuments(t *testing.T) {
	const registered, other, stream = `{ viewer { name } }`, `{ viewer { role } }`, `subscription { tmrGroupChanged(id: "tmr_1") { sequence } }`
	folder := t.TempDir()
	for name, text := range map[string]string{"viewer": registered, "group": stream} {
		if err := os.WriteFile(filepath.Join(folder, name+".graphql"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load := func() (*documents.Registered, error) {
		all, err := documents.Load(folder)
		if err != nil {
			t.Fatal(err)
		}
		return all, resolvers.CheckDocuments(all)
	}
	all, err := load()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *resolvers.Config) { c.Registered = all })
	for what, c := range map[string]struct {
		handler http.Handler
		request any
		code    string
	}{
		"by its text":          {w.serve("owner"), request{Query: registered}, ""},
		"by its digest":        {w.serve("owner"), digestOnly(registered), ""},
		"another":              {w.serve("owner"), request{Query: other}, "FORBIDDEN"},
		"another, with digest": {w.serve("owner"), withDigest(other), "FORBIDDEN"},
		"nearly the same":      {w.serve("owner"), request{Query: registered + " "}, "FORBIDDEN"},
		"what can't be parsed": {w.serve("owner"), request{Query: "{"}, "FORBIDDEN"},
		"the schema":           {w.serve("owner"), request{Query: `{ __schema { queryType { name } } }`}, "FORBIDDEN"},
		"from nobody":          {w.serve("nobody"), request{Query: other}, "FORBIDDEN"},
		"a token":              {w.byToken(), request{Query: other}, ""},
		"a token, by digest":   {w.byToken(), digestOnly(registered), ""},
	} {
		if code, _ := refusal(t, ask(c.handler, c.request).Body.Bytes()); code != c.code {
			t.Errorf("%s: %q, want %q", what, code, c.code)
		}
	}
	// What a token has kept, nobody else may execute for it.
	ask(w.byToken(), withDigest(other))
	if code, _ := refusal(t, ask(w.serve("owner"), digestOnly(other)).Body.Bytes()); code != "FORBIDDEN" {
		t.Errorf("kept for a token: %q", code)
	}
	s := dial(t, w.server(t, "owner"), nil)
	s.init()
	s.subscribe("1", stream)
	s.want("next")
	s.subscribe("2", other)
	if m := s.want("error"); !strings.Contains(string(m.Payload), `"FORBIDDEN"`) {
		t.Errorf("over WebSocket: %s", m.Payload)
	}

	if err := os.WriteFile(filepath.Join(folder, "old.graphql"), []byte("{ gone }"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := load(); license.CodeOf(err) != license.CodeInvalidInput || !strings.Contains(err.Error(), documents.Digest("{ gone }")) {
		t.Errorf("a document of another schema: %v", err)
	}
}
