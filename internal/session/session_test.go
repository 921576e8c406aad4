package session_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/httpd"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/session"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/store/storetest"
)

// accounts has one member and one token.
type accounts struct {
	store  *store.Store
	member auth.Principal
	err    error
}

func (a *accounts) SignIn(_ context.Context, _, password string) (auth.Principal, error) {
	if password != "right" {
		return auth.Principal{}, license.Errorf(license.CodeUnauthenticated, "try again", "wrong")
	}
	return a.member, nil
}

func (a *accounts) MemberPrincipal(context.Context, string) (auth.Principal, error) {
	return a.member, a.err
}

func (a *accounts) Authenticate(_ context.Context, token string) (auth.Principal, error) {
	if token != "qrt_good" {
		return auth.Principal{}, license.Errorf(license.CodeUnauthenticated, "make a new one", "the API token is not known")
	}
	return auth.Principal{Kind: auth.KindToken, ID: "tok_1", Organization: a.member.Organization, Role: auth.Viewer}, nil
}

func (a *accounts) Read(context.Context) (*ent.Client, error) { return a.store.Client(), nil }

type lab struct {
	t        *testing.T
	accounts *accounts
	handler  http.Handler
	log      strings.Builder
}

//nolint:gochecknoglobals // prepared once for all tests
var databases = storetest.New("session", nil)

// newLab serves the sign-in endpoints, and at /graphql who asks.
func newLab(t *testing.T, secure bool) *lab {
	st, err := store.Open(t.Context(), databases.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	org, err := st.Client().Organization.Create().SetName("Charts").SetVendor(true).Save(auth.With(t.Context(), auth.System("test")))
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, accounts: &accounts{store: st, member: auth.Principal{
		Kind: auth.KindMember, ID: "mem_1", Organization: org.ID, Role: auth.Owner, Name: "Olga", Email: "o@example.com"}}}
	server, err := httpd.New(httpd.Config{
		Sessions: session.New(l.accounts, st.Sessions(), secure, slog.New(slog.NewTextHandler(&l.log, nil))),
		GraphQL: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p, _ := auth.From(r.Context())
			w.Header().Set("X-Who", p.ID+" "+string(p.Role))
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	l.handler = server.Handler()
	return l
}

func (l *lab) ask(method, path, body string, cookie *http.Cookie, token string) *http.Response {
	l.t.Helper()
	r := httptest.NewRequest(method, "http://quorate.test"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if cookie != nil {
		r.AddCookie(cookie)
	}
	if token != "" {
		r.Header.Set("Authorization", token)
	}
	w := httptest.NewRecorder()
	l.handler.ServeHTTP(w, r)
	return w.Result()
}

func (l *lab) signIn(cookie *http.Cookie) *http.Cookie {
	l.t.Helper()
	res := l.ask("POST", "/auth/login", `{"email":"o@example.com","password":"right"}`, cookie, "")
	if res.StatusCode != 200 || len(res.Cookies()) != 1 {
		l.t.Fatalf("%s, %v", res.Status, res.Cookies())
	}
	return res.Cookies()[0]
}

func (l *lab) who(what, want string, cookie *http.Cookie, token string) {
	l.t.Helper()
	if got := l.ask("POST", "/graphql", "{}", cookie, token).Header.Get("X-Who"); got != want {
		l.t.Errorf("%s: %q instead of %q", what, got, want)
	}
}

func TestSessions(t *testing.T) {
	l := newLab(t, true)
	l.who("nobody", " ", nil, "")
	if res := l.ask("POST", "/auth/login", `{"email":"o@example.com","password":"wrong"}`, nil, ""); res.StatusCode != 401 || len(res.Cookies()) != 0 {
		t.Errorf("a wrong password: %s, %v", res.Status, res.Cookies())
	}
	first := l.signIn(&http.Cookie{Name: "quorate_session", Value: "planted"})
	if !first.HttpOnly || !first.Secure || first.SameSite != http.SameSiteLaxMode || first.Value == "planted" {
		t.Errorf("the cookie %+v", first)
	}
	l.who("signed in", "mem_1 OWNER", first, "")
	second := l.signIn(first)
	l.who("the id before signing in again", " ", first, "")
	l.accounts.member.Role = auth.Viewer
	l.who("a changed role", "mem_1 VIEWER", second, "")
	if res := l.ask("POST", "/auth/logout", "{}", second, ""); res.StatusCode != 204 {
		t.Errorf("signing out: %s", res.Status)
	}
	l.who("signed out", " ", second, "")

	third := l.signIn(nil)
	l.accounts.err = license.Errorf(license.CodeUnauthenticated, "sign in", "removed")
	l.who("a removed member", " ", third, "")
	if newLab(t, false).signIn(nil).Secure {
		t.Error("without HTTPS the cookie would not come back")
	}
}

// TestATokenGoesBeforeTheCookie: a token that is not known is refused, whoever
// is signed in.
func TestATokenGoesBeforeTheCookie(t *testing.T) {
	l := newLab(t, false)
	cookie := l.signIn(nil)
	l.who("a token", "tok_1 VIEWER", cookie, "Bearer qrt_good")
	l.who("a token", "tok_1 VIEWER", nil, "bearer  qrt_good")
	for _, header := range []string{"Bearer qrt_bad", "Bearer ", "Basic b2xnYTp4", "qrt_good"} {
		res := l.ask("POST", "/graphql", "{}", cookie, header)
		if res.StatusCode != 401 || res.Header.Get("WWW-Authenticate") != "Bearer" || res.Header.Get("X-Who") != "" {
			t.Errorf("%q: %s", header, res.Status)
		}
	}
	if l.log.Len() > 0 {
		t.Errorf("a caller's mistake is logged: %s", l.log.String())
	}
}

// TestTroubleInsideIsLogged: the caller learns nothing of it, the operator does.
func TestTroubleInsideIsLogged(t *testing.T) {
	l := newLab(t, false)
	cookie := l.signIn(nil)
	l.accounts.err = errors.New("the disk is gone")
	for _, path := range []string{"/graphql", "/auth/logout"} {
		l.log.Reset()
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", "http://quorate.test"+path, strings.NewReader("{}"))
		r.Header.Set("Content-Type", "application/json")
		r.AddCookie(cookie)
		l.handler.ServeHTTP(w, r)
		if w.Code != 500 || strings.Contains(w.Body.String(), "disk") || !strings.Contains(w.Body.String(), `"INTERNAL"`) ||
			!strings.Contains(l.log.String(), "the disk is gone") {
			t.Errorf("%s: %d %s, log %s", path, w.Code, w.Body, l.log.String())
		}
	}
	l.accounts.err = nil
	if err := l.accounts.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/graphql", "/auth/logout"} {
		l.log.Reset()
		if res := l.ask("POST", path, "{}", cookie, ""); res.StatusCode != 500 || !strings.Contains(l.log.String(), "closed") {
			t.Errorf("%s without database: %s, log %s", path, res.Status, l.log.String())
		}
	}
}
