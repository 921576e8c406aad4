package firmkeys

import (
	"context"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/ent/platformkey"
	"github.com/quorate/quorate/ent/predicate"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// Rewrapped counts the sealed keys.
type Rewrapped struct {
	Sealed  int // by this call
	Already int // they opened with the new wrapper before
}

// RewrapKeys seals every private key that the platform has (the root's, the
// firms', the products'), the items' data, the tickets' codes, the secrets of
// webhooks, identity providers and second factors, and the keys of pseudonyms and
// proofs with another wrapper, all in one transaction: after a crash all are sealed by the one or all by the other. Called again it finds
// what is done. This Platform goes on with the wrapper that it has, so the
// processes of the platform are to be stopped before, and started with the new
// one. Errors: CodeForbidden, CodeKeyRefused when a key opens with neither.
func (p *Service) RewrapKeys(ctx context.Context, next core.KeyWrapper) (Rewrapped, error) {
	by, err := auth.Require(ctx, auth.ManageKeys)
	if err != nil {
		return Rewrapped{}, err
	}
	var out Rewrapped
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		out = Rewrapped{}
		if !by.IsSystem() {
			if by.Provider != "" { // it is all vendors' keys, his own one's too
				return license.Errorf(license.CodeForbidden, "ask the platform's operator", "a customer does not seal the platform's keys anew")
			}
			if err := p.core.VendorOnly(ctx, tx, by); err != nil {
				return err
			}
		}
		return p.rewrap(core.System(ctx, "rewrap"), tx, by, next, &out)
	})
	if err != nil {
		return Rewrapped{}, err
	}
	return out, nil
}

func (p *Service) rewrap(ctx context.Context, tx *store.Tx, by auth.Principal, next core.KeyWrapper, out *Rewrapped) error {
	owners := map[string]int{}
	if !by.IsSystem() {
		owners[by.Organization] = 0
	}
	roots, err := tx.PlatformKey.Query().Where(predicate.PlatformKey(store.Locked)).Order(ent.Asc(platformkey.FieldID)).All(ctx)
	if err != nil {
		return err
	}
	for _, k := range roots {
		sealed, err := p.reseal(ctx, next, k.Name, k.Sealed, out)
		if err != nil {
			return err
		}
		if sealed != nil {
			if err := tx.PlatformKey.UpdateOne(k).SetSealed(sealed).Exec(ctx); err != nil {
				return err
			}
		}
	}
	firms, err := tx.Firm.Query().Where(store.Locked).All(ctx)
	if err != nil {
		return err
	}
	for _, f := range firms {
		sealed, err := p.reseal(ctx, next, core.FirmPurpose(f.Code), f.SealedKey, out)
		if err != nil {
			return err
		}
		if sealed != nil {
			owners[f.VendorID]++
			if err := tx.Firm.UpdateOne(f).SetSealedKey(sealed).Exec(ctx); err != nil {
				return err
			}
		}
	}
	products, err := tx.Product.Query().Where(predicate.Product(store.Locked)).All(ctx)
	if err != nil {
		return err
	}
	for _, q := range products {
		sealed, err := p.reseal(ctx, next, core.ProductPurpose(q.FirmID, q.Code), q.SealedKey, out)
		if err != nil {
			return err
		}
		if sealed != nil {
			owners[q.VendorID]++
			if err := tx.Product.UpdateOne(q).SetSealedKey(sealed).Exec(ctx); err != nil {
				return err
			}
		}
	}
	items, err := tx.Item.Query().Where(predicate.Item(store.Locked)).All(ctx)
	if err != nil {
		return err
	}
	for _, it := range items {
		u := tx.Item.UpdateOne(it)
		for _, d := range []struct {
			kind         string
			name, sealed []byte
			set          func([]byte)
		}{
			{catalog.ProtectedData, it.ProtectedName, it.ProtectedData, u.Mutation().SetProtectedData},
			{catalog.SecretData, it.SecretName, it.SecretData, u.Mutation().SetSecretData},
		} {
			if len(d.name) == 0 {
				continue
			}
			sealed, err := p.reseal(ctx, next, catalog.DataPurpose(d.kind, it.ProductID, d.name), d.sealed, out)
			if err != nil {
				return err
			}
			if sealed != nil {
				owners[it.VendorID]++
				d.set(sealed)
			}
		}
		if err := u.Exec(ctx); err != nil {
			return err
		}
	}
	codes, err := tx.Ticket.Query().Where(predicate.Ticket(store.Locked)).All(ctx)
	if err != nil {
		return err
	}
	for _, t := range codes {
		sealed, err := p.reseal(ctx, next, core.TicketPurpose, t.SealedCode, out)
		if err != nil {
			return err
		}
		if sealed != nil {
			owners[t.VendorID]++
			if err := tx.Ticket.UpdateOne(t).SetSealedCode(sealed).Exec(ctx); err != nil {
				return err
			}
		}
	}
	customers, err := tx.Organization.Query().Where(organization.PseudonymKeyNotNil(), predicate.Organization(store.Locked)).All(ctx)
	if err != nil {
		return err
	}
	for _, o := range customers {
		sealed, err := p.reseal(ctx, next, core.PseudonymPurpose, o.PseudonymKey, out)
		if err != nil {
			return err
		}
		if sealed != nil {
			if o.ProviderID != nil {
				owners[*o.ProviderID]++
			}
			if err := tx.Organization.UpdateOne(o).SetPseudonymKey(sealed).Exec(ctx); err != nil {
				return err
			}
		}
	}
	if err := p.rewrapPeople(ctx, tx, next, out, owners); err != nil {
		return err
	}
	if err := p.rewrapWebhooks(ctx, tx, next, out, owners); err != nil {
		return err
	}
	if out.Sealed == 0 {
		return nil
	}
	// Each vendor's log tells of his keys; who did it may be of another one.
	for owner, n := range owners {
		if err := tx.AuditEntry.Create().SetOrganizationID(owner).SetActor(by.Actor()).SetAction("platform.rewrapKeys").
			SetTarget(owner).SetAfter(map[string]any{"keys": n}).Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

// reseal gives a key sealed by next; nil when it is already.
func (p *Service) reseal(ctx context.Context, next core.KeyWrapper, purpose string, sealed []byte, out *Rewrapped) ([]byte, error) {
	key, err := next.Open(ctx, purpose, sealed)
	if err == nil {
		clear(key)
		out.Already++
		return nil, nil
	}
	if license.CodeOf(err) != license.CodeKeyRefused {
		return nil, err
	}
	key, err = p.core.Keys.Open(ctx, purpose, sealed)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	out.Sealed++
	return next.Seal(ctx, purpose, key)
}
