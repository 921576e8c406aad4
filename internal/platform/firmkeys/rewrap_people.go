package firmkeys

import (
	"context"

	"github.com/quorate/quorate/ent/identityprovider"
	"github.com/quorate/quorate/ent/predicate"
	"github.com/quorate/quorate/ent/user"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// rewrapPeople seals what people sign in with: the second factors, which belong
// to nobody's organization, and the identity providers' client secrets.
func (p *Service) rewrapPeople(ctx context.Context, tx *store.Tx, next core.KeyWrapper, out *Rewrapped, owners map[string]int) error {
	users, err := tx.User.Query().Where(user.TotpSecretNotNil(), predicate.User(store.Locked)).All(ctx)
	if err != nil {
		return err
	}
	for _, u := range users {
		if len(u.TotpSecret) == 0 {
			continue
		}
		sealed, err := p.reseal(ctx, next, core.SecondFactorPurpose(u.ID), u.TotpSecret, out)
		if err != nil {
			return err
		}
		if sealed != nil {
			if err := tx.User.UpdateOne(u).SetTotpSecret(sealed).Exec(ctx); err != nil {
				return err
			}
		}
	}
	providers, err := tx.IdentityProvider.Query().Where(identityprovider.SealedSecretNotNil(), predicate.IdentityProvider(store.Locked)).All(ctx)
	if err != nil {
		return err
	}
	for _, i := range providers {
		if len(i.SealedSecret) == 0 {
			continue
		}
		sealed, err := p.reseal(ctx, next, core.ProviderPurpose(i.OrganizationID, i.Issuer), i.SealedSecret, out)
		if err != nil {
			return err
		}
		if sealed != nil {
			owners[i.OrganizationID]++
			if err := tx.IdentityProvider.UpdateOne(i).SetSealedSecret(sealed).Exec(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}
