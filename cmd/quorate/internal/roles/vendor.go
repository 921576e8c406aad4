package roles

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/auth"
)

type platformVendorCmd struct {
	databaseFlags
	Organization string `arg:"" help:"The organization's id or name."`
	JSON         bool   `help:"Write JSON." name:"json"`
}

func (platformVendorCmd) Help() string {
	return `A customer stays whose customer it is, and sells licenses of its own to customers
of its own. Its vendor sees nothing of these. Repeating it changes nothing, and
there is no way back: what its firms have signed is in containers.

Examples:
  quorate platform vendor "Shipping Company"
  quorate platform vendor org_01993a4e-6d1c-7e43-9d0b-2f0c8a4a1b77 --json`
}

func (c *platformVendorCmd) Run(ctx context.Context, std cli.Streams, logger *slog.Logger) error {
	p, err := c.open(ctx, logger, 0)
	if err != nil {
		return err
	}
	defer p.Close()
	out, made, err := p.MakeVendor(auth.With(ctx, auth.System("operator")), c.Organization)
	if err != nil {
		return err
	}
	if c.JSON {
		return cli.WriteJSON(std.Out, map[string]any{"organization": out.ID, "name": out.Name, "vendor": out.Vendor, "customer": out.Customer, "changed": made})
	}
	said := "is a vendor now."
	if !made {
		said = "was a vendor before; nothing was changed."
	}
	_, err = fmt.Fprintf(std.Out, "%s (%s) %s\n", cli.Printable(out.Name), out.ID, said)
	return err
}
