package accounts

import (
	"context"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/apitoken"
	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// Bounds of tokens.
const (
	// MostTokens is how many an organization has that are not revoked.
	MostTokens = 1000
	// hintLength is how many characters of a token are kept to tell it by; the
	// rest has more than 220 random bits.
	hintLength = 4
)

// TokenSpec is what an API token is for.
type TokenSpec struct {
	Name string
	Role property.Role
	// Scopes are names of capabilities that it is limited to; none: all of the
	// role.
	Scopes []string
	// ExpiresAt ends it; nil: it does not end by itself.
	ExpiresAt *time.Time
}

// CreateToken makes an API token of the principal's organization, which can do
// nothing that the principal can't. The secret is given this once. key makes it
// idempotent; then the secret is empty. Errors: CodeForbidden, CodeInvalidInput,
// CodeConflict, CodeLimitReached.
func (p *Service) CreateToken(ctx context.Context, key string, spec TokenSpec) (*ent.ApiToken, string, error) {
	by, err := auth.Require(ctx, auth.ManageMembers)
	if err != nil {
		return nil, "", err
	}
	if by.IsSystem() {
		return nil, "", license.Errorf(license.CodeInvalidInput, "act for a member", "the system has no organization for a token")
	}
	scopes, err := spec.check(by)
	if err != nil {
		return nil, "", err
	}
	var made *ent.ApiToken
	secret := ""
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		if _, err := tx.Organization.Query().Where(organization.ID(by.Organization), store.Locked).OnlyID(ctx); err != nil {
			return err
		}
		ids, again, err := core.Once(ctx, tx, by.Organization, "createApiToken", key, spec, func() ([]string, error) {
			n, err := tx.ApiToken.Query().Where(apitoken.OrganizationID(by.Organization), apitoken.RevokedAtIsNil()).Count(ctx)
			if err != nil {
				return nil, err
			}
			if n >= MostTokens {
				return nil, license.Errorf(license.CodeLimitReached, "revoke tokens that are not needed any more", "an organization has at most %d API tokens", MostTokens)
			}
			token, hash, err := auth.NewToken(auth.APIToken)
			if err != nil {
				return nil, err
			}
			secret = token
			made, err = tx.ApiToken.Create().SetOrganizationID(by.Organization).SetName(spec.Name).SetRole(spec.Role).SetScopes(scopes.Names()).
				SetHash(hash).SetHint(token[len(token)-hintLength:]).SetCreatedBy(core.ClipText(core.DisplayName(by))).
				SetNillableExpiresAt(spec.ExpiresAt).Save(ctx)
			if err != nil {
				return nil, err
			}
			if err := p.core.Emit(ctx, tx, by.Organization, core.EventTokenCreated, map[string]any{"token": made.ID, "role": string(made.Role)}); err != nil {
				return nil, err
			}
			return []string{made.ID}, core.Audit(ctx, tx, by.Organization, "token.created", made.ID, nil, tokenFacts(made))
		})
		if err != nil || !again {
			return err
		}
		made, err = tx.ApiToken.Get(ctx, ids[0])
		return core.NotFound(err, "API token", ids[0])
	})
	if err != nil {
		return nil, "", err
	}
	return made, secret, nil
}

func (spec *TokenSpec) check(by auth.Principal) (auth.Scopes, error) {
	if err := core.CheckName("token", spec.Name); err != nil {
		return auth.Scopes{}, err
	}
	if !auth.Role(spec.Role).Valid() {
		return auth.Scopes{}, core.AtField("role", license.Errorf(license.CodeInvalidInput, "take OWNER, ADMINISTRATOR, OPERATOR or VIEWER", "%q is not a role", core.Clip(string(spec.Role))))
	}
	scopes, err := auth.ParseScopes(spec.Scopes)
	if err != nil {
		return auth.Scopes{}, core.AtField("scopes", err)
	}
	if !by.Covers(auth.Role(spec.Role), scopes) {
		return auth.Scopes{}, core.AtField("role", license.Errorf(license.CodeForbidden, "choose your own role or less, or fewer scopes", "the token could do more than you"))
	}
	if at := spec.ExpiresAt; at != nil {
		end := at.UTC().Truncate(time.Microsecond)
		if !end.After(core.Now()) || end.Year() > 9999 {
			return auth.Scopes{}, core.AtField("expiresAt", license.Errorf(license.CodeInvalidInput, "give a time to come, or none", "the token would have ended already"))
		}
		spec.ExpiresAt = &end
	}
	return scopes, nil
}

