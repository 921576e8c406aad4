package httpd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/quorate/quorate/internal/httpd"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/telemetry"
)

func newServer(t *testing.T, cfg httpd.Config) *httpd.Server {
	t.Helper()
	s, err := httpd.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func do(s *httpd.Server, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://quorate.test"+target, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

func built() fstest.MapFS {
	big := bytes.Repeat([]byte("console.log(1);"), 200)
	return fstest.MapFS{
		"index.html":             {Data: []byte(`<meta property="csp-nonce" nonce="__CSP_NONCE__"><script nonce="__CSP_NONCE__"></script>`)},
		"assets/app-4f2a9c11.js": {Data: big},
		"colours.js":             {Data: []byte("1")},
		".gitkeep":               {Data: nil},
	}
}

func TestDashboardPageCarriesAFreshNonce(t *testing.T) {
	s := newServer(t, httpd.Config{Dashboard: built()})
	seen := map[string]bool{}
	for _, target := range []string{"/", "/v/org_1/tmr/tmr_1", "/index.html"} {
		w := do(s, "GET", target, "")
		if w.Code != 200 {
			t.Fatalf("%s: status %d", target, w.Code)
		}
		m := regexp.MustCompile(`<script nonce="([^"]+)">`).FindStringSubmatch(w.Body.String())
		if m == nil || seen[m[1]] || strings.Contains(w.Body.String(), "__CSP_NONCE__") {
			t.Fatalf("%s: no fresh nonce in %q", target, w.Body)
		}
		seen[m[1]] = true
		if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "script-src 'self' 'nonce-"+m[1]+"'") {
			t.Errorf("%s: policy %q lacks the nonce", target, csp)
		}
		if got := w.Header().Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control %q", target, got)
		}
	}
}

func TestDashboardFiles(t *testing.T) {
	s := newServer(t, httpd.Config{Dashboard: built()})
	cases := []struct {
		target, accept string
		status         int
		cache          string
		encoding       string
	}{
		{"/assets/app-4f2a9c11.js", "gzip, br", 200, "public, max-age=31536000, immutable", "gzip"},
		{"/assets/app-4f2a9c11.js", "gzip;q=0", 200, "public, max-age=31536000, immutable", ""},
		{"/colours.js", "", 200, "no-cache", ""},
		{"/assets/gone-00000000.js", "", 404, "no-store", ""},
		{"/v/org_1/missing.png", "", 404, "no-store", ""},
		{"/.gitkeep", "", 404, "no-store", ""},
	}
	for _, c := range cases {
		w := do(s, "GET", c.target, "", "Accept-Encoding", c.accept)
		if w.Code != c.status || w.Header().Get("Cache-Control") != c.cache || w.Header().Get("Content-Encoding") != c.encoding {
			t.Errorf("%s: %d %v", c.target, w.Code, w.Header())
		}
	}
	first := do(s, "GET", "/colours.js", "")
	if again := do(s, "GET", "/colours.js", "", "If-None-Match", first.Header().Get("ETag")); again.Code != 304 {
		t.Errorf("unchanged file: status %d", again.Code)
	}
	if w := do(s, "POST", "/v/org_1", "{}"); w.Code != 405 {
		t.Errorf("POST to a page: status %d", w.Code)
	}
}

func TestDashboardNotBuiltSaysSo(t *testing.T) {
	for name, files := range map[string]fstest.MapFS{"none": nil, "empty": {".gitkeep": {}}} {
		cfg := httpd.Config{}
		if files != nil {
			cfg.Dashboard = files
		}
		w := do(newServer(t, cfg), "GET", "/", "")
		if w.Code != 503 || !strings.Contains(w.Body.String(), "make build") {
			t.Errorf("%s: %d %q", name, w.Code, w.Body)
		}
	}
}

func TestEveryAnswerIsSecuredAndNumbered(t *testing.T) {
	s := newServer(t, httpd.Config{HTTPS: true, Dashboard: built()})
	for _, target := range []string{"/", "/healthz", "/auth/none", "/assets/none.js"} {
		h := do(s, "GET", target, "").Header()
		for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Strict-Transport-Security", "X-Request-Id"} {
			if h.Get(name) == "" {
				t.Errorf("%s: no %s", target, name)
			}
		}
	}
	if got := do(s, "GET", "/healthz", "", "X-Request-Id", "proxy-17").Header().Get("X-Request-Id"); got != "proxy-17" {
		t.Errorf("the caller's request id became %q", got)
	}
	if got := do(s, "GET", "/healthz", "", "X-Request-Id", "a\tb").Header().Get("X-Request-Id"); got == "a\tb" {
		t.Error("a request id with control characters was taken over")
	}
}

