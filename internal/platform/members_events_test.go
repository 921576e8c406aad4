package platform_test

import (
	"slices"
	"testing"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/platform/accounts"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/members"
)

// TestWebhooksAreToldOfMembersAndTokens, without names and secrets.
func TestWebhooksAreToldOfMembersAndTokens(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		org := l.owner.Organization
		l.endpoint(org, "*")
		row, _, err := l.CreateToken(l.vendor(), "", accounts.TokenSpec{Name: "erp", Role: property.RoleViewer})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time nothing happens
			if _, err := l.RevokeToken(l.vendor(), row.ID); err != nil {
				t.Fatal(err)
			}
		}
		_, token, err := l.CreateInvitation(l.vendor(), "", members.InvitationSpec{Email: "anna@example.com", Role: property.RoleOperator})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.People().AcceptInvitation(t.Context(), nil, token, "Anna", password); err != nil {
			t.Fatal(err)
		}
		all := l.events(org)
		joined, _ := all[len(all)-1].Data["member"].(string)
		if _, err := l.RemoveMember(l.vendor(), joined); err != nil {
			t.Fatal(err)
		}
		all = l.events(org)
		want := []core.EventKind{core.EventTokenCreated, core.EventTokenRevoked, core.EventMemberAdded, core.EventMemberRemoved}
		if got := kindsOf(all); !slices.Equal(got, want) {
			t.Errorf("told of %v instead of %v", got, want)
		}
		for _, e := range all {
			for name, v := range e.Data {
				if name != "token" && name != "member" && name != "role" {
					t.Errorf("%s tells %s: %v", e.Type, name, v)
				}
			}
		}
	})
}
