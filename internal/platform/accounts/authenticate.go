package accounts

import (
	"context"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/apitoken"
	"github.com/quorate/quorate/ent/member"
	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/ent/tmrserver"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/containers"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/members"
	"github.com/quorate/quorate/internal/store"
)

// usedEvery is how exactly the last use of a token is known, so that reading
// doesn't write a row each time.
const usedEvery = time.Minute

func unauthenticated(what, fix string) error {
	return license.Errorf(license.CodeUnauthenticated, fix, "%s", what)
}

// MemberPrincipal gives who a member is now, acting for its own organization: a
// session asks at each request, so a removed member or a changed role counts at
// once. Error: CodeUnauthenticated.
func (p *Service) MemberPrincipal(ctx context.Context, id string) (auth.Principal, error) {
	return p.memberIn(core.System(ctx, "session"), id, "")
}

// memberIn gives who a member is, acting for an organization: its own, which an
// empty one stands for, or the test environment of that one. ctx is the
// system's.
func (p *Service) memberIn(ctx context.Context, id, acting string) (auth.Principal, error) {
	found, err := members.WithGroups(p.core.Store.Client().Member.Query().Where(member.ID(id)).WithOrganization()).Only(ctx)
	if ent.IsNotFound(err) {
		return auth.Principal{}, unauthenticated("the member does not exist any more", "sign in again")
	}
	if err != nil {
		return auth.Principal{}, err
	}
	who := memberPrincipal(found)
	if acting == "" || acting == who.Organization {
		return who, nil
	}
	test, err := p.core.Store.Client().Organization.Query().Where(organization.ID(acting), organization.LiveID(who.Organization)).Only(ctx)
	if ent.IsNotFound(err) {
		return auth.Principal{}, unauthenticated("the organization is not the member's", "sign in again")
	}
	if err != nil {
		return auth.Principal{}, err
	}
	who.Organization, who.Provider = test.ID, provider(test)
	return who, nil
}

// memberPrincipal is a member in its own organization; its groups are loaded.
func memberPrincipal(m *ent.Member) auth.Principal {
	return auth.Principal{Kind: auth.KindMember, ID: m.ID, Organization: m.OrganizationID, Provider: provider(m.Edges.Organization),
		Role: members.RoleOf(m), Name: m.Name, Email: m.Email}
}

func provider(o *ent.Organization) string {
	if o == nil || o.ProviderID == nil {
		return ""
	}
	return *o.ProviderID
}

// Authenticate gives who an API token is. Error: CodeUnauthenticated.
func (p *Service) Authenticate(ctx context.Context, token string) (auth.Principal, error) {
	ctx = core.System(ctx, "token")
	hash, ok := auth.TokenHash(auth.APIToken, token)
	if !ok {
		return auth.Principal{}, badToken()
	}
	found, err := p.core.Store.Client().ApiToken.Query().Where(apitoken.Hash(hash)).WithOrganization().Only(ctx)
	if ent.IsNotFound(err) || (err == nil && !auth.SameHash(hash, found.Hash)) {
		return auth.Principal{}, badToken()
	}
	if err != nil {
		return auth.Principal{}, err
	}
	who, err := tokenPrincipal(found)
	if err != nil {
		return auth.Principal{}, err
	}
	if at := core.Now(); found.LastUsedAt == nil || at.Sub(*found.LastUsedAt) >= usedEvery {
		err := p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
			return tx.ApiToken.Update().Where(apitoken.ID(found.ID)).SetLastUsedAt(at).Exec(ctx)
		})
		if err != nil {
			return auth.Principal{}, err
		}
	}
	return who, nil
}

func badToken() error {
	return unauthenticated("the API token is not known", "make a new one, or check that it was copied whole")
}

// AuthenticateLink gives which server a link token is of. The server acts for
// the customer that runs its group or container. Errors: CodeUnauthenticated,
// CodeContainerBlocked.
func (p *Service) AuthenticateLink(ctx context.Context, token string) (auth.Principal, error) {
	ctx = core.System(ctx, "link token")
	bad := unauthenticated("the link token is not known", "give the server a new one")
	hash, ok := auth.TokenHash(auth.LinkToken, token)
	if !ok {
		return auth.Principal{}, bad
	}
	s, err := p.core.Store.Client().TmrServer.Query().Where(tmrserver.LinkTokenHash(hash)).Only(ctx)
	if ent.IsNotFound(err) || (err == nil && !auth.SameHash(hash, s.LinkTokenHash)) {
		return auth.Principal{}, bad
	}
	if err != nil {
		return auth.Principal{}, err
	}
	by := auth.Principal{Kind: auth.KindServer, ID: s.ID, Organization: s.VendorID, Name: s.Name}
	if s.TmrGroupID != nil {
		by.Group = *s.TmrGroupID
	}
	if s.ContainerID != nil {
		by.Container = *s.ContainerID
		if err := containers.NotBlocked(ctx, p.core, by.Container); err != nil {
			return auth.Principal{}, err
		}
	}
	if s.CustomerID != nil {
		by.Organization, by.Provider = *s.CustomerID, s.VendorID
	}
	return by, nil
}
