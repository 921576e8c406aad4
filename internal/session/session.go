// Package session tells who asks: by an API token in the Authorization header,
// or by the cookie of a dashboard session, which it starts and ends.
//
// A session holds who signed in, how, and for which organization he acts. Who
// that is, and what he may, is read anew for each request, so a removed member
// or a changed role counts at once. A request with a token that is not known is
// refused; it never falls back to the cookie.
package session

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/httpd"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/signin"
	"github.com/quorate/quorate/internal/store"
)

// Bounds of a session besides store.SessionIdle.
const (
	// Lifetime is how long a session lasts, however much it is used.
	Lifetime = 30 * 24 * time.Hour
	// CodeTime is how long after the password the one-time code may come.
	CodeTime = 5 * time.Minute
)

// What is kept in a session. While a code is asked for there is waitingKey, and
// nobody is signed in.
const (
	userKey         = "user"
	organizationKey = "organization"
	providerKey     = "provider"
	sinceKey        = "since"
	beganKey        = "began"
	waitingKey      = "waiting"
)

// Accounts knows people and API tokens; *platform.Platform is one.
type Accounts interface {
	Authenticate(ctx context.Context, token string) (auth.Principal, error)
	People() *signin.Service
}

// Sessions implements httpd.Sessions. Safe for concurrent use.
type Sessions struct {
	accounts Accounts
	people   *signin.Service
	store    *store.Sessions
	manager  *scs.SessionManager
	secure   bool
	log      *slog.Logger
}

var _ httpd.Sessions = (*Sessions)(nil)

// New makes the sessions. secure: browsers reach us by HTTPS only, and send the
// cookie by it only. What fails inside is logged, and not shown.
func New(accounts Accounts, kept *store.Sessions, secure bool, logger *slog.Logger) *Sessions {
	m := scs.New()
	m.Store = kept
	m.Lifetime = Lifetime
	m.Cookie.Name = "quorate_session"
	if secure { // no page of a sibling domain can plant such a cookie
		m.Cookie.Name = "__Host-quorate_session"
	}
	m.Cookie.Path = "/"
	m.Cookie.HttpOnly = true
	m.Cookie.SameSite = http.SameSiteLaxMode
	m.Cookie.Secure = secure
	s := &Sessions{accounts, accounts.People(), kept, m, secure, logger}
	m.ErrorFunc = s.refuse
	return s
}

// Wrap implements httpd.Sessions. Only the sign-in endpoints change sessions, so
// only their answers are held back to set the cookie; streams pass unbuffered.
func (s *Sessions) Wrap(next http.Handler) http.Handler {
	known := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, err := s.identify(r)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
	saving := s.manager.LoadAndSave(known)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(store.WithVisit(r.Context(), visitOf(r)))
		if strings.HasPrefix(r.URL.Path, "/auth/") {
			saving.ServeHTTP(w, r)
			return
		}
		token := ""
		if c, err := r.Cookie(s.manager.Cookie.Name); err == nil {
			token = c.Value
		}
		ctx, err := s.manager.Load(r.Context(), token)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		known.ServeHTTP(w, r.WithContext(ctx))
	})
}

func visitOf(r *http.Request) *store.Visit {
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	return &store.Visit{Agent: r.UserAgent(), Address: address}
}

func (s *Sessions) identify(r *http.Request) (context.Context, error) {
	ctx := r.Context()
	wanted := r.Header.Get(httpd.OrganizationHeader)
	if header := r.Header.Get("Authorization"); header != "" {
		p, err := s.Authenticate(ctx, header)
		if err == nil && wanted != "" && wanted != p.Organization {
			err = license.Errorf(license.CodeForbidden, "use a token of the organization", "the API token is another organization's")
		}
		if err != nil {
			return ctx, err
		}
		return auth.With(ctx, p), nil
	}
	claim, ok := s.claim(ctx)
	if !ok {
		return ctx, nil
	}
	if wanted != "" && wanted != claim.Organization {
		claim, p, err := s.people.Switch(ctx, claim, wanted)
		if err != nil {
			return ctx, err
		}
		return s.held(ctx, claim, p), nil
	}
	p, err := s.people.Visitor(ctx, claim)
	if license.CodeOf(err) == license.CodeUnauthenticated {
		return ctx, nil // removed since: as if signed out
	}
	if err != nil {
		return ctx, err
	}
	return s.held(ctx, claim, p), nil
}

// held is a context of who is signed in by the request's session, for as long as
// that lasts under its present id.
func (s *Sessions) held(ctx context.Context, c signin.Claim, p auth.Principal) context.Context {
	token := s.manager.Token(ctx)
	return auth.With(auth.WithHold(ctx, auth.Hold{Key: s.store.ID(token), Again: func(ctx context.Context) (auth.Principal, error) {
		lasts, err := s.store.Lasts(ctx, token)
		if err == nil && !lasts {
			err = errEnded(nil)
		}
		if err != nil {
			return auth.Principal{}, err
		}
		return s.people.Visitor(ctx, c)
	}}), p)
}

// claim gives who is signed in by the request's session.
func (s *Sessions) claim(ctx context.Context) (signin.Claim, bool) {
	c := s.kept(ctx)
	ok := c.User != "" && !s.manager.GetBool(ctx, waitingKey) && time.Since(s.began(ctx)) < Lifetime
	return c, ok
}

