package httpd_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/httpd"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/ratelimit"
)

// TestSimpleRequestsWithCookies: what a foreign page can make a browser send
// without asking us first reads nothing for whoever the cookie names.
func TestSimpleRequestsWithCookies(t *testing.T) {
	reached := 0
	s := newServer(t, httpd.Config{GraphQL: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ })})
	cookie := []string{"Cookie", "quorate_session=x"}
	with := func(more ...string) []string { return append(cookie[:2:2], more...) }
	for _, c := range []struct {
		what, method string
		header       []string
		status       int
	}{
		{"a link", "GET", cookie, 403},
		{"an image", "GET", with("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Dest", "image"), 403},
		{"a sibling's page", "GET", with("Sec-Fetch-Site", "same-site"), 403},
		{"a stream", "GET", with("Accept", "text/event-stream"), 403},
		{"plain text", "GET", with("Content-Type", "text/plain"), 403},
		{"a form", "POST", with("Content-Type", "application/x-www-form-urlencoded"), 415},
		{"a form with a file", "POST", with("Content-Type", "multipart/form-data; boundary=x"), 415},
		{"a form of text", "POST", with("Content-Type", "text/plain"), 415},
		{"a beacon", "POST", with("Content-Type", "text/plain; charset=application/json"), 415},
		{"without a type", "POST", cookie, 415},
		{"JSON", "GET", with("Content-Type", "application/json"), 200},
		{"JSON with a charset", "POST", with("Content-Type", "application/json; charset=utf-8"), 200},
		{"the header", "GET", with("GraphQL-Preflight", "1"), 200},
		{"a token beside the cookie", "GET", with("Authorization", "Bearer qrt_x"), 200},
		{"our page", "GET", with("Sec-Fetch-Site", "same-origin"), 200},
		{"typed", "GET", with("Sec-Fetch-Site", "none"), 200},
		{"no cookie", "GET", nil, 200},
		{"our WebSocket", "GET", with("Upgrade", "websocket", "Origin", "http://quorate.test"), 200},
		{"a foreign WebSocket", "GET", with("Upgrade", "websocket", "Origin", "https://evil.test"), 403},
	} {
		before := reached
		w := do(s, c.method, "/graphql?query=%7Bviewer%7Bname%7D%7D", "", c.header...)
		if w.Code != c.status || (reached > before) != (c.status == 200) {
			t.Errorf("%s: status %d, reached %v: %s", c.what, w.Code, reached > before, w.Body)
		}
	}
}

