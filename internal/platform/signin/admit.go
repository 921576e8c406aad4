package signin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/identityprovider"
	"github.com/quorate/quorate/ent/member"
	"github.com/quorate/quorate/ent/useridentity"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// admit finds the member that an identity provider's person is, or makes one
// where the provider lets its domains' persons join. A person who joins gets an
// account of his own, which no password opens: an account that somebody made
// elsewhere with the same address must not come into this organization.
func (s *Service) admit(ctx context.Context, row *ent.IdentityProvider, who person) (c Claim, err error) {
	err = s.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		// Nothing of the provider may change meanwhile, and nobody joins twice.
		now, err := tx.IdentityProvider.Query().Where(identityprovider.ID(row.ID), store.Locked).Only(ctx)
		if ent.IsNotFound(err) || err == nil && (now.Issuer != row.Issuer || now.ClientID != row.ClientID) {
			return startAgain("the identity provider was changed meanwhile")
		}
		if err != nil {
			return err
		}
		user, err := s.recognize(ctx, tx, now, who)
		c = Claim{User: user, Organization: now.OrganizationID, Provider: now.ID, Since: core.Now()}
		return err
	})
	if ent.IsConstraintError(err) {
		err = license.Errorf(license.CodeConflict, "start again on the sign-in page", "the members have changed meanwhile")
	}
	return c, err
}

func (s *Service) recognize(ctx context.Context, tx *store.Tx, idp *ent.IdentityProvider, who person) (string, error) {
	known, err := tx.UserIdentity.Query().
		Where(useridentity.ProviderID(idp.ID), useridentity.Issuer(idp.Issuer), useridentity.Subject(who.Subject)).Only(ctx)
	if err != nil && !ent.IsNotFound(err) {
		return "", err
	}
	if known != nil {
		there, err := tx.Member.Query().Where(member.OrganizationID(idp.OrganizationID), member.UserID(known.UserID)).Exist(ctx)
		if err != nil || there {
			return known.UserID, err
		}
	}
	if who.Email == "" {
		return "", forbidden("have the identity provider verify your e-mail address", "the identity provider does not vouch for your e-mail address")
	}
	m, err := tx.Member.Query().Where(member.OrganizationID(idp.OrganizationID), member.Email(who.Email)).Only(ctx)
	switch {
	case ent.IsNotFound(err) && known == nil:
		return s.join(ctx, tx, idp, who)
	case ent.IsNotFound(err):
		return "", notMember() // removed: joining by himself would undo it
	case err != nil:
		return "", err
	case m.UserID == nil:
		return "", forbidden("ask an owner of the organization to invite you", "nobody signs in as this member")
	}
	// A second person with the same address, as when one has left and another came.
	other, err := tx.UserIdentity.Query().
		Where(useridentity.ProviderID(idp.ID), useridentity.Issuer(idp.Issuer), useridentity.UserID(*m.UserID)).Exist(ctx)
	if err != nil {
		return "", err
	}
	if other {
		return "", forbidden("ask an owner of the organization to remove the earlier member and to invite you", "this e-mail address is of another person of the identity provider")
	}
	if known != nil { // invited again under an account of his own
		if err := tx.UserIdentity.DeleteOne(known).Exec(ctx); err != nil {
			return "", err
		}
	}
	return *m.UserID, s.link(ctx, tx, idp, who, *m.UserID)
}

func (s *Service) link(ctx context.Context, tx *store.Tx, idp *ent.IdentityProvider, who person, user string) error {
	return tx.UserIdentity.Create().SetUserID(user).SetProviderID(idp.ID).SetIssuer(idp.Issuer).SetSubject(who.Subject).Exec(ctx)
}

func (s *Service) join(ctx context.Context, tx *store.Tx, idp *ent.IdentityProvider, who person) (string, error) {
	if idp.JoinRole == nil || !slices.Contains(idp.Domains, domainOf(who.Email)) {
		return "", notMember()
	}
	name := who.Name
	if name == "" {
		name = who.Email
	}
	sum := sha256.Sum256([]byte(idp.Issuer + "\x00" + who.Subject))
	// Not an address: it can't be signed in with, and is nobody else's.
	made, err := tx.User.Create().SetEmail(idp.ID + ":" + hex.EncodeToString(sum[:16])).SetName(name).Save(ctx)
	if err != nil {
		return "", err
	}
	m, err := tx.Member.Create().SetOrganizationID(idp.OrganizationID).SetUserID(made.ID).SetEmail(who.Email).SetName(name).
		SetRole(*idp.JoinRole).Save(ctx)
	if err != nil {
		return "", err
	}
	if err := s.link(ctx, tx, idp, who, made.ID); err != nil {
		return "", err
	}
	if err := s.core.Emit(ctx, tx, idp.OrganizationID, core.EventMemberAdded, map[string]any{"member": m.ID, "role": string(m.Role)}); err != nil {
		return "", err
	}
	return made.ID, core.Audit(ctx, tx, idp.OrganizationID, "member.joined", m.ID, nil,
		map[string]any{"email": who.Email, "role": string(m.Role), "identityProvider": idp.ID})
}

func notMember() error {
	return forbidden("ask an owner or administrator of the organization to invite you", "you are no member of the organization")
}
