// Package session tells who asks: by an API token in the Authorization header,
// or by the cookie of a dashboard session, which it starts and ends.
//
// A session holds nothing but the member's id. Who that is, and what he may, is
// read anew for each request, so a removed member or a changed role counts at
// once. A request with a token that is not known is refused; it never falls back
// to the cookie.
package session

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/httpd"
	"github.com/quorate/quorate/internal/license"
)

// Lifetime is how long a session lasts.
const Lifetime = 24 * time.Hour

const (
	cookieName = "quorate_session"
	memberKey  = "member"
)

// Accounts knows members and tokens; *platform.Platform is one.
type Accounts interface {
	SignIn(ctx context.Context, email, password string) (auth.Principal, error)
	MemberPrincipal(ctx context.Context, id string) (auth.Principal, error)
	Authenticate(ctx context.Context, token string) (auth.Principal, error)
	Read(ctx context.Context) (*ent.Client, error)
}

// Sessions implements httpd.Sessions.
type Sessions struct {
	accounts Accounts
	manager  *scs.SessionManager
	log      *slog.Logger
}

var _ httpd.Sessions = (*Sessions)(nil)

// New makes the sessions. secure has browsers send the cookie by HTTPS only.
// What fails inside is logged, and not shown.
func New(accounts Accounts, store scs.CtxStore, secure bool, logger *slog.Logger) *Sessions {
	m := scs.New()
	m.Store = store
	m.Lifetime = Lifetime
	m.Cookie.Name = cookieName
	m.Cookie.HttpOnly = true
	m.Cookie.SameSite = http.SameSiteLaxMode
	m.Cookie.Secure = secure
	s := &Sessions{accounts, m, logger}
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
		if strings.HasPrefix(r.URL.Path, "/auth/") {
			saving.ServeHTTP(w, r)
			return
		}
		token := ""
		if c, err := r.Cookie(cookieName); err == nil {
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

func (s *Sessions) identify(r *http.Request) (context.Context, error) {
	ctx := r.Context()
	if header := r.Header.Get("Authorization"); header != "" {
		p, err := s.Authenticate(ctx, header)
		if err != nil {
			return ctx, err
		}
		return auth.With(ctx, p), nil
	}
	id := s.manager.GetString(ctx, memberKey)
	if id == "" {
		return ctx, nil
	}
	p, err := s.accounts.MemberPrincipal(ctx, id)
	if license.CodeOf(err) == license.CodeUnauthenticated {
		return ctx, nil // removed since: as if signed out
	}
	if err != nil {
		return ctx, err
	}
	return auth.With(ctx, p), nil
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
	p, err := s.accounts.SignIn(ctx, email, password)
	if err != nil {
		return httpd.Member{}, err
	}
	if err := s.manager.RenewToken(ctx); err != nil {
		return httpd.Member{}, err
	}
	s.manager.Put(ctx, memberKey, p.ID)
	return s.member(ctx, p)
}

// SignOut implements httpd.Sessions.
func (s *Sessions) SignOut(ctx context.Context) error { return s.manager.Destroy(ctx) }

// Member implements httpd.Sessions.
func (s *Sessions) Member(ctx context.Context) (httpd.Member, bool, error) {
	p, err := auth.From(ctx)
	if err != nil || p.Kind != auth.KindMember {
		return httpd.Member{}, false, nil
	}
	m, err := s.member(ctx, p)
	return m, err == nil, err
}

func (s *Sessions) member(ctx context.Context, p auth.Principal) (httpd.Member, error) {
	ctx = auth.With(ctx, p)
	client, err := s.accounts.Read(ctx)
	if err != nil {
		return httpd.Member{}, err
	}
	org, err := client.Organization.Get(ctx, p.Organization)
	if err != nil {
		return httpd.Member{}, err
	}
	return httpd.Member{
		ID: p.ID, Name: p.Name, Email: p.Email, Role: string(p.Role),
		Organization: httpd.Organization{ID: org.ID, Name: org.Name, Vendor: org.Vendor, Customer: org.Customer},
	}, nil
}

// refuse answers in the form of a GraphQL error, which every client of the API
// can read.
func (s *Sessions) refuse(w http.ResponseWriter, r *http.Request, err error) {
	public := license.Public(err)
	status := http.StatusInternalServerError
	if public.Code == license.CodeUnauthenticated {
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", "Bearer")
	} else if r.Context().Err() == nil {
		s.log.ErrorContext(r.Context(), "who asks is not known", "err", err)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []any{map[string]any{
		"message": public.Message, "extensions": map[string]any{"code": public.Code, "fix": public.Fix},
	}}})
}