func TestHealthReadinessMetrics(t *testing.T) {
	failing := errors.New("database password is hunter2")
	registry := prometheus.NewRegistry()
	s := newServer(t, httpd.Config{Metrics: registry, Ready: func(context.Context) error { return failing }})
	if w := do(s, "GET", "/healthz", ""); w.Code != 200 {
		t.Errorf("health: %d", w.Code)
	}
	if w := do(s, "GET", "/readyz", ""); w.Code != 503 || strings.Contains(w.Body.String(), "hunter2") {
		t.Errorf("not ready: %d %q", w.Code, w.Body)
	}
	failing = nil
	if w := do(s, "GET", "/readyz", ""); w.Code != 200 {
		t.Errorf("ready: %d", w.Code)
	}
	metrics := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(metrics, httptest.NewRequest("GET", "/metrics", nil))
	if body := metrics.Body.String(); !strings.Contains(body, `quorate_http_requests_total{method="GET",route="/readyz",status="503"} 1`) {
		t.Errorf("metrics lack the requests:\n%.500s", body)
	}
}

func TestPanicIsAnsweredAndLogged(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, httpd.Config{
		Logger:  slog.New(slog.NewJSONHandler(&log, nil)),
		GraphQL: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("secret detail") }),
	})
	w := do(s, "POST", "/graphql", "{}", "Content-Type", "application/json", "X-Request-Id", "r1")
	var body struct {
		Error struct{ Code, RequestID string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != 500 || body.Error.Code != "INTERNAL" || body.Error.RequestID != "r1" {
		t.Errorf("%d %s %v", w.Code, w.Body, err)
	}
	if strings.Contains(w.Body.String(), "secret") {
		t.Error("the panic's value was shown")
	}
	if !strings.Contains(log.String(), "secret detail") || !strings.Contains(log.String(), `"requestId":"r1"`) {
		t.Errorf("log: %s", log.String())
	}
}

func TestLogHandlerAddsTheRequestID(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(telemetry.LogHandler(telemetry.LogHandler(slog.NewJSONHandler(&log, nil))))
	s := newServer(t, httpd.Config{GraphQL: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		logger.With("a", 1).InfoContext(r.Context(), "inside")
	})})
	do(s, "POST", "/graphql", "{}", "Content-Type", "application/json", "X-Request-Id", "r2")
	if strings.Count(log.String(), `"requestId":"r2"`) != 1 {
		t.Errorf("log: %s", log.String())
	}
}

func TestForeignPagesAreRefused(t *testing.T) {
	reached := 0
	s := newServer(t, httpd.Config{
		TrustedOrigins: []string{"https://licenses.example.com"},
		GraphQL:        http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }),
	})
	cases := []struct {
		name   string
		method string
		header []string
		status int
	}{
		{"a program", "POST", []string{"Content-Type", "application/json"}, 200},
		{"our page", "POST", []string{"Content-Type", "application/json", "Sec-Fetch-Site", "same-origin"}, 200},
		{"our page, old browser", "POST", []string{"Content-Type", "application/json", "Origin", "http://quorate.test"}, 200},
		{"a trusted origin", "POST", []string{"Content-Type", "application/json", "Origin", "https://licenses.example.com", "Sec-Fetch-Site", "cross-site"}, 200},
		{"a foreign page", "POST", []string{"Content-Type", "application/json", "Sec-Fetch-Site", "cross-site"}, 403},
		{"a sibling's page", "POST", []string{"Content-Type", "application/json", "Sec-Fetch-Site", "same-site", "Origin", "http://evil.quorate.test"}, 403},
		{"a foreign page, old browser", "POST", []string{"Content-Type", "application/json", "Origin", "http://evil.test"}, 403},
		{"a form", "POST", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		{"no type", "POST", nil, 415},
		{"our WebSocket", "GET", []string{"Upgrade", "websocket", "Origin", "http://quorate.test"}, 200},
		{"a program's WebSocket", "GET", []string{"Upgrade", "websocket"}, 200},
		{"a foreign WebSocket", "GET", []string{"Upgrade", "websocket", "Origin", "http://evil.test"}, 403},
		{"a sandboxed WebSocket", "GET", []string{"Upgrade", "websocket", "Origin", "null"}, 403},
	}
	for _, c := range cases {
		before := reached
		w := do(s, c.method, "/graphql", "{}", c.header...)
		if w.Code != c.status || (reached > before) != (c.status == 200) {
			t.Errorf("%s: status %d, reached %v", c.name, w.Code, reached > before)
		}
	}
	if _, err := httpd.New(httpd.Config{TrustedOrigins: []string{"example.com"}}); license.CodeOf(err) != license.CodeInvalidInput {
		t.Errorf("a trusted origin without scheme: %v", err)
	}
}

