package session_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/ent/predicate"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/user"
	"github.com/quorate/quorate/internal/httpd"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/accounts"
	"github.com/quorate/quorate/internal/platform/signin"
	"github.com/quorate/quorate/internal/store"
)

func userEmail(address string) predicate.User { return user.Email(address) }

func TestSessions(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		as := l.first.Organization.ID + " " + l.first.Owner.ID + " "
		b := l.browser("one")
		b.wantWho("nobody", "")
		want(t, "a wrong password", b.signIn(email, "wrong"), 401, license.CodeUnauthenticated)
		if b.cookie() != "" {
			t.Error("a wrong password gives a cookie")
		}
		b.plant("planted")
		res := b.signIn("OLGA@example.com", password)
		if m, _ := res.body["member"].(object); res.status != 200 || m["name"] != "Olga" || m["organization"].(object)["environment"] != "LIVE" {
			t.Fatalf("signing in: %+v", res)
		}
		first := b.cookie()
		if first == "planted" {
			t.Error("a planted cookie counts")
		}
		b.wantWho("signed in", as+"OWNER")
		b.signIn(email, password)
		second := b.cookie()
		b.plant(first)
		b.wantWho("the id before signing in again", "")
		b.plant(second)
		l.client().Member.UpdateOne(l.first.Owner).SetRole(property.RoleViewer).ExecX(l.system())
		b.wantWho("a changed role", as+"VIEWER")
		g := l.client().MemberGroup.Create().SetOrganizationID(l.first.Organization.ID).SetName("g").SetRole(property.RoleOperator).SaveX(l.system())
		l.client().MemberGroupEntry.Create().SetOrganizationID(l.first.Organization.ID).SetMemberID(l.first.Owner.ID).SetMemberGroupID(g.ID).ExecX(l.system())
		b.wantWho("a group's role", as+"OPERATOR")
		l.client().MemberGroupEntry.Delete().ExecX(l.system())
		l.client().Member.UpdateOne(l.first.Owner).SetRole(property.RoleOwner).ExecX(l.system())
		want(t, "signing out", b.post("/auth/logout", object{}), 204, "")
		b.plant(second)
		b.wantWho("signed out", "")

		b.signIn(email, password)
		l.client().Member.DeleteOne(l.first.Owner).ExecX(l.system())
		b.wantWho("a removed member", "")
	})
}

func TestCookie(t *testing.T) {
	for _, secure := range []bool{true, false} {
		l := newLab(t, databases.SQLite(t), secure)
		r := httptest.NewRequest("POST", "http://quorate.test/auth/login", strings.NewReader(`{"email":"`+email+`","password":"`+password+`"}`))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		l.server.Config.Handler.ServeHTTP(w, r)
		all := w.Result().Cookies()
		if len(all) != 1 {
			t.Fatalf("%d cookies: %s", len(all), w.Body)
		}
		c := all[0]
		if !c.HttpOnly || c.Secure != secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" ||
			strings.HasPrefix(c.Name, "__Host-") != secure || time.Until(c.Expires) < 29*24*time.Hour {
			t.Errorf("secure %v: %+v", secure, c)
		}
		idp := l.provider(signin.ProviderSpec{Name: "Forger", Issuer: newForger(t).URL, ClientID: "quorate"})
		w = httptest.NewRecorder()
		l.server.Config.Handler.ServeHTTP(w, httptest.NewRequest("GET", "http://quorate.test/auth/oidc/start?provider="+idp.ID, nil))
		if all = w.Result().Cookies(); len(all) != 1 {
			t.Fatalf("%d cookies on the way to a provider: %s", len(all), w.Body)
		}
		if c := all[0]; !c.HttpOnly || c.Secure != secure || c.Domain != "" || strings.HasPrefix(c.Name, "__Host-") != secure ||
			secure && c.Path != "/" || c.MaxAge != int(signin.VoyageTime/time.Second) {
			t.Errorf("on the way to a provider, secure %v: %+v", secure, c)
		}
	}
}

