package members

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/member"
	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/platform/core"
)

// MostMemberships bounds how many of a person's are listed.
const MostMemberships = 200

// Membership is what a person may in one organization.
type Membership struct {
	Organization *ent.Organization
	Role         auth.Role
}

// Memberships lists those of the person who asks: by the organizations' names,
// each live one with its test environment behind it, at most MostMemberships. They
// are of several tenants, so they are found by the person alone, and nothing is
// told of an organization that he is no member of. Whom an identity provider
// vouches for has the one that it is believed for; an API token has none.
func (s *Service) Memberships(ctx context.Context) ([]Membership, error) {
	by, err := auth.From(ctx)
	if err != nil || by.Kind != auth.KindMember {
		return nil, err
	}
	c, ctx := s.core.Store.Client(), core.System(ctx, "memberships")
	me, err := c.Member.Get(ctx, by.ID)
	if err != nil {
		return nil, core.NotFound(err, "member", by.ID)
	}
	own := member.ID(me.ID) // who has no account has this one alone
	if me.UserID != nil && !by.Vouched {
		own = member.UserID(*me.UserID)
	}
	rows, err := WithGroups(c.Member.Query().Where(own).Order(ent.Asc(member.FieldID)).Limit(MostMemberships)).All(ctx)
	if err != nil {
		return nil, err
	}
	roles, homes := make(map[string]auth.Role, len(rows)), make([]string, len(rows))
	for i, m := range rows {
		homes[i] = m.OrganizationID
		roles[m.OrganizationID] = RoleOf(m)
	}
	all, err := c.Organization.Query().Where(organization.Or(organization.IDIn(homes...),
		organization.And(organization.LiveIDIn(homes...), organization.EnvironmentEQ(property.EnvironmentTest)))).All(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b *ent.Organization) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(HomeOf(a), HomeOf(b)),
			strings.Compare(string(a.Environment), string(b.Environment)))
	})
	out := make([]Membership, 0, len(all))
	for _, org := range all[:min(len(all), MostMemberships)] {
		if role, ok := roles[HomeOf(org)]; ok {
			out = append(out, Membership{Organization: org, Role: role})
		}
	}
	return out, nil
}

// HomeOf is the organization whose members act for org: those of a test environment
// are its live organization's.
func HomeOf(org *ent.Organization) string {
	if org.Environment == property.EnvironmentTest && org.LiveID != nil {
		return *org.LiveID
	}
	return org.ID
}
