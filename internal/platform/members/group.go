package members

import (
	"context"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/membergroup"
	"github.com/quorate/quorate/ent/membergroupentry"
	"github.com/quorate/quorate/ent/predicate"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// GroupSpec is a group of members, all of whom have at least its role.
type GroupSpec struct {
	Name string
	Role property.Role
}

// CreateMemberGroup makes a group. key makes it idempotent. Errors:
// CodeForbidden, CodeInvalidInput, CodeConflict, CodeLimitReached.
func (s *Service) CreateMemberGroup(ctx context.Context, key string, spec GroupSpec) (out *ent.MemberGroup, err error) {
	err = s.administer(ctx, func(tx *store.Tx, by auth.Principal) error {
		if err := core.CheckName("group", spec.Name); err != nil {
			return err
		}
		if err := mayGive(by, spec.Role); err != nil {
			return err
		}
		ids, _, err := core.Once(ctx, tx, by.Organization, "createMemberGroup", key, spec, func() ([]string, error) {
			n, err := tx.MemberGroup.Query().Count(ctx)
			if err != nil {
				return nil, err
			}
			if n >= MostGroups {
				return nil, license.Errorf(license.CodeLimitReached, "delete groups that are not needed any more", "an organization has at most %d groups", MostGroups)
			}
			g, err := tx.MemberGroup.Create().SetOrganizationID(by.Organization).SetName(spec.Name).SetRole(spec.Role).Save(ctx)
			if err != nil {
				return nil, err
			}
			return []string{g.ID}, core.Audit(ctx, tx, by.Organization, "membergroup.created", g.ID, nil, groupFacts(g))
		})
		if err != nil {
			return err
		}
		out, err = tx.MemberGroup.Get(ctx, ids[0])
		return core.NotFound(err, "group", ids[0])
	})
	return out, groupTaken(err, spec.Name)
}

func groupFacts(g *ent.MemberGroup) map[string]any {
	return map[string]any{"name": g.Name, "role": string(g.Role)}
}

func groupTaken(err error, name string) error {
	if !ent.IsConstraintError(err) {
		return err
	}
	return core.AtField("name", license.Errorf(license.CodeConflict, "choose another name", "there is a group %s already", core.Clip(name)))
}

// GroupChange is what changes; nil stays.
type GroupChange struct {
	Name *string
	Role *property.Role
}

// UpdateMemberGroup changes a group; its role changes for all its members.
// revision is the one that the change was made from. Errors: CodeForbidden,
// CodeInvalidInput, CodeNotFound, CodeConflict.
func (s *Service) UpdateMemberGroup(ctx context.Context, id string, revision int, c GroupChange) (out *ent.MemberGroup, err error) {
	err = s.administer(ctx, func(tx *store.Tx, by auth.Principal) error {
		g, err := group(ctx, tx, by, id)
		if err != nil {
			return err
		}
		if c.Name == nil && c.Role == nil {
			return license.Errorf(license.CodeInvalidInput, "give a name or a role", "nothing is to be changed")
		}
		u := tx.MemberGroup.UpdateOne(g).AddRevision(1)
		if c.Name != nil {
			if err := core.CheckName("group", *c.Name); err != nil {
				return err
			}
			u.SetName(*c.Name)
		}
		if c.Role != nil {
			if err := mayGive(by, *c.Role); err != nil {
				return err
			}
			u.SetRole(*c.Role)
		}
		if g.Revision != revision {
			return core.Outdated("group", g.Revision)
		}
		if out, err = u.Save(ctx); err != nil {
			return err
		}
		return core.Audit(ctx, tx, by.Organization, "membergroup.updated", g.ID, groupFacts(g), groupFacts(out))
	})
	if c.Name != nil {
		err = groupTaken(err, *c.Name)
	}
	return out, err
}

// group finds a group whose role the caller may give and take.
func group(ctx context.Context, tx *store.Tx, by auth.Principal, id string) (*ent.MemberGroup, error) {
	g, err := tx.MemberGroup.Query().Where(membergroup.ID(id)).Only(ctx)
	if err != nil {
		return nil, core.NotFound(err, "group", id)
	}
	return g, mayGive(by, g.Role)
}

// DeleteMemberGroup takes a group and its role from its members. Errors:
// CodeForbidden, CodeNotFound, CodeConflict.
func (s *Service) DeleteMemberGroup(ctx context.Context, id string) (out *ent.MemberGroup, err error) {
	err = s.administer(ctx, func(tx *store.Tx, by auth.Principal) error {
		if out, err = group(ctx, tx, by, id); err != nil {
			return err
		}
		if _, err := tx.MemberGroupEntry.Delete().Where(membergroupentry.MemberGroupID(id)).Exec(ctx); err != nil {
			return err
		}
		if err := tx.MemberGroup.DeleteOneID(id).Exec(ctx); err != nil {
			return err
		}
		return core.Audit(ctx, tx, by.Organization, "membergroup.deleted", id, groupFacts(out), nil)
	})
	return out, err
}

// AddGroupMember puts a member into a group; one that is in it stays. Errors:
// CodeForbidden, CodeNotFound.
func (s *Service) AddGroupMember(ctx context.Context, groupID, memberID string) (g *ent.MemberGroup, m *ent.Member, err error) {
	err = s.administer(ctx, func(tx *store.Tx, by auth.Principal) error {
		if g, m, err = pair(ctx, tx, by, groupID, memberID); err != nil {
			return err
		}
		there, err := tx.MemberGroupEntry.Query().Where(entry(g, m)).Exist(ctx)
		if err != nil || there {
			return err
		}
		if err := tx.MemberGroupEntry.Create().SetOrganizationID(by.Organization).SetMemberGroupID(g.ID).SetMemberID(m.ID).Exec(ctx); err != nil {
			return err
		}
		return core.Audit(ctx, tx, by.Organization, "membergroup.joined", g.ID, nil, map[string]any{"member": m.ID, "email": m.Email})
	})
	return g, m, err
}

// RemoveGroupMember takes a member out of a group; one that isn't in it stays
// out. Errors: CodeForbidden, CodeNotFound, CodeConflict.
func (s *Service) RemoveGroupMember(ctx context.Context, groupID, memberID string) (g *ent.MemberGroup, m *ent.Member, err error) {
	err = s.administer(ctx, func(tx *store.Tx, by auth.Principal) error {
		if g, m, err = pair(ctx, tx, by, groupID, memberID); err != nil {
			return err
		}
		n, err := tx.MemberGroupEntry.Delete().Where(entry(g, m)).Exec(ctx)
		if err != nil || n == 0 {
			return err
		}
		return core.Audit(ctx, tx, by.Organization, "membergroup.left", g.ID, map[string]any{"member": m.ID, "email": m.Email}, nil)
	})
	return g, m, err
}

func pair(ctx context.Context, tx *store.Tx, by auth.Principal, groupID, memberID string) (*ent.MemberGroup, *ent.Member, error) {
	g, err := group(ctx, tx, by, groupID)
	if err != nil {
		return nil, nil, err
	}
	m, err := find(ctx, tx, memberID)
	return g, m, err
}

func entry(g *ent.MemberGroup, m *ent.Member) predicate.MemberGroupEntry {
	return membergroupentry.And(membergroupentry.MemberGroupID(g.ID), membergroupentry.MemberID(m.ID))
}
