package signin

import (
	"context"
	"slices"
	"strings"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/identityprovider"
	"github.com/quorate/quorate/ent/member"
	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/user"
	"github.com/quorate/quorate/ent/useridentity"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/members"
)

// Choice is an organization that one may act for.
type Choice struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Vendor      bool   `json:"vendor"`
	Customer    bool   `json:"customer"`
	Environment string `json:"environment"`
	Role        string `json:"role"`
}

func signInAgain(what string) error { return unauthenticated("sign in again", what) }

// Visitor gives who a claim's person is now, in the organization that he acts
// for: a removed member, a changed role and a provider that was taken away
// count at once. Error: CodeUnauthenticated.
func (s *Service) Visitor(ctx context.Context, c Claim) (auth.Principal, error) {
	_, p, err := s.visitor(core.System(ctx, "session"), c)
	return p, err
}

func (s *Service) visitor(ctx context.Context, c Claim) (*ent.User, auth.Principal, error) {
	none := auth.Principal{}
	who, err := s.client().User.Get(ctx, c.User)
	if ent.IsNotFound(err) {
		return nil, none, signInAgain("the account does not exist any more")
	}
	if err != nil {
		return nil, none, err
	}
	if who.PasswordAt != nil && c.Since.Before(*who.PasswordAt) {
		return nil, none, signInAgain("the password was changed since")
	}
	p, err := s.membership(ctx, c)
	if err != nil {
		return nil, none, err
	}
	return who, p, nil
}

// membership is what the claim's person may in its organization.
func (s *Service) membership(ctx context.Context, c Claim) (auth.Principal, error) {
	none := auth.Principal{}
	org, err := s.client().Organization.Get(ctx, c.Organization)
	if ent.IsNotFound(err) {
		return none, signInAgain("the organization does not exist any more")
	}
	if err != nil {
		return none, err
	}
	home := members.HomeOf(org)
	m, err := members.WithGroups(s.client().Member.Query().Where(member.OrganizationID(home), member.UserID(c.User))).Only(ctx)
	if ent.IsNotFound(err) {
		return none, signInAgain("you are no member of the organization any more")
	}
	if err != nil {
		return none, err
	}
	p := principal(m, org)
	if c.Provider != "" {
		p.Vouched = true
		return p, s.vouched(ctx, c, home)
	}
	return p, s.passwordCounts(ctx, home, p.Role)
}

func principal(m *ent.Member, org *ent.Organization) auth.Principal {
	p := auth.Principal{Kind: auth.KindMember, ID: m.ID, Organization: org.ID, Role: members.RoleOf(m), Name: m.Name, Email: m.Email}
	if org.ProviderID != nil {
		p.Provider = *org.ProviderID
	}
	return p
}

// vouched checks that the claim's identity provider is the organization's, and
// still knows the person as it did.
func (s *Service) vouched(ctx context.Context, c Claim, home string) error {
	idp, err := s.client().IdentityProvider.Query().
		Where(identityprovider.ID(c.Provider), identityprovider.OrganizationID(home)).Only(ctx)
	if ent.IsNotFound(err) {
		return signInAgain("the organization's identity provider is another now")
	}
	if err != nil {
		return err
	}
	known, err := s.client().UserIdentity.Query().
		Where(useridentity.ProviderID(idp.ID), useridentity.Issuer(idp.Issuer), useridentity.UserID(c.User)).Exist(ctx)
	if err == nil && !known {
		err = signInAgain("the identity provider does not vouch for you any more")
	}
	return err
}

// passwordCounts refuses who came by password where the organization's
// identity provider is enforced. Owners pass, so that a provider that is away
// locks nobody out for good.
func (s *Service) passwordCounts(ctx context.Context, home string, role auth.Role) error {
	if role == auth.Owner {
		return nil
	}
	enforced, err := s.client().IdentityProvider.Query().
		Where(identityprovider.OrganizationID(home), identityprovider.Enforced(true)).Exist(ctx)
	if err == nil && enforced {
		err = unauthenticated("sign in by the organization's identity provider", "the organization takes no passwords")
	}
	return err
}

// Organizations lists what the claim's person may act for, by name, each live
// organization with its test environment behind it.
func (s *Service) Organizations(ctx context.Context, c Claim) ([]Choice, error) {
	ctx = core.System(ctx, "session")
	homes, err := s.client().Member.Query().Where(member.UserID(c.User)).QueryOrganization().IDs(ctx)
	if err != nil {
		return nil, err
	}
	if len(homes) == 0 {
		return nil, nil
	}
	all, err := s.client().Organization.Query().Where(organization.Or(organization.IDIn(homes...),
		organization.And(organization.LiveIDIn(homes...), organization.EnvironmentEQ(property.EnvironmentTest)))).All(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b *ent.Organization) int {
		return strings.Compare(strings.ToLower(a.Name)+"\x00"+members.HomeOf(a)+string(a.Environment), strings.ToLower(b.Name)+"\x00"+members.HomeOf(b)+string(b.Environment))
	})
	var out []Choice
	for _, org := range all {
		at := c
		at.Organization = org.ID
		p, err := s.membership(ctx, at)
		if license.CodeOf(err) == license.CodeUnauthenticated {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, Choice{ID: org.ID, Name: org.Name, Vendor: org.Vendor, Customer: org.Customer,
			Environment: string(org.Environment), Role: string(p.Role)})
	}
	return out, nil
}

// Switch has the claim's person act for another organization, or another
// environment. What he is no member of is as if it weren't there: CodeNotFound.
func (s *Service) Switch(ctx context.Context, c Claim, organization string) (Claim, auth.Principal, error) {
	c.Organization = organization
	p, err := s.Visitor(ctx, c)
	if license.CodeOf(err) == license.CodeUnauthenticated {
		err = license.Errorf(license.CodeNotFound, "choose one that you are a member of; it may ask you to sign in by its identity provider",
			"you can't act for the organization %s in this session", core.Clip(organization))
	}
	return c, p, err
}

// Chosen gives the organization that a principal acts for.
func (s *Service) Chosen(ctx context.Context, p auth.Principal) (Choice, error) {
	org, err := s.client().Organization.Get(core.System(ctx, "session"), p.Organization)
	if err != nil {
		return Choice{}, err
	}
	return Choice{ID: org.ID, Name: org.Name, Vendor: org.Vendor, Customer: org.Customer,
		Environment: string(org.Environment), Role: string(p.Role)}, nil
}

// firstOf is the organization that a person acts for first: the one he has
// been in for the longest of those that he may enter this way.
func (s *Service) firstOf(ctx context.Context, c Claim) (Claim, error) {
	homes, err := s.client().Member.Query().Where(member.HasUserWith(user.ID(c.User))).Order(ent.Asc(member.FieldID)).
		Limit(100).All(ctx)
	if err != nil {
		return c, err
	}
	refusal := wrongPassword()
	for _, m := range homes {
		c.Organization = m.OrganizationID
		_, err := s.membership(ctx, c)
		if license.CodeOf(err) != license.CodeUnauthenticated {
			return c, err
		}
		refusal = err
	}
	return c, refusal
}
