package platform_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/accounts"
	"github.com/quorate/quorate/internal/platform/members"
	"github.com/quorate/quorate/internal/store"
)

// join adds a member who can sign in to an organization.
func (l *lab) join(organization, name string, role property.Role) *ent.Member {
	l.t.Helper()
	var m *ent.Member
	ctx := l.system()
	err := l.Store().WithTx(ctx, func(tx *store.Tx) error {
		u, err := tx.User.Create().SetEmail(name + "@example.com").SetName(name).Save(ctx)
		if err != nil {
			return err
		}
		m, err = tx.Member.Create().SetOrganizationID(organization).SetUserID(u.ID).SetEmail(u.Email).SetName(name).SetRole(role).Save(ctx)
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return m
}

// member acts as a member is now.
func (l *lab) member(m *ent.Member) context.Context {
	l.t.Helper()
	p, err := l.MemberPrincipal(l.t.Context(), m.ID)
	if err != nil {
		l.t.Fatal(err)
	}
	return l.as(p)
}

// TestRolesOfMembers: nobody gives more than he has or takes from whoever has
// more, and an owner stays.
func TestRolesOfMembers(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		org := l.owner.Organization
		admin, viewer := l.join(org, "adam", property.RoleAdministrator), l.join(org, "vera", property.RoleViewer)
		_, err := l.UpdateMember(l.member(admin), viewer.ID, 1, property.RoleOwner)
		wantCode(t, "an administrator makes an owner", err, license.CodeForbidden)
		_, err = l.UpdateMember(l.member(admin), admin.ID, 1, property.RoleOwner)
		wantCode(t, "an administrator raises himself", err, license.CodeForbidden)
		_, err = l.UpdateMember(l.member(admin), l.owner.ID, 1, property.RoleViewer)
		wantCode(t, "an administrator lowers an owner", err, license.CodeForbidden)
		_, err = l.RemoveMember(l.member(admin), l.owner.ID)
		wantCode(t, "an administrator removes an owner", err, license.CodeForbidden)
		_, err = l.UpdateMember(l.member(viewer), viewer.ID, 1, property.RoleOwner)
		wantCode(t, "a viewer", err, license.CodeForbidden)
		_, err = l.UpdateMember(l.vendor(), viewer.ID, 1, "GOD")
		wantCode(t, "no role", err, license.CodeInvalidInput)
		_, err = l.UpdateMember(l.vendor(), "mem_x", 1, property.RoleViewer)
		wantCode(t, "nobody", err, license.CodeNotFound)
		_, err = l.UpdateMember(l.stranger(), viewer.ID, 1, property.RoleOwner)
		wantCode(t, "a stranger", err, license.CodeNotFound)

		told := l.watch(event.Rights, "")
		got, err := l.UpdateMember(l.member(admin), viewer.ID, 1, property.RoleOperator)
		if err != nil || got.Role != property.RoleOperator || got.Revision != 2 {
			t.Fatalf("%+v, %v", got, err)
		}
		wantSignal(t, "a changed role", told)
		_, err = l.UpdateMember(l.member(admin), viewer.ID, 1, property.RoleViewer)
		wantCode(t, "from an old revision", err, license.CodeConflict)

		_, err = l.UpdateMember(l.vendor(), l.owner.ID, 1, property.RoleAdministrator)
		wantCode(t, "the last owner lowers himself", err, license.CodeConflict)
		_, err = l.RemoveMember(l.vendor(), l.owner.ID)
		wantCode(t, "the last owner leaves", err, license.CodeConflict)
		if got, err := l.UpdateMember(l.vendor(), admin.ID, 1, property.RoleOwner); err != nil || got.Role != property.RoleOwner {
			t.Fatal(err)
		}
		was := l.member(viewer)
		if _, err := l.RemoveMember(l.vendor(), viewer.ID); err != nil {
			t.Fatal(err)
		}
		who, _ := auth.From(was)
		_, err = l.Current(t.Context(), who)
		wantCode(t, "a removed member", err, license.CodeUnauthenticated)
		if _, err := l.RemoveMember(l.vendor(), l.owner.ID); err != nil {
			t.Errorf("an owner who isn't the last: %v", err)
		}
		if n := l.audited("member.updated") + l.audited("member.removed"); n != 4 {
			t.Errorf("%d audit entries", n)
		}
	})
}

