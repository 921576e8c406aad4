package session

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/httpd"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/signin"
)

// Endpoints are what browsers ask under /auth/ besides signing in and out, by
// method and path.
func (s *Sessions) Endpoints() map[string]httpd.Endpoint {
	return map[string]httpd.Endpoint{
		"POST /auth/code":              s.code,
		"GET /auth/organizations":      s.organizations,
		"POST /auth/organization":      s.organization,
		"GET /auth/account":            s.account,
		"POST /auth/account":           s.rename,
		"POST /auth/password":          s.password,
		"POST /auth/second/begin":      s.beginSecond,
		"POST /auth/second/confirm":    s.confirmSecond,
		"POST /auth/second/end":        s.endSecond,
		"GET /auth/sessions":           s.list,
		"POST /auth/sessions/end":      s.end,
		"POST /auth/providers":         s.offers,
		"GET /auth/oidc/start":         s.depart,
		"GET /auth/oidc/callback":      s.arrive,
		"POST /auth/invitation":        s.invitation,
		"POST /auth/invitation/accept": s.accept,
		"POST /auth/reset":             s.reset,
		"POST /auth/reset/end":         s.endReset,
	}
}

// person gives who is signed in by this browser's session. API tokens have no
// account.
func (s *Sessions) person(r *http.Request) (signin.Claim, error) {
	c, ok := s.claim(r.Context())
	if !ok || r.Header.Get("Authorization") != "" {
		return c, license.Errorf(license.CodeUnauthenticated, "sign in", "nobody is signed in")
	}
	return c, nil
}

// code is the second step of signing in.
func (s *Sessions) code(r *http.Request) (httpd.Reply, error) {
	var in struct {
		Code string `json:"code"`
	}
	if err := httpd.ReadJSON(r, &in); err != nil {
		return httpd.Reply{}, err
	}
	ctx := r.Context()
	claim := s.kept(ctx)
	if claim.User == "" || !s.manager.GetBool(ctx, waitingKey) || time.Since(s.began(ctx)) >= CodeTime {
		return httpd.Reply{}, license.Errorf(license.CodeUnauthenticated, "type e-mail address and password again", "no code is asked for, or it took too long")
	}
	if err := s.people.ByCode(ctx, claim, in.Code); err != nil {
		return httpd.Reply{}, err
	}
	return s.enter(ctx, claim)
}

// enter starts a session, or replaces the present one, which stays where the claim
// can't come in, as at an organization that takes no passwords.
func (s *Sessions) enter(ctx context.Context, c signin.Claim) (httpd.Reply, error) {
	m, err := s.memberOf(ctx, c)
	if err == nil {
		now := time.Now()
		err = s.keep(ctx, c, now, now.Add(Lifetime), false)
	}
	return httpd.Reply{Body: memberBody{m}}, err
}

type memberBody struct {
	Member httpd.Member `json:"member"`
}

// renew keeps a changed claim in the session, under a new id; it ends no later.
func (s *Sessions) renew(ctx context.Context, c signin.Claim) error {
	began := s.began(ctx)
	return s.keep(ctx, c, began, began.Add(Lifetime), false)
}

func (s *Sessions) organizations(r *http.Request) (httpd.Reply, error) {
	c, err := s.person(r)
	if err != nil {
		return httpd.Reply{}, err
	}
	all, err := s.people.Organizations(r.Context(), c)
	return httpd.Reply{Body: map[string]any{"organizations": all}}, err
}

func (s *Sessions) organization(r *http.Request) (httpd.Reply, error) {
	var in struct {
		Organization string `json:"organization"`
	}
	c, err := s.person(r)
	if err == nil {
		err = httpd.ReadJSON(r, &in)
	}
	if err != nil {
		return httpd.Reply{}, err
	}
	c, p, err := s.people.Switch(r.Context(), c, in.Organization)
	if err != nil {
		return httpd.Reply{}, err
	}
	if err := s.renew(r.Context(), c); err != nil {
		return httpd.Reply{}, err
	}
	m, err := s.member(r.Context(), p, c.Provider)
	return httpd.Reply{Body: memberBody{m}}, err
}

