package resolvers_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/httpd"
	"github.com/quorate/quorate/internal/platform/accounts"
	"github.com/quorate/quorate/internal/store"
)

// node runs a script of frontend/conformance, which has the reference programs.
func node(t *testing.T, script string, args ...string) *exec.Cmd {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "frontend", "node_modules", "graphql-http")); err != nil {
		t.Fatalf("run `npm ci` in frontend first: %v", err)
	}
	dir, err := exec.CommandContext(t.Context(), filepath.Join(root, ".ci", "node")).Output() // a Node that is new enough
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(strings.TrimSpace(string(dir)), "node")
	cmd := exec.CommandContext(t.Context(), program, append([]string{filepath.Join(root, "frontend", "conformance", script)}, args...)...)
	cmd.Stderr = os.Stderr
	return cmd
}

// platformServer serves the API behind everything that a platform has before it.
func (w *world) platformServer(t *testing.T) (url, token string) {
	t.Helper()
	_, token, err := w.platform.CreateToken(w.as(t.Context(), "owner"), "", accounts.TokenSpec{Name: "conformance", Role: "OWNER"})
	if err != nil {
		t.Fatal(err)
	}
	signedIn := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			p, err := w.platform.Authenticate(r.Context(), token)
			if err != nil {
				t.Errorf("the token: %v", err)
			}
			r = r.WithContext(auth.With(r.Context(), p))
		}
		w.handler.ServeHTTP(rw, r)
	})
	server, err := httpd.New(httpd.Config{GraphQL: signedIn})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, ln) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return "http://" + ln.Addr().String() + "/graphql", token
}

// TestGraphQLOverHTTPAudits: the audits of the specification find no MUST and no
// SHOULD that failed: of the API alone, and behind the whole of the server, with a
// token and without.
func TestGraphQLOverHTTPAudits(t *testing.T) {
	w := newWorld(t)
	alone := httptest.NewServer(http.StripPrefix("/graphql", w.serve("owner")))
	t.Cleanup(alone.Close)
	url, token := w.platformServer(t)
	for what, args := range map[string][]string{
		"the API alone": {alone.URL + "/graphql"}, "the server, with a token": {url, token}, "the server, without": {url},
	} {
		out, err := node(t, "http.mjs", args...).Output()
		passed := 0
		for line := range strings.Lines(string(out)) {
			switch status, _, _ := strings.Cut(line, " "); status {
			case "ok":
				passed++
			case "warn", "error":
				t.Errorf("%s: %s", what, line)
			}
		}
		if err != nil || passed < 55 {
			t.Errorf("%s: %d audits passed: %v\n%s", what, passed, err, out)
		}
	}
}

// TestReferenceClientOfWebSockets: graphql-ws signs in with a token, subscribes,
// gets what changes, ends the subscription and goes on with the connection.
func TestReferenceClientOfWebSockets(t *testing.T) {
	w := newWorld(t)
	url, token := w.platformServer(t)
	cmd := node(t, "ws.mjs", strings.Replace(url, "http", "ws", 1), token,
		`subscription { tmrGroupChanged(id: "tmr_1") { sequence } }`, `{ viewer { name } }`, `{ nothing }`)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	next := func(what, want string) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("%s: the client ended", what)
		}
		var line struct {
			What  string
			Value json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("%v: %s", err, lines.Bytes())
		}
		if line.What != what || !bytes.Contains(line.Value, []byte(want)) {
			t.Fatalf("%s, want %s %s\n%s", lines.Bytes(), what, want, w.log)
		}
	}
	next("connected", "")
	next("message", `"sequence":`)
	w.change(event.TmrGroup, "tmr_1", func(tx *store.Tx) error {
		return w.pushView(tx, groupView(6000010, "131-4837572", [3]int{0, 7, 7}, 7))
	})
	next("message", `"sequence":`)
	next("answer", `"name":"conformance"`)
	next("refused", `"GRAPHQL_VALIDATION_FAILED"`)
	next("closed", `1000`)
	if lines.Scan() {
		t.Errorf("and then: %s", lines.Bytes())
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}

	wrong := node(t, "ws.mjs", strings.Replace(url, "http", "ws", 1), "qrt_wrong", "subscription { a }", "{ a }", "{ a }")
	said, _ := wrong.Output()
	if !strings.Contains(string(said), `"code":4401`) {
		t.Errorf("without a token: %s", said)
	}
}
