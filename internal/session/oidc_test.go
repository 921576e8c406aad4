package session_test

import (
	"bufio"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/member"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/signin"
)

// realProvider runs the reference provider of npm, and gives its issuer.
func realProvider(t *testing.T, redirect string) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "frontend", "node_modules", "oidc-provider")); err != nil {
		t.Fatalf("run `npm ci` in frontend first: %v", err)
	}
	dir, err := exec.CommandContext(t.Context(), filepath.Join(root, ".ci", "node")).Output() // a Node that is new enough
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(strings.TrimSpace(string(dir)), "node"),
		filepath.Join(root, "frontend", "conformance", "oidc.mjs"), redirect)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "http://") {
			return lines.Text()
		}
	}
	t.Fatal("the provider does not start")
	return ""
}

func text(s string) *string { return &s }

func (l *lab) provider(spec signin.ProviderSpec) *ent.IdentityProvider {
	l.t.Helper()
	made, err := l.CreateIdentityProvider(l.owner(), "", spec)
	if err != nil {
		l.t.Fatal(err)
	}
	return made
}

func (b *browser) get(at string) *http.Response {
	b.l.t.Helper()
	r, err := http.NewRequestWithContext(b.l.t.Context(), "GET", at, nil)
	if err != nil {
		b.l.t.Fatal(err)
	}
	res, err := b.Do(r)
	if err != nil {
		b.l.t.Fatal(err)
	}
	return res
}

var action = regexp.MustCompile(`action="([^"]+)"`) //nolint:gochecknoglobals // constant

// visit goes through the provider's pages as a person does, until it sends the
// browser back, and gives where to.
func (b *browser) visit(start, login string) string {
	b.l.t.Helper()
	at := start
	for range 20 {
		if strings.Contains(at, "/auth/oidc/callback") {
			return at
		}
		res := b.get(at)
		raw, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		base, _ := url.Parse(at)
		if res.StatusCode == 200 {
			form := action.FindStringSubmatch(string(raw))
			if form == nil {
				b.l.t.Fatalf("no form at %s: %s", at, raw)
			}
			to, _ := base.Parse(html.UnescapeString(form[1]))
			values := url.Values{"prompt": {"login"}, "login": {login}, "password": {"any"}}
			if !strings.Contains(string(raw), `name="login"`) {
				values = url.Values{"prompt": {"consent"}}
			}
			var err error
			if res, err = b.PostForm(to.String(), values); err != nil {
				b.l.t.Fatal(err)
			}
			_ = res.Body.Close()
			base = to
		}
		next, err := base.Parse(res.Header.Get("Location"))
		if err != nil || res.StatusCode >= 400 || res.Header.Get("Location") == "" {
			b.l.t.Fatalf("%s at %s: %s", res.Status, at, raw)
		}
		at = next.String()
	}
	b.l.t.Fatal("the provider sends the browser round and round")
	return ""
}

// byProvider signs in by an identity provider, and gives where the browser ends.
func (b *browser) byProvider(id, login string) string {
	b.l.t.Helper()
	res := b.get(b.l.server.URL + "/auth/oidc/start?provider=" + id + "&to=" + url.QueryEscape("/v/here?a=b"))
	if res.StatusCode != http.StatusSeeOther {
		b.l.t.Fatalf("%s", res.Status)
	}
	back := b.get(b.visit(res.Header.Get("Location"), login))
	return back.Header.Get("Location")
}

// memberships are the names of the organizations that the API tells of.
func (b *browser) memberships() string {
	b.l.t.Helper()
	out := ""
	data, _ := b.ask("POST", "/graphql", object{"query": "{ viewer { memberships { organization { name } } } }"}, "X-Api", "1").body["data"].(object)
	viewer, _ := data["viewer"].(object)
	all, _ := viewer["memberships"].([]any)
	for _, m := range all {
		out += m.(object)["organization"].(object)["name"].(string) + " "
	}
	return out
}

