package firmkeys

import (
	"bytes"
	"context"
	"strconv"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/firm"
	"github.com/quorate/quorate/ent/firmkey"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

// ExportFirmKey gives a firm's key with its history as an armoured age file,
// encrypted with a passphrase. Errors: CodeNotFound, CodeForbidden,
// CodeInvalidInput for a short passphrase.
func (p *Service) ExportFirmKey(ctx context.Context, idOrCode, passphrase string) ([]byte, error) {
	by, err := auth.Require(ctx, auth.ManageKeys)
	if err != nil {
		return nil, err
	}
	if err := checkPassphrase(passphrase); err != nil {
		return nil, err
	}
	var content firmKeyFile
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		f, present, err := ownFirm(ctx, tx, by, idOrCode)
		if err != nil {
			return err
		}
		keys, err := f.QueryKeys().Order(ent.Asc(firmkey.FieldSerial)).All(ctx)
		if err != nil {
			return err
		}
		seed, err := p.core.Keys.Open(ctx, core.FirmPurpose(f.Code), f.SealedKey)
		if err != nil {
			return err
		}
		content = newFirmKeyFile(f, keys, seed)
		if err := content.check(); err != nil { // better now than when it is needed
			return license.Errorf(license.CodeConflict, "restore the database", "the keys of firm %d are not whole", f.Code)
		}
		return core.Audit(ctx, tx, core.AuditOwner(by, f.VendorID), "firm.exportKey", f.ID, nil, keyRecord(present.Serial, present.PublicKey))
	})
	if err != nil {
		return nil, err
	}
	defer clear(content.Seed)
	// Stretching the passphrase takes a second: not inside the transaction.
	return encryptFirmKey(content, passphrase, p.keyFileWork)
}

// ImportedKey says what an import did.
type ImportedKey struct {
	Firm *ent.Firm
	// Serial is of the firm's key now.
	Serial int
	// Made: the firm was not there.
	Made bool
}

// ImportFirmKey takes a firm's key from a file that ExportFirmKey made. A firm
// that is not there is made, certified by this platform's root. Of one that is
// there, the file's key must be the present one, which is then sealed anew, or
// one that the present one has passed on to (after the database was restored
// from an older backup). Errors: CodeKeyRefused for another passphrase,
// CodeInvalidInput for a damaged file or another firm's, CodeFormatUnknown,
// CodeTooLarge, CodeConflict for an older key or one of another history.
func (p *Service) ImportFirmKey(ctx context.Context, code license.FirmCode, file []byte, passphrase string) (ImportedKey, error) {
	by, err := auth.Require(ctx, auth.ManageKeys)
	if err != nil {
		return ImportedKey{}, err
	}
	content, err := decryptFirmKey(file, passphrase)
	if err != nil {
		return ImportedKey{}, err
	}
	defer clear(content.Seed)
	if content.Firm != code {
		return ImportedKey{}, license.Errorf(license.CodeInvalidInput, "give the file of the firm that you mean",
			"the file has the key of firm %d, not of firm %d", content.Firm, code)
	}
	var out ImportedKey
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		out = ImportedKey{Serial: content.present().Serial}
		there, err := tx.Firm.Query().Where(firm.Code(int(code))).Exist(ctx)
		if err != nil {
			return err
		}
		out.Made = !there
		vendor, before := by.Organization, map[string]any(nil)
		if out.Made {
			if err := p.core.VendorOnly(ctx, tx, by); err != nil {
				return err
			}
			out.Firm, err = p.importNew(ctx, tx, by.Organization, content)
		} else {
			var present *ent.FirmKey
			if out.Firm, present, err = ownFirm(ctx, tx, by, strconv.Itoa(int(code))); err != nil {
				return err
			}
			vendor, before = out.Firm.VendorID, keyRecord(present.Serial, present.PublicKey)
			out.Firm, err = p.importOver(ctx, tx, out.Firm, present, content)
		}
		if err != nil {
			return err
		}
		return core.Audit(ctx, tx, vendor, "firm.importKey", out.Firm.ID, before, keyRecord(out.Serial, out.Firm.PublicKey))
	})
	if ent.IsConstraintError(err) {
		err = &license.Error{Code: license.CodeConflict, Message: "the firm code is taken by another organization, or was taken this moment",
			Fix: "import it where the firm is", Err: err}
	}
	if err != nil {
		return ImportedKey{}, err
	}
	return out, nil
}

func (p *Service) importNew(ctx context.Context, tx *store.Tx, vendor string, content firmKeyFile) (*ent.Firm, error) {
	sealed, cert, err := p.adopt(ctx, tx, content)
	if err != nil {
		return nil, err
	}
	f, err := tx.Firm.Create().SetVendorID(vendor).SetCode(int(content.Firm)).SetName(content.Name).
		SetSealedKey(sealed).SetPublicKey(content.present().PublicKey).SetCert(cert).Save(ctx)
	if err != nil {
		return nil, err
	}
	return f, addKeys(ctx, tx, f, content.Keys)
}

func (p *Service) importOver(ctx context.Context, tx *store.Tx, f *ent.Firm, present *ent.FirmKey, content firmKeyFile) (*ent.Firm, error) {
	last := content.present().Serial
	switch {
	case last < present.Serial:
		return nil, license.Errorf(license.CodeConflict, "import the newest export",
			"the file has key %d of firm %d, which key %d has replaced", last, f.Code, present.Serial)
	case !bytes.Equal(content.Keys[present.Serial-1].PublicKey, present.PublicKey):
		return nil, license.Errorf(license.CodeConflict, "import the key where it was exported",
			"the file has another key %d of firm %d than this platform", present.Serial, f.Code)
	}
	sealed, cert, err := p.adopt(ctx, tx, content)
	if err != nil {
		return nil, err
	}
	if last > present.Serial {
		if err := tx.FirmKey.UpdateOne(present).SetRetiredAt(*content.Keys[present.Serial-1].RetiredAt).Exec(ctx); err != nil {
			return nil, err
		}
		if err := addKeys(ctx, tx, f, content.Keys[present.Serial:]); err != nil {
			return nil, err
		}
	}
	return tx.Firm.UpdateOne(f).SetSealedKey(sealed).SetPublicKey(content.present().PublicKey).SetCert(cert).Save(ctx)
}

// adopt seals a file's key for this platform and has its root certify it.
func (p *Service) adopt(ctx context.Context, tx *store.Tx, content firmKeyFile) (sealed, cert []byte, err error) {
	root, err := p.core.RootSigner(core.System(ctx, "firm key"), tx.Client)
	if err != nil {
		return nil, nil, err
	}
	if sealed, err = p.core.Keys.Seal(ctx, core.FirmPurpose(int(content.Firm)), content.Seed); err != nil {
		return nil, nil, err
	}
	cert, err = certify(root, int(content.Firm), seal.NewSigner(content.Seed), content.present().Serial, content.rotations())
	return sealed, cert, err
}

func addKeys(ctx context.Context, tx *store.Tx, f *ent.Firm, keys []firmKeyEntry) error {
	for _, k := range keys {
		create := tx.FirmKey.Create().SetVendorID(f.VendorID).SetNillableCustomerID(f.CustomerID).SetFirmID(f.ID).
			SetSerial(k.Serial).SetPublicKey(k.PublicKey).SetCreatedAt(k.CreatedAt).SetNillableRetiredAt(k.RetiredAt)
		if len(k.Rotation) > 0 {
			create.SetRotation(k.Rotation)
		}
		if err := create.Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}
