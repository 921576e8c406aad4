package session_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/httpd"
	"github.com/quorate/quorate/internal/platform"
	"github.com/quorate/quorate/internal/session"
	"github.com/quorate/quorate/internal/store"
)

const (
	email    = "owner@example.com"
	password = "correct horse battery"
)

type noJobs struct{}

func (noJobs) EnqueueTx(context.Context, *sql.Tx, platform.Job) error { return nil }

// lab is a platform with an owner behind the real HTTP server; /graphql answers
// with who asks.
type lab struct {
	*platform.Platform
	t      *testing.T
	store  *store.Store
	url    string
	owner  auth.Principal
	client *http.Client
}

func newLab(t *testing.T) *lab {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	keys, err := platform.NewMasterKey(make([]byte, platform.MasterKeySize))
	if err != nil {
		t.Fatal(err)
	}
	bus := event.NewLocal()
	t.Cleanup(func() { _ = bus.Close() })
	p, err := platform.New(platform.Config{
		Store: s, Bus: bus, Keys: keys, Jobs: noJobs{},
		Passwords: auth.NewHasher(auth.Cost{Memory: 64, Time: 1, Threads: 1}, 1),
	})
	if err != nil {
		t.Fatal(err)
	}
	first, err := p.Bootstrap(t.Context(), platform.BootstrapSpec{Organization: "Vendor", Email: email, Name: "Olga", Password: password})
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{Platform: p, t: t, store: s, owner: auth.Principal{
		Kind: auth.KindMember, ID: first.Owner.ID, Organization: first.Organization.ID, Role: auth.Owner, Name: "Olga",
	}}
	server, err := httpd.New(httpd.Config{
		Sessions: session.New(p, s.Sessions(), false),
		GraphQL: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			who, err := auth.From(r.Context())
			if err != nil {
				who.Name = "nobody"
			}
			_, _ = w.Write([]byte(string(who.Kind) + " " + who.Name))
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(server.Handler())
	t.Cleanup(ts.Close)
	l.url, l.client = ts.URL, browser(t)
	return l
}

func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

func (l *lab) do(method, path, body string, header ...string) (*http.Response, string) {
	l.t.Helper()
	req, err := http.NewRequestWithContext(l.t.Context(), method, l.url+path, strings.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := l.client.Do(req)
	if err != nil {
		l.t.Fatal(err)
	}
	defer res.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(res.Body); err != nil {
		l.t.Fatal(err)
	}
	return res, b.String()
}

func (l *lab) signIn() *http.Response {
	l.t.Helper()
	in, _ := json.Marshal(map[string]string{"email": email, "password": password})
	res, body := l.do(http.MethodPost, "/auth/login", string(in))
	if res.StatusCode != http.StatusOK || !strings.Contains(body, `"Vendor"`) {
		l.t.Fatalf("sign in: %s %s", res.Status, body)
	}
	return res
}

func (l *lab) who(header ...string) string {
	l.t.Helper()
	_, body := l.do(http.MethodPost, "/graphql", "{}", header...)
	return body
}

func TestSessionFromSignInToSignOut(t *testing.T) {
	l := newLab(t)
	if got := l.who(); got != " nobody" {
		t.Errorf("before: %q", got)
	}
	if res, _ := l.do(http.MethodGet, "/auth/session", ""); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("session of nobody: %s", res.Status)
	}
	cookies := l.signIn().Cookies()
	if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode || cookies[0].Path != "/" {
		t.Errorf("cookies %v", cookies)
	}
	if got := l.who(); got != "MEMBER Olga" {
		t.Errorf("signed in: %q", got)
	}
	if res, body := l.do(http.MethodGet, "/auth/session", ""); res.StatusCode != http.StatusOK || !strings.Contains(body, email) {
		t.Errorf("session: %s %s", res.Status, body)
	}
	if res, body := l.do(http.MethodPost, "/auth/logout", "{}"); res.StatusCode != http.StatusNoContent {
		t.Errorf("sign out: %s %s", res.Status, body)
	}
	if got := l.who("Cookie", cookies[0].Name+"="+cookies[0].Value); got != " nobody" {
		t.Errorf("the old cookie after signing out: %q", got)
	}
}

func TestSignInGivesANewSessionID(t *testing.T) {
	l := newLab(t)
	first := l.signIn().Cookies()[0].Value
	if second := l.signIn().Cookies()[0].Value; second == first {
		t.Error("the session id from before the sign-in is still used")
	}
	if got := l.who("Cookie", "quorate_session="+first); got != " nobody" {
		t.Errorf("the id from before: %q", got)
	}
}

func TestWrongPasswordStartsNoSession(t *testing.T) {
	l := newLab(t)
	res, body := l.do(http.MethodPost, "/auth/login", `{"email":"`+email+`","password":"wrong wrong"}`)
	if res.StatusCode != http.StatusUnauthorized || strings.Contains(body, "wrong wrong") {
		t.Errorf("%s %s", res.Status, body)
	}
	if got := l.who(); got != " nobody" {
		t.Errorf("afterwards: %q", got)
	}
}

func TestTokens(t *testing.T) {
	l := newLab(t)
	_, token, err := l.CreateToken(auth.With(t.Context(), l.owner), "ci", "VIEWER")
	if err != nil {
		t.Fatal(err)
	}
	if got := l.who("Authorization", "Bearer "+token); got != "TOKEN ci" {
		t.Errorf("by token: %q", got)
	}
	l.signIn()
	for _, header := range []string{"Bearer qrt_wrong", "Bearer", "Basic " + token, "Bearer " + token + "x"} {
		res, body := l.do(http.MethodPost, "/graphql", "{}", "Authorization", header)
		if res.StatusCode != http.StatusUnauthorized || !strings.Contains(body, `"UNAUTHENTICATED"`) || strings.Contains(body, token) {
			t.Errorf("%q with a good cookie: %s %s", header, res.Status, body)
		}
	}
}

func TestARemovedMemberIsSignedOut(t *testing.T) {
	l := newLab(t)
	l.signIn()
	system := auth.With(t.Context(), auth.System("test"))
	err := l.store.WithTx(system, func(tx *store.Tx) error { return tx.Member.DeleteOneID(l.owner.ID).Exec(system) })
	if err != nil {
		t.Fatal(err)
	}
	if got := l.who(); got != " nobody" {
		t.Errorf("removed: %q", got)
	}
}
