package members

import (
	"context"
	"slices"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/apitoken"
	"github.com/quorate/quorate/ent/invitation"
	"github.com/quorate/quorate/ent/member"
	"github.com/quorate/quorate/ent/membergroup"
	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/ent/predicate"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// InvitationAge is how long an invitation can be accepted.
const InvitationAge = 7 * 24 * time.Hour

// InvitationSpec is whom an invitation is for.
type InvitationSpec struct {
	Email  string
	Name   string // may be empty: the person says it
	Role   property.Role
	Groups []string // ids of the groups to join
	// Organization is empty for the caller's own, or a customer of his that nobody
	// belongs to yet.
	Organization string
}

// openNow finds invitations that can be accepted.
func openNow() predicate.Invitation {
	return invitation.And(invitation.AcceptedAtIsNil(), invitation.RevokedAtIsNil(), invitation.ExpiresAtGT(core.Now()))
}

// CreateInvitation invites a person. The token is given this once: whoever has
// it may accept for the next 7 days, and takes over no account by it. It
// replaces what was open for the same address. key makes it idempotent; then the
// token is empty. Errors: CodeForbidden, CodeInvalidInput, CodeNotFound,
// CodeConflict, CodeLimitReached.
func (s *Service) CreateInvitation(ctx context.Context, key string, spec InvitationSpec) (*ent.Invitation, string, error) {
	if spec.Organization != "" {
		if by, err := auth.From(ctx); err != nil || by.Organization != spec.Organization {
			return s.inviteFirst(ctx, key, spec)
		}
	}
	var made *ent.Invitation
	token := ""
	err := s.administer(ctx, func(tx *store.Tx, by auth.Principal) (err error) {
		if spec, err = checked(spec); err != nil {
			return err
		}
		if err := mayGive(by, spec.Role); err != nil {
			return err
		}
		for _, id := range spec.Groups {
			if _, err := group(ctx, tx, by, id); err != nil {
				return core.AtField("groups", err)
			}
		}
		made, token, err = invite(ctx, tx, by, by.Organization, key, spec)
		return err
	})
	return made, token, err
}

func checked(spec InvitationSpec) (InvitationSpec, error) {
	var err error
	if spec.Email, err = core.NormalEmail(spec.Email); err != nil {
		return spec, core.AtField("email", err)
	}
	if spec.Name != "" {
		if err := core.CheckName("invitation", spec.Name); err != nil {
			return spec, err
		}
	}
	spec.Groups = slices.Compact(slices.Sorted(slices.Values(spec.Groups)))
	if len(spec.Groups) > MostGroups {
		return spec, core.AtField("groups", license.Errorf(license.CodeInvalidInput, "name the groups to join", "that are too many groups"))
	}
	return spec, nil
}

// inviteFirst lets a vendor invite the first member of a customer: once
// somebody belongs to it, who else does is the customer's matter.
func (s *Service) inviteFirst(ctx context.Context, key string, spec InvitationSpec) (*ent.Invitation, string, error) {
	by, err := auth.Require(ctx, auth.Provision)
	if err != nil {
		return nil, "", err
	}
	if spec, err = checked(spec); err != nil {
		return nil, "", err
	}
	if !auth.Role(spec.Role).Valid() || len(spec.Groups) > 0 {
		return nil, "", license.Errorf(license.CodeInvalidInput, "take one of the roles and no groups", "the first member of a customer has a role and no groups")
	}
	var made *ent.Invitation
	token := ""
	err = s.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		if _, err := tx.Organization.Query().Where(organization.ID(spec.Organization), organization.ProviderID(by.Organization), store.Locked).Only(ctx); err != nil {
			return core.NotFound(err, "customer", spec.Organization)
		}
		first, err := empty(core.System(ctx, "invitation"), tx, spec.Organization)
		if err != nil {
			return err
		}
		if !first {
			return license.Errorf(license.CodeForbidden, "ask an owner of the customer", "who belongs to the customer is its own matter")
		}
		made, token, err = invite(ctx, tx, by, spec.Organization, key, spec)
		return err
	})
	return made, token, err
}

// empty says whether nobody belongs to an organization yet. ctx is the system's.
func empty(ctx context.Context, tx *store.Tx, organization string) (bool, error) {
	there, err := tx.Member.Query().Where(member.OrganizationID(organization)).Exist(ctx)
	if err != nil || there {
		return false, err
	}
	there, err = tx.ApiToken.Query().Where(apitoken.OrganizationID(organization)).Exist(ctx)
	return !there, err
}