// memory is a Sessions that knows one person.
type memory struct {
	mu       sync.Mutex
	signedIn bool
	fail     error
}

func (m *memory) Wrap(next http.Handler) http.Handler { return next }

func (m *memory) SignIn(_ context.Context, email, password string) (httpd.Member, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return httpd.Member{}, m.fail
	}
	if email != "ada@example.com" || password != "correct" {
		return httpd.Member{}, license.Errorf(license.CodeUnauthenticated, "check both and try again", "e-mail address or password is wrong")
	}
	m.signedIn = true
	return ada(), nil
}

func (m *memory) SignOut(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.signedIn = false
	return nil
}

func (m *memory) Member(context.Context) (httpd.Member, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return ada(), m.signedIn, nil
}

func ada() httpd.Member {
	return httpd.Member{ID: "mem_1", Name: "Ada", Email: "ada@example.com", Role: "OWNER",
		Organization: httpd.Organization{ID: "org_1", Name: "Charts", Vendor: true}}
}

func TestSignIn(t *testing.T) {
	sessions := &memory{}
	s := newServer(t, httpd.Config{Sessions: sessions})
	const as = "application/json"
	steps := []struct {
		method, target, body string
		status               int
		want                 string
	}{
		{"GET", "/auth/session", "", 401, `"code":"UNAUTHENTICATED"`},
		{"POST", "/auth/login", `{"email":"ada@example.com","password":"wrong"}`, 401, `"code":"UNAUTHENTICATED"`},
		{"POST", "/auth/login", `{"email":"ada@example.com"}`, 400, `"code":"INVALID_INPUT"`},
		{"POST", "/auth/login", `{"email":"ada@example.com","password":"correct","admin":true}`, 400, `"code":"INVALID_INPUT"`},
		{"POST", "/auth/login", `{"email":"a","password":"b"}{}`, 400, `"code":"INVALID_INPUT"`},
		{"POST", "/auth/login", `{"email":"` + strings.Repeat("a", 20<<10) + `"}`, 413, `"code":"TOO_LARGE"`},
		{"POST", "/auth/login", `{"email":"ada@example.com","password":"correct"}`, 200, `{"member":{"id":"mem_1","name":"Ada","email":"ada@example.com","role":"OWNER","organization":{"id":"org_1","name":"Charts","vendor":true,"customer":false}}}`},
		{"GET", "/auth/session", "", 200, `"name":"Ada"`},
		{"POST", "/auth/logout", "", 204, ""},
		{"GET", "/auth/session", "", 401, `"code":"UNAUTHENTICATED"`},
		{"GET", "/auth/login", "", 404, `"code":"NOT_FOUND"`},
	}
	for _, c := range steps {
		w := do(s, c.method, c.target, c.body, "Content-Type", as)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s %s %.60s: %d %s", c.method, c.target, c.body, w.Code, w.Body)
		}
		if w.Code < 500 && w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s may be stored", c.method, c.target)
		}
	}
	sessions.fail = errors.New("pq: relation members does not exist")
	w := do(s, "POST", "/auth/login", `{"email":"a","password":"b"}`, "Content-Type", as)
	if w.Code != 500 || strings.Contains(w.Body.String(), "pq:") {
		t.Errorf("an internal error: %d %s", w.Code, w.Body)
	}
}

func TestGraphQLBodyIsBounded(t *testing.T) {
	var got error
	s := newServer(t, httpd.Config{GraphQL: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, got = io.ReadAll(r.Body)
	})})
	do(s, "POST", "/graphql", strings.Repeat(" ", 1<<20), "Content-Type", "application/json")
	if got != nil {
		t.Errorf("1 MiB: %v", got)
	}
	do(s, "POST", "/graphql", strings.Repeat(" ", 1<<20+1), "Content-Type", "application/json")
	if _, ok := errors.AsType[*http.MaxBytesError](got); !ok {
		t.Errorf("1 MiB and a byte: %v", got)
	}
}

