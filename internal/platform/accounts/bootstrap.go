package accounts

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/member"
	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/ent/platformkey"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/user"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

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
// Errors: CodeInvalidInput, CodeConflict for the address of somebody else's account.
func (p *Service) Bootstrap(ctx context.Context, spec BootstrapSpec) (Bootstrapped, error) {
	email, err := core.NormalEmail(spec.Email)
	if err != nil {
		return Bootstrapped{}, err
	}
	if spec.Organization == "" {
		return Bootstrapped{}, license.Errorf(license.CodeInvalidInput, "name it", "the organization has no name")
	}
	ctx = core.System(ctx, "bootstrap")
	password, hash := spec.Password, ""
	known, err := p.core.Store.Client().User.Query().Where(user.Email(email)).Exist(ctx)
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
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		out = Bootstrapped{}
		root, err := p.ensureRoot(ctx, tx)
		if err != nil {
			return err
		}
		out.Root = root
		if out.Organization, out.Owner, err = settled(ctx, tx, spec.Organization, email); err != nil || out.Owner != nil {
			return err
		}
		if hash == "" { // whoever made it may have been invited by somebody else under this address
			return license.Errorf(license.CodeConflict, "invite the person, or take another address", "%s has an account already", core.Clip(email))
		}
		if out.Organization == nil {
			if out.Organization, err = tx.Organization.Create().SetName(spec.Organization).SetVendor(true).Save(ctx); err != nil {
				return err
			}
		}
		who, err := tx.User.Create().SetEmail(email).SetName(spec.Name).SetPasswordHash(hash).Save(ctx)
		if err != nil {
			return err
		}
		out.Owner, err = tx.Member.Create().SetOrganizationID(out.Organization.ID).SetEmail(email).SetName(spec.Name).
			SetUserID(who.ID).SetRole(property.RoleOwner).Save(ctx)
		if err != nil {
			return err
		}
		out.Created = true
		if spec.Password == "" {
			out.Password = password
		}
		return core.Audit(ctx, tx, out.Organization.ID, "platform.bootstrap", out.Owner.ID, nil, map[string]any{"email": email})
	})
	if ent.IsConstraintError(err) { // another replica was first
		return Bootstrapped{}, &license.Error{Code: license.CodeConflict, Message: "another process has set the platform up meanwhile",
			Fix: "start again", Err: err}
	}
	return out, err
}

// settled gives the vendor of a name and its member with an address, as far as
// there are any. Where a vendor has got another name since, it is the one that the
// address is an owner of.
func settled(ctx context.Context, tx *store.Tx, name, email string) (*ent.Organization, *ent.Member, error) {
	vendor := organization.And(organization.Vendor(true), organization.ProviderIDIsNil(), organization.LiveIDIsNil())
	org, err := tx.Organization.Query().Where(organization.Name(name), vendor).Order(ent.Asc(organization.FieldID)).First(ctx)
	if err != nil && !ent.IsNotFound(err) {
		return nil, nil, err
	}
	q := tx.Member.Query().Where(member.Email(email), member.HasUser()).WithOrganization().Order(ent.Asc(member.FieldID))
	if org != nil {
		q.Where(member.OrganizationID(org.ID))
	} else {
		q.Where(member.RoleEQ(property.RoleOwner), member.HasOrganizationWith(vendor))
	}
	m, err := q.First(ctx)
	if ent.IsNotFound(err) {
		return org, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	return m.Edges.Organization, m, nil
}

// ensureRoot gives the root key's public half and makes the key if there is none.
func (p *Service) ensureRoot(ctx context.Context, tx *store.Tx) (ed25519.PublicKey, error) {
	there, err := tx.PlatformKey.Query().Where(platformkey.Name(core.RootKeyName)).Exist(ctx)
	if err != nil {
		return nil, err
	}
	if there {
		signer, err := p.core.RootSigner(ctx, tx.Client)
		if err != nil {
			return nil, err
		}
		return signer.Public(), nil
	}
	seed, err := seal.NewSeed()
	if err != nil {
		return nil, err
	}
	sealed, err := p.core.Keys.Seal(ctx, core.RootKeyName, seed)
	if err != nil {
		return nil, err
	}
	if err := tx.PlatformKey.Create().SetName(core.RootKeyName).SetSealed(sealed).Exec(ctx); err != nil {
		return nil, err
	}
	return seal.NewSigner(seed).Public(), nil
}

// RootKey gives the public root key, which containers are created under.
// Error: license.CodeUnavailable before Bootstrap.
func (p *Service) RootKey(ctx context.Context) (ed25519.PublicKey, error) {
	ctx = core.System(ctx, "root key")
	signer, err := p.core.RootSigner(ctx, p.core.Store.Client())
	if err != nil {
		return nil, err
	}
	return signer.Public(), nil
}

func newPassword() string {
	b := make([]byte, 18)
	_, _ = rand.Read(b) // crypto/rand never fails
	return base64.RawURLEncoding.EncodeToString(b)
}
