package signin

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/identityprovider"
	"github.com/quorate/quorate/ent/member"
	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/ent/predicate"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/user"
	"github.com/quorate/quorate/ent/useridentity"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/outbound"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/members"
	"github.com/quorate/quorate/internal/store"
)

// Bounds of an identity provider.
const (
	mostDomains = 50
	mostSecret  = 2000
	mostClient  = 300
)

// Providers has the use cases of an organization's identity providers. Safe for
// concurrent use.
type Providers struct {
	core *core.Core
	web  *http.Client
	// private: providers may be in private networks.
	private bool
}

// ProviderSpec is an identity provider as its organization sets it up.
type ProviderSpec struct {
	Name     string
	Issuer   string
	ClientID string
	// Secret of the client; nil keeps the present one, empty is none.
	Secret   *string
	Domains  []string
	JoinRole *property.Role
	Enforced bool
}

// CreateIdentityProvider adds an identity provider to the owner's organization.
// Its discovery document must be there. Errors: CodeForbidden, CodeInvalidInput,
// CodeConflict, CodeUnavailable.
func (p *Providers) CreateIdentityProvider(ctx context.Context, key string, spec ProviderSpec) (*ent.IdentityProvider, error) {
	by, err := p.owner(ctx)
	if err != nil {
		return nil, err
	}
	if spec, err = p.check(ctx, spec); err != nil {
		return nil, err
	}
	sealed, err := p.seal(ctx, by.Organization, spec)
	if err != nil {
		return nil, err
	}
	var made *ent.IdentityProvider
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		if err := p.home(ctx, tx, by); err != nil {
			return err
		}
		input, err := p.input(ctx, tx, by.Organization, key, spec)
		if err != nil {
			return err
		}
		ids, _, err := core.Once(ctx, tx, by.Organization, "createIdentityProvider", key, input, func() ([]string, error) {
			row, err := tx.IdentityProvider.Create().SetOrganizationID(by.Organization).SetName(spec.Name).SetIssuer(spec.Issuer).
				SetClientID(spec.ClientID).SetSealedSecret(sealed).SetDomains(spec.Domains).SetNillableJoinRole(spec.JoinRole).
				SetEnforced(spec.Enforced).Save(ctx)
			if err != nil {
				return nil, err
			}
			return []string{row.ID}, core.Audit(ctx, tx, by.Organization, "identity_provider.created", row.ID, nil, told(row))
		})
		if err != nil {
			return err
		}
		made, err = tx.IdentityProvider.Get(ctx, ids[0])
		return core.NotFound(err, "identity provider", ids[0])
	})
	return made, nameTaken(err, spec.Name)
}

// input is what an idempotency key stands for: the secret itself must not be
// kept, as a digest neither.
func (p *Providers) input(ctx context.Context, tx *store.Tx, organization, key string, spec ProviderSpec) (any, error) {
	secret := spec.Secret
	spec.Secret = nil
	if key == "" || secret == nil || *secret == "" {
		return spec, nil
	}
	proof, err := p.core.Proof(ctx, tx, []byte(*secret), "createIdentityProvider", organization)
	return []any{spec, proof}, err
}

// UpdateIdentityProvider changes one. Whoever it has signed in with another
// issuer must sign in again. Errors: as CreateIdentityProvider, CodeNotFound.
func (p *Providers) UpdateIdentityProvider(ctx context.Context, id string, revision int, spec ProviderSpec) (*ent.IdentityProvider, error) {
	by, err := p.owner(ctx)
	if err != nil {
		return nil, err
	}
	if spec, err = p.check(ctx, spec); err != nil {
		return nil, err
	}
	var sealed []byte
	if spec.Secret != nil {
		if sealed, err = p.seal(ctx, by.Organization, spec); err != nil {
			return nil, err
		}
	}
	var after *ent.IdentityProvider
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		row, err := tx.IdentityProvider.Query().Where(identityprovider.ID(id), store.Locked).Only(ctx)
		if err != nil {
			return core.NotFound(err, "identity provider", id)
		}
		if row.Revision != revision {
			e := license.Errorf(license.CodeConflict, "load it again and repeat the change", "the identity provider was changed meanwhile")
			e.Details = map[string]any{"revision": row.Revision}
			return e
		}
		if spec.Secret == nil && spec.Issuer != row.Issuer && len(row.SealedSecret) > 0 {
			return core.AtField("secret", license.Errorf(license.CodeInvalidInput, "give the secret for the new issuer",
				"one issuer's secret must not go to another"))
		}
		change := tx.IdentityProvider.UpdateOne(row).SetName(spec.Name).SetIssuer(spec.Issuer).SetClientID(spec.ClientID).
			SetDomains(spec.Domains).SetEnforced(spec.Enforced).SetRevision(row.Revision + 1)
		if spec.Secret != nil {
			change.SetSealedSecret(sealed)
		}
		if spec.JoinRole == nil {
			change.ClearJoinRole()
		} else {
			change.SetJoinRole(*spec.JoinRole)
		}
		if after, err = change.Save(ctx); err != nil {
			return err
		}
		return core.Audit(ctx, tx, by.Organization, "identity_provider.updated", id, told(row), told(after))
	})
	return after, nameTaken(err, spec.Name)
}

