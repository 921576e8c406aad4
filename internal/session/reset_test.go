package session_test

import (
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/ent/auditentry"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/session"
	"github.com/quorate/quorate/ent/user"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/accounts"
)

// begin makes a link, and gives its token.
func (l *lab) beginReset(address string, second bool) string {
	l.t.Helper()
	token, made, err := l.People().BeginReset(l.t.Context(), address, second)
	if err != nil || made.Email != strings.ToLower(address) || time.Until(made.ExpiresAt) > time.Hour || time.Until(made.ExpiresAt) < 59*time.Minute {
		l.t.Fatalf("%+v, %v", made, err)
	}
	return token
}

// Who forgot his password sets a new one by the operator's link, once.
func TestResetPassword(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		const clerk, fresh = "carl@example.com", "a long new password"
		l.serveStreams()
		home, second := l.first.Organization.ID, l.organization("Second").ID
		m := l.member(home, clerk, property.RoleOperator)
		l.member(second, clerk, property.RoleViewer)
		as := home + " " + m.ID + " OPERATOR"
		_, program, err := l.CreateToken(l.owner(), "", accounts.TokenSpec{Name: "program", Role: property.RoleViewer})
		if err != nil {
			t.Fatal(err)
		}
		in := l.browser("signed in before")
		in.signIn(clerk, password)
		in.wantWho("before", as)
		bystander := l.browser("somebody else")
		bystander.signIn(email, password)
		others := bystander.who()
		events, socket := in.events(streamed), in.socket()

		for _, address := range []string{"nobody@example.com", "no address"} {
			if _, _, err := l.People().BeginReset(t.Context(), address, false); license.CodeOf(err) != license.CodeNotFound && license.CodeOf(err) != license.CodeInvalidInput {
				t.Errorf("%s: %v", address, err)
			}
		}
		b := l.browser("a new one")
		end := func(token, password string) answer {
			t.Helper()
			return b.post("/auth/reset/end", object{"token": token, "password": password})
		}
		old := l.beginReset(clerk, false)
		token := l.beginReset(strings.ToUpper(clerk), false)
		row := l.client().User.Query().Where(user.Email(clerk)).OnlyX(l.system())
		if strings.Contains(string(row.ResetDigest), token) || len(row.ResetDigest) != 32 {
			t.Error("the token is kept")
		}
		want(t, "replaced", b.post("/auth/reset", object{"token": old}), 404, license.CodeNotFound)
		want(t, "replaced", end(old, fresh), 404, license.CodeNotFound)
		want(t, "none", end("", fresh), 404, license.CodeNotFound)
		want(t, "of another kind", end("qri_"+token[4:], fresh), 404, license.CodeNotFound)
		shown := b.post("/auth/reset", object{"token": token})
		if what, _ := shown.body["reset"].(object); what["email"] != clerk || what["endsSecondFactor"] != false {
			t.Errorf("shown %+v", shown)
		}
		want(t, "eleven bytes", end(token, "elevenbytes"), 400, license.CodeInvalidInput)
		in.wantWho("a link that nobody followed", as)
		want(t, "followed", end(token, fresh), 204, "")
		b.wantWho("who followed it isn't signed in", "")
		want(t, "twice", end(token, fresh+"!"), 404, license.CodeNotFound)

		events.over("a new password")
		socket.over("a new password")
		in.wantWho("before", "")
		if n := l.client().Session.Query().Where(session.UserID(row.ID)).CountX(l.system()); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
		bystander.wantWho("somebody else", others)
		if a := l.browser("a program").ask("POST", "/graphql", object{}, "Authorization", "Bearer "+program); !strings.HasPrefix(a.who, home) {
			t.Errorf("the organization's token: %+v", a)
		}
		want(t, "the password of before", b.signIn(clerk, password), 401, license.CodeUnauthenticated)
		want(t, "the new one", b.signIn(clerk, fresh), 200, "")
		b.wantWho("signed in", as)
		for _, org := range []string{home, second} {
			of := auditentry.OrganizationID(org)
			if n := l.client().AuditEntry.Query().Where(of, auditentry.Action("account.reset_begun"), auditentry.ActorContains("operator")).CountX(l.system()); n != 2 {
				t.Errorf("%d links in the log of %s", n, org)
			}
			e := l.client().AuditEntry.Query().Where(of, auditentry.Action("password.reset")).OnlyX(l.system())
			if strings.Contains(e.Actor, "operator") || e.After["secondFactorEnded"] != false {
				t.Errorf("audited %+v", e)
			}
		}

		// A link ends by time, and with a change of the password.
		token = l.beginReset(clerk, false)
		l.client().User.Update().Where(user.Email(clerk)).SetResetUntil(time.Now().UTC()).ExecX(l.system())
		want(t, "ended", end(token, fresh), 404, license.CodeNotFound)
		token = l.beginReset(clerk, false)
		want(t, "by himself", b.post("/auth/password", object{"present": fresh, "password": fresh + "?"}), 204, "")
		want(t, "after a change", end(token, fresh), 404, license.CodeNotFound)

		// It opens no organization that takes no passwords.
		for _, org := range []string{home, second} {
			l.client().IdentityProvider.Create().SetOrganizationID(org).SetName("Company").SetIssuer("https://id.example.com").SetClientID("c").SetEnforced(true).ExecX(l.system())
		}
		want(t, "no passwords there", end(l.beginReset(clerk, false), fresh), 204, "")
		b.wantWho("no passwords there", "")
		b = l.browser("another")
		if a := b.signIn(clerk, fresh); a.status != 401 || !strings.Contains(a.body["error"].(object)["message"].(string), "takes no passwords") {
			t.Errorf("%+v", a)
		}
		b.wantWho("no passwords there", "")
	})
}