// A stop tells long requests to end, lets short ones finish, and returns nil.
func TestGracefulStop(t *testing.T) {
	shortStarted, letShortEnd := make(chan struct{}), make(chan struct{})
	graphql := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			close(shortStarted)
			<-letShortEnd
			if r.Context().Err() != nil {
				t.Error("the short request was cancelled")
			}
			_, _ = io.WriteString(w, "done")
			return
		}
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		conn.CloseRead(context.WithoutCancel(r.Context())) // a read whose context ends breaks the connection off
		<-r.Context().Done()
		_ = conn.Close(websocket.StatusGoingAway, "the server is stopping")
	})
	pulled := make(chan struct{})
	s := newServer(t, httpd.Config{GraphQL: graphql, RPC: map[string]http.Handler{
		"/quorate.v1.LinkService/": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(pulled)
			<-r.Context().Done() // a long poll
		}),
	}})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, ln) }()
	url := "http://" + ln.Addr().String()

	ws, _, err := websocket.Dial(t.Context(), url+"/graphql", nil)
	if err != nil {
		t.Fatal(err)
	}
	short := make(chan string, 1)
	go func() {
		resp, err := http.Post(url+"/graphql", "application/json", strings.NewReader("{}"))
		if err != nil {
			short <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		short <- string(b)
	}()
	go func() {
		if resp, err := http.Post(url+"/quorate.v1.LinkService/Pull", "application/json", nil); err == nil {
			_ = resp.Body.Close()
		}
	}()
	<-shortStarted
	<-pulled
	stop()
	if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("WebSocket: %v", err)
	}
	select {
	case err := <-served:
		t.Fatalf("stopped before the short request ended: %v", err)
	default:
	}
	close(letShortEnd)
	if got := <-short; got != "done" {
		t.Errorf("short request: %q", got)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// timed notes how long a request may be read and answered.
type timed struct {
	*httptest.ResponseRecorder
	read, write time.Time
}

func (t *timed) SetReadDeadline(at time.Time) error  { t.read = at; return nil }
func (t *timed) SetWriteDeadline(at time.Time) error { t.write = at; return nil }

// TestBodiesComeInTime: a stream may be answered for ever, but nobody may take
// for ever to ask for it.
func TestBodiesComeInTime(t *testing.T) {
	for _, c := range []struct{ what, target, accept string }{
		{"a stream", "/graphql", "text/event-stream"},
		{"a call", "/quorate.v1.LinkService/Pull", ""},
	} {
		w := &timed{ResponseRecorder: httptest.NewRecorder()}
		called := false
		h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			called = true
			if left := time.Until(w.read); left <= 0 || left > time.Minute {
				t.Errorf("%s: its body may take %s", c.what, left)
			}
			if _, err := io.ReadAll(r.Body); err != nil {
				t.Error(err)
			}
			if !w.read.IsZero() || !w.write.IsZero() {
				t.Errorf("%s: it ends while it is answered", c.what)
			}
		})
		r := httptest.NewRequest("POST", "http://quorate.test"+c.target, strings.NewReader("{}"))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", c.accept)
		newServer(t, httpd.Config{GraphQL: h, RPC: map[string]http.Handler{"/quorate.v1.LinkService/": h}}).Handler().ServeHTTP(w, r)
		if !called {
			t.Errorf("%s: %d %s", c.what, w.Code, w.Body)
		}
	}
}

// TestShortAnswersAreTaken: who doesn't read holds nothing for ever.
func TestShortAnswersAreTaken(t *testing.T) {
	w := &timed{ResponseRecorder: httptest.NewRecorder()}
	r := httptest.NewRequest("GET", "http://quorate.test/graphql?query=%7B__typename%7D", nil)
	newServer(t, httpd.Config{GraphQL: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if left := time.Until(w.write); left <= 0 || left > 5*time.Minute {
			t.Errorf("its answer may take %s", left)
		}
	})}).Handler().ServeHTTP(w, r)
	if w.write.IsZero() {
		t.Error("its answer may take for ever")
	}
}

func TestStopGivesUpAfterTheGracePeriod(t *testing.T) {
	started, end := make(chan struct{}), make(chan struct{})
	defer close(end)
	s := newServer(t, httpd.Config{Grace: 1, GraphQL: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(started)
		<-end
	})})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, ln) }()
	go func() {
		if resp, err := http.Post("http://"+ln.Addr().String()+"/graphql", "application/json", strings.NewReader("{}")); err == nil {
			_ = resp.Body.Close()
		}
	}()
	<-started
	stop()
	if err := <-served; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Serve: %v", err)
	}
}