func (s *Sessions) kept(ctx context.Context) signin.Claim {
	return signin.Claim{User: s.manager.GetString(ctx, userKey), Organization: s.manager.GetString(ctx, organizationKey),
		Provider: s.manager.GetString(ctx, providerKey), Since: time.UnixMicro(s.manager.GetInt64(ctx, sinceKey)).UTC()}
}

func (s *Sessions) began(ctx context.Context) time.Time {
	return time.UnixMicro(s.manager.GetInt64(ctx, beganKey)).UTC()
}

// keep puts a claim into the session, under a new id: one that was planted, or
// that somebody saw before, is worth nothing.
func (s *Sessions) keep(ctx context.Context, c signin.Claim, began time.Time, until time.Time, waiting bool) error {
	m, visit := s.manager, store.VisitOf(ctx)
	there := m.Token(ctx) != ""
	if err := m.RenewToken(ctx); err != nil {
		return err
	}
	_, in := s.claim(ctx)
	if there && in && visit.Ended { // from elsewhere, while we were at it
		return errEnded(m.Destroy(ctx))
	}
	if err := m.Clear(ctx); err != nil {
		return err
	}
	m.Put(ctx, userKey, c.User)
	m.Put(ctx, organizationKey, c.Organization)
	m.Put(ctx, providerKey, c.Provider)
	m.Put(ctx, sinceKey, c.Since.UnixMicro())
	m.Put(ctx, beganKey, began.UnixMicro())
	if waiting {
		m.Put(ctx, waitingKey, true)
	} else {
		visit.Key, visit.Since = c.Key(), began
	}
	m.SetDeadline(ctx, until)
	return nil
}

func errEnded(err error) error {
	if err != nil {
		return err
	}
	return license.Errorf(license.CodeUnauthenticated, "sign in again", "the session was ended")
}

// Authenticate tells who presents an Authorization header's value. Error:
// CodeUnauthenticated.
func (s *Sessions) Authenticate(ctx context.Context, header string) (auth.Principal, error) {
	if header == "" { // a WebSocket of a signed-in browser
		return auth.From(ctx)
	}
	scheme, token, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return auth.Principal{}, license.Errorf(license.CodeUnauthenticated, `send an API token as "Authorization: Bearer qrt_…"`, "the Authorization header is of another kind")
	}
	return s.accounts.Authenticate(ctx, strings.TrimSpace(token))
}

// SignIn implements httpd.Sessions.
func (s *Sessions) SignIn(ctx context.Context, email, password string) (httpd.Member, error) {
	claim, second, err := s.people.ByPassword(ctx, email, password)
	if err != nil {
		return httpd.Member{}, err
	}
	now := time.Now()
	if second {
		return httpd.Member{}, s.keep(ctx, claim, now, now.Add(CodeTime), true)
	}
	if err := s.keep(ctx, claim, now, now.Add(Lifetime), false); err != nil {
		return httpd.Member{}, err
	}
	return s.memberOf(ctx, claim)
}

// SignOut implements httpd.Sessions.
func (s *Sessions) SignOut(ctx context.Context) error { return s.manager.Destroy(ctx) }

// Member implements httpd.Sessions.
func (s *Sessions) Member(ctx context.Context) (httpd.Member, bool, error) {
	p, err := auth.From(ctx)
	if err != nil || p.Kind != auth.KindMember {
		return httpd.Member{}, false, nil
	}
	m, err := s.member(ctx, p, s.kept(ctx).Provider)
	return m, err == nil, err
}

func (s *Sessions) memberOf(ctx context.Context, c signin.Claim) (httpd.Member, error) {
	p, err := s.people.Visitor(ctx, c)
	if err != nil {
		return httpd.Member{}, err
	}
	return s.member(ctx, p, c.Provider)
}

func (s *Sessions) member(ctx context.Context, p auth.Principal, provider string) (httpd.Member, error) {
	org, err := s.people.Chosen(ctx, p)
	if err != nil {
		return httpd.Member{}, err
	}
	return httpd.Member{
		ID: p.ID, Name: p.Name, Email: p.Email, Role: string(p.Role), IdentityProvider: provider,
		Organization: httpd.Organization{ID: org.ID, Name: org.Name, Vendor: org.Vendor, Customer: org.Customer, Environment: org.Environment},
	}, nil
}

// refuse answers in the form that the endpoint has for errors.
func (s *Sessions) refuse(w http.ResponseWriter, r *http.Request, err error) {
	public := license.Public(err)
	status := http.StatusInternalServerError
	switch public.Code {
	case license.CodeUnauthenticated:
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", "Bearer")
	case license.CodeForbidden:
		status = http.StatusForbidden
	case license.CodeNotFound:
		status = http.StatusNotFound
	case license.CodeUnavailable:
		status = http.StatusServiceUnavailable
	default:
		if r.Context().Err() == nil {
			s.log.ErrorContext(r.Context(), "who asks is not known", "err", err)
		}
	}
	if r.URL.Path != "/graphql" {
		httpd.WriteError(w, err)
		return
	}
	extensions := map[string]any{"code": public.Code, "fix": public.Fix}
	if id := w.Header().Get(httpd.RequestIDHeader); id != "" {
		extensions["requestId"] = id
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []any{map[string]any{"message": public.Message, "extensions": extensions}}})
}
