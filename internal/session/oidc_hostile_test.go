package session_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/signin"
)

// forger is an identity provider that says what it is told to.
type forger struct {
	*httptest.Server
	key     *rsa.PrivateKey
	claims  object
	alg     string
	asked   url.Values // the token request
	missing bool
}

func newForger(t *testing.T) *forger {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	f := &forger{key: key, alg: "RS256"}
	reply := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			reply(w, object{"issuer": f.URL, "authorization_endpoint": f.URL + "/auth", "token_endpoint": f.URL + "/token", "jwks_uri": f.URL + "/jwks",
				"id_token_signing_alg_values_supported": []string{"RS256", "none"}})
		case "/jwks":
			reply(w, object{"keys": []object{{"kty": "RSA", "alg": "RS256", "use": "sig", "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes())}}})
		case "/token":
			_ = r.ParseForm()
			f.asked = r.Form
			out := object{"access_token": "a", "token_type": "Bearer"}
			if !f.missing {
				out["id_token"] = f.token()
			}
			reply(w, out)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(f.Close)
	return f
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (f *forger) token() string {
	head, _ := json.Marshal(object{"alg": f.alg, "typ": "JWT"})
	body, _ := json.Marshal(f.claims)
	text := b64(head) + "." + b64(body)
	if f.alg == "none" {
		return text + "."
	}
	sum := sha256.Sum256([]byte(text))
	sig, _ := rsa.SignPKCS1v15(rand.Reader, f.key, crypto.SHA256, sum[:])
	return text + "." + b64(sig)
}

// begin starts to sign in, and gives what the provider was asked.
func (b *browser) begin(provider, to string) url.Values {
	b.l.t.Helper()
	res := b.get(b.l.server.URL + "/auth/oidc/start?provider=" + provider + "&to=" + url.QueryEscape(to))
	at, err := url.Parse(res.Header.Get("Location"))
	if err != nil || res.StatusCode != http.StatusSeeOther {
		b.l.t.Fatalf("%s %v", res.Status, err)
	}
	return at.Query()
}

func (b *browser) end(q url.Values) string {
	b.l.t.Helper()
	return b.get(b.l.server.URL + "/auth/oidc/callback?" + q.Encode()).Header.Get("Location")
}

// TestHostileProvider: what doesn't hold signs nobody in.
func TestHostileProvider(t *testing.T) {
	l := newLab(t, databases.SQLite(t), false)
	f := newForger(t)
	viewer := property.RoleViewer
	idp := l.provider(signin.ProviderSpec{Name: "Forger", Issuer: f.URL, ClientID: "quorate", Domains: []string{"example.com"}, JoinRole: &viewer})
	good := func(nonce string) object {
		return object{"iss": f.URL, "aud": "quorate", "sub": "s1", "nonce": nonce, "exp": time.Now().Add(time.Minute).Unix(),
			"iat": time.Now().Unix(), "email": email, "email_verified": true}
	}
	for what, forge := range map[string]func(c object, q url.Values){
		"wrong nonce":         func(c object, _ url.Values) { c["nonce"] = "else" },
		"no nonce":            func(c object, _ url.Values) { delete(c, "nonce") },
		"other audience":      func(c object, _ url.Values) { c["aud"] = "another" },
		"two audiences":       func(c object, _ url.Values) { c["aud"] = []string{"quorate", "another"} },
		"another party":       func(c object, _ url.Values) { c["azp"] = "another" },
		"expired":             func(c object, _ url.Values) { c["exp"] = time.Now().Add(-time.Hour).Unix() },
		"another issuer":      func(c object, _ url.Values) { c["iss"] = "https://else.example.com" },
		"no subject":          func(c object, _ url.Values) { delete(c, "sub") },
		"alg none":            func(object, url.Values) { f.alg = "none" },
		"unsigned by the key": func(object, url.Values) { f.alg = "HS256" },
		"no id token":         func(object, url.Values) { f.missing = true },
		"not verified":        func(c object, _ url.Values) { c["email_verified"] = false },
		"verification lost":   func(c object, _ url.Values) { delete(c, "email_verified") },
		"no address":          func(c object, _ url.Values) { delete(c, "email") },
		"another state":       func(_ object, q url.Values) { q.Set("state", "else") },
		"no state":            func(_ object, q url.Values) { q.Del("state") },
		"no code":             func(_ object, q url.Values) { q.Del("code") },
		"an error":            func(_ object, q url.Values) { q.Set("error", "access_denied") },
		"another's answer":    func(_ object, q url.Values) { q.Set("iss", "https://else.example.com") },
	} {
		b := l.browser(what)
		asked := b.begin(idp.ID, "/")
		q := url.Values{"code": {"c"}, "state": {asked.Get("state")}}
		f.claims, f.alg, f.missing = good(asked.Get("nonce")), "RS256", false
		forge(f.claims, q)
		if to := b.end(q); !strings.HasPrefix(to, "/login?failed=") || b.who() != "" {
			t.Errorf("%s: ends at %s as %s", what, to, b.who())
		}
	}

	// What holds does, once, in the browser that began.
	b := l.browser("good")
	asked := b.begin(idp.ID, "//evil.example.com/")
	if asked.Get("code_challenge_method") != "S256" || asked.Get("code_challenge") == "" || asked.Get("response_type") != "code" ||
		!strings.Contains(asked.Get("scope"), "openid") {
		t.Errorf("asked %v", asked)
	}
	f.claims, f.alg, f.missing = good(asked.Get("nonce")), "RS256", false
	q := url.Values{"code": {"c"}, "state": {asked.Get("state")}}
	if to := l.browser("another").end(q); !strings.HasPrefix(to, "/login?failed=") {
		t.Errorf("another browser ends at %s", to)
	}
	here, _ := url.Parse(l.server.URL + "/auth/oidc/")
	kept := b.Jar.Cookies(here)
	if to := b.end(q); to != "/" || b.who() == "" {
		t.Fatalf("ends at %s: %s", to, l.log.take())
	}
	sum := sha256.Sum256([]byte(f.asked.Get("code_verifier")))
	if b64(sum[:]) != asked.Get("code_challenge") {
		t.Error("the code's verifier is another")
	}
	replayed := l.browser("replayed")
	replayed.Jar.SetCookies(here, kept)
	for _, c := range kept {
		c.Path = "/auth/oidc/"
	}
	replayed.Jar.SetCookies(here, kept)
	l.log.take()
	if to := replayed.end(q); !strings.HasPrefix(to, "/login?failed=") || replayed.who() != "" || !strings.Contains(l.log.take(), "has been used") {
		t.Errorf("replayed, ends at %s", to)
	}

	// Another person with the same address is somebody else.
	x := l.browser("second")
	asked = x.begin(idp.ID, "/")
	f.claims = good(asked.Get("nonce"))
	f.claims["sub"] = "s2"
	if to := x.end(url.Values{"code": {"c"}, "state": {asked.Get("state")}}); !strings.HasPrefix(to, "/login?failed=FORBIDDEN") || x.who() != "" {
		t.Errorf("a second subject with the address ends at %s", to)
	}

	// Another tenant with the same issuer and subject is let into its own house only.
	other := l.organization("Else")
	as := auth.With(t.Context(), auth.Principal{Kind: auth.KindMember, ID: "mem_else", Organization: other.ID, Role: auth.Owner, Name: "Else"})
	theirs, err := l.CreateIdentityProvider(as, "", signin.ProviderSpec{Name: "Ours", Issuer: f.URL, ClientID: "quorate",
		Domains: []string{"example.com"}, JoinRole: &viewer})
	if err != nil {
		t.Fatal(err)
	}
	e := l.browser("else")
	asked = e.begin(theirs.ID, "/")
	f.claims = good(asked.Get("nonce"))
	e.end(url.Values{"code": {"c"}, "state": {asked.Get("state")}})
	if who := e.who(); !strings.HasPrefix(who, other.ID+" ") || !strings.HasSuffix(who, " VIEWER") {
		t.Errorf("another tenant's provider signs in %q", who)
	}
	want(t, "the first organization", e.post("/auth/organization", object{"organization": l.first.Organization.ID}), 404, license.CodeNotFound)
}

// TestCallsAreBounded: whoever starts to sign in has us call the provider, so
// not all at the same time.
func TestCallsAreBounded(t *testing.T) {
	l := newLab(t, databases.SQLite(t), false)
	f := newForger(t)
	idp := l.provider(signin.ProviderSpec{Name: "Forger", Issuer: f.URL, ClientID: "quorate"})
	inside, goOn := make(chan struct{}, 100), make(chan struct{})
	answer := f.Config.Handler
	f.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inside <- struct{}{}
		<-goOn
		answer.ServeHTTP(w, r)
	})
	start := l.server.URL + "/auth/oidc/start?provider=" + idp.ID
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() { _ = l.browser("many").get(start).Body.Close() })
	}
	for range 16 {
		<-inside
	}
	if to := l.browser("one more").get(start).Header.Get("Location"); to != "/login?failed=THROTTLED" {
		t.Errorf("one more goes to %s", to)
	}
	close(goOn)
	wg.Wait()
	if to := l.browser("later").get(start).Header.Get("Location"); !strings.HasPrefix(to, f.URL) {
		t.Errorf("later goes to %s", to)
	}
}

// TestProviderRights: who may choose the provider, and what it may be.
func TestProviderRights(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		f := newForger(t)
		viewer, owner := property.RoleViewer, property.RoleOwner
		spec := signin.ProviderSpec{Name: "Company", Issuer: f.URL, ClientID: "quorate", Secret: text("very secret")}
		with := func(change func(*signin.ProviderSpec)) signin.ProviderSpec { s := spec; change(&s); return s }
		for _, role := range []auth.Role{auth.Administrator, auth.Operator, auth.Viewer} {
			ctx := auth.With(t.Context(), auth.Principal{Kind: auth.KindMember, ID: "mem_x", Organization: l.first.Organization.ID, Role: role})
			if _, err := l.CreateIdentityProvider(ctx, "", spec); license.CodeOf(err) != license.CodeForbidden {
				t.Errorf("%s: %v", role, err)
			}
		}
		// A token that may not do all that owners may could come in as an owner.
		for _, names := range [][]string{{"MANAGE_MEMBERS"}, {"MANAGE_MEMBERS", "MANAGE_KEYS"}} {
			scopes, err := auth.ParseScopes(names)
			if err != nil {
				t.Fatal(err)
			}
			ctx := auth.With(t.Context(), auth.Principal{Kind: auth.KindToken, ID: "tok_x", Organization: l.first.Organization.ID, Role: auth.Owner, Scopes: scopes})
			if _, err := l.CreateIdentityProvider(ctx, "", spec); license.CodeOf(err) != license.CodeForbidden {
				t.Errorf("an owner's token for %v: %v", names, err)
			}
		}
		for what, c := range map[string]struct {
			code license.Code
			spec signin.ProviderSpec
		}{
			"no name":          {license.CodeInvalidInput, with(func(s *signin.ProviderSpec) { s.Name = "" })},
			"no client":        {license.CodeInvalidInput, with(func(s *signin.ProviderSpec) { s.ClientID = "" })},
			"plain http":       {license.CodeInvalidInput, with(func(s *signin.ProviderSpec) { s.Issuer = "http://id.example.com" })},
			"no provider":      {license.CodeUnavailable, with(func(s *signin.ProviderSpec) { s.Issuer = f.URL + "/none" })},
			"all may join":     {license.CodeInvalidInput, with(func(s *signin.ProviderSpec) { s.JoinRole = &viewer })},
			"owners by nobody": {license.CodeInvalidInput, with(func(s *signin.ProviderSpec) { s.JoinRole, s.Domains = &owner, []string{"a.com"} })},
			"no domain":        {license.CodeInvalidInput, with(func(s *signin.ProviderSpec) { s.Domains = []string{"a b"} })},
		} {
			if _, err := l.CreateIdentityProvider(l.owner(), "", c.spec); license.CodeOf(err) != c.code {
				t.Errorf("%s: %v", what, err)
			}
		}
		made, err := l.CreateIdentityProvider(l.owner(), "k", spec)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := l.CreateIdentityProvider(l.owner(), "k", spec); err != nil || again.ID != made.ID {
			t.Errorf("the same again: %v, %v", again, err)
		}
		for what, secret := range map[string]*string{"another secret": text("very secre"), "no secret": nil, "an empty one": text("")} {
			if _, err := l.CreateIdentityProvider(l.owner(), "k", with(func(s *signin.ProviderSpec) { s.Secret = secret })); license.CodeOf(err) != license.CodeConflict {
				t.Errorf("the same key with %s: %v", what, err)
			}
		}
		if _, err := l.CreateIdentityProvider(l.owner(), "", spec); license.CodeOf(err) != license.CodeConflict {
			t.Errorf("the same name: %v", err)
		}
		if _, err := l.UpdateIdentityProvider(l.owner(), made.ID, 7, spec); license.CodeOf(err) != license.CodeConflict {
			t.Errorf("another revision: %v", err)
		}
		g := newForger(t)
		if _, err := l.UpdateIdentityProvider(l.owner(), made.ID, 1, with(func(s *signin.ProviderSpec) { s.Issuer, s.Secret = g.URL, nil })); license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("another issuer gets the secret: %v", err)
		}
		foreign := auth.With(t.Context(), auth.Principal{Kind: auth.KindMember, ID: "mem_e", Organization: l.organization("Else").ID, Role: auth.Owner})
		if _, err := l.UpdateIdentityProvider(foreign, made.ID, 1, spec); license.CodeOf(err) != license.CodeNotFound {
			t.Errorf("another organization's: %v", err)
		}
		if err := l.DeleteIdentityProvider(foreign, made.ID); license.CodeOf(err) != license.CodeNotFound {
			t.Errorf("another organization's: %v", err)
		}
	})
}

// TestProviderKeyKeepsNoSecret: what is kept with an idempotency key can't be
// used to try secrets out without the platform's master key: the same request at
// two platforms leaves two digests, and each platform knows its own again, also
// for the first requests ever, which come at the same time.
func TestProviderKeyKeepsNoSecret(t *testing.T) {
	f := newForger(t)
	spec := signin.ProviderSpec{Name: "Company", Issuer: f.URL, ClientID: "quorate", Secret: text("1234")}
	kept := map[string]bool{}
	onBoth(t, func(t *testing.T, l *lab) {
		var all sync.WaitGroup
		made := make([]string, 4)
		for i := range made {
			all.Go(func() {
				row, err := l.CreateIdentityProvider(l.owner(), "k", spec)
				if err != nil {
					t.Error(err)
					return
				}
				made[i] = row.ID
			})
		}
		all.Wait()
		if made = slices.Compact(made); len(made) != 1 {
			t.Errorf("one key made %v", made)
		}
		row := l.Store().Client().IdempotencyKey.Query().OnlyX(l.system())
		kept[string(row.Digest)] = true
	})
	if len(kept) != 2 {
		t.Error("two platforms keep the same digest of a secret")
	}
}
