package catalog

import (
	"context"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

// FirmSpec is a firm. TMR wants a universal firm code.
type FirmSpec struct {
	Code license.FirmCode
	Name string
	// Key, of CreateFirm: the same one gives the same firm.
	Key string `json:"-"`
}

// ProductSpec is a product of the firm.
type ProductSpec struct {
	Code license.ProductCode
	Name string
	// Key, of CreateProduct: the same one gives the same product.
	Key string `json:"-"`
}

// firstRehosts is how many containers a customer of a new firm may replace in a
// year. Each one that isn't really lost is a copy of its licenses, so any number
// is for the vendor to say.
const firstRehosts = 3

// MakeFirm makes a firm with a new signing key.
func MakeFirm(ctx context.Context, p *core.Core, tx *store.Tx, root seal.Signer, vendor string, s FirmSpec) (*ent.Firm, error) {
	code := int(s.Code)
	seed, err := seal.NewSeed()
	if err != nil {
		return nil, err
	}
	defer clear(seed)
	signer := seal.NewSigner(seed)
	cert, err := seal.SignFirmCert(root, seal.FirmCert{Firm: s.Code, Key: signer.Public(), Serial: 1})
	if err != nil {
		return nil, err
	}
	sealed, err := p.Keys.Seal(ctx, core.FirmPurpose(code), seed)
	if err != nil {
		return nil, err
	}
	f, err := tx.Firm.Create().SetVendorID(vendor).SetCode(code).SetName(s.Name).
		SetSealedKey(sealed).SetPublicKey(signer.Public()).SetCert(cert).SetRehostLimit(firstRehosts).Save(ctx)
	if err != nil {
		return nil, err
	}
	return f, tx.FirmKey.Create().SetVendorID(vendor).SetFirmID(f.ID).SetSerial(1).SetPublicKey(signer.Public()).Exec(ctx)
}

// MakeProduct makes a product with new keys.
func MakeProduct(ctx context.Context, p *core.Core, tx *store.Tx, f *ent.Firm, s ProductSpec) (*ent.Product, error) {
	private, public, err := seal.NewProductKey()
	if err != nil {
		return nil, err
	}
	defer clear(private)
	sealed, err := p.Keys.Seal(ctx, core.ProductPurpose(f.ID, int(s.Code)), private)
	if err != nil {
		return nil, err
	}
	return tx.Product.Create().SetVendorID(f.VendorID).SetFirmID(f.ID).SetCode(int(s.Code)).SetName(s.Name).
		SetSealedKey(sealed).SetPublicKey(public).Save(ctx)
}
