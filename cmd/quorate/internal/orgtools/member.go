package orgtools

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
)

// Member is the tree of commands on members and their groups.
type Member struct {
	Ls     MemberLs     `cmd:"" aliases:"list" help:"List the members of the organization."`
	Set    MemberSet    `cmd:"" help:"Give a member another role."`
	Remove MemberRemove `cmd:"" help:"Remove a member: sessions for the organization and streams end at once."`
	Group  MemberGroup  `cmd:"" help:"List, make, change and delete groups, and say who is in them."`
}

type memberView struct {
	ID            string `json:"id"`
	Email         string `json:"email"`
	Name          string `json:"name"`
	Role          string `json:"role"`
	EffectiveRole string `json:"effectiveRole"`
	Revision      int    `json:"revision"`
}

const memberFields = `id email name role effectiveRole revision`

// MemberLs lists members.
type MemberLs struct{ cli.APIFlags }

// Help has the examples.
func (MemberLs) Help() string {
	return `Example:
  quorate member ls`
}

// Run lists members.
func (c *MemberLs) Run(ctx context.Context, std cli.Streams) error {
	all, err := list[memberView](ctx, c.APIFlags, "members", "", memberFields, mostListed)
	if err != nil {
		return err
	}
	if c.JSON {
		return cli.WriteJSON(std.Out, all)
	}
	return cli.WriteTable(std.Out, "ID EMAIL NAME ROLE EFFECTIVE", func(w io.Writer) {
		for _, m := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", m.ID, cli.Printable(m.Email), cli.Printable(m.Name), m.Role, m.EffectiveRole)
		}
	})
}

// findMember finds a member by id or e-mail address.
func findMember(ctx context.Context, f cli.APIFlags, idOrEmail string) (memberView, error) {
	all, err := list[memberView](ctx, f, "members", "", memberFields, mostListed)
	if err != nil {
		return memberView{}, err
	}
	for _, m := range all {
		if m.ID == idOrEmail || strings.EqualFold(m.Email, idOrEmail) {
			return m, nil
		}
	}
	return memberView{}, license.Errorf(license.CodeNotFound, "look it up by: quorate member ls", "there is no member %s", license.Clip(idOrEmail, 64))
}

// MemberSet gives a member another role.
type MemberSet struct {
	cli.APIFlags
	Member string `arg:"" help:"The member's e-mail address or id."`
	Role   string `arg:"" enum:"OWNER,ADMINISTRATOR,OPERATOR,VIEWER" help:"OWNER, ADMINISTRATOR, OPERATOR or VIEWER."`
}

// Help has the examples.
func (MemberSet) Help() string {
	return `Example:
  quorate member set anna@example.com OPERATOR`
}

// Run changes the role that the member has now.
func (c *MemberSet) Run(ctx context.Context, std cli.Streams) error {
	m, err := findMember(ctx, c.APIFlags, c.Member)
	if err != nil {
		return err
	}
	type answer struct {
		UpdateMember struct {
			Member memberView `json:"member"`
		} `json:"updateMember"`
	}
	return do(ctx, c.APIFlags, std, `mutation($input: UpdateMemberInput!) { updateMember(input: $input) { member { `+memberFields+` } } }`,
		input(map[string]any{"member": m.ID, "revision": m.Revision, "role": c.Role}), func(out answer) error {
			m := out.UpdateMember.Member
			return say(std, "%s is %s now, and may do what %s may.", m.Email, m.Role, m.EffectiveRole)
		})
}

// MemberRemove removes a member.
type MemberRemove struct {
	cli.APIFlags
	Member string `arg:"" help:"The member's e-mail address or id."`
}

// Help has the examples.
func (MemberRemove) Help() string {
	return `Example:
  quorate member remove anna@example.com`
}

// Run removes the member.
func (c *MemberRemove) Run(ctx context.Context, std cli.Streams) error {
	m, err := findMember(ctx, c.APIFlags, c.Member)
	if err != nil {
		return err
	}
	type answer struct {
		RemoveMember struct {
			RemovedMemberID string `json:"removedMemberId"`
		} `json:"removeMember"`
	}
	return do(ctx, c.APIFlags, std, `mutation($input: RemoveMemberInput!) { removeMember(input: $input) { removedMemberId } }`,
		input(map[string]any{"member": m.ID}), func(answer) error { return say(std, "%s is no member any more.", m.Email) })
}
