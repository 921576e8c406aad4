package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/license"
)

// asks are all ways in which a command calls the platform.
func asks(f APIFlags) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"query":  func(ctx context.Context) error { return f.Query(ctx, "{ viewer { name } }", nil, nil) },
		"export": func(ctx context.Context) error { return f.Export(ctx, "usage", nil, io.Discard) },
	}
}

// An API token goes to another machine over https alone, unless that is told
// otherwise; without one nothing is asked.
func TestAPITokensStayOffTheWire(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end() // nobody is called
	for _, c := range []struct {
		url      string
		insecure bool
		refused  bool
	}{
		{"http://192.0.2.1", false, true},
		{"http://licenses.example.com:8080", false, true},
		{"HTTP://licenses.example.com:8080", false, true},
		{"http://127.0.0.1.example.com", false, true},
		{"http://localhost.example.com", false, true},
		{"http://127.0.0.1@licenses.example.com", false, true},
		{"http://[::ffff:192.0.2.1]", false, true},
		{"licenses.example.com", false, true},
		{"ftp://127.0.0.1", false, true},
		{"http://licenses.example.com", true, false},
		{"http://127.0.0.1:8080", false, false},
		{"http://127.9.9.9", false, false},
		{"http://localhost:8080", false, false},
		{"http://[::1]:8080", false, false},
		{"https://licenses.example.com", false, false},
	} {
		for name, ask := range asks(APIFlags{URL: c.url, Token: "qrt_canary", Insecure: c.insecure}) {
			err, want := ask(ended), license.CodeUnavailable
			if c.refused {
				want = license.CodeInvalidInput
			}
			if license.CodeOf(err) != want || strings.Contains(err.Error(), "canary") {
				t.Errorf("%s of %+v: %v, want %s", name, c, err, want)
			}
			if c.refused && strings.Contains(strings.ToLower(c.url), "http://") && (!strings.Contains(err.Error(), "API token") || !strings.Contains(err.Error(), "--insecure")) {
				t.Errorf("%s of %s doesn't say what to do: %v", name, c.url, err)
			}
		}
	}
	for name, ask := range asks(APIFlags{URL: "http://127.0.0.1:1"}) {
		if err := ask(t.Context()); license.CodeOf(err) != license.CodeUnauthenticated {
			t.Errorf("%s without a token: %v", name, err)
		}
	}
}

// An address that sends elsewhere isn't followed with the token, nor without it.
func TestNoRedirectIsFollowed(t *testing.T) {
	called := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called++ }))
	defer other.Close()
	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		at := httptest.NewServer(http.RedirectHandler(other.URL+"/there", status))
		for name, ask := range asks(APIFlags{URL: at.URL, Token: "qrt_x"}) {
			err := ask(t.Context())
			if license.CodeOf(err) != license.CodeUnavailable || !strings.Contains(err.Error(), other.URL) || !strings.Contains(err.Error(), "--url") {
				t.Errorf("%s after %d: %v", name, status, err)
			}
		}
		at.Close()
	}
	if called > 0 {
		t.Errorf("the other address was called %d times", called)
	}
}

// What is no platform is told from one that is not there, and what the platform
// says of an error is passed on.
func TestAnswersOfOthers(t *testing.T) {
	for body, want := range map[string]license.Code{
		"<html>":         license.CodeUnavailable,
		"":               license.CodeUnavailable,
		"{}":             license.CodeUnavailable,
		"[]":             license.CodeUnavailable,
		`{"data": null}`: license.CodeUnavailable,
		`{"errors": [{"message": "no", "extensions": {"code": "FORBIDDEN", "fix": "ask", "details": {"field": "a"}, "requestId": "R"}}]}`: license.CodeForbidden,
		`{"error": {"code": "FORBIDDEN", "message": "no", "fix": "ask", "requestId": "R", "details": {"field": "a"}}}`:                    license.CodeForbidden,
	} {
		at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, body)
		}))
		for name, ask := range asks(APIFlags{URL: at.URL, Token: "qrt_x"}) {
			err := ask(t.Context())
			if license.CodeOf(err) != want {
				t.Errorf("%s of %s: %v", name, body, err)
			}
			if e := (*license.Error)(nil); want == license.CodeForbidden && (!errors.As(err, &e) || e.Details["field"] != "a" || e.Details["requestId"] != "R" || e.Error() != "no: ask") {
				t.Errorf("%s of %s loses what the platform says: %+v", name, body, e)
			}
		}
		at.Close()
	}
}