// TestMemberGroups: a group's role counts for its members as long as they are in
// it, and is given and taken as a role is.
func TestMemberGroups(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		org := l.owner.Organization
		admin, viewer := l.join(org, "adam", property.RoleAdministrator), l.join(org, "vera", property.RoleViewer)
		role := func(m *ent.Member) auth.Role {
			t.Helper()
			p, _ := auth.From(l.member(m))
			return p.Role
		}
		ops, err := l.CreateMemberGroup(l.member(admin), "k", members.GroupSpec{Name: "Operations", Role: property.RoleOperator})
		if err != nil {
			t.Fatal(err)
		}
		if again, err := l.CreateMemberGroup(l.member(admin), "k", members.GroupSpec{Name: "Operations", Role: property.RoleOperator}); err != nil || again.ID != ops.ID {
			t.Errorf("again: %v, %v", again, err)
		}
		_, err = l.CreateMemberGroup(l.vendor(), "", members.GroupSpec{Name: "Operations", Role: property.RoleOperator})
		wantCode(t, "a name twice", err, license.CodeConflict)
		_, err = l.CreateMemberGroup(l.member(admin), "", members.GroupSpec{Name: "Bosses", Role: property.RoleOwner})
		wantCode(t, "a group above oneself", err, license.CodeForbidden)
		for range 2 { // once is enough, twice does nothing
			if _, _, err := l.AddGroupMember(l.member(admin), ops.ID, viewer.ID); err != nil {
				t.Fatal(err)
			}
		}
		if role(viewer) != auth.Operator {
			t.Errorf("in the group: %s", role(viewer))
		}
		bosses, err := l.CreateMemberGroup(l.vendor(), "", members.GroupSpec{Name: "Bosses", Role: property.RoleOwner})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = l.AddGroupMember(l.member(admin), bosses.ID, admin.ID)
		wantCode(t, "into a group above oneself", err, license.CodeForbidden)
		_, err = l.UpdateMemberGroup(l.member(admin), bosses.ID, 1, members.GroupChange{Role: new(property.RoleViewer)})
		wantCode(t, "lowering a group above oneself", err, license.CodeForbidden)
		_, err = l.UpdateMemberGroup(l.member(admin), ops.ID, 1, members.GroupChange{Role: new(property.RoleOwner)})
		wantCode(t, "raising a group above oneself", err, license.CodeForbidden)
		_, err = l.UpdateMemberGroup(l.member(admin), ops.ID, 2, members.GroupChange{Name: new("Ops")})
		wantCode(t, "another revision", err, license.CodeConflict)
		if g, err := l.UpdateMemberGroup(l.member(admin), ops.ID, 1, members.GroupChange{Name: new("Ops"), Role: new(property.RoleAdministrator)}); err != nil || g.Revision != 2 {
			t.Fatal(err)
		}
		if role(viewer) != auth.Administrator {
			t.Errorf("in the raised group: %s", role(viewer))
		}

		// An owner by his group alone is one, and the last one stays.
		if _, _, err := l.AddGroupMember(l.vendor(), bosses.ID, viewer.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := l.UpdateMember(l.vendor(), l.owner.ID, 1, property.RoleViewer); err != nil {
			t.Errorf("another is owner by his group: %v", err)
		}
		boss := l.member(viewer)
		_, _, err = l.RemoveGroupMember(boss, bosses.ID, viewer.ID)
		wantCode(t, "the last owner leaves his group", err, license.CodeConflict)
		_, err = l.DeleteMemberGroup(boss, bosses.ID)
		wantCode(t, "the last owner deletes his group", err, license.CodeConflict)
		_, err = l.UpdateMemberGroup(boss, bosses.ID, 1, members.GroupChange{Role: new(property.RoleViewer)})
		wantCode(t, "the last owner lowers his group", err, license.CodeConflict)
		if _, err := l.DeleteMemberGroup(boss, ops.ID); err != nil {
			t.Error(err)
		}
		if _, _, err := l.RemoveGroupMember(boss, bosses.ID, admin.ID); err != nil {
			t.Errorf("who isn't in it: %v", err)
		}
		_, _, err = l.AddGroupMember(l.stranger(), bosses.ID, viewer.ID)
		wantCode(t, "a stranger", err, license.CodeNotFound)
	})
}