// DeleteIdentityProvider removes one. Whoever it signed in is signed out; the
// members stay, and one of them who can sign in as an owner. Errors:
// CodeForbidden, CodeNotFound, CodeConflict.
func (p *Providers) DeleteIdentityProvider(ctx context.Context, id string) error {
	by, err := p.owner(ctx)
	if err != nil {
		return err
	}
	return p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		if _, err := tx.Organization.Query().Where(organization.ID(by.Organization), store.Locked).OnlyID(ctx); err != nil {
			return err
		}
		row, err := tx.IdentityProvider.Query().Where(identityprovider.ID(id), store.Locked).Only(ctx)
		if err != nil {
			return core.NotFound(err, "identity provider", id)
		}
		if err := keepOwner(ctx, tx, row); err != nil {
			return err
		}
		if _, err := tx.UserIdentity.Delete().Where(useridentity.ProviderID(row.ID)).Exec(core.System(ctx, "identity provider")); err != nil {
			return err
		}
		if err := tx.IdentityProvider.DeleteOne(row).Exec(ctx); err != nil {
			return err
		}
		return core.Audit(ctx, tx, by.Organization, "identity_provider.deleted", id, told(row), nil)
	})
}

// keepOwner refuses to remove the only way in of all owners that there are.
func keepOwner(ctx context.Context, tx *store.Tx, row *ent.IdentityProvider) error {
	ctx = core.System(ctx, "identity provider")
	by := func(ways ...predicate.User) (bool, error) {
		return tx.Member.Query().Where(members.OwnersOf(row.OrganizationID), member.HasUserWith(user.Or(ways...))).Exist(ctx)
	}
	at := identityprovider.OrganizationID(row.OrganizationID)
	there, err := by(user.HasIdentitiesWith(useridentity.ProviderID(row.ID)))
	if err != nil || !there {
		return err
	}
	there, err = by(user.PasswordHashNotNil(), user.HasIdentitiesWith(useridentity.HasProviderWith(at, identityprovider.IDNEQ(row.ID))))
	if err == nil && !there {
		err = license.Errorf(license.CodeConflict, "make a member an owner who signs in by password first", "nobody could sign in as an owner any more")
	}
	return err
}

// owner gives the principal if he may do all that an owner may: whoever chooses
// the identity provider can be anybody in the organization.
func (p *Providers) owner(ctx context.Context) (auth.Principal, error) {
	by, err := auth.Require(ctx, auth.ManageMembers)
	if err != nil {
		return by, err
	}
	if by.IsSystem() || !by.IsOwner() {
		return by, forbidden("ask an owner of your organization", "you may not choose the identity provider")
	}
	return by, nil
}

// home refuses a test environment: it has no members of its own.
func (p *Providers) home(ctx context.Context, tx *store.Tx, by auth.Principal) error {
	org, err := tx.Organization.Get(ctx, by.Organization)
	if err != nil {
		return err
	}
	if members.HomeOf(org) != org.ID {
		return license.Errorf(license.CodeInvalidInput, "set it up in the live environment: it counts here too", "a test environment has no identity provider of its own")
	}
	return nil
}

