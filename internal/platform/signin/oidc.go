package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/sqljson"
	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/identityprovider"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/outbound"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/ratelimit"
)

// VoyageTime is how long signing in at an identity provider may take.
const VoyageTime = 10 * time.Minute

const (
	voyagePurpose = "sign-in by identity provider"
	mostCalls     = 16 // to one identity provider at a time: anybody may have us call it
	mostOffered   = 10
	mostTarget    = 1000
)

// Offered is an identity provider to sign in by.
type Offered struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	Organization string `json:"organization"`
}

// voyage is what a browser keeps, sealed, while it is at the identity provider.
type voyage struct {
	State    string    `json:"s"`
	Nonce    string    `json:"n"`
	Verifier string    `json:"v"`
	Provider string    `json:"p"`
	To       string    `json:"t"`
	Redirect string    `json:"r"`
	Began    time.Time `json:"b"`
}

// Offers lists the identity providers for an e-mail address, by its domain: it
// doesn't tell whether there is an account.
func (s *Service) Offers(ctx context.Context, email string) ([]Offered, error) {
	ctx = core.System(ctx, "sign-in")
	email, err := core.NormalEmail(email)
	if err != nil {
		return nil, err
	}
	all, err := s.client().IdentityProvider.Query().Where(func(q *sql.Selector) {
		q.Where(sqljson.ValueContains(identityprovider.FieldDomains, domainOf(email)))
	}).WithOrganization().Order(ent.Asc(identityprovider.FieldID)).Limit(mostOffered).All(ctx)
	if err != nil {
		return nil, err
	}
	out := []Offered{}
	for _, row := range all {
		out = append(out, Offered{ID: row.ID, Name: row.Name, Organization: row.Edges.Organization.Name})
	}
	return out, nil
}

func domainOf(email string) string { return email[strings.LastIndex(email, "@")+1:] }

// Depart gives where a browser goes to sign in by an identity provider, and what
// it keeps until Arrive. redirect is our own address to come back to, to is the
// page to show after it. Errors: CodeNotFound, CodeUnavailable.
func (s *Service) Depart(ctx context.Context, provider, redirect, to string) (location, kept string, err error) {
	ctx = core.System(ctx, "sign-in")
	row, err := s.client().IdentityProvider.Get(ctx, provider)
	if err != nil {
		return "", "", core.NotFound(err, "identity provider", provider)
	}
	done, err := s.calls(ctx, row)
	if err != nil {
		return "", "", err
	}
	defer done()
	at, err := s.providers.discover(ctx, row.Issuer)
	if err != nil {
		return "", "", err
	}
	v := voyage{State: random(), Nonce: random(), Verifier: oauth2.GenerateVerifier(), Provider: row.ID, Redirect: redirect,
		To: localPath(to), Began: core.Now()}
	plain, err := json.Marshal(v)
	if err != nil {
		return "", "", err
	}
	sealed, err := s.core.Keys.Seal(ctx, voyagePurpose, plain)
	if err != nil {
		return "", "", err
	}
	config := oauth2.Config{ClientID: row.ClientID, Endpoint: at.Endpoint(), RedirectURL: redirect, Scopes: []string{oidc.ScopeOpenID, "email", "profile"}}
	return config.AuthCodeURL(v.State, oidc.Nonce(v.Nonce), oauth2.S256ChallengeOption(v.Verifier)),
		base64.RawURLEncoding.EncodeToString(sealed), nil
}

// Arrival is what the identity provider sent the browser back with.
type Arrival struct {
	Kept   string // what Depart gave the browser to keep
	State  string
	Code   string
	Error  string
	Issuer string // RFC 9207; empty: not told
}

// person is whom an identity provider vouches for.
type person struct {
	Subject string
	Email   string // empty unless the provider has verified it
	Name    string
}

// Arrive ends what Depart began: once, in the same browser. Errors:
// CodeUnauthenticated, CodeForbidden for who is no member, CodeUnavailable.
func (s *Service) Arrive(ctx context.Context, a Arrival) (c Claim, to string, err error) {
	ctx = core.System(ctx, "sign-in")
	v, err := s.recall(ctx, a)
	if err != nil {
		return Claim{}, "", err
	}
	row, err := s.client().IdentityProvider.Get(ctx, v.Provider)
	if ent.IsNotFound(err) || err == nil && a.Issuer != "" && a.Issuer != row.Issuer {
		return Claim{}, "", startAgain("the answer is not the identity provider's")
	}
	if err != nil {
		return Claim{}, "", err
	}
	if a.Error != "" || a.Code == "" {
		return Claim{}, "", startAgain("the identity provider did not sign you in")
	}
	who, err := s.vouch(ctx, row, v, a.Code)
	if err != nil {
		return Claim{}, "", err
	}
	c, err = s.admit(ctx, row, who)
	return c, v.To, err
}