// TestOtherOrigins: pages of origins that are named may ask and read; others may
// not, and are told nothing.
func TestOtherOrigins(t *testing.T) {
	const trusted, evil = "https://licenses.example.com", "https://evil.test"
	reached := 0
	s := newServer(t, httpd.Config{
		TrustedOrigins: []string{trusted},
		GraphQL:        http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }),
		Exports: map[string]func(http.ResponseWriter, *http.Request) error{
			"usage": func(w http.ResponseWriter, _ *http.Request) error { _, err := io.WriteString(w, "x"); return err },
		},
	})
	for _, target := range []string{"/graphql", "/export/usage"} {
		w := do(s, "OPTIONS", target, "", "Origin", trusted, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type,authorization")
		h := w.Header()
		if w.Code != 204 || h.Get("Access-Control-Allow-Origin") != trusted || h.Get("Access-Control-Allow-Credentials") != "true" ||
			h.Get("Access-Control-Max-Age") == "" || !strings.Contains(h.Get("Vary"), "Origin") {
			t.Errorf("%s is asked: %d %v", target, w.Code, h)
		}
		for _, name := range []string{"Content-Type", "Authorization", "GraphQL-Preflight", "Quorate-Organization", "X-Request-Id"} {
			if !strings.Contains(h.Get("Access-Control-Allow-Headers"), name) {
				t.Errorf("%s: %s may not be sent", target, name)
			}
		}
		for _, origin := range []string{evil, "null", "https://licenses.example.com.evil.test", "http://licenses.example.com", "https://licenses.example.com:8443", "*"} {
			w := do(s, "OPTIONS", target, "", "Origin", origin, "Access-Control-Request-Method", "POST")
			if w.Code != 403 || allows(w) {
				t.Errorf("%s is asked by %s: %d %v", target, origin, w.Code, w.Header())
			}
		}
	}
	if reached != 0 {
		t.Error("a question was taken for a request")
	}
	for _, c := range []struct {
		method, origin string
		status         int
		allowed        bool
	}{
		{"POST", trusted, 200, true},
		{"POST", evil, 403, false},
		{"GET", trusted, 200, true},
		{"GET", evil, 200, false}, // without cookie and token; and its page can't read the answer
		{"GET", "", 200, false},
		{"OPTIONS", "", 200, false}, // no browser's question: the API's to refuse
	} {
		header := []string{"Content-Type", "application/json"}
		if c.origin != "" {
			header = append(header, "Origin", c.origin)
		}
		w := do(s, c.method, "/graphql", "{}", header...)
		if w.Code != c.status || allows(w) != c.allowed || !strings.Contains(w.Header().Get("Vary"), "Origin") {
			t.Errorf("%s from %q: %d %v", c.method, c.origin, w.Code, w.Header())
		}
		if c.allowed && !strings.Contains(w.Header().Get("Access-Control-Expose-Headers"), "RateLimit-Remaining") {
			t.Errorf("what may be read of an answer: %v", w.Header())
		}
	}
	if w := do(s, "GET", "/export/usage", "", "Origin", trusted); w.Code != 200 || !allows(w) {
		t.Errorf("an export: %d %v", w.Code, w.Header())
	}
	for _, target := range []string{"/auth/login", "/healthz", "/"} {
		if w := do(s, "OPTIONS", target, "", "Origin", trusted, "Access-Control-Request-Method", "POST"); allows(w) {
			t.Errorf("%s is open to other pages: %v", target, w.Header())
		}
	}
	if w := do(newServer(t, httpd.Config{GraphQL: http.NotFoundHandler()}), "POST", "/graphql", "{}", "Content-Type", "application/json"); w.Header().Get("Vary") != "" {
		t.Errorf("without other origins answers vary by %s", w.Header().Get("Vary"))
	}
}

func allows(w *httptest.ResponseRecorder) bool {
	for name := range w.Header() {
		if strings.HasPrefix(name, "Access-Control-") {
			return true
		}
	}
	return false
}

// TestExportsAtAllReplicas: what runs at one counts at the other, and whoever has
// to wait is told for how long.
func TestExportsAtAllReplicas(t *testing.T) {
	started, end := make(chan struct{}), make(chan struct{})
	cfg := httpd.Config{Limits: ratelimit.NewMemory(), Exports: map[string]func(http.ResponseWriter, *http.Request) error{
		"usage": func(http.ResponseWriter, *http.Request) error { started <- struct{}{}; <-end; return nil },
	}}
	one, other := newServer(t, cfg), newServer(t, cfg)
	ask := func(s *httpd.Server) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/export/usage", nil)
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r.WithContext(auth.With(r.Context(), auth.Principal{Kind: auth.KindToken, ID: "tok_1", Organization: "org_1", Role: auth.Viewer})))
		return w
	}
	done := make(chan int, 2)
	for range 2 {
		go func() { done <- ask(one).Code }()
		<-started
	}
	if w := ask(other); w.Code != 429 || w.Header().Get("Retry-After") != "5" {
		t.Errorf("a third one: %d %v", w.Code, w.Header())
	}
	close(end)
	for range 2 {
		if code := <-done; code != 200 {
			t.Errorf("%d", code)
		}
	}
}

// TestThrottledTellsWhen: also of sign-ins.
func TestThrottledTellsWhen(t *testing.T) {
	s := newServer(t, httpd.Config{Sessions: &memory{fail: ratelimit.Throttled(1500e6, "wait", "too many failed sign-ins")}})
	w := do(s, "POST", "/auth/login", `{"email":"ada@example.com","password":"x"}`, "Content-Type", "application/json")
	if w.Code != 429 || w.Header().Get("Retry-After") != "2" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	s = newServer(t, httpd.Config{Sessions: &memory{fail: license.Errorf(license.CodeUnavailable, "wait", "not now")}})
	if w := do(s, "POST", "/auth/login", `{"email":"ada@example.com","password":"x"}`, "Content-Type", "application/json"); w.Header().Get("Retry-After") != "" {
		t.Errorf("another error: %v", w.Header())
	}
}