// TestInvitations are for one address, once, for a week, and for no more than
// the one who invites may do.
func TestInvitations(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		admin := l.join(l.owner.Organization, "adam", property.RoleAdministrator)
		ctx := l.member(admin)
		ops, err := l.CreateMemberGroup(ctx, "", members.GroupSpec{Name: "Operations", Role: property.RoleOperator})
		if err != nil {
			t.Fatal(err)
		}
		bosses, err := l.CreateMemberGroup(l.vendor(), "", members.GroupSpec{Name: "Bosses", Role: property.RoleOwner})
		if err != nil {
			t.Fatal(err)
		}
		spec := members.InvitationSpec{Email: "New@example.com", Role: property.RoleViewer, Groups: []string{ops.ID}}
		made, token, err := l.CreateInvitation(ctx, "k", spec)
		if err != nil || made.Email != "new@example.com" || made.InvitedBy != "adam" || time.Until(made.ExpiresAt) < members.InvitationAge-time.Minute {
			t.Fatalf("%+v, %v", made, err)
		}
		if digest, ok := auth.TokenHash(auth.InviteToken, token); !ok || !auth.SameHash(digest, made.TokenDigest) {
			t.Error("the token is not the invitation's")
		}
		again, none, err := l.CreateInvitation(ctx, "k", spec)
		if err != nil || again.ID != made.ID || none != "" {
			t.Errorf("again: %v, %q, %v", again, none, err)
		}
		resent, second, err := l.ResendInvitation(ctx, made.ID)
		if err != nil || resent.ID == made.ID || second == token || !slices.Equal(resent.Groups, spec.Groups) {
			t.Fatalf("resent: %+v, %v", resent, err)
		}
		if old := l.Store().Client().Invitation.GetX(l.system(), made.ID); old.RevokedAt == nil {
			t.Error("what was resent still counts")
		}
		if out, err := l.RevokeInvitation(ctx, resent.ID); err != nil || out.RevokedAt == nil {
			t.Errorf("%v, %v", out, err)
		}
		for what, bad := range map[string]struct {
			spec members.InvitationSpec
			code license.Code
		}{
			"an owner":          {members.InvitationSpec{Email: "x@example.com", Role: property.RoleOwner}, license.CodeForbidden},
			"a group of owners": {members.InvitationSpec{Email: "x@example.com", Role: property.RoleViewer, Groups: []string{bosses.ID}}, license.CodeForbidden},
			"no group":          {members.InvitationSpec{Email: "x@example.com", Role: property.RoleViewer, Groups: []string{"mgr_x"}}, license.CodeNotFound},
			"no address":        {members.InvitationSpec{Email: "x", Role: property.RoleViewer}, license.CodeInvalidInput},
			"no role":           {members.InvitationSpec{Email: "x@example.com"}, license.CodeInvalidInput},
			"a member":          {members.InvitationSpec{Email: "ADAM@example.com", Role: property.RoleViewer}, license.CodeConflict},
			"a stranger's":      {members.InvitationSpec{Email: "x@example.com", Role: property.RoleViewer, Organization: "org_x"}, license.CodeNotFound},
		} {
			_, _, err := l.CreateInvitation(ctx, "", bad.spec)
			wantCode(t, what, err, bad.code)
		}
		_, _, err = l.CreateInvitation(l.with(auth.Operator), "", spec)
		wantCode(t, "an operator", err, license.CodeForbidden)
		_, _, err = l.ResendInvitation(l.stranger(), made.ID)
		wantCode(t, "a stranger resends", err, license.CodeNotFound)

		// A vendor invites the first member of a customer, and no other.
		customer, err := l.CreateCustomer(l.vendor(), "c", "Shipping")
		if err != nil {
			t.Fatal(err)
		}
		first := members.InvitationSpec{Email: "carl@example.com", Role: property.RoleOwner, Organization: customer.ID}
		inv, token, err := l.CreateInvitation(ctx, "", first)
		if err != nil || inv.OrganizationID != customer.ID || token == "" {
			t.Fatalf("the first of a customer: %+v, %v", inv, err)
		}
		// It can be sent again and taken back, as when the address was wrong, by
		// this vendor's administrators alone.
		_, err = l.RevokeInvitation(l.stranger(), inv.ID)
		wantCode(t, "another vendor takes it back", err, license.CodeNotFound)
		_, err = l.RevokeInvitation(l.with(auth.Operator), inv.ID)
		wantCode(t, "an operator takes it back", err, license.CodeForbidden)
		inv, again2, err := l.ResendInvitation(ctx, inv.ID)
		if err != nil || inv.OrganizationID != customer.ID || again2 == "" || again2 == token {
			t.Fatalf("the first of a customer again: %+v, %v", inv, err)
		}
		if out, err := l.RevokeInvitation(ctx, inv.ID); err != nil || out.RevokedAt == nil {
			t.Errorf("the first of a customer taken back: %v, %v", out, err)
		}
		open, _, err := l.CreateInvitation(ctx, "", first)
		if err != nil {
			t.Fatal(err)
		}
		l.join(customer.ID, "carl", property.RoleOwner)
		_, err = l.RevokeInvitation(ctx, open.ID)
		wantCode(t, "taken back when somebody belongs to the customer", err, license.CodeNotFound)
		_, _, err = l.ResendInvitation(ctx, open.ID)
		wantCode(t, "sent again when somebody belongs to the customer", err, license.CodeNotFound)
		_, _, err = l.CreateInvitation(ctx, "", members.InvitationSpec{Email: "spy@example.com", Role: property.RoleViewer, Organization: customer.ID})
		wantCode(t, "the second of a customer", err, license.CodeForbidden)
	})
}