// Answers are written alike: what the one field gives, and a page as a list.
func TestWriteAnswer(t *testing.T) {
	for answer, want := range map[string]string{
		`{"made": {"id": "x", "to": "<a>"}}`:                      `{"id":"x","to":"<a>"}`,
		`{"page": {"edges": [{"node": {"id": 1}}, {"node": 2}]}}`: `[{"id":1},2]`,
		`{"page": {"edges": []}}`:                                 `[]`,
		`{"node": null}`:                                          `null`,
		`{"a": 1, "b": [2]}`:                                      `{"a":1,"b":[2]}`,
	} {
		var data map[string]json.RawMessage
		if err := json.Unmarshal([]byte(answer), &data); err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := WriteAnswer(&b, data); err != nil || b.String() != want+"\n" {
			t.Errorf("%s is written as %s, %v", answer, b.String(), err)
		}
	}
}

// Why there is no answer is said, and of a change that it may have been made.
func TestUnanswered(t *testing.T) {
	began := make(chan struct{}, 1)
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		began <- struct{}{}
		<-r.Context().Done()
	}))
	defer hangs.Close()
	const read, change, again = "{ viewer { name } }", "mutation { order { id } }", "it may have been done"
	for _, query := range []string{read, change} {
		ctx, interrupt := context.WithCancel(t.Context())
		go func() {
			<-began
			interrupt()
		}()
		err := APIFlags{URL: hangs.URL, Token: "qrt_x"}.Query(ctx, query, nil, nil)
		if license.CodeOf(err) != license.CodeUnavailable || !strings.Contains(err.Error(), "interrupted") || strings.Contains(err.Error(), again) != (query == change) {
			t.Errorf("%s, interrupted: %v", query, err)
		}
		err = APIFlags{URL: "http://127.0.0.1:1", Token: "qrt_x"}.Query(t.Context(), query, nil, nil)
		if license.CodeOf(err) != license.CodeUnavailable || !strings.Contains(err.Error(), "connection refused") || strings.Contains(err.Error(), again) {
			t.Errorf("%s, of nobody: %v", query, err)
		}
		err = APIFlags{URL: strings.Replace(hangs.URL, "http:", "https:", 1), Token: "qrt_x"}.Query(t.Context(), query, nil, nil)
		if license.CodeOf(err) != license.CodeUnavailable || !strings.Contains(err.Error(), "HTTP") {
			t.Errorf("%s, by TLS: %v", query, err)
		}
	}
	late, end := context.WithTimeout(t.Context(), 0)
	defer end()
	if err := (APIFlags{URL: hangs.URL, Token: "qrt_x"}).Query(late, read, nil, nil); license.CodeOf(err) != license.CodeUnavailable || !strings.Contains(err.Error(), "within 30s") {
		t.Errorf("after a time: %v", err)
	}
}

// Lists are read page by page, up to what is wanted.
func TestPages(t *testing.T) {
	at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Variables struct {
				First int
				After string
				Of    string
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Variables.Of != "x" {
			t.Errorf("%+v, %v", body, err)
		}
		from := len(body.Variables.After)
		edges := []string{}
		for n := from; n < min(from+body.Variables.First, 250); n++ {
			edges = append(edges, fmt.Sprintf(`{"node": %d}`, n))
		}
		end := from + len(edges)
		fmt.Fprintf(w, `{"data": {"page": {"edges": [%s], "pageInfo": {"hasNextPage": %t, "endCursor": %q}}}}`, strings.Join(edges, ","), end < 250, strings.Repeat("c", end))
	}))
	defer at.Close()
	for most, want := range map[int]int{0: 250, 1: 1, 100: 100, 101: 101, 250: 250, 900: 250} {
		all, err := Pages[int](t.Context(), APIFlags{URL: at.URL, Token: "qrt_x"}, "{ page }", map[string]any{"of": "x"}, most)
		if err != nil || len(all) != want || all[want-1] != want-1 {
			t.Errorf("of at most %d: %d, %v", most, len(all), err)
		}
	}
}
