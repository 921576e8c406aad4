// Package members has who belongs to an organization: its members with their
// roles, groups that give their members a role, and invitations. How a person
// signs in, and how he accepts an invitation, is not its matter.
//
// Nobody gives more than he has, nor takes anything from whoever has more; and
// an organization that has an owner keeps one.
package members

import (
	"context"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/invitation"
	"github.com/quorate/quorate/ent/member"
	"github.com/quorate/quorate/ent/membergroup"
	"github.com/quorate/quorate/ent/membergroupentry"
	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/ent/predicate"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// Bounds of one organization.
const (
	MostMembers = 1000 // open invitations count
	MostGroups  = 100
)

// Service has the use cases. Safe for concurrent use.
type Service struct{ core *core.Core }

// New makes a Service.
func New(c *core.Core) *Service { return &Service{c} }

// administer runs change for a caller who may manage members, with the members
// of his organization locked; it fails if no owner is left.
func (s *Service) administer(ctx context.Context, change func(tx *store.Tx, by auth.Principal) error) error {
	by, err := auth.Require(ctx, auth.ManageMembers)
	if err != nil {
		return err
	}
	if by.IsSystem() {
		return license.Errorf(license.CodeInvalidInput, "act for a member", "the system has no organization")
	}
	return s.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		org, err := tx.Organization.Query().Where(organization.ID(by.Organization), store.Locked).Only(ctx)
		if err != nil {
			return err
		}
		if org.LiveID != nil {
			return license.Errorf(license.CodeConflict, "act for the live organization", "the members of a test environment are those of its live organization")
		}
		before, err := owners(ctx, tx, by.Organization)
		if err != nil {
			return err
		}
		if err := change(tx, by); err != nil {
			return err
		}
		after, err := owners(ctx, tx, by.Organization)
		if err != nil {
			return err
		}
		if before > 0 && after == 0 {
			return license.Errorf(license.CodeConflict, "make another member an owner first", "the organization would have no owner")
		}
		s.core.Publish(ctx, tx, event.Rights, "")
		return nil
	})
}

// owners counts those who sign in as an owner.
func owners(ctx context.Context, tx *store.Tx, organization string) (int, error) {
	return tx.Member.Query().Where(OwnersOf(organization)).Count(ctx)
}

// OwnersOf finds those who sign in as an owner, by a role of their own or a
// group's.
func OwnersOf(organization string) predicate.Member {
	return member.And(member.OrganizationID(organization), member.UserIDNotNil(), member.Or(
		member.RoleEQ(property.RoleOwner),
		member.HasMembershipsWith(membergroupentry.HasMemberGroupWith(membergroup.RoleEQ(property.RoleOwner))),
	))
}

// RoleOf is the highest of a member's own role and its groups', which are
// loaded.
func RoleOf(m *ent.Member) auth.Role {
	roles := []auth.Role{auth.Role(m.Role)}
	for _, e := range m.Edges.Memberships {
		if g := e.Edges.MemberGroup; g != nil {
			roles = append(roles, auth.Role(g.Role))
		}
	}
	return auth.Highest(roles...)
}

// WithGroups loads what RoleOf needs.
func WithGroups(q *ent.MemberQuery) *ent.MemberQuery {
	return q.WithMemberships(func(q *ent.MemberGroupEntryQuery) { q.WithMemberGroup() })
}

func find(ctx context.Context, tx *store.Tx, id string) (*ent.Member, error) {
	m, err := WithGroups(tx.Member.Query().Where(member.ID(id))).Only(ctx)
	return m, core.NotFound(err, "member", id)
}

// mayGive refuses to give, or to take, a role that can do more than the caller.
func mayGive(by auth.Principal, r property.Role) error {
	if !auth.Role(r).Valid() {
		return core.AtField("role", license.Errorf(license.CodeInvalidInput, "take OWNER, ADMINISTRATOR, OPERATOR or VIEWER", "%q is not a role", core.Clip(string(r))))
	}
	if !by.Covers(auth.Role(r), auth.Scopes{}) {
		return core.AtField("role", license.Errorf(license.CodeForbidden, "ask an owner of your organization", "the role %s may do more than you", r))
	}
	return nil
}

// mayChange refuses to change a member who can do more than the caller.
func mayChange(by auth.Principal, m *ent.Member) error {
	if !by.Covers(RoleOf(m), auth.Scopes{}) {
		return license.Errorf(license.CodeForbidden, "ask an owner of your organization", "%s may do more than you", core.Clip(m.Name))
	}
	return nil
}

// UpdateMember gives a member another role of its own; its groups' roles stay.
// revision is the one that the change was made from. Errors: CodeForbidden,
// CodeInvalidInput, CodeNotFound, CodeConflict.
func (s *Service) UpdateMember(ctx context.Context, id string, revision int, role property.Role) (out *ent.Member, err error) {
	err = s.administer(ctx, func(tx *store.Tx, by auth.Principal) error {
		m, err := find(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := mayGive(by, role); err != nil {
			return err
		}
		if err := mayChange(by, m); err != nil {
			return err
		}
		if m.Revision != revision {
			return core.Outdated("member", m.Revision)
		}
		if out, err = tx.Member.UpdateOne(m).SetRole(role).AddRevision(1).Save(ctx); err != nil {
			return err
		}
		return core.Audit(ctx, tx, by.Organization, "member.updated", m.ID, map[string]any{"role": string(m.Role)}, map[string]any{"role": string(role)})
	})
	return out, err
}

// RemoveMember ends a membership: his sessions for the organization and his
// streams end, what he made stays. Errors: CodeForbidden, CodeNotFound,
// CodeConflict.
func (s *Service) RemoveMember(ctx context.Context, id string) (out *ent.Member, err error) {
	err = s.administer(ctx, func(tx *store.Tx, by auth.Principal) error {
		m, err := find(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := mayChange(by, m); err != nil {
			return err
		}
		if _, err := tx.MemberGroupEntry.Delete().Where(membergroupentry.MemberID(m.ID)).Exec(ctx); err != nil {
			return err
		}
		if err := tx.Member.DeleteOneID(m.ID).Exec(ctx); err != nil {
			return err
		}
		out = m
		if err := s.core.Emit(ctx, tx, by.Organization, core.EventMemberRemoved, map[string]any{"member": m.ID}); err != nil {
			return err
		}
		return core.Audit(ctx, tx, by.Organization, "member.removed", m.ID,
			map[string]any{"email": m.Email, "name": m.Name, "role": string(RoleOf(m))}, nil)
	})
	return out, err
}

// room refuses another member when there are too many.
func room(ctx context.Context, tx *store.Tx, organization string) error {
	n, err := tx.Member.Query().Where(member.OrganizationID(organization)).Count(ctx)
	if err != nil {
		return err
	}
	open, err := tx.Invitation.Query().Where(invitation.OrganizationID(organization), openNow()).Count(ctx)
	if err != nil {
		return err
	}
	if n+open >= MostMembers {
		return license.Errorf(license.CodeLimitReached, "remove members, or revoke invitations, that are not needed any more",
			"an organization has at most %d members", MostMembers)
	}
	return nil
}
