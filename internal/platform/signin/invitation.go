package signin

import (
	"context"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/invitation"
	"github.com/quorate/quorate/ent/member"
	"github.com/quorate/quorate/ent/membergroup"
	"github.com/quorate/quorate/ent/user"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// Invited is an invitation as whoever has its link sees it.
type Invited struct {
	Email        string    `json:"email"`
	Name         string    `json:"name"`
	Role         string    `json:"role"`
	Organization string    `json:"organization"`
	InvitedBy    string    `json:"invitedBy"`
	ExpiresAt    time.Time `json:"expiresAt"`
	// Known: there is an account, whose owner has to sign in to accept.
	Known bool `json:"known"`
}

func noInvitation() error {
	return license.Errorf(license.CodeNotFound, "ask for a new invitation", "the invitation is not known, has been used or taken back, or has ended")
}

// find gives the invitation of a link's token, while it can be accepted.
func (s *Service) find(ctx context.Context, c *ent.Client, token string, locked bool) (*ent.Invitation, error) {
	digest, ok := auth.TokenHash(auth.InviteToken, token)
	if !ok {
		return nil, noInvitation()
	}
	q := c.Invitation.Query().Where(invitation.TokenDigest(digest)).WithOrganization()
	if locked {
		q.Where(store.Locked)
	}
	found, err := q.Only(ctx)
	if ent.IsNotFound(err) || err == nil && (found.AcceptedAt != nil || found.RevokedAt != nil || !core.Now().Before(found.ExpiresAt)) {
		return nil, noInvitation()
	}
	return found, err
}

// Invitation shows the invitation of a link's token. Error: CodeNotFound.
func (s *Service) Invitation(ctx context.Context, token string) (Invited, error) {
	ctx = core.System(ctx, "invitation")
	found, err := s.find(ctx, s.client(), token, false)
	if err != nil {
		return Invited{}, err
	}
	known, err := s.client().User.Query().Where(user.Email(found.Email)).Exist(ctx)
	return Invited{Email: found.Email, Name: found.Name, Role: string(found.Role), Organization: found.Edges.Organization.Name,
		InvitedBy: found.InvitedBy, ExpiresAt: found.ExpiresAt, Known: known}, err
}

// AcceptInvitation makes the member. A new person gets an account with the name
// and the password; who has one must have signed in to it by password, as the
// claim tells. The claim that it gives acts for the organization. Errors:
// CodeNotFound, CodeUnauthenticated, CodeInvalidInput, CodeConflict.
func (s *Service) AcceptInvitation(ctx context.Context, by *Claim, token, name, password string) (Claim, error) {
	ctx = core.System(ctx, "invitation")
	shown, err := s.Invitation(ctx, token)
	if err != nil {
		return Claim{}, err
	}
	hash := ""
	if !shown.Known {
		if err := core.CheckName("account", name); err != nil {
			return Claim{}, err
		}
		if err := checkPassword(password); err != nil {
			return Claim{}, err
		}
		// Hashing takes long, so it is not done inside the transaction.
		if hash, err = s.passwords.Hash(ctx, password); err != nil {
			return Claim{}, err
		}
	}
	var out Claim
	err = s.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		found, err := s.find(ctx, tx.Client, token, true)
		if err != nil {
			return err
		}
		who, err := s.invitee(ctx, tx, found, by, name, hash)
		if err != nil {
			return err
		}
		out = Claim{User: who.ID, Organization: found.OrganizationID, Since: core.Now()}
		if by != nil && by.User == who.ID {
			out.Since = by.Since
		}
		return s.seat(ctx, tx, found, who)
	})
	if ent.IsConstraintError(err) {
		err = license.Errorf(license.CodeConflict, "sign in", "you are a member already, or have become one meanwhile")
	}
	return out, err
}

// invitee gives the account that accepts: whoever has the link alone must not
// come into an account that somebody has.
func (s *Service) invitee(ctx context.Context, tx *store.Tx, found *ent.Invitation, by *Claim, name, hash string) (*ent.User, error) {
	who, err := tx.User.Query().Where(user.Email(found.Email)).Only(ctx)
	switch {
	case ent.IsNotFound(err) && hash != "":
		return tx.User.Create().SetEmail(found.Email).SetName(name).SetPasswordHash(hash).SetPasswordAt(core.Now()).Save(ctx)
	case ent.IsNotFound(err):
		return nil, license.Errorf(license.CodeConflict, "open the invitation's link again", "the account was removed meanwhile")
	case err != nil:
		return nil, err
	case by == nil || by.User != who.ID || by.Provider != "":
		return nil, unauthenticated("sign in by password as the person who is invited, then open the link again", "the invitation is for somebody who has an account")
	}
	if _, _, err := s.visitor(ctx, *by); err != nil {
		return nil, err
	}
	return who, nil
}

// seat makes the invited person a member, in the groups that there still are.
func (s *Service) seat(ctx context.Context, tx *store.Tx, found *ent.Invitation, who *ent.User) error {
	there, err := tx.Member.Query().Where(member.OrganizationID(found.OrganizationID), member.UserID(who.ID)).Exist(ctx)
	if err != nil {
		return err
	}
	if there {
		return license.Errorf(license.CodeConflict, "sign in", "you are a member already")
	}
	made, err := tx.Member.Create().SetOrganizationID(found.OrganizationID).SetUserID(who.ID).SetEmail(found.Email).
		SetName(who.Name).SetRole(found.Role).Save(ctx)
	if err != nil {
		return err
	}
	groups, err := tx.MemberGroup.Query().Where(membergroup.OrganizationID(found.OrganizationID), membergroup.IDIn(found.Groups...)).IDs(ctx)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if err := tx.MemberGroupEntry.Create().SetOrganizationID(found.OrganizationID).SetMemberID(made.ID).SetMemberGroupID(g).Exec(ctx); err != nil {
			return err
		}
	}
	if err := tx.Invitation.UpdateOne(found).SetAcceptedAt(core.Now()).Exec(ctx); err != nil {
		return err
	}
	if err := s.core.Emit(ctx, tx, found.OrganizationID, core.EventMemberAdded, map[string]any{"member": made.ID, "role": string(found.Role)}); err != nil {
		return err
	}
	return core.Audit(ctx, tx, found.OrganizationID, "invitation.accepted", found.ID, nil,
		map[string]any{"member": made.ID, "email": found.Email, "role": string(found.Role), "invitedBy": found.InvitedBy})
}
