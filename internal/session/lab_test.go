package session_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/httpd"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform"
	"github.com/quorate/quorate/internal/platform/accounts"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/session"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/store/storetest"
	"github.com/quorate/quorate/resolvers"
)

//nolint:gochecknoglobals // prepared once for all tests
var databases = storetest.New("session", nil)

const (
	email    = "olga@example.com"
	password = "correct horse battery"
)

type noJobs struct{}

func (noJobs) EnqueueTx(context.Context, *sql.Tx, core.Job) error { return nil }

// journal is a log that tests read while it is written.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) take() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	defer j.text.Reset()
	return j.text.String()
}

// lab is a platform with a vendor and its owner, over HTTP.
type lab struct {
	*platform.Platform
	t      *testing.T
	first  accounts.Bootstrapped
	server *httptest.Server
	log    *journal
	as     *session.Sessions
	api    http.Handler // asked for what is streamed, or has X-Api; nil: nobody asks
}

// serveStreams serves the API itself to whoever asks for streams.
func (l *lab) serveStreams() {
	l.api = resolvers.NewHandler(resolvers.Config{Platform: l.Platform, Logger: slog.New(slog.DiscardHandler), Authenticate: l.as.Authenticate})
}

func onBoth(t *testing.T, test func(t *testing.T, l *lab)) {
	t.Run("sqlite", func(t *testing.T) { test(t, newLab(t, databases.SQLite(t), false)) })
	t.Run("postgres", func(t *testing.T) { test(t, newLab(t, databases.Postgres(t), false)) })
}

// newLab serves the sign-in endpoints, and at /graphql who asks.
func newLab(t *testing.T, dsn string, secure bool) *lab {
	t.Helper()
	l := &lab{t: t, log: &journal{}}
	st, err := store.Open(t.Context(), dsn, store.Logged(slog.New(slog.NewTextHandler(l.log, nil))))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	keys, err := core.NewMasterKey(make([]byte, core.MasterKeySize))
	if err != nil {
		t.Fatal(err)
	}
	bus := event.NewLocal()
	t.Cleanup(func() { _ = bus.Close() })
	l.Platform, err = platform.New(platform.Config{Store: st, Bus: bus, Keys: keys, Jobs: noJobs{}, PrivateNetworks: true,
		Passwords: auth.NewHasher(auth.Cost{Time: 1, Memory: 64, Threads: 1}, 2)})
	if err != nil {
		t.Fatal(err)
	}
	if l.first, err = l.Bootstrap(t.Context(), accounts.BootstrapSpec{Organization: "Charts", Email: email, Name: "Olga", Password: password}); err != nil {
		t.Fatal(err)
	}
	sessions := session.New(l.Platform, st.Sessions(), secure, slog.New(slog.NewTextHandler(l.log, nil)))
	l.as = sessions
	server, err := httpd.New(httpd.Config{
		Sessions: sessions, Auth: sessions.Endpoints(), TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		GraphQL: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Upgrade") != "" || r.Header.Get("Accept") == "text/event-stream" || r.Header.Get("X-Api") != "" {
				l.api.ServeHTTP(w, r)
				return
			}
			p, _ := auth.From(r.Context())
			w.Header().Set("X-Who", p.Organization+" "+p.ID+" "+string(p.Role))
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	l.server = httptest.NewServer(server.Handler())
	t.Cleanup(l.server.Close)
	return l
}

func (l *lab) system() context.Context { return auth.With(l.t.Context(), auth.System("test")) }

func (l *lab) client() *ent.Client { return l.Store().Client() }

func (l *lab) owner() context.Context {
	return auth.With(l.t.Context(), auth.Principal{Kind: auth.KindMember, ID: l.first.Owner.ID, Organization: l.first.Organization.ID,
		Role: auth.Owner, Name: "Olga", Email: email})
}

func (l *lab) organization(name string) *ent.Organization {
	l.t.Helper()
	org, err := l.client().Organization.Create().SetName(name).SetVendor(true).Save(l.system())
	if err != nil {
		l.t.Fatal(err)
	}
	return org
}

// member makes the user with the address, if there is none, a member.
func (l *lab) member(org, address string, role property.Role) *ent.Member {
	l.t.Helper()
	ctx := l.system()
	who, err := l.client().User.Query().Where(userEmail(address)).Only(ctx)
	if ent.IsNotFound(err) {
		hash := l.client().User.Query().Where(userEmail(email)).OnlyX(ctx).PasswordHash
		who, err = l.client().User.Create().SetEmail(address).SetName(address).SetNillablePasswordHash(hash).Save(ctx)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	m, err := l.client().Member.Create().SetOrganizationID(org).SetUserID(who.ID).SetEmail(address).SetName(address).SetRole(role).Save(ctx)
	if err != nil {
		l.t.Fatal(err)
	}
	return m
}

// browser keeps cookies.
type browser struct {
	*http.Client
	l     *lab
	agent string
}

func (l *lab) browser(agent string) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		l.t.Fatal(err)
	}
	return &browser{&http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, l, agent}
}

