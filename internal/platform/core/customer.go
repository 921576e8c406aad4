package core

import (
	"context"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/store"
)

// NewCustomer makes a customer of a vendor, in the vendor's environment. Until it
// chooses its vendor sees pseudonyms of its users.
func (p *Core) NewCustomer(ctx context.Context, tx *store.Tx, vendor, name string) (*ent.Organization, error) {
	of, err := tx.Organization.Get(ctx, vendor)
	if err != nil {
		return nil, err
	}
	sealed, err := p.NewPseudonymKey(ctx)
	if err != nil {
		return nil, err
	}
	return tx.Organization.Create().SetName(name).SetCustomer(true).SetProviderID(of.ID).SetEnvironment(of.Environment).
		SetUserVisibility(property.VisibilityPseudonyms).SetPseudonymKey(sealed).Save(ctx)
}
