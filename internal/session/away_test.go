package session_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/testenv"
	"github.com/quorate/quorate/resolvers"
)

// A database that is away is told as such wherever somebody asks, without a word of
// it; the log has it once. When it is back all goes on.
func TestDatabaseIsAway(t *testing.T) {
	server := testenv.OwnPostgres(t)
	l := newLab(t, server.DSN, false)
	l.api = resolvers.NewHandler(resolvers.Config{Platform: l.Platform, Logger: slog.New(slog.NewTextHandler(l.log, nil)), Authenticate: l.as.Authenticate})
	b := l.browser("a")
	want(t, "sign-in", b.signIn(email, password), 200, "")
	present := b.who()
	l.log.take()

	// query asks the API; known: who asks was found before the database went.
	query := func(known, streams bool, text string) (status int, body string) {
		t.Helper()
		in, _ := json.Marshal(object{"query": text})
		r, err := http.NewRequestWithContext(l.owner(), "POST", l.server.URL+"/graphql", strings.NewReader(string(in)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if streams {
			r.Header.Set("Accept", "text/event-stream")
		}
		if !known {
			r.Header.Set("X-Api", "1")
			a := b.ask("POST", "/graphql", object{"query": text}, "X-Api", "1", "Accept", r.Header.Get("Accept"))
			raw, _ := json.Marshal(a.body)
			return a.status, string(raw)
		}
		w := httptest.NewRecorder()
		l.api.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	const (
		change = `mutation { createApiToken(input: {name: "x", role: VIEWER}) { secret } }`
		read   = `{ viewer { organization { name } } items(first: 1) { totalCount } }`
	)
	round := func() {
		t.Helper()
		server.Stop()
		for _, text := range []string{read, change, streamed} {
			if status, body := query(false, text == streamed, text); status != 503 || !strings.Contains(body, `"UNAVAILABLE"`) || !strings.Contains(body, "try again in a moment") {
				t.Errorf("%s: %d %s", text, status, body)
			}
			if _, body := query(true, text == streamed, text); !strings.Contains(body, `"UNAVAILABLE"`) || strings.Contains(body, "INTERNAL") || strings.Contains(body, "own") || strings.Contains(body, "dial") {
				t.Errorf("%s, by somebody known: %s", text, body)
			}
		}
		want(t, "a session", b.ask("GET", "/auth/session", nil), 503, license.CodeUnavailable)
		want(t, "a sign-in", l.browser("b").signIn(email, password), 503, license.CodeUnavailable)
		if a := l.browser("c").ask("POST", "/graphql", object{}, "Authorization", "Bearer qrt_"+strings.Repeat("a", 43)); a.status == 500 {
			t.Errorf("a token: %d %v", a.status, a.body)
		}
		if log := l.log.take(); strings.Count(log, "level=ERROR") != 1 || !strings.Contains(log, "the database can't be reached") {
			t.Errorf("log: %s", log)
		}
		server.Start()
		b.wantWho("back", present)
		for _, text := range []string{read, change} {
			if status, body := query(false, false, text); status != 200 || strings.Contains(body, "errors") {
				t.Errorf("back: %s: %d %s", text, status, body)
			}
		}
		b.events(streamed)
		if log := l.log.take(); strings.Contains(log, "level=ERROR") || strings.Count(log, "the database is back") != 1 {
			t.Errorf("log when it is back: %s", log)
		}
	}
	round()
	round()
}

// Who has no time left before it is known who he is, is told so, and not that
// something is wrong inside.
func TestNoTimeLeft(t *testing.T) {
	l := newLab(t, databases.SQLite(t), false)
	h := l.as.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("served") }))
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	for _, path := range []string{"/graphql", "/export/audit.csv", "/auth/session"} {
		r := httptest.NewRequestWithContext(ctx, "GET", path, nil)
		r.Header.Set("Authorization", "Bearer qrt_"+strings.Repeat("a", 43))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if body := w.Body.String(); w.Code != 503 || !strings.Contains(body, "UNAVAILABLE") || !strings.Contains(body, "took too long") {
			t.Errorf("%s: %d %s", path, w.Code, body)
		}
	}
}
