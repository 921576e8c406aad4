package roles

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
)

// platformResetCmd is the way back for who has lost password or second factor. It
// needs the database and the master key, which the operator alone has.
type platformResetCmd struct {
	databaseFlags
	Email        string `arg:"" help:"The person's e-mail address."`
	SecondFactor bool   `help:"The link removes the second factor, too, for who has lost it and the recovery codes."`
	Dashboard    string `help:"The dashboard's address, as browsers know it, for the link." default:"http://127.0.0.1:8080" env:"QUORATE_URL"`
	JSON         bool   `help:"Write JSON." name:"json"`
}

func (platformResetCmd) Help() string {
	return `Run it beside the platform, with the same --database and --master-key. The link
works once, for an hour, and voids an earlier one. Whoever has it sets the
password: make sure who asks, and hand it over by a way that is the person's
alone. It ends the person's sessions; it signs nobody in.

Examples:
  quorate platform reset-password anna@example.com --dashboard https://licenses.example.com
  quorate platform reset-password anna@example.com --second-factor`
}

func (c *platformResetCmd) Run(ctx context.Context, std cli.Streams, logger *slog.Logger) error {
	p, err := c.open(ctx, logger, 0)
	if err != nil {
		return err
	}
	defer p.Close()
	token, made, err := p.People().BeginReset(ctx, c.Email, c.SecondFactor)
	if err != nil {
		return err
	}
	link, until := strings.TrimRight(c.Dashboard, "/")+"/reset#"+token, made.ExpiresAt.Format(time.RFC3339)
	if c.JSON {
		return cli.WriteJSON(std.Out, map[string]any{"email": made.Email, "link": link, "expiresAt": until, "endsSecondFactor": made.EndsSecondFactor})
	}
	second := "A second factor stays."
	if made.EndsSecondFactor {
		second = "It removes the second factor, too."
	}
	_, err = fmt.Fprintf(std.Out, "The link by which %s sets a new password, once, until %s, shown this once:\n%s\n%s\n", made.Email, until, link, second)
	return err
}
