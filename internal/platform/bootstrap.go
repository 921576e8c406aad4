package platform

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"net/mail"
	"strconv"
	"strings"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/member"
	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/ent/platformkey"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

const rootKeyName = "root"

// BootstrapSpec tells what a fresh platform begins with.
type BootstrapSpec struct {
	Organization string // the vendor's name
	Email        string // the owner's
	Name         string
	// Password of the owner; one is made when empty.
	Password string
}

// Bootstrapped is what the platform began with.
type Bootstrapped struct {
	Root         ed25519.PublicKey
	Organization *ent.Organization
	Owner        *ent.Member
	// Created: the owner was made by this very call.
	Created bool
	// Password is set only when one was made by this very call.
	Password string
}

// Bootstrap makes the root key, the vendor and its owner where they are
// missing. Called again it changes nothing; the root key is made once, ever.
func (p *Platform) Bootstrap(ctx context.Context, spec BootstrapSpec) (Bootstrapped, error) {
	email, err := normalEmail(spec.Email)
	if err != nil {
		return Bootstrapped{}, err
	}
	if spec.Organization == "" {
		return Bootstrapped{}, license.Errorf(license.CodeInvalidInput, "name it", "the organization has no name")
	}
	ctx = system(ctx, "bootstrap")
	password, hash := spec.Password, ""
	known, err := p.store.Client().Member.Query().Where(member.Email(email)).Exist(ctx)
	if err != nil {
		return Bootstrapped{}, err
	}
	if !known {
		if password == "" {
			password = newPassword()
		}
		// Hashing takes long, so it is not done inside the transaction.
		if hash, err = p.passwords.Hash(ctx, password); err != nil {
			return Bootstrapped{}, err
		}
	}
	var out Bootstrapped
	err = p.store.WithTx(ctx, func(tx *store.Tx) error {
		out = Bootstrapped{}
		root, err := p.ensureRoot(ctx, tx)
		if err != nil {
			return err
		}
		out.Root = root
		if out.Organization, err = ensureVendor(ctx, tx, spec.Organization); err != nil {
			return err
		}
		out.Owner, err = tx.Member.Query().Where(member.Email(email)).Only(ctx)
		if !ent.IsNotFound(err) {
			return err
		}
		if hash == "" { // removed since we looked
			return license.Errorf(license.CodeConflict, "try again", "the members have changed meanwhile")
		}
		out.Owner, err = tx.Member.Create().SetOrganizationID(out.Organization.ID).SetEmail(email).SetName(spec.Name).
			SetRole(property.RoleOwner).SetPasswordHash(hash).Save(ctx)
		if err != nil {
			return err
		}
		out.Created = true
		if spec.Password == "" {
			out.Password = password
		}
		return audit(ctx, tx, out.Organization.ID, "platform.bootstrap", out.Owner.ID, nil, map[string]any{"email": email})
	})
	if ent.IsConstraintError(err) { // another replica was first
		return Bootstrapped{}, &license.Error{Code: license.CodeConflict, Message: "another process has set the platform up meanwhile",
			Fix: "start again", Err: err}
	}
	return out, err
}

func ensureVendor(ctx context.Context, tx *store.Tx, name string) (*ent.Organization, error) {
	found, err := tx.Organization.Query().
		Where(organization.Name(name), organization.Vendor(true), organization.ProviderIDIsNil()).Order(ent.Asc(organization.FieldID)).First(ctx)
	if !ent.IsNotFound(err) {
		return found, err
	}
	return tx.Organization.Create().SetName(name).SetVendor(true).Save(ctx)
}

// ensureRoot gives the root key's public half and makes the key if there is none.
func (p *Platform) ensureRoot(ctx context.Context, tx *store.Tx) (ed25519.PublicKey, error) {
	there, err := tx.PlatformKey.Query().Where(platformkey.Name(rootKeyName)).Exist(ctx)
	if err != nil {
		return nil, err
	}
	if there {
		signer, err := p.rootSigner(ctx, tx.Client)
		if err != nil {
			return nil, err
		}
		return signer.Public(), nil
	}
	seed, err := seal.NewSeed()
	if err != nil {
		return nil, err
	}
	sealed, err := p.keys.Seal(ctx, rootKeyName, seed)
	if err != nil {
		return nil, err
	}
	if err := tx.PlatformKey.Create().SetName(rootKeyName).SetSealed(sealed).Exec(ctx); err != nil {
		return nil, err
	}
	return seal.NewSigner(seed).Public(), nil
}

// rootSigner opens the root key. The context's principal must be the system.
func (p *Platform) rootSigner(ctx context.Context, c *ent.Client) (seal.Signer, error) {
	key, err := c.PlatformKey.Query().Where(platformkey.Name(rootKeyName)).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, license.Errorf(license.CodeUnavailable, "start the platform once, or run its set-up", "the platform has no root key yet")
	}
	if err != nil {
		return nil, err
	}
	seed, err := p.keys.Open(ctx, rootKeyName, key.Sealed)
	if err != nil {
		return nil, err
	}
	return seal.NewSigner(seed), nil
}

// RootKey gives the public root key, which containers are created under.
// Error: license.CodeUnavailable before Bootstrap.
func (p *Platform) RootKey(ctx context.Context) (ed25519.PublicKey, error) {
	ctx = system(ctx, "root key")
	signer, err := p.rootSigner(ctx, p.store.Client())
	if err != nil {
		return nil, err
	}
	return signer.Public(), nil
}

// firmPurpose and productPurpose say what a sealed key is for.
func firmPurpose(code int) string { return "firm:" + strconv.Itoa(code) }

// A product's id is not known yet when its key is sealed, its place is.
func productPurpose(firmID string, code int) string {
	return "product:" + firmID + ":" + strconv.Itoa(code)
}

// firmSigner opens a firm's signing key.
func (p *Platform) firmSigner(ctx context.Context, f *ent.Firm) (seal.Signer, error) {
	seed, err := p.keys.Open(ctx, firmPurpose(f.Code), f.SealedKey)
	if err != nil {
		return nil, err
	}
	return seal.NewSigner(seed), nil
}

// productSecret opens a product's private key, which goes into containers.
func (p *Platform) productSecret(ctx context.Context, product *ent.Product) ([]byte, error) {
	return p.keys.Open(ctx, productPurpose(product.FirmID, product.Code), product.SealedKey)
}

// rootKey gives the public root key within a transaction of the system's.
func (p *Platform) rootKey(ctx context.Context, tx *store.Tx) (ed25519.PublicKey, error) {
	signer, err := p.rootSigner(ctx, tx.Client)
	if err != nil {
		return nil, err
	}
	return signer.Public(), nil
}

func normalEmail(s string) (string, error) {
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || len(s) > 254 || s != clipText(s) {
		return "", license.Errorf(license.CodeInvalidInput, "write it as name@example.com", "%q is not an e-mail address", clip(s))
	}
	return strings.ToLower(s), nil
}

func newPassword() string {
	b := make([]byte, 18)
	_, _ = rand.Read(b) // crypto/rand never fails
	return base64.RawURLEncoding.EncodeToString(b)
}