// TestSessionsEnd: after 12 hours unused, after 30 days in any case, at a
// changed password, and when their person ends them.
func TestSessionsEnd(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		as := l.first.Organization.ID + " " + l.first.Owner.ID + " OWNER"
		one, two := l.browser("Firefox"), l.browser("Chromium")
		one.signIn(email, password)
		two.signIn(email, password)
		list := func(b *browser) []any { return b.ask("GET", "/auth/sessions", nil).body["sessions"].([]any) }
		all := list(one)
		if len(all) != 2 {
			t.Fatalf("%v", all)
		}
		for _, s := range all {
			s := s.(object)
			if s["current"] != (s["agent"] == "Firefox") || s["address"] != "127.0.0.1" || s["seen"] == "" || s["began"] == "" {
				t.Errorf("%v", s)
			}
			if s["current"] == false {
				want(t, "ending the other", one.post("/auth/sessions/end", object{"id": s["id"]}), 204, "")
			}
		}
		two.wantWho("ended", "")
		stranger := l.member(l.organization("Else").ID, "eve@example.com", property.RoleOwner)
		eve := l.browser("Eve")
		eve.signIn("eve@example.com", password)
		want(t, "another person's", eve.post("/auth/sessions/end", object{"id": list(one)[0].(object)["id"]}), 204, "")
		want(t, "another person's", eve.post("/auth/sessions/end", object{"others": true}), 204, "")
		one.wantWho("not another person's to end", as)
		if n := len(list(eve)); n != 1 {
			t.Errorf("%s sees %d sessions", stranger.Email, n)
		}

		two.signIn(email, password)
		want(t, "all others", one.post("/auth/sessions/end", object{"others": true}), 204, "")
		two.wantWho("one of the others", "")
		one.wantWho("this one", as)

		two.signIn(email, password)
		before := one.cookie()
		fresh := "another horse battery"
		want(t, "a wrong present password", one.post("/auth/password", object{"present": "wrong", "password": fresh}), 403, license.CodeForbidden)
		want(t, "a short one", one.post("/auth/password", object{"present": password, "password": "elevenbytes"}), 400, license.CodeInvalidInput)
		want(t, "a changed password", one.post("/auth/password", object{"present": password, "password": fresh}), 204, "")
		one.wantWho("who changed it", as)
		two.wantWho("another session", "")
		if one.cookie() == before {
			t.Error("the session keeps its id")
		}
		want(t, "the earlier password", two.signIn(email, password), 401, license.CodeUnauthenticated)

		l.later(store.SessionIdle - time.Minute)
		one.wantWho("used in time", as)
		l.later(store.SessionIdle - time.Minute)
		one.wantWho("used in time again", as)
		l.later(store.SessionIdle)
		one.wantWho("not used for long", "")
		one.signIn(email, fresh)
		for range 62 {
			l.later(store.SessionIdle - time.Minute)
			if one.who() == "" {
				break
			}
		}
		one.wantWho("used for 30 days", "")
	})
}

// TestAnEndedSessionStaysEnded: what its browser is about to do doesn't bring it back.
func TestAnEndedSessionStaysEnded(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		b := l.browser("one")
		b.signIn(email, password)
		token := b.cookie()
		if err := l.Store().Sessions().Delete(token); err != nil {
			t.Fatal(err)
		}
		want(t, "switching", b.post("/auth/organization", object{"organization": l.first.Organization.ID}), 401, license.CodeUnauthenticated)
		if n := l.client().Session.Query().CountX(l.system()); n != 0 {
			t.Errorf("%d sessions", n)
		}
	})
}