// TestTokenLimits: a token has scopes and an end, and makes none that can do more.
func TestTokenLimits(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		at := time.Now().Add(time.Hour)
		spec := accounts.TokenSpec{Name: "members", Role: property.RoleOwner, Scopes: []string{"MANAGE_MEMBERS"}, ExpiresAt: &at}
		row, secret, err := l.CreateToken(l.vendor(), "k", spec)
		if err != nil || row.Hint != secret[len(secret)-4:] || row.CreatedBy != "Olga Owner" || !slices.Equal(row.Scopes, []string{"READ", "MANAGE_MEMBERS"}) {
			t.Fatalf("%+v, %v", row, err)
		}
		again, none, err := l.CreateToken(l.vendor(), "k", spec)
		if err != nil || again.ID != row.ID || none != "" {
			t.Errorf("again: %v, %q, %v", again, none, err)
		}
		by, err := l.Authenticate(t.Context(), secret)
		if err != nil || by.Can(auth.Order) || !by.Can(auth.ManageMembers) {
			t.Fatalf("%+v, %v", by, err)
		}
		ctx := l.as(by)
		_, _, err = l.CreateToken(ctx, "", accounts.TokenSpec{Name: "x", Role: property.RoleOperator})
		wantCode(t, "more than itself", err, license.CodeForbidden)
		_, _, err = l.CreateToken(ctx, "", accounts.TokenSpec{Name: "x", Role: property.RoleOwner, Scopes: []string{"ORDER"}})
		wantCode(t, "another scope", err, license.CodeForbidden)
		_, _, err = l.CreateInvitation(ctx, "", members.InvitationSpec{Email: "x@example.com", Role: property.RoleOperator})
		wantCode(t, "a member with more than itself", err, license.CodeForbidden)
		if _, _, err := l.CreateToken(ctx, "", accounts.TokenSpec{Name: "x", Role: property.RoleOwner, Scopes: []string{"READ"}}); err != nil {
			t.Errorf("less than itself: %v", err)
		}
		past := time.Now().Add(-time.Second)
		_, _, err = l.CreateToken(l.vendor(), "", accounts.TokenSpec{Name: "x", Role: property.RoleViewer, ExpiresAt: &past})
		wantCode(t, "one that has ended", err, license.CodeInvalidInput)
		_, _, err = l.CreateToken(l.vendor(), "", accounts.TokenSpec{Name: "x", Role: property.RoleViewer, Scopes: []string{"ALL"}})
		wantCode(t, "no scope", err, license.CodeInvalidInput)

		if err := l.Store().WithTx(l.system(), func(tx *store.Tx) error {
			_, hash, _ := auth.NewToken(auth.APIToken)
			_, err := tx.ApiToken.Create().SetOrganizationID(l.owner.Organization).SetName("old").SetRole(property.RoleViewer).SetHash(hash).SetExpiresAt(past).Save(l.system())
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for _, old := range l.Store().Client().ApiToken.Query().AllX(l.system()) {
			_, err := l.Current(t.Context(), auth.Principal{Kind: auth.KindToken, ID: old.ID, Organization: old.OrganizationID})
			if (old.Name == "old") != (license.CodeOf(err) == license.CodeUnauthenticated) {
				t.Errorf("%s: %v", old.Name, err)
			}
		}
		told := l.watch(event.Rights, "")
		_, err = l.RevokeToken(l.stranger(), row.ID)
		wantCode(t, "a stranger revokes", err, license.CodeNotFound)
		for range 2 {
			if out, err := l.RevokeToken(l.vendor(), row.ID); err != nil || out.RevokedAt == nil {
				t.Errorf("%v, %v", out, err)
			}
		}
		wantSignal(t, "a revoked token", told)
		_, err = l.Authenticate(t.Context(), secret)
		wantCode(t, "a revoked token", err, license.CodeUnauthenticated)
		_, err = l.Current(t.Context(), by)
		wantCode(t, "a revoked token's stream", err, license.CodeUnauthenticated)
		if n := l.audited("token.revoked"); n != 1 {
			t.Errorf("%d audit entries", n)
		}
	})
}