// calls bounds what runs at one identity provider at the same time, until done.
func (s *Service) calls(ctx context.Context, row *ent.IdentityProvider) (done func(), err error) {
	done, held, err := s.core.Limits.Hold(ctx, "identity provider:"+row.ID, mostCalls)
	if err == nil && !held {
		err = ratelimit.Throttled(time.Second, "try again in a moment", "many sign in by this identity provider at the moment")
	}
	return done, err
}

func startAgain(what string) error { return unauthenticated("start again on the sign-in page", what) }

// recall opens what the browser kept, and sees to it that it counts once.
func (s *Service) recall(ctx context.Context, a Arrival) (voyage, error) {
	var v voyage
	sealed, err := base64.RawURLEncoding.DecodeString(a.Kept)
	if err != nil || len(sealed) == 0 {
		return v, startAgain("this browser did not begin to sign in, or took too long")
	}
	plain, err := s.core.Keys.Open(ctx, voyagePurpose, sealed)
	if license.CodeOf(err) == license.CodeKeyRefused {
		return v, startAgain("this browser did not begin to sign in")
	}
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(plain, &v); err != nil {
		return v, err
	}
	if subtle.ConstantTimeCompare([]byte(v.State), []byte(a.State)) != 1 {
		return v, startAgain("the answer belongs to another sign-in")
	}
	if age := time.Since(v.Began); age > VoyageTime || age < -time.Minute {
		return v, startAgain("signing in took too long")
	}
	sum := sha256.Sum256([]byte(v.State))
	wait, err := s.core.Limits.Try(ctx, "oidc-state:"+hex.EncodeToString(sum[:]), ratelimit.Pauses{Free: 1, First: VoyageTime, Most: VoyageTime})
	if err == nil && wait > 0 {
		err = startAgain("the answer has been used")
	}
	return v, err
}

// vouch exchanges the code, and checks what the identity provider says.
func (s *Service) vouch(ctx context.Context, row *ent.IdentityProvider, v voyage, code string) (person, error) {
	done, err := s.calls(ctx, row)
	if err != nil {
		return person{}, err
	}
	defer done()
	at, err := s.providers.discover(ctx, row.Issuer)
	if err != nil {
		return person{}, err
	}
	secret, err := s.providers.secret(ctx, row)
	if err != nil {
		return person{}, err
	}
	web := oidc.ClientContext(ctx, s.providers.web)
	config := oauth2.Config{ClientID: row.ClientID, ClientSecret: secret, Endpoint: at.Endpoint(), RedirectURL: v.Redirect}
	token, err := config.Exchange(web, code, oauth2.VerifierOption(v.Verifier))
	if err != nil {
		return person{}, outbound.Reach(ctx, err, "the identity provider")
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := at.VerifierContext(web, &oidc.Config{ClientID: row.ClientID}).Verify(web, raw)
	if err != nil {
		return person{}, &license.Error{Code: license.CodeUnauthenticated, Err: err,
			Message: "what the identity provider says of you does not hold", Fix: "start again; if it stays so, tell your administrator"}
	}
	claims := struct {
		Email    string `json:"email"`
		Verified any    `json:"email_verified"`
		Name     string `json:"name"`
		Party    string `json:"azp"`
	}{}
	if err := id.Claims(&claims); err != nil {
		return person{}, outbound.Reach(ctx, err, "the identity provider")
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(v.Nonce)) != 1 || id.Subject == "" || len(id.Subject) > 255 ||
		(claims.Party != "" && claims.Party != row.ClientID) || (len(id.Audience) > 1 && claims.Party == "") {
		return person{}, startAgain("what the identity provider says belongs to another sign-in")
	}
	if claims.Email == "" && at.UserInfoEndpoint() != "" {
		info, err := at.UserInfo(web, oauth2.StaticTokenSource(token))
		if err != nil {
			return person{}, outbound.Reach(ctx, err, "the identity provider")
		}
		if info.Subject != id.Subject {
			return person{}, startAgain("what the identity provider says is of two persons")
		}
		claims.Email, claims.Verified = info.Email, info.EmailVerified
		var more struct {
			Name string `json:"name"`
		}
		if info.Claims(&more) == nil && claims.Name == "" {
			claims.Name = more.Name
		}
	}
	out := person{Subject: id.Subject, Name: strings.TrimSpace(core.PlainText(core.ClipText(claims.Name)))}
	if claims.Verified == true || claims.Verified == "true" {
		if email, err := core.NormalEmail(claims.Email); err == nil {
			out.Email = email
		}
	}
	return out, nil
}

func random() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // crypto/rand never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// localPath is a path of this site, or "/".
func localPath(to string) string {
	if len(to) > mostTarget || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n\t\x00") {
		return "/"
	}
	return to
}
