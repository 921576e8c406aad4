package core

import (
	"context"
	"crypto/ed25519"
	"strconv"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/platformkey"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

// RootKeyName is what the sealed root key is for, and its name in the table.
const RootKeyName = "root"

// RootSigner opens the root key. The context's principal must be the system.
func (p *Core) RootSigner(ctx context.Context, c *ent.Client) (seal.Signer, error) {
	key, err := c.PlatformKey.Query().Where(platformkey.Name(RootKeyName)).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, license.Errorf(license.CodeUnavailable, "start the platform once, or run its set-up", "the platform has no root key yet")
	}
	if err != nil {
		return nil, err
	}
	seed, err := p.Keys.Open(ctx, RootKeyName, key.Sealed)
	if err != nil {
		return nil, err
	}
	return seal.NewSigner(seed), nil
}

// FirmPurpose and ProductPurpose say what a sealed key is for.
func FirmPurpose(code int) string { return "firm:" + strconv.Itoa(code) }

// TicketPurpose is what a ticket's sealed code is for.
const TicketPurpose = "ticket"

// ProviderPurpose is what the sealed client secret of an identity provider is for.
func ProviderPurpose(organization, issuer string) string {
	return "identity provider:" + organization + ":" + issuer
}

// SecondFactorPurpose is what the sealed secret of a user's second factor is for.
func SecondFactorPurpose(user string) string { return "second factor:" + user }

// A product's id is not known yet when its key is sealed, its place is.
func ProductPurpose(firmID string, code int) string {
	return "product:" + firmID + ":" + strconv.Itoa(code)
}

// FirmSigner opens a firm's signing key.
func (p *Core) FirmSigner(ctx context.Context, f *ent.Firm) (seal.Signer, error) {
	seed, err := p.Keys.Open(ctx, FirmPurpose(f.Code), f.SealedKey)
	if err != nil {
		return nil, err
	}
	return seal.NewSigner(seed), nil
}

// ProductSecret opens a product's private key, which goes into containers.
func (p *Core) ProductSecret(ctx context.Context, product *ent.Product) ([]byte, error) {
	return p.Keys.Open(ctx, ProductPurpose(product.FirmID, product.Code), product.SealedKey)
}

// RootKey gives the public root key within a transaction of the system's.
func (p *Core) RootKey(ctx context.Context, tx *store.Tx) (ed25519.PublicKey, error) {
	signer, err := p.RootSigner(ctx, tx.Client)
	if err != nil {
		return nil, err
	}
	return signer.Public(), nil
}

// VendorOnly refuses whoever is no vendor himself. Who is a customer of another
// one may be one, too.
func (p *Core) VendorOnly(ctx context.Context, tx *store.Tx, by auth.Principal) error {
	org, err := tx.Organization.Get(ctx, by.Organization)
	if err != nil {
		return NotFound(err, "organization", by.Organization)
	}
	if !org.Vendor {
		return license.Errorf(license.CodeForbidden, "ask the vendor's owner", "your organization is no vendor")
	}
	return nil
}
