package orgtools

import (
	"context"
	"fmt"
	"io"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
)

// MemberGroup is the tree of commands on groups of members.
type MemberGroup struct {
	Ls     GroupLs     `cmd:"" aliases:"list" help:"List the groups."`
	Create GroupCreate `cmd:"" help:"Make a group, all of whose members have at least its role."`
	Set    GroupSet    `cmd:"" help:"Rename a group, or give it another role."`
	Delete GroupDelete `cmd:"" help:"Delete a group, and take its role from its members."`
	Add    GroupAdd    `cmd:"" help:"Put a member into a group."`
	Remove GroupRemove `cmd:"" help:"Take a member out of a group."`
}

type groupView struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Role        string `json:"role"`
	MemberCount int    `json:"memberCount"`
	Revision    int    `json:"revision"`
}

const groupFields = `id name role memberCount revision`

// GroupLs lists groups.
type GroupLs struct{ cli.APIFlags }

// Help has the examples.
func (GroupLs) Help() string {
	return `Example:
  quorate member group ls`
}

// Run lists groups.
func (c *GroupLs) Run(ctx context.Context, std cli.Streams) error {
	all, err := list[groupView](ctx, c.APIFlags, "memberGroups", "", groupFields, mostListed)
	if err != nil {
		return err
	}
	if c.JSON {
		return cli.WriteJSON(std.Out, all)
	}
	return cli.WriteTable(std.Out, "ID NAME ROLE MEMBERS", func(w io.Writer) {
		for _, g := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\n", g.ID, cli.Printable(g.Name), g.Role, g.MemberCount)
		}
	})
}

func findGroup(ctx context.Context, f cli.APIFlags, idOrName string) (groupView, error) {
	all, err := list[groupView](ctx, f, "memberGroups", "", groupFields, mostListed)
	if err != nil {
		return groupView{}, err
	}
	for _, g := range all {
		if g.ID == idOrName || g.Name == idOrName {
			return g, nil
		}
	}
	return groupView{}, license.Errorf(license.CodeNotFound, "look it up by: quorate member group ls", "there is no group %s", license.Clip(idOrName, 64))
}

// change runs a mutation that gives a group back.
func changeGroup(ctx context.Context, f cli.APIFlags, std cli.Streams, name, kind string, in map[string]any, format string) error {
	type answer struct {
		Changed struct {
			Group groupView `json:"group"`
		} `json:"changed"`
	}
	return do(ctx, f, std, `mutation($input: `+kind+`!) { changed: `+name+`(input: $input) { group { `+groupFields+` } } }`, input(in),
		func(out answer) error {
			g := out.Changed.Group
			return say(std, format, g.Name, g.Role, g.MemberCount)
		})
}

const groupLine = "The group %s has the role %s and %d members."

// GroupCreate makes a group.
type GroupCreate struct {
	cli.APIFlags
	Name string `arg:"" help:"The group's name."`
	Role string `arg:"" enum:"OWNER,ADMINISTRATOR,OPERATOR,VIEWER" help:"OWNER, ADMINISTRATOR, OPERATOR or VIEWER."`
	Key  string `help:"An idempotency key: repeated with it, the command makes nothing anew."`
}

// Help has the examples.
func (GroupCreate) Help() string {
	return `Example:
  quorate member group create Operations OPERATOR`
}

// Run makes the group.
func (c *GroupCreate) Run(ctx context.Context, std cli.Streams) error {
	return changeGroup(ctx, c.APIFlags, std, "createMemberGroup", "CreateMemberGroupInput",
		map[string]any{"name": c.Name, "role": c.Role, "idempotencyKey": onceKey(c.Key)}, groupLine)
}

// GroupSet changes a group.
type GroupSet struct {
	cli.APIFlags
	Group string `arg:"" help:"The group's name or id."`
	Name  string `help:"Its new name."`
	Role  string `enum:",OWNER,ADMINISTRATOR,OPERATOR,VIEWER" default:"" help:"Its new role."`
}

// Help has the examples.
func (GroupSet) Help() string {
	return `Example:
  quorate member group set Operations --role ADMINISTRATOR`
}

// Run changes the group as it is now.
func (c *GroupSet) Run(ctx context.Context, std cli.Streams) error {
	g, err := findGroup(ctx, c.APIFlags, c.Group)
	if err != nil {
		return err
	}
	return changeGroup(ctx, c.APIFlags, std, "updateMemberGroup", "UpdateMemberGroupInput",
		map[string]any{"group": g.ID, "revision": g.Revision, "name": c.Name, "role": c.Role}, groupLine)
}

// GroupDelete deletes a group.
type GroupDelete struct {
	cli.APIFlags
	Group string `arg:"" help:"The group's name or id."`
}

// Help has the examples.
func (GroupDelete) Help() string {
	return `Example:
  quorate member group delete Operations`
}

// Run deletes the group.
func (c *GroupDelete) Run(ctx context.Context, std cli.Streams) error {
	g, err := findGroup(ctx, c.APIFlags, c.Group)
	if err != nil {
		return err
	}
	type answer struct {
		DeleteMemberGroup struct {
			DeletedGroupID string `json:"deletedGroupId"`
		} `json:"deleteMemberGroup"`
	}
	return do(ctx, c.APIFlags, std, `mutation($input: DeleteMemberGroupInput!) { deleteMemberGroup(input: $input) { deletedGroupId } }`,
		input(map[string]any{"group": g.ID}), func(answer) error { return say(std, "The group %s is deleted.", g.Name) })
}

// inGroup names a group and a member.
type inGroup struct {
	Group  string `arg:"" help:"The group's name or id."`
	Member string `arg:"" help:"The member's e-mail address or id."`
}

func (c inGroup) run(ctx context.Context, f cli.APIFlags, std cli.Streams, name, kind string) error {
	g, err := findGroup(ctx, f, c.Group)
	if err != nil {
		return err
	}
	m, err := findMember(ctx, f, c.Member)
	if err != nil {
		return err
	}
	return changeGroup(ctx, f, std, name, kind, map[string]any{"group": g.ID, "member": m.ID}, groupLine)
}

// GroupAdd puts a member into a group.
type GroupAdd struct {
	cli.APIFlags
	inGroup
}

// Help has the examples.
func (GroupAdd) Help() string {
	return `Example:
  quorate member group add Operations anna@example.com`
}

// Run puts the member in.
func (c *GroupAdd) Run(ctx context.Context, std cli.Streams) error {
	return c.run(ctx, c.APIFlags, std, "addGroupMember", "AddGroupMemberInput")
}

// GroupRemove takes a member out of a group.
type GroupRemove struct {
	cli.APIFlags
	inGroup
}

// Help has the examples.
func (GroupRemove) Help() string {
	return `Example:
  quorate member group remove Operations anna@example.com`
}

// Run takes the member out.
func (c *GroupRemove) Run(ctx context.Context, std cli.Streams) error {
	return c.run(ctx, c.APIFlags, std, "removeGroupMember", "RemoveGroupMemberInput")
}