func (s *Sessions) account(r *http.Request) (httpd.Reply, error) {
	c, err := s.person(r)
	if err != nil {
		return httpd.Reply{}, err
	}
	a, err := s.people.Account(r.Context(), c)
	return httpd.Reply{Body: map[string]any{"account": a}}, err
}

func (s *Sessions) rename(r *http.Request) (httpd.Reply, error) {
	var in struct {
		Name string `json:"name"`
	}
	c, err := s.person(r)
	if err == nil {
		err = httpd.ReadJSON(r, &in)
	}
	if err == nil {
		err = s.people.Rename(r.Context(), c, in.Name)
	}
	return httpd.Reply{}, err
}

func (s *Sessions) password(r *http.Request) (httpd.Reply, error) {
	var in struct {
		Present  string `json:"present"`
		Password string `json:"password"`
	}
	c, err := s.person(r)
	if err == nil {
		err = httpd.ReadJSON(r, &in)
	}
	if err != nil {
		return httpd.Reply{}, err
	}
	if c, err = s.people.ChangePassword(r.Context(), c, in.Present, in.Password); err != nil {
		return httpd.Reply{}, err
	}
	// The others have ended already: they began before. This only tidies up.
	if err := s.store.EndOthers(r.Context(), c.Key(), s.manager.Token(r.Context())); err != nil {
		return httpd.Reply{}, err
	}
	return httpd.Reply{}, s.renew(r.Context(), c)
}

func (s *Sessions) beginSecond(r *http.Request) (httpd.Reply, error) {
	var in struct {
		Password string `json:"password"`
	}
	c, err := s.person(r)
	if err == nil {
		err = httpd.ReadJSON(r, &in)
	}
	if err != nil {
		return httpd.Reply{}, err
	}
	made, err := s.people.BeginSecond(r.Context(), c, in.Password)
	return httpd.Reply{Body: made}, err
}

func (s *Sessions) confirmSecond(r *http.Request) (httpd.Reply, error) {
	var in struct {
		Code string `json:"code"`
	}
	c, err := s.person(r)
	if err == nil {
		err = httpd.ReadJSON(r, &in)
	}
	if err != nil {
		return httpd.Reply{}, err
	}
	codes, err := s.people.ConfirmSecond(r.Context(), c, in.Code)
	if err != nil {
		return httpd.Reply{}, err
	}
	return httpd.Reply{Body: map[string]any{"recoveryCodes": codes}}, s.renew(r.Context(), c)
}

func (s *Sessions) endSecond(r *http.Request) (httpd.Reply, error) {
	var in struct {
		Password string `json:"password"`
		Code     string `json:"code"`
	}
	c, err := s.person(r)
	if err == nil {
		err = httpd.ReadJSON(r, &in)
	}
	if err == nil {
		err = s.people.EndSecond(r.Context(), c, in.Password, in.Code)
	}
	if err != nil {
		return httpd.Reply{}, err
	}
	return httpd.Reply{}, s.renew(r.Context(), c)
}

// listed is a session as its person sees it.
type listed struct {
	ID      string    `json:"id"`
	Agent   string    `json:"agent"`
	Address string    `json:"address"`
	Began   time.Time `json:"began"`
	Seen    time.Time `json:"seen"`
	Current bool      `json:"current"`
}

func (s *Sessions) list(r *http.Request) (httpd.Reply, error) {
	c, err := s.person(r)
	if err != nil {
		return httpd.Reply{}, err
	}
	rows, err := s.store.Of(r.Context(), c.Key())
	if err != nil {
		return httpd.Reply{}, err
	}
	out, present := []listed{}, s.store.ID(s.manager.Token(r.Context()))
	for _, row := range rows {
		l := listed{ID: row.ID, Agent: row.Agent, Address: row.Address, Current: row.ID == present}
		if row.CreatedAt != nil {
			l.Began = *row.CreatedAt
		}
		if row.SeenAt != nil {
			l.Seen = *row.SeenAt
		}
		out = append(out, l)
	}
	return httpd.Reply{Body: map[string]any{"sessions": out}}, nil
}

