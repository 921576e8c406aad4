package orgtools

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
)

// Invite is the tree of commands on invitations.
type Invite struct {
	Create InviteCreate `cmd:"" help:"Invite a person to become a member; the token is shown once."`
	Ls     InviteLs     `cmd:"" aliases:"list" help:"List invitations."`
	Resend InviteResend `cmd:"" help:"Replace an invitation by one with a new token."`
	Revoke InviteRevoke `cmd:"" help:"Take an invitation back."`
}

type invitationView struct {
	ID         string  `json:"id"`
	Email      string  `json:"email"`
	Role       string  `json:"role"`
	InvitedBy  string  `json:"invitedBy"`
	ExpiresAt  string  `json:"expiresAt"`
	AcceptedAt *string `json:"acceptedAt"`
	RevokedAt  *string `json:"revokedAt"`
}

const invitationFields = `id email role invitedBy expiresAt acceptedAt revokedAt`

type invited struct {
	Made struct {
		Invitation invitationView `json:"invitation"`
		Token      *string        `json:"token"`
	} `json:"made"`
}

func (i invited) say(std cli.Streams, platform string) error {
	if i.Made.Token == nil {
		return say(std, "%s was invited before, under this key; the token was shown then.", i.Made.Invitation.Email)
	}
	return say(std, "%s is invited as %s until %s. The link to accept by, shown this once: %s/invitation#%s",
		i.Made.Invitation.Email, i.Made.Invitation.Role, when(&i.Made.Invitation.ExpiresAt), strings.TrimRight(platform, "/"), *i.Made.Token)
}

// InviteCreate invites a person.
type InviteCreate struct {
	cli.APIFlags
	Email    string   `arg:"" help:"The person's e-mail address."`
	Role     string   `enum:"OWNER,ADMINISTRATOR,OPERATOR,VIEWER" default:"VIEWER" help:"OWNER, ADMINISTRATOR, OPERATOR or VIEWER."`
	Name     string   `help:"How the person is called; left out, the person says it."`
	Group    []string `help:"The ids of groups to join."`
	Customer string   `help:"The id or name of a customer of yours that nobody belongs to yet; left out: your organization."`
	Key      string   `help:"An idempotency key: repeated with it, the command makes nothing anew."`
}

// Help has the examples.
func (InviteCreate) Help() string {
	return `Examples:
  quorate invite create anna@example.com --role OPERATOR
  quorate invite create carl@example.com --role OWNER --customer org_0199…`
}

// Run invites.
func (c *InviteCreate) Run(ctx context.Context, std cli.Streams) error {
	if c.Customer != "" {
		id, err := cli.CustomerID(ctx, c.APIFlags, c.Customer)
		if err != nil {
			return err
		}
		c.Customer = id
	}
	return do(ctx, c.APIFlags, std, `mutation($input: CreateInvitationInput!) { made: createInvitation(input: $input) { invitation { `+invitationFields+` } token } }`,
		input(map[string]any{"email": c.Email, "role": c.Role, "name": c.Name, "groups": c.Group, "organization": c.Customer, "idempotencyKey": onceKey(c.Key)}),
		func(out invited) error { return out.say(std, c.URL) })
}

// InviteLs lists invitations.
type InviteLs struct{ cli.APIFlags }

// Help has the examples.
func (InviteLs) Help() string {
	return `Example:
  quorate invite ls`
}

// Run lists invitations.
func (c *InviteLs) Run(ctx context.Context, std cli.Streams) error {
	all, err := list[invitationView](ctx, c.APIFlags, "invitations", "", invitationFields, mostListed)
	if err != nil {
		return err
	}
	if c.JSON {
		return cli.WriteJSON(std.Out, all)
	}
	return cli.WriteTable(std.Out, "ID EMAIL ROLE EXPIRES ACCEPTED REVOKED", func(w io.Writer) {
		for _, i := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", i.ID, cli.Printable(i.Email), i.Role, when(&i.ExpiresAt), when(i.AcceptedAt), when(i.RevokedAt))
		}
	})
}

// InviteResend replaces an invitation.
type InviteResend struct {
	cli.APIFlags
	Invitation string `arg:"" help:"The invitation's id."`
}

// Help has the examples.
func (InviteResend) Help() string {
	return `Example:
  quorate invite resend inv_0199…`
}

// Run resends.
func (c *InviteResend) Run(ctx context.Context, std cli.Streams) error {
	return do(ctx, c.APIFlags, std, `mutation($input: ResendInvitationInput!) { made: resendInvitation(input: $input) { invitation { `+invitationFields+` } token } }`,
		input(map[string]any{"invitation": c.Invitation}), func(out invited) error { return out.say(std, c.URL) })
}

// InviteRevoke takes an invitation back.
type InviteRevoke struct {
	cli.APIFlags
	Invitation string `arg:"" help:"The invitation's id."`
}

// Help has the examples.
func (InviteRevoke) Help() string {
	return `Example:
  quorate invite revoke inv_0199…`
}

// Run revokes.
func (c *InviteRevoke) Run(ctx context.Context, std cli.Streams) error {
	return do(ctx, c.APIFlags, std, `mutation($input: RevokeInvitationInput!) { made: revokeInvitation(input: $input) { invitation { `+invitationFields+` } } }`,
		input(map[string]any{"invitation": c.Invitation}), func(out invited) error {
			return say(std, "The invitation of %s is taken back.", out.Made.Invitation.Email)
		})
}
