package firmkeys

import (
	"bytes"
	"context"
	"encoding/base64"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/firm"
	"github.com/quorate/quorate/ent/firmkey"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

// FirmKeys gives the keys of a firm, by its global id or its code, the newest
// first. Error: CodeNotFound.
func (p *Service) FirmKeys(ctx context.Context, idOrCode string) ([]*ent.FirmKey, error) {
	c, err := p.core.Read(ctx)
	if err != nil {
		return nil, err
	}
	f, err := c.Firm.Query().Where(core.FirmIs(idOrCode)).Only(ctx)
	if err != nil {
		return nil, core.NotFound(err, "firm", idOrCode)
	}
	return f.QueryKeys().Order(ent.Desc(firmkey.FieldSerial)).All(ctx)
}

// RotateFirmKey gives a firm a new signing key, which the old one passes on to.
// The old private key is gone afterwards; what it has signed still installs on
// containers that have not seen the new one. serial is of the key to be
// replaced, so that repeating the call is no second rotation; 0 is whichever
// there is. Errors: CodeNotFound, CodeForbidden, CodeConflict when serial is
// not that of the present key.
func (p *Service) RotateFirmKey(ctx context.Context, idOrCode string, serial int) (*ent.Firm, error) {
	by, err := auth.Require(ctx, auth.ManageKeys)
	if err != nil {
		return nil, err
	}
	var out *ent.Firm
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		f, present, err := ownFirm(ctx, tx, by, idOrCode)
		if err != nil {
			return err
		}
		if serial != 0 && serial != present.Serial {
			return license.Errorf(license.CodeConflict, "look at the firm's keys, then rotate the present one if that is still wanted",
				"the present key of firm %d is key %d, not key %d", f.Code, present.Serial, serial)
		}
		out, err = p.rotate(ctx, tx, f, present)
		if err != nil {
			return err
		}
		return core.Audit(ctx, tx, core.AuditOwner(by, f.VendorID), "firm.rotateKey", f.ID, keyRecord(present.Serial, present.PublicKey),
			keyRecord(present.Serial+1, out.PublicKey))
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (p *Service) rotate(ctx context.Context, tx *store.Tx, f *ent.Firm, present *ent.FirmKey) (*ent.Firm, error) {
	old, err := p.core.FirmSigner(ctx, f)
	if err != nil {
		return nil, err
	}
	root, err := p.core.RootSigner(core.System(ctx, "firm key"), tx.Client)
	if err != nil {
		return nil, err
	}
	seed, err := seal.NewSeed()
	if err != nil {
		return nil, err
	}
	defer clear(seed)
	next := seal.NewSigner(seed)
	serial := present.Serial + 1
	rotation, err := seal.SignRotation(old, next, license.FirmCode(f.Code), uint64(serial)) //nolint:gosec // G115: positive
	if err != nil {
		return nil, err
	}
	before, err := seal.VerifyFirmCert(root.Public(), f.Cert)
	if err != nil {
		return nil, err
	}
	cert, err := certify(root, f.Code, next, serial, append(before.Rotations, rotation))
	if err != nil {
		return nil, err
	}
	sealed, err := p.core.Keys.Seal(ctx, core.FirmPurpose(f.Code), seed)
	if err != nil {
		return nil, err
	}
	if err := tx.FirmKey.UpdateOne(present).SetRetiredAt(core.Now()).Exec(ctx); err != nil {
		return nil, err
	}
	if err := tx.FirmKey.Create().SetVendorID(f.VendorID).SetNillableCustomerID(f.CustomerID).SetFirmID(f.ID).
		SetSerial(serial).SetPublicKey(next.Public()).SetRotation(rotation).Exec(ctx); err != nil {
		return nil, err
	}
	return tx.Firm.UpdateOne(f).SetSealedKey(sealed).SetPublicKey(next.Public()).SetCert(cert).Save(ctx)
}

// certify has the root vouch for a firm's key; the newest rotations go along.
func certify(root seal.Signer, code int, key seal.Signer, serial int, rotations [][]byte) ([]byte, error) {
	if more := len(rotations) - seal.MostRotations; more > 0 {
		rotations = rotations[more:]
	}
	return seal.SignFirmCert(root, seal.FirmCert{
		Firm: license.FirmCode(code), Key: key.Public(), Serial: uint64(serial), Rotations: rotations, //nolint:gosec // G115: both are positive
	})
}

// ownFirm gives a firm of the caller's own organization, locked, with its
// present key. A vendor's customers can see its firms, but are not the ones to
// manage their keys.
func ownFirm(ctx context.Context, tx *store.Tx, by auth.Principal, idOrCode string) (*ent.Firm, *ent.FirmKey, error) {
	q := tx.Firm.Query().Where(core.FirmIs(idOrCode), store.Locked)
	if !by.IsSystem() {
		q.Where(firm.VendorID(by.Organization))
	}
	f, err := q.Only(ctx)
	if err != nil {
		return nil, nil, core.NotFound(err, "firm", idOrCode)
	}
	present, err := tx.FirmKey.Query().Where(firmkey.FirmID(f.ID), firmkey.RetiredAtIsNil()).Only(ctx)
	if err != nil {
		return nil, nil, err
	}
	if !bytes.Equal(present.PublicKey, f.PublicKey) {
		return nil, nil, license.Errorf(license.CodeConflict, "restore the database", "the history of the keys of firm %d does not end with its key", f.Code)
	}
	return f, present, nil
}

// keyRecord is what the audit log tells of a key.
func keyRecord(serial int, public []byte) map[string]any {
	return map[string]any{"serial": serial, "publicKey": base64.StdEncoding.EncodeToString(public)}
}
