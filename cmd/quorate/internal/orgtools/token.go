package orgtools

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
)

// Token is the tree of commands on API tokens.
type Token struct {
	Create TokenCreate `cmd:"" help:"Make an API token; its secret is shown once."`
	Ls     TokenLs     `cmd:"" aliases:"list" help:"List the API tokens."`
	Revoke TokenRevoke `cmd:"" help:"End an API token at once."`
}

type tokenView struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	Role       string   `json:"role"`
	Scopes     []string `json:"scopes"`
	Hint       string   `json:"hint"`
	CreatedBy  string   `json:"createdBy"`
	ExpiresAt  *string  `json:"expiresAt"`
	RevokedAt  *string  `json:"revokedAt"`
	LastUsedAt *string  `json:"lastUsedAt"`
}

const tokenFields = `id name role scopes hint createdBy expiresAt revokedAt lastUsedAt`

type tokenMade struct {
	Made struct {
		APIToken tokenView `json:"apiToken"`
		Secret   *string   `json:"secret"`
	} `json:"made"`
}

// TokenCreate makes a token.
type TokenCreate struct {
	cli.APIFlags
	Name    string    `arg:"" help:"What the token is for."`
	Role    string    `enum:"OWNER,ADMINISTRATOR,OPERATOR,VIEWER" default:"VIEWER" help:"What it may do at most: OWNER, ADMINISTRATOR, OPERATOR or VIEWER."`
	Scope   []string  `help:"What it is limited to, for example ORDER,RELEASE; left out: all of its role."`
	Expires *cli.Long `help:"How long it lasts, for example 90d or 12h; left out: it does not end by itself." placeholder:"TIME"`
	Key     string    `help:"An idempotency key: repeated with it, the command makes nothing anew."`
}

// Help has the examples.
func (TokenCreate) Help() string {
	return `Examples:
  quorate token create erp --role OPERATOR --scope ORDER --expires 365d
  quorate token create monitoring`
}

// Run makes the token.
func (c *TokenCreate) Run(ctx context.Context, std cli.Streams) error {
	in := map[string]any{"name": c.Name, "role": c.Role, "scopes": c.Scope, "idempotencyKey": onceKey(c.Key)}
	if c.Expires != nil {
		in["expiresAt"] = time.Now().Add(time.Duration(*c.Expires)).UTC().Format(time.RFC3339)
	}
	return do(ctx, c.APIFlags, std, `mutation($input: CreateApiTokenInput!) { made: createApiToken(input: $input) { apiToken { `+tokenFields+` } secret } }`,
		input(in), func(out tokenMade) error {
			if out.Made.Secret == nil {
				return say(std, "The token %s was made before, under this key; its secret was shown then.", out.Made.APIToken.Name)
			}
			return say(std, "The token %s may do what %s may. Secret, shown this once: %s", out.Made.APIToken.Name, out.Made.APIToken.Role, *out.Made.Secret)
		})
}

// TokenLs lists tokens.
type TokenLs struct{ cli.APIFlags }

// Help has the examples.
func (TokenLs) Help() string {
	return `Example:
  quorate token ls`
}

// Run lists tokens.
func (c *TokenLs) Run(ctx context.Context, std cli.Streams) error {
	all, err := list[tokenView](ctx, c.APIFlags, "apiTokens", "", tokenFields, mostListed)
	if err != nil {
		return err
	}
	if c.JSON {
		return cli.WriteJSON(std.Out, all)
	}
	return cli.WriteTable(std.Out, "ID NAME ROLE SCOPES HINT BY EXPIRES REVOKED USED", func(w io.Writer) {
		for _, t := range all {
			scopes := strings.Join(t.Scopes, ",")
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t…%s\t%s\t%s\t%s\t%s\n", t.ID, cli.Printable(t.Name), t.Role, orDash(&scopes), t.Hint, cli.Printable(t.CreatedBy), when(t.ExpiresAt), when(t.RevokedAt), when(t.LastUsedAt))
		}
	})
}

// TokenRevoke ends a token.
type TokenRevoke struct {
	cli.APIFlags
	ID string `arg:"" name:"token" help:"The token's id."`
}

// Help has the examples.
func (TokenRevoke) Help() string {
	return `Example:
  quorate token revoke tok_0199…`
}

// Run revokes the token.
func (c *TokenRevoke) Run(ctx context.Context, std cli.Streams) error {
	return do(ctx, c.APIFlags, std, `mutation($input: RevokeApiTokenInput!) { made: revokeApiToken(input: $input) { apiToken { `+tokenFields+` } } }`,
		input(map[string]any{"apiToken": c.ID}), func(out tokenMade) error {
			return say(std, "The token %s is revoked.", out.Made.APIToken.Name)
		})
}