var domainForm = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$`) //nolint:gochecknoglobals // constant

// check completes a spec, and asks the issuer for its discovery document.
func (p *Providers) check(ctx context.Context, spec ProviderSpec) (ProviderSpec, error) {
	bad := func(field, fix, what string) error {
		return core.AtField(field, license.Errorf(license.CodeInvalidInput, fix, "%s", what))
	}
	if err := core.CheckName("identity provider", spec.Name); err != nil {
		return spec, err
	}
	if err := outbound.CheckURL(spec.Issuer, p.private); err != nil {
		return spec, core.AtField("issuer", err)
	}
	if spec.ClientID == "" || len(spec.ClientID) > mostClient || spec.ClientID != core.ClipNote(spec.ClientID) {
		return spec, bad("clientId", fmt.Sprintf("use 1 to %d bytes", mostClient), "the client's id is missing or too long")
	}
	if spec.Secret != nil && len(*spec.Secret) > mostSecret {
		return spec, bad("secret", fmt.Sprintf("use at most %d bytes", mostSecret), "the secret is too long")
	}
	if len(spec.Domains) > mostDomains {
		return spec, bad("domains", fmt.Sprintf("name at most %d", mostDomains), "there are too many domains")
	}
	domains := []string{}
	for _, d := range spec.Domains {
		d = strings.ToLower(strings.TrimSpace(d))
		if len(d) > 253 || !domainForm.MatchString(d) {
			return spec, bad("domains", "write it as example.com", core.Clip(d)+" is not a domain")
		}
		domains = append(domains, d)
	}
	slices.Sort(domains)
	spec.Domains = slices.Compact(domains)
	if r := spec.JoinRole; r != nil {
		if *r != property.RoleAdministrator && *r != property.RoleOperator && *r != property.RoleViewer {
			return spec, bad("joinRole", "take ADMINISTRATOR, OPERATOR or VIEWER", "nobody becomes "+core.Clip(string(*r))+" by himself")
		}
		if len(spec.Domains) == 0 {
			return spec, bad("domains", "name the domains of those who may join", "without domains everybody could join")
		}
	}
	if _, err := p.discover(ctx, spec.Issuer); err != nil {
		return spec, core.AtField("issuer", err)
	}
	return spec, nil
}

func (p *Providers) discover(ctx context.Context, issuer string) (*oidc.Provider, error) {
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, p.web), issuer)
	if err != nil {
		return nil, outbound.Reach(ctx, err, "the identity provider")
	}
	var about struct {
		Keys string `json:"jwks_uri"`
		User string `json:"userinfo_endpoint"`
	}
	if err := found.Claims(&about); err != nil {
		return nil, outbound.Reach(ctx, err, "the identity provider")
	}
	for _, at := range []string{found.Endpoint().AuthURL, found.Endpoint().TokenURL, about.Keys, about.User} {
		if at == "" && at == about.User {
			continue
		}
		if err := outbound.CheckURL(strings.SplitN(at, "?", 2)[0], p.private); err != nil {
			return nil, license.Errorf(license.CodeInvalidInput, "have the identity provider name HTTPS addresses", "one of the identity provider's addresses is not of HTTPS")
		}
	}
	return found, nil
}

func (p *Providers) seal(ctx context.Context, organization string, spec ProviderSpec) ([]byte, error) {
	if spec.Secret == nil || *spec.Secret == "" {
		return nil, nil
	}
	return p.core.Keys.Seal(ctx, core.ProviderPurpose(organization, spec.Issuer), []byte(*spec.Secret))
}

func (p *Providers) secret(ctx context.Context, row *ent.IdentityProvider) (string, error) {
	if len(row.SealedSecret) == 0 {
		return "", nil
	}
	b, err := p.core.Keys.Open(ctx, core.ProviderPurpose(row.OrganizationID, row.Issuer), row.SealedSecret)
	return string(b), err
}

// told is what the audit log says of a provider: no secret.
func told(row *ent.IdentityProvider) map[string]any {
	out := map[string]any{"name": row.Name, "issuer": row.Issuer, "clientId": row.ClientID, "domains": row.Domains, "enforced": row.Enforced}
	if row.JoinRole != nil {
		out["joinRole"] = string(*row.JoinRole)
	}
	return out
}

func nameTaken(err error, name string) error {
	if ent.IsConstraintError(err) {
		return core.AtField("name", license.Errorf(license.CodeConflict, "choose another name", "there is an identity provider %s already", core.Clip(name)))
	}
	return err
}