// A second factor stays, unless the operator says that it goes.
func TestResetSecondFactor(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		steady()
		const fresh = "a long new password"
		b := l.browser("one")
		b.signIn(email, password)
		secret, recovery := b.enrol()
		b = l.browser("two")
		want(t, "it stays", b.post("/auth/reset/end", object{"token": l.beginReset(email, false), "password": fresh}), 204, "")
		if a := b.signIn(email, fresh); a.body["secondFactor"] != true {
			t.Errorf("%+v", a)
		}
		want(t, "its code", b.post("/auth/code", object{"code": codeOf(t, secret, 1)}), 200, "")
		waiting := l.browser("between password and code")
		waiting.signIn(email, fresh)
		token := l.beginReset(email, true)
		if what, _ := b.post("/auth/reset", object{"token": token}).body["reset"].(object); what["endsSecondFactor"] != true {
			t.Errorf("shown %v", what)
		}
		want(t, "it goes", b.post("/auth/reset/end", object{"token": token, "password": fresh + "!"}), 204, "")
		if a := waiting.post("/auth/code", object{"code": recovery[0]}); a.status != 401 {
			t.Errorf("a sign-in that was begun before: %+v", a)
		}
		if a := b.signIn(email, fresh+"!"); a.status != 200 || a.body["secondFactor"] == true {
			t.Errorf("%+v", a)
		}
		row := l.client().User.Query().Where(user.Email(email)).OnlyX(l.system())
		if row.TotpAt != nil || len(row.TotpSecret) > 0 || len(row.Recovery) > 0 {
			t.Error("the second factor is left")
		}
		e := l.client().AuditEntry.Query().Where(auditentry.Action("password.reset")).AllX(l.system())
		if len(e) != 2 || e[0].After["secondFactorEnded"] == e[1].After["secondFactorEnded"] {
			t.Errorf("audited %+v", e)
		}
	})
}

// Links are tried no faster than passwords: a token, and all from one address.
func TestResetIsThrottled(t *testing.T) {
	l := newLab(t, databases.SQLite(t), false)
	b := l.browser("one")
	token := "qrp_" + strings.Repeat("a", 43)
	for range 5 {
		want(t, "a token", b.post("/auth/reset/end", object{"token": token, "password": password}), 404, license.CodeNotFound)
	}
	want(t, "the sixth", b.post("/auth/reset", object{"token": token}), 429, license.CodeThrottled)
	for i := range 95 {
		b.post("/auth/reset", object{"token": "qrp_" + strings.Repeat("b", 40) + string([]byte{'a' + byte(i/26), 'a' + byte(i%26), 'a'})})
	}
	want(t, "from one address", b.post("/auth/reset", object{"token": l.beginReset(email, false)}), 429, license.CodeThrottled)
	want(t, "passwords", b.signIn(email, password), 429, license.CodeThrottled)
}