// TestIdentityProvider: signing in by a real provider, with its forms.
func TestIdentityProvider(t *testing.T) {
	l := newLab(t, databases.SQLite(t), false)
	l.serveStreams()
	home := l.first.Organization.ID
	issuer := realProvider(t, l.server.URL+"/auth/oidc/callback")
	operator := property.RoleOperator
	idp := l.provider(signin.ProviderSpec{Name: "Company", Issuer: issuer, ClientID: "quorate", Secret: text("a secret of the client"),
		Domains: []string{"Example.com"}, JoinRole: &operator})
	if strings.Contains(string(idp.SealedSecret), "secret") {
		t.Error("the secret is kept unsealed")
	}
	offers := func(address string) int {
		return len(l.browser("x").post("/auth/providers", object{"email": address}).body["providers"].([]any))
	}
	if offers("x@EXAMPLE.com") != 1 || offers("x@else.com") != 0 || offers("x@sub.example.com") != 0 {
		t.Error("the wrong providers are offered")
	}

	// A member signs in as himself, by his address.
	b := l.browser("one")
	if to := b.byProvider(idp.ID, "olga"); to != "/v/here?a=b" {
		t.Fatalf("ends at %s: %s", to, l.log.take())
	}
	b.wantWho("the owner", home+" "+l.first.Owner.ID+" OWNER")
	m, _ := b.ask("GET", "/auth/session", nil).body["member"].(object)
	if m["identityProvider"] != idp.ID {
		t.Errorf("the session's member %v", m)
	}
	b.wantWho("again by his subject", home+" "+l.first.Owner.ID+" OWNER")

	// It signs in for its organization alone.
	other := l.organization("Else")
	l.member(other.ID, email, property.RoleOwner)
	if all := b.ask("GET", "/auth/organizations", nil).body["organizations"].([]any); len(all) != 1 {
		t.Errorf("may act for %v", all)
	}
	if got := b.memberships(); got != "Charts " {
		t.Errorf("the API tells of the organizations %s", got)
	}
	want(t, "another organization", b.post("/auth/organization", object{"organization": other.ID}), 404, license.CodeNotFound)
	if got := b.ask("POST", "/graphql", object{}, "Quorate-Organization", other.ID); got.status != 404 || got.who != "" {
		t.Errorf("another organization by header: %+v", got)
	}
	byPassword := l.browser("password")
	byPassword.signIn(email, password)
	if got := byPassword.memberships(); got != "Charts Else " {
		t.Errorf("by password the API tells of the organizations %s", got)
	}
	for path, in := range map[string]object{"/auth/account": {"name": "x"}, "/auth/password": {"present": password, "password": "a new long password"},
		"/auth/second/begin": {"password": password}, "/auth/second/end": {"password": password, "code": "1"}} {
		want(t, path, b.post(path, in), 403, license.CodeForbidden)
	}
	if n := len(b.ask("GET", "/auth/sessions", nil).body["sessions"].([]any)); n != 1 {
		t.Errorf("sees %d sessions, also those by password", n)
	}
	b.post("/auth/sessions/end", object{"others": true})
	byPassword.wantWho("not ended from there", home+" "+l.first.Owner.ID+" OWNER")

	// Somebody of the domain joins, with an account of his own.
	squatted := l.member(other.ID, "nina@example.com", property.RoleOwner) // the address with a password that somebody else knows
	n := l.browser("nina")
	n.byProvider(idp.ID, "nina")
	joined := l.client().Member.Query().Where(member.OrganizationID(home), member.Email("nina@example.com")).OnlyX(l.system())
	n.wantWho("joined", home+" "+joined.ID+" OPERATOR")
	if *joined.UserID == *squatted.UserID {
		t.Error("who knows the password elsewhere is in this organization now")
	}
	n.byProvider(idp.ID, "nina")
	n.wantWho("joined once", home+" "+joined.ID+" OPERATOR")

	for what, login := range map[string]string{"not verified": "unverified", "another domain": "pia@else.com"} {
		x := l.browser(what)
		if to := x.byProvider(idp.ID, login); !strings.HasPrefix(to, "/login?failed=FORBIDDEN") || x.who() != "" {
			t.Errorf("%s: %s", what, to)
		}
	}

	// Removed, he doesn't come back by himself.
	l.client().Member.DeleteOne(joined).ExecX(l.system())
	n.wantWho("removed", "")
	if to := n.byProvider(idp.ID, "nina"); !strings.HasPrefix(to, "/login?failed=FORBIDDEN") {
		t.Errorf("removed, ends at %s", to)
	}

	// Enforced, passwords count for owners alone.
	l.member(home, "paul@example.com", property.RoleAdministrator)
	p := l.browser("paul")
	p.signIn("paul@example.com", password)
	idp, err := l.UpdateIdentityProvider(l.owner(), idp.ID, idp.Revision, signin.ProviderSpec{Name: "Company", Issuer: issuer, ClientID: "quorate", Enforced: true})
	if err != nil || idp.Revision != 2 {
		t.Fatal(err)
	}
	p.wantWho("a session by password", "")
	want(t, "a password", p.signIn("paul@example.com", password), 401, license.CodeUnauthenticated)
	if p.byProvider(idp.ID, "paul"); p.who() == "" {
		t.Errorf("by the provider: %s", l.log.take())
	}
	want(t, "the owner's password", l.browser("x").signIn(email, password), 200, "")

	// Owners whose accounts only the provider opens keep it while there is no other.
	w := l.browser("joins")
	idp, err = l.UpdateIdentityProvider(l.owner(), idp.ID, idp.Revision, signin.ProviderSpec{Name: "Company", Issuer: issuer, ClientID: "quorate",
		Domains: []string{"example.com"}, JoinRole: &operator})
	if err != nil {
		t.Fatal(err)
	}
	w.byProvider(idp.ID, "wanda")
	wanda := l.client().Member.Query().Where(member.OrganizationID(home), member.Email("wanda@example.com")).OnlyX(l.system())
	l.client().Member.UpdateOne(wanda).SetRole(property.RoleOwner).ExecX(l.system())
	l.client().Member.UpdateOneID(l.first.Owner.ID).SetRole(property.RoleViewer).ExecX(l.system())
	if err := l.DeleteIdentityProvider(l.owner(), idp.ID); license.CodeOf(err) != license.CodeConflict {
		t.Errorf("nobody can sign in as an owner any more: %v", err)
	}
	w.wantWho("the owner by the provider", home+" "+wanda.ID+" OWNER")
	spare := l.provider(signin.ProviderSpec{Name: "Spare", Issuer: newForger(t).URL, ClientID: "quorate"})
	if err := l.DeleteIdentityProvider(l.owner(), spare.ID); err != nil {
		t.Errorf("a provider that opens no owner's account: %v", err)
	}
	l.client().Member.UpdateOneID(l.first.Owner.ID).SetRole(property.RoleOwner).ExecX(l.system())

	if err := l.DeleteIdentityProvider(l.owner(), idp.ID); err != nil {
		t.Fatal(err)
	}
	w.wantWho("after the provider was deleted", "")
	p.wantWho("after the provider was deleted", "")
	b.wantWho("after the provider was deleted", "")
}
