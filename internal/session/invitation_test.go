package session_test

import (
	"testing"
	"time"

	"github.com/quorate/quorate/ent/member"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
)

// invite makes an invitation, and gives its token.
func (l *lab) invite(org, address string, role property.Role, ends time.Duration, groups ...string) string {
	l.t.Helper()
	token, digest, err := auth.NewToken(auth.InviteToken)
	if err != nil {
		l.t.Fatal(err)
	}
	l.client().Invitation.Create().SetOrganizationID(org).SetEmail(address).SetName("Nina").SetRole(role).SetGroups(groups).
		SetTokenDigest(digest).SetInvitedBy("Olga").SetExpiresAt(time.Now().UTC().Add(ends)).ExecX(l.system())
	return token
}

func TestInvitation(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		home, fresh := l.first.Organization.ID, "a long new password"
		g := l.client().MemberGroup.Create().SetOrganizationID(home).SetName("g").SetRole(property.RoleOperator).SaveX(l.system())
		token := l.invite(home, "nina@example.com", property.RoleViewer, time.Hour, g.ID, "mgr_gone")
		b := l.browser("nina")
		shown, _ := b.post("/auth/invitation", object{"token": token}).body["invitation"].(object)
		if shown["email"] != "nina@example.com" || shown["organization"] != "Charts" || shown["known"] != false || shown["invitedBy"] != "Olga" {
			t.Errorf("shown %v", shown)
		}
		accept := func(b *browser, token, name, password string) answer {
			return b.post("/auth/invitation/accept", object{"token": token, "name": name, "password": password})
		}
		want(t, "no name", accept(b, token, " ", fresh), 400, license.CodeInvalidInput)
		want(t, "eleven bytes", accept(b, token, "Nina", "elevenbytes"), 400, license.CodeInvalidInput)
		want(t, "accepting", accept(b, token, "Nina Novak", fresh), 200, "")
		made := l.client().Member.Query().Where(member.Email("nina@example.com")).OnlyX(l.system())
		b.wantWho("accepted", home+" "+made.ID+" OPERATOR")
		if made.Name != "Nina Novak" || made.Role != property.RoleViewer {
			t.Errorf("made %v", made)
		}
		for what, dead := range map[string]string{"used": token, "ended": l.invite(home, "x@example.com", property.RoleViewer, -time.Second), "unknown": "qri_x"} {
			want(t, what, b.post("/auth/invitation", object{"token": dead}), 404, license.CodeNotFound)
			want(t, what, accept(b, dead, "x", fresh), 404, license.CodeNotFound)
		}
		want(t, "signing in", l.browser("x").signIn("nina@example.com", fresh), 200, "")

		// Who has an account must be in it: the link alone opens none.
		other := l.organization("Else")
		token = l.invite(other.ID, "nina@example.com", property.RoleOwner, time.Hour)
		thief := l.browser("thief")
		want(t, "the link alone", accept(thief, token, "x", fresh), 401, license.CodeUnauthenticated)
		thief.signIn(email, password)
		want(t, "somebody else", accept(thief, token, "x", fresh), 401, license.CodeUnauthenticated)
		want(t, "the person", accept(b, token, "", ""), 200, "")
		theirs := l.client().Member.Query().Where(member.OrganizationID(other.ID)).OnlyX(l.system())
		b.wantWho("acts for the new organization", other.ID+" "+theirs.ID+" OWNER")
		want(t, "the password is as it was", l.browser("x").signIn("nina@example.com", fresh), 200, "")

		again := l.invite(other.ID, "nina@example.com", property.RoleOwner, time.Hour)
		want(t, "a member already", accept(b, again, "", ""), 409, license.CodeConflict)

		// Where passwords don't count he is a member, and his session stays as it is.
		strict := l.organization("Strict")
		l.client().IdentityProvider.Create().SetOrganizationID(strict.ID).SetName("Company").SetIssuer("https://id.example.com").SetClientID("q").
			SetDomains([]string{}).SetEnforced(true).ExecX(l.system())
		want(t, "an organization that takes no passwords", accept(b, l.invite(strict.ID, "nina@example.com", property.RoleViewer, time.Hour), "", ""), 401, license.CodeUnauthenticated)
		if !l.client().Member.Query().Where(member.OrganizationID(strict.ID)).ExistX(l.system()) {
			t.Error("no member of it")
		}
		b.wantWho("goes on where it was", other.ID+" "+theirs.ID+" OWNER")
	})
}