func (s *Sessions) end(r *http.Request) (httpd.Reply, error) {
	var in struct {
		ID     string `json:"id"`
		Others bool   `json:"others"`
	}
	c, err := s.person(r)
	if err == nil {
		err = httpd.ReadJSON(r, &in)
	}
	switch {
	case err != nil:
	case in.ID == "" && !in.Others:
		err = license.Errorf(license.CodeInvalidInput, "name a session, or say others", "no session is named")
	case in.Others:
		err = s.store.EndOthers(r.Context(), c.Key(), s.manager.Token(r.Context()))
	default:
		err = s.store.End(r.Context(), c.Key(), in.ID)
	}
	return httpd.Reply{}, err
}

func (s *Sessions) offers(r *http.Request) (httpd.Reply, error) {
	var in struct {
		Email string `json:"email"`
	}
	if err := httpd.ReadJSON(r, &in); err != nil {
		return httpd.Reply{}, err
	}
	all, err := s.people.Offers(r.Context(), in.Email)
	return httpd.Reply{Body: map[string]any{"providers": all}}, err
}

// voyageName is the name and the path of the cookie. As with the session's no page
// of a sibling domain can plant one where it is secure: whoever could would have
// the browser signed in as somebody else.
func (s *Sessions) voyageName() (name, path string) {
	if s.secure {
		return "__Host-quorate_oidc", "/"
	}
	return "quorate_oidc", "/auth/oidc/"
}

func (s *Sessions) voyageCookie(value string) *http.Cookie {
	name, path := s.voyageName()
	c := &http.Cookie{Name: name, Value: value, Path: path, HttpOnly: true, Secure: s.secure,
		SameSite: http.SameSiteLaxMode, MaxAge: int(signin.VoyageTime / time.Second)}
	if value == "" {
		c.MaxAge = -1
	}
	return c
}

// depart sends the browser to an identity provider. It is a page's link, so
// what goes wrong is told by the sign-in page.
func (s *Sessions) depart(r *http.Request) (httpd.Reply, error) {
	q := r.URL.Query()
	location, kept, err := s.people.Depart(r.Context(), q.Get("provider"), s.here(r)+"/auth/oidc/callback", q.Get("to"))
	if err != nil {
		return s.astray(r, err), nil
	}
	return httpd.Reply{Location: location, Cookie: s.voyageCookie(kept)}, nil
}

func (s *Sessions) arrive(r *http.Request) (httpd.Reply, error) {
	q := r.URL.Query()
	kept := ""
	name, _ := s.voyageName()
	if c, err := r.Cookie(name); err == nil {
		kept = c.Value
	}
	claim, to, err := s.people.Arrive(r.Context(), signin.Arrival{Kept: kept, State: q.Get("state"), Code: q.Get("code"),
		Error: q.Get("error"), Issuer: q.Get("iss")})
	if err == nil {
		_, err = s.enter(r.Context(), claim)
	}
	if err != nil {
		return s.astray(r, err), nil
	}
	return httpd.Reply{Location: to, Cookie: s.voyageCookie("")}, nil
}

// astray is the sign-in page with the reason why an identity provider could
// not sign in: a code, as a text in an address could be anybody's.
func (s *Sessions) astray(r *http.Request, err error) httpd.Reply {
	public := license.Public(err)
	if r.Context().Err() == nil {
		s.log.WarnContext(r.Context(), "sign-in by identity provider", "code", public.Code, "err", err)
	}
	return httpd.Reply{Cookie: s.voyageCookie(""),
		Location: "/login?" + url.Values{"failed": {string(public.Code)}}.Encode()}
}

// here is our own address as the browser knows it.
func (s *Sessions) here(r *http.Request) string {
	if s.secure || r.TLS != nil {
		return "https://" + strings.ToLower(r.Host)
	}
	return "http://" + strings.ToLower(r.Host)
}