func tokenFacts(t *ent.ApiToken) map[string]any {
	facts := map[string]any{"name": t.Name, "role": string(t.Role)}
	if len(t.Scopes) > 0 {
		facts["scopes"] = t.Scopes
	}
	if t.ExpiresAt != nil {
		facts["expiresAt"] = t.ExpiresAt.Format(time.RFC3339)
	}
	return facts
}

// RevokeToken ends an API token at once; one that was revoked stays so. Errors:
// CodeForbidden, CodeNotFound.
func (p *Service) RevokeToken(ctx context.Context, id string) (out *ent.ApiToken, err error) {
	if _, err := auth.Require(ctx, auth.ManageMembers); err != nil {
		return nil, err
	}
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		if out, err = tx.ApiToken.Query().Where(apitoken.ID(id), store.Locked).Only(ctx); err != nil {
			return core.NotFound(err, "API token", id)
		}
		if out.RevokedAt != nil {
			return nil
		}
		if out, err = tx.ApiToken.UpdateOne(out).SetRevokedAt(core.Now()).Save(ctx); err != nil {
			return err
		}
		p.core.Publish(ctx, tx, event.Rights, "")
		if err := p.core.Emit(ctx, tx, out.OrganizationID, core.EventTokenRevoked, map[string]any{"token": id}); err != nil {
			return err
		}
		return core.Audit(ctx, tx, out.OrganizationID, "token.revoked", id, tokenFacts(out), nil)
	})
	return out, err
}

// tokenPrincipal is who a token is, if it still counts.
func tokenPrincipal(t *ent.ApiToken) (auth.Principal, error) {
	switch {
	case t.RevokedAt != nil:
		return auth.Principal{}, unauthenticated("the API token was revoked", "use another token")
	case t.ExpiresAt != nil && !core.Now().Before(*t.ExpiresAt):
		return auth.Principal{}, unauthenticated("the API token has ended", "make a new one")
	}
	scopes, err := auth.ParseScopes(t.Scopes)
	if err != nil {
		return auth.Principal{}, err
	}
	return auth.Principal{Kind: auth.KindToken, ID: t.ID, Organization: t.OrganizationID,
		Provider: provider(t.Edges.Organization), Role: auth.Role(t.Role), Scopes: scopes, Name: t.Name}, nil
}

// Current gives who a member or a token is now, acting for the same
// organization: what was removed, revoked, ended or changed counts at once.
// Whoever is neither stays as he is. Error: CodeUnauthenticated.
func (p *Service) Current(ctx context.Context, who auth.Principal) (auth.Principal, error) {
	if who.Kind == "" {
		return auth.From(ctx)
	}
	ctx = core.System(ctx, "session")
	switch who.Kind {
	case auth.KindMember:
		return p.memberIn(ctx, who.ID, who.Organization)
	case auth.KindToken:
		row, err := p.core.Store.Client().ApiToken.Query().Where(apitoken.ID(who.ID)).WithOrganization().Only(ctx)
		if ent.IsNotFound(err) {
			return auth.Principal{}, unauthenticated("the API token does not exist any more", "use another token")
		}
		if err != nil {
			return auth.Principal{}, err
		}
		return tokenPrincipal(row)
	}
	return who, nil
}