// invite makes an invitation; what is a customer's is written by the system, and
// into the caller's audit log.
func invite(ctx context.Context, tx *store.Tx, by auth.Principal, organizationID, key string, spec InvitationSpec) (made *ent.Invitation, token string, err error) {
	system := core.System(ctx, "invitation")
	ids, again, err := core.Once(ctx, tx, by.Organization, "createInvitation", key, spec, func() ([]string, error) {
		there, err := tx.Member.Query().Where(member.OrganizationID(organizationID), member.Email(spec.Email)).Exist(system)
		if err != nil {
			return nil, err
		}
		if there {
			return nil, core.AtField("email", license.Errorf(license.CodeConflict, "change the member's role", "%s is a member already", core.Clip(spec.Email)))
		}
		if err := tx.Invitation.Update().Where(invitation.OrganizationID(organizationID), invitation.Email(spec.Email), openNow()).
			SetRevokedAt(core.Now()).Exec(system); err != nil {
			return nil, err
		}
		if err := room(system, tx, organizationID); err != nil {
			return nil, err
		}
		if made, token, err = write(system, tx, organizationID, core.DisplayName(by), spec); err != nil {
			return nil, err
		}
		return []string{made.ID}, core.Audit(ctx, tx, by.Organization, "invitation.created", made.ID, nil, invitationFacts(made))
	})
	if err != nil || !again {
		return made, token, err
	}
	made, err = tx.Invitation.Get(system, ids[0])
	return made, "", core.NotFound(err, "invitation", ids[0])
}

func write(ctx context.Context, tx *store.Tx, organizationID, by string, spec InvitationSpec) (*ent.Invitation, string, error) {
	token, digest, err := auth.NewToken(auth.InviteToken)
	if err != nil {
		return nil, "", err
	}
	made, err := tx.Invitation.Create().SetOrganizationID(organizationID).SetEmail(spec.Email).SetName(spec.Name).SetRole(spec.Role).
		SetGroups(spec.Groups).SetTokenDigest(digest).SetInvitedBy(core.ClipText(by)).SetExpiresAt(core.Now().Add(InvitationAge)).Save(ctx)
	return made, token, err
}

func invitationFacts(i *ent.Invitation) map[string]any {
	return map[string]any{"email": i.Email, "role": string(i.Role), "organization": i.OrganizationID}
}

// ResendInvitation replaces an invitation that was not accepted by a new one
// with a new token, for another 7 days. Errors: CodeForbidden, CodeNotFound,
// CodeConflict.
func (s *Service) ResendInvitation(ctx context.Context, id string) (made *ent.Invitation, token string, err error) {
	err = s.unaccepted(ctx, id, func(tx *store.Tx, by auth.Principal, old *ent.Invitation) error {
		// Groups that were deleted since, or that give more than the caller may,
		// are left out.
		left, err := tx.MemberGroup.Query().Where(membergroup.IDIn(old.Groups...)).All(ctx)
		if err != nil {
			return err
		}
		var groups []string
		for _, g := range left {
			if mayGive(by, g.Role) == nil {
				groups = append(groups, g.ID)
			}
		}
		made, token, err = invite(ctx, tx, by, old.OrganizationID, "",
			InvitationSpec{Email: old.Email, Name: old.Name, Role: old.Role, Groups: groups})
		return err
	})
	return made, token, err
}

// RevokeInvitation takes an invitation back; one that is taken back stays so.
// Errors: CodeForbidden, CodeNotFound, CodeConflict.
func (s *Service) RevokeInvitation(ctx context.Context, id string) (out *ent.Invitation, err error) {
	err = s.unaccepted(ctx, id, func(tx *store.Tx, by auth.Principal, i *ent.Invitation) error {
		if out = i; out.RevokedAt != nil {
			return nil
		}
		if out, err = tx.Invitation.UpdateOne(i).SetRevokedAt(core.Now()).Save(core.System(ctx, "invitation")); err != nil {
			return err
		}
		return core.Audit(ctx, tx, by.Organization, "invitation.revoked", id, invitationFacts(out), nil)
	})
	return out, err
}

// unaccepted runs change with an invitation that was not accepted, locked: one of
// the caller's organization, or one to be the first of a customer of his.
func (s *Service) unaccepted(ctx context.Context, id string, change func(tx *store.Tx, by auth.Principal, i *ent.Invitation) error) error {
	open := func(ctx context.Context, tx *store.Tx, by auth.Principal) error {
		i, err := tx.Invitation.Query().Where(invitation.ID(id), store.Locked).Only(ctx)
		if err != nil {
			return core.NotFound(err, "invitation", id)
		}
		if i.AcceptedAt != nil {
			return license.Errorf(license.CodeConflict, "change or remove the member", "the invitation was accepted")
		}
		if i.OrganizationID == by.Organization {
			if err := mayGive(by, i.Role); err != nil {
				return err
			}
		}
		return change(tx, by, i)
	}
	if by, err := auth.From(ctx); err == nil && by.Can(auth.Provision) && !by.IsSystem() {
		system := core.System(ctx, "invitation")
		first := false
		err := s.core.Store.WithTx(ctx, func(tx *store.Tx) error {
			i, err := tx.Invitation.Query().
				Where(invitation.ID(id), invitation.HasOrganizationWith(organization.ProviderID(by.Organization))).Only(system)
			if ent.IsNotFound(err) {
				return nil
			}
			if err != nil {
				return err
			}
			if _, err := tx.Organization.Query().Where(organization.ID(i.OrganizationID), store.Locked).OnlyID(system); err != nil {
				return err
			}
			if first, err = empty(system, tx, i.OrganizationID); err != nil || !first {
				return err
			}
			return open(system, tx, by)
		})
		if first || err != nil {
			return err
		}
	}
	return s.administer(ctx, func(tx *store.Tx, by auth.Principal) error { return open(ctx, tx, by) })
}
