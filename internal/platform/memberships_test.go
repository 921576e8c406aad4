package platform_test

import (
	"fmt"
	"testing"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/store"
)

// TestMemberships: a person's own, with the roles that groups give, and the test
// environments behind them; nobody else's, and none of a token.
func TestMemberships(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		var me, other auth.Principal
		ctx := l.system()
		err := l.Store().WithTx(ctx, func(tx *store.Tx) error {
			who, err := tx.User.Create().SetEmail("two@example.com").SetName("Two").Save(ctx)
			if err != nil {
				return err
			}
			for _, name := range []string{"Beta", "alpha", "Gamma"} {
				org, err := tx.Organization.Create().SetName(name).SetVendor(true).Save(ctx)
				if err != nil {
					return err
				}
				if name == "Beta" {
					if err := tx.Organization.Create().SetName(name).SetVendor(true).SetEnvironment(property.EnvironmentTest).SetLiveID(org.ID).Exec(ctx); err != nil {
						return err
					}
				}
				create := tx.Member.Create().SetOrganizationID(org.ID).SetEmail("two@example.com").SetName("Two").SetRole(property.RoleViewer)
				if name != "Gamma" {
					create.SetUserID(who.ID)
				}
				m, err := create.Save(ctx)
				if err != nil {
					return err
				}
				p := auth.Principal{Kind: auth.KindMember, ID: m.ID, Organization: org.ID, Role: auth.Viewer}
				if name == "Gamma" { // of the same address, and nobody signs in as him
					other = p
					continue
				}
				if me = p; name == "Beta" {
					g, err := tx.MemberGroup.Create().SetOrganizationID(org.ID).SetName("admins").SetRole(property.RoleAdministrator).Save(ctx)
					if err != nil {
						return err
					}
					if err := tx.MemberGroupEntry.Create().SetOrganizationID(org.ID).SetMemberID(m.ID).SetMemberGroupID(g.ID).Exec(ctx); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		token := me
		token.Kind = auth.KindToken
		for what, c := range map[string]struct {
			who  auth.Principal
			want string
		}{
			"a person":           {me, "alpha LIVE VIEWER, Beta LIVE ADMINISTRATOR, Beta TEST ADMINISTRATOR, "},
			"without an account": {other, "Gamma LIVE VIEWER, "},
			"a token":            {token, ""},
		} {
			all, err := l.Memberships(l.as(c.who))
			got := ""
			for _, m := range all {
				got += fmt.Sprintf("%s %s %s, ", m.Organization.Name, m.Organization.Environment, m.Role)
			}
			if err != nil || got != c.want {
				t.Errorf("%s: %s, %v", what, got, err)
			}
		}
		if _, err := l.Memberships(t.Context()); err == nil {
			t.Error("nobody has memberships")
		}
	})
}