func TestOrganizations(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		home, other, foreign := l.first.Organization.ID, l.organization("Acme"), l.organization("Foreign")
		trial := l.client().Organization.Create().SetName("Acme test").SetVendor(true).SetEnvironment(property.EnvironmentTest).SetLiveID(other.ID).SaveX(l.system())
		m := l.member(other.ID, email, property.RoleOperator)
		b := l.browser("one")
		b.signIn(email, password)
		b.wantWho("first the one he has been in for the longest", home+" "+l.first.Owner.ID+" OWNER")
		all := b.ask("GET", "/auth/organizations", nil).body["organizations"].([]any)
		if len(all) != 3 || all[0].(object)["name"] != "Acme" || all[1].(object)["environment"] != "TEST" || all[1].(object)["role"] != "OPERATOR" {
			t.Errorf("organizations %v", all)
		}
		before := b.cookie()
		want(t, "switching", b.post("/auth/organization", object{"organization": other.ID}), 200, "")
		b.wantWho("switched", other.ID+" "+m.ID+" OPERATOR")
		now := b.cookie()
		b.plant(before)
		b.wantWho("the id before", "")
		b.plant(now)
		for what, id := range map[string]string{"foreign": foreign.ID, "none": "org_none", "empty": ""} {
			want(t, what, b.post("/auth/organization", object{"organization": id}), 404, license.CodeNotFound)
			if got := b.ask("POST", "/graphql", object{}, "Quorate-Organization", id); id != "" && (got.status != 404 || got.who != "") {
				t.Errorf("by header, %s: %+v", what, got)
			}
		}
		if got := b.ask("POST", "/graphql", object{}, "Quorate-Organization", home); got.who != home+" "+l.first.Owner.ID+" OWNER" {
			t.Errorf("by header: %+v", got)
		}
		b.wantWho("the header counts for its request alone", other.ID+" "+m.ID+" OPERATOR")
		b.post("/auth/organization", object{"organization": trial.ID})
		b.wantWho("the test environment", trial.ID+" "+m.ID+" OPERATOR")
		l.client().Member.DeleteOne(m).ExecX(l.system())
		b.wantWho("removed", "")
		if got := b.ask("POST", "/graphql", object{}, "Quorate-Organization", other.ID); got.status != 404 {
			t.Errorf("removed, by header: %+v", got)
		}
	})
}

// TestATokenGoesBeforeTheCookie: a token that is not known is refused, whoever
// is signed in, and has no account.
func TestATokenGoesBeforeTheCookie(t *testing.T) {
	l := newLab(t, databases.SQLite(t), false)
	b := l.browser("one")
	b.signIn(email, password)
	made, token, err := l.CreateToken(l.owner(), "", accounts.TokenSpec{Name: "ci", Role: property.RoleViewer})
	if err != nil {
		t.Fatal(err)
	}
	l.log.take()
	for _, header := range []string{"Bearer " + token, "bearer  " + token} {
		if got := b.ask("POST", "/graphql", object{}, "Authorization", header); got.who != l.first.Organization.ID+" "+made.ID+" VIEWER" {
			t.Errorf("%+v", got)
		}
	}
	want(t, "for another organization", b.ask("GET", "/auth/session", nil, "Authorization", "Bearer "+token, "Quorate-Organization", "org_else"), 403, license.CodeForbidden)
	if got := b.ask("POST", "/graphql", object{}, "Authorization", "Bearer "+token, "Quorate-Organization", "org_else"); got.status != 403 {
		t.Errorf("for another organization: %+v", got)
	}
	for _, path := range []string{"/auth/account", "/auth/sessions", "/auth/organizations"} {
		want(t, path, b.ask("GET", path, nil, "Authorization", "Bearer "+token), 401, license.CodeUnauthenticated)
	}
	for _, header := range []string{"Bearer qrt_bad", "Bearer ", "Basic b2xnYTp4", "qrt_good"} {
		got := b.ask("POST", "/graphql", object{}, "Authorization", header)
		if got.status != 401 || got.header.Get("WWW-Authenticate") != "Bearer" || got.who != "" {
			t.Errorf("%q: %+v", header, got)
		}
		all, _ := got.body["errors"].([]any)
		if len(all) != 1 || all[0].(object)["extensions"].(object)["requestId"] != got.header.Get(httpd.RequestIDHeader) {
			t.Errorf("%q: no GraphQL error, or none of the request: %v", header, got.body)
		}
		want(t, "beside the API", b.ask("GET", "/auth/session", nil, "Authorization", header), 401, license.CodeUnauthenticated)
	}
	if text := l.log.take(); text != "" {
		t.Errorf("a caller's mistake is logged: %s", text)
	}
}