type answer struct {
	status int
	who    string
	header http.Header
	body   map[string]any
}

func (a answer) code() string {
	e, _ := a.body["error"].(map[string]any)
	code, _ := e["code"].(string)
	return code
}

func (b *browser) ask(method, path string, in any, headers ...string) answer {
	b.l.t.Helper()
	text := ""
	if in != nil {
		j, err := json.Marshal(in)
		if err != nil {
			b.l.t.Fatal(err)
		}
		text = string(j)
	}
	r, err := http.NewRequestWithContext(b.l.t.Context(), method, b.l.server.URL+path, strings.NewReader(text))
	if err != nil {
		b.l.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", b.agent)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := b.Do(r)
	if err != nil {
		b.l.t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // read only
	out := answer{status: res.StatusCode, who: strings.TrimSpace(res.Header.Get("X-Who")), header: res.Header}
	if raw, err := io.ReadAll(res.Body); err == nil && len(raw) > 0 {
		_ = json.Unmarshal(raw, &out.body)
	}
	return out
}

type object = map[string]any

func (b *browser) post(path string, in any) answer { b.l.t.Helper(); return b.ask("POST", path, in) }

// signIn gives the session's cookie.
func (b *browser) signIn(address, pass string) answer {
	b.l.t.Helper()
	return b.post("/auth/login", object{"email": address, "password": pass})
}

func (b *browser) cookie() string {
	u, _ := url.Parse(b.l.server.URL)
	for _, c := range b.Jar.Cookies(u) {
		if strings.HasSuffix(c.Name, "quorate_session") {
			return c.Value
		}
	}
	return ""
}

func (b *browser) plant(value string) {
	u, _ := url.Parse(b.l.server.URL)
	b.Jar.SetCookies(u, []*http.Cookie{{Name: "quorate_session", Value: value, Path: "/"}})
}

func (b *browser) who() string { b.l.t.Helper(); return b.post("/graphql", object{}).who }

func (b *browser) wantWho(what, want string) {
	b.l.t.Helper()
	if got := b.who(); got != want {
		b.l.t.Errorf("%s: %q instead of %q", what, got, want)
	}
}

func want(t *testing.T, what string, a answer, status int, code license.Code) {
	t.Helper()
	if a.status != status || a.code() != string(code) {
		t.Errorf("%s: %d %q instead of %d %q: %v", what, a.status, a.code(), status, code, a.body)
	}
}

// later has the sessions last seen, and begun, so much earlier.
func (l *lab) later(d time.Duration) {
	l.t.Helper()
	for _, s := range l.client().Session.Query().AllX(l.system()) {
		l.client().Session.UpdateOne(s).SetSeenAt(s.SeenAt.Add(-d)).SetExpiresAt(s.ExpiresAt.Add(-d)).ExecX(l.system())
	}
}
