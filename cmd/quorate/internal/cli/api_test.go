package cli

import (
	"context"
	"encoding/json"
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
	for want, body := range map[license.Code]string{
		license.CodeUnavailable: "<html>",
		license.CodeForbidden:   `{"errors": [{"message": "no", "extensions": {"code": "FORBIDDEN", "fix": "ask"}}]}`,
	} {
		at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, body)
		}))
		for name, ask := range asks(APIFlags{URL: at.URL, Token: "qrt_x"}) {
			if err := ask(t.Context()); license.CodeOf(err) != want {
				t.Errorf("%s of %s: %v", name, body, err)
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