// TestTroubleInsideIsLogged: the caller learns nothing of it, the operator does.
func TestTroubleInsideIsLogged(t *testing.T) {
	l := newLab(t, databases.SQLite(t), false)
	b := l.browser("one")
	b.signIn(email, password)
	if err := l.Store().Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/graphql", "/auth/logout"} {
		l.log.take()
		if got := b.post(path, object{}); got.status != 500 || !strings.Contains(l.log.take(), "closed") {
			t.Errorf("%s without database: %+v", path, got)
		}
	}
}

func TestAccount(t *testing.T) {
	l := newLab(t, databases.SQLite(t), false)
	b := l.browser("one")
	for _, path := range []string{"/auth/account", "/auth/sessions", "/auth/organizations"} {
		want(t, path, b.ask("GET", path, nil), 401, license.CodeUnauthenticated)
	}
	for path := range map[string]bool{"/auth/account": true, "/auth/password": true, "/auth/organization": true, "/auth/sessions/end": true,
		"/auth/second/begin": true, "/auth/second/confirm": true, "/auth/second/end": true, "/auth/code": true} {
		if got := b.post(path, object{}); got.status != 401 {
			t.Errorf("%s: %+v", path, got)
		}
	}
	b.signIn(email, password)
	for _, name := range []string{"  ", "two\nlines", "\x1b[2J"} {
		want(t, fmt.Sprintf("the name %q", name), b.post("/auth/account", object{"name": name}), 400, license.CodeInvalidInput)
	}
	want(t, "no session", b.post("/auth/sessions/end", object{}), 400, license.CodeInvalidInput)
	want(t, "a name", b.post("/auth/account", object{"name": "Olga Ohm"}), 204, "")
	if a := b.ask("GET", "/auth/account", nil).body["account"].(object); a["name"] != "Olga Ohm" || a["email"] != email || a["secondFactor"] != false {
		t.Errorf("account %v", a)
	}
	if m := l.client().Member.GetX(l.system(), l.first.Owner.ID); m.Name != "Olga Ohm" {
		t.Errorf("the member is called %s", m.Name)
	}
}

// Sign-ins are counted by the address that a trusted proxy tells, and sessions
// show it.
func TestSignInsByAddress(t *testing.T) {
	l := newLab(t, databases.SQLite(t), false)
	b := l.browser("a browser")
	try := func(who, from string) answer {
		t.Helper()
		return b.ask("POST", "/auth/login", object{"email": who, "password": password}, "X-Forwarded-For", from)
	}
	throttled := 0
	for i := range 120 {
		a := try(fmt.Sprintf("nobody%d@example.com", i), "198.51.100.7")
		if a.code() == string(license.CodeThrottled) {
			throttled++
		} else if a.code() != string(license.CodeUnauthenticated) || throttled > 0 {
			t.Fatalf("try %d: %+v", i, a)
		}
	}
	if throttled == 0 || throttled > 20 {
		t.Errorf("%d of 120 were held back", throttled)
	}
	want(t, "the right password from there", try(email, "198.51.100.7"), http.StatusTooManyRequests, license.CodeThrottled)
	want(t, "from elsewhere", try(email, "198.51.100.7, 198.51.100.8"), http.StatusOK, "")
	if got := fmt.Sprint(b.ask("GET", "/auth/sessions", nil, "X-Forwarded-For", "198.51.100.8").body["sessions"]); !strings.Contains(got, "address:198.51.100.8") {
		t.Errorf("the session shows %s", got)
	}
}
