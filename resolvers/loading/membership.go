package loading

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/membergroupentry"
)

// groupsOf gives the groups of members, by name, in one statement for many.
func groupsOf(ctx context.Context, c *ent.Client, members []string) (map[string][]*ent.MemberGroup, error) {
	rows, err := c.MemberGroupEntry.Query().Where(membergroupentry.MemberIDIn(members...)).WithMemberGroup().All(ctx)
	all := map[string][]*ent.MemberGroup{}
	for _, e := range rows {
		if g := e.Edges.MemberGroup; g != nil {
			all[e.MemberID] = append(all[e.MemberID], g)
		}
	}
	for _, list := range all {
		slices.SortFunc(list, func(a, b *ent.MemberGroup) int { return cmp.Compare(a.Name, b.Name) })
	}
	return all, err
}

// membersOf gives the members of groups, by name, in one statement for many.
func membersOf(ctx context.Context, c *ent.Client, groups []string) (map[string][]*ent.Member, error) {
	rows, err := c.MemberGroupEntry.Query().Where(membergroupentry.MemberGroupIDIn(groups...)).WithMember().All(ctx)
	all := map[string][]*ent.Member{}
	for _, e := range rows {
		if m := e.Edges.Member; m != nil {
			all[e.MemberGroupID] = append(all[e.MemberGroupID], m)
		}
	}
	for _, list := range all {
		slices.SortFunc(list, func(a, b *ent.Member) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	}
	return all, err
}

// Membership loads the groups of members and the members of groups. What the one
// gives leads to the other, so it is announced there; never within a batch, which
// is locked while it loads.
type Membership struct {
	groups   *Batch[[]*ent.MemberGroup]
	members  *Batch[[]*ent.Member]
	toGroups idList
	toPeople idList
}

// idList gathers ids until they are taken.
type idList struct {
	mu  sync.Mutex
	ids []string
}

func (l *idList) add(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ids = append(l.ids, id)
}

func (l *idList) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := l.ids
	l.ids = nil
	return ids
}

func newMembership(c *ent.Client) *Membership {
	m := &Membership{}
	m.groups = newBatch(func(ctx context.Context, ids []string) (map[string][]*ent.MemberGroup, error) {
		all, err := groupsOf(ctx, c, ids)
		for _, list := range all {
			for _, g := range list {
				m.toPeople.add(g.ID)
			}
		}
		return all, err
	})
	m.members = newBatch(func(ctx context.Context, ids []string) (map[string][]*ent.Member, error) {
		all, err := membersOf(ctx, c, ids)
		for _, list := range all {
			for _, p := range list {
				m.toGroups.add(p.ID)
			}
		}
		return all, err
	})
	return m
}

// GroupsOf gives the groups of a member, by name.
func (m *Membership) GroupsOf(ctx context.Context, member string) ([]*ent.MemberGroup, error) {
	list, _, err := m.groups.Load(ctx, member)
	for _, id := range m.toPeople.take() {
		m.members.Announce(id)
	}
	return list, err
}

// MembersOf gives the members of a group, by name.
func (m *Membership) MembersOf(ctx context.Context, group string) ([]*ent.Member, error) {
	list, _, err := m.members.Load(ctx, group)
	for _, id := range m.toGroups.take() {
		m.groups.Announce(id)
	}
	return list, err
}
