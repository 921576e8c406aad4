package clienttools

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
)

// Release removes handles.
type Release struct {
	serverFlags
	Handle  []string `arg:"" optional:"" name:"handle" help:"The handle's id, as quorate ls --handles shows it; its product, FIRM:PRODUCT, may stand before it."`
	AllOf   string   `help:"Remove all handles of a user on a host; of @HOST all users', of USER@ those on all hosts." placeholder:"USER@HOST"`
	Product string   `help:"Of --all-of only those for this product, FIRM:PRODUCT."`
	cli.AdminFlags
	By string `help:"Who removes it, for the history." env:"USER"`
}

// Help has the examples.
func (Release) Help() string {
	return `The license is free at once, and the program gets a clear error at its next call.
A borrowed license can't be taken away before it is returned.

Examples:
  quorate release --server http://licenses:7400 0199a1c2-…
  quorate release --server http://licenses:7400 6000010:14 0199a1c2-…
  quorate release --server http://licenses:7400 --all-of ada@office-pc`
}

// Run has the license server remove them.
func (c *Release) Run(ctx context.Context, std cli.Streams, logger *slog.Logger) error {
	if err := c.CheckFor(c.Server); err != nil {
		return err
	}
	if (len(c.Handle) == 0) == (c.AllOf == "") || len(c.Handle) > 2 {
		return license.Errorf(license.CodeInvalidInput, "name a handle by its id, or give --all-of USER@HOST", "it is not clear what to remove")
	}
	if c.Product != "" && c.AllOf == "" {
		return license.Errorf(license.CodeInvalidInput, "write the product before the handle's id", "--product goes with --all-of alone")
	}
	sdk, err := c.open(ctx, cli.Quiet(logger), func(cfg *client.Config) { cfg.AdminToken = c.AdminToken })
	if err != nil {
		return err
	}
	defer sdk.Close()
	if c.AllOf != "" {
		return c.all(ctx, sdk, std)
	}
	product, id, err := named(ctx, sdk, c.Handle)
	if err != nil {
		return err
	}
	if err := sdk.Remove(ctx, product, id, c.By); err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.Out, "removed %s\n", id)
	return err
}

// all removes what it can, and fails with the first that it can't.
func (c *Release) all(ctx context.Context, sdk *client.Client, std cli.Streams) error {
	at := strings.LastIndexByte(c.AllOf, '@') // a user may be ada@corp
	if at < 0 || c.AllOf == "@" {
		return license.Errorf(license.CodeInvalidInput, "write it as USER@HOST, @HOST or USER@", "%q is neither a user nor a host", c.AllOf)
	}
	user, host := c.AllOf[:at], c.AllOf[at+1:]
	handles, err := sdk.Handles(ctx, client.Filter{Product: c.Product})
	if err != nil {
		return err
	}
	found := 0
	var first error
	for _, h := range handles {
		if user != "" && !strings.EqualFold(h.User, user) || host != "" && !strings.EqualFold(h.Address, host) {
			continue
		}
		found++
		err := sdk.Remove(ctx, h.Product, h.ID, c.By)
		switch {
		case err == nil:
			fmt.Fprintf(std.Out, "removed %s of %s\n", h.ID, h.Product)
		case client.CodeOf(err) == client.CodeHandleUnknown: // it has ended meanwhile
		case first == nil:
			first = err
		}
	}
	if found == 0 {
		return license.Errorf(license.CodeNotFound, "look for it with quorate ls --handles", "%s has no handle here", c.AllOf)
	}
	return first
}

// named gives the product and the id of a handle that was named with or without
// its product.
func named(ctx context.Context, sdk *client.Client, args []string) (product, id string, err error) {
	if len(args) == 2 {
		return args[0], args[1], nil
	}
	handles, err := sdk.Handles(ctx)
	if err != nil {
		return "", "", err
	}
	for _, h := range handles {
		if h.ID == args[0] {
			return h.Product, h.ID, nil
		}
	}
	return "", "", license.Errorf(license.CodeHandleUnknown, "look for its id with quorate ls --handles", "there is no handle %q", args[0])
}

// Ask asks who has a license to release it.
type Ask struct {
	serverFlags
	Handle []string `arg:"" name:"handle" help:"The handle's id, as quorate ls --handles shows it; its product, FIRM:PRODUCT, may stand before it."`
	Text   string   `help:"What to tell him, of up to 500 bytes." placeholder:"TEXT"`
	cli.AdminFlags
	By string `help:"Who asks." env:"USER"`
}

// Help has the examples.
func (Ask) Help() string {
	return `The program that has the license shows it to its user with its next renewal; he
decides. Servers let administrators ask, and may let everybody.

Example:
  quorate ask --server http://licenses:7400 0199a1c2-… --text 'I need it at ten. Ada, room 7'`
}

// Run leaves the notice.
func (c *Ask) Run(ctx context.Context, std cli.Streams, logger *slog.Logger) error {
	if err := c.CheckFor(c.Server); err != nil {
		return err
	}
	if len(c.Handle) > 2 {
		return license.Errorf(license.CodeInvalidInput, "name one handle by its id", "it is not clear whom to ask")
	}
	sdk, err := c.open(ctx, cli.Quiet(logger), func(cfg *client.Config) { cfg.AdminToken = c.AdminToken })
	if err != nil {
		return err
	}
	defer sdk.Close()
	product, id, err := named(ctx, sdk, c.Handle)
	if err != nil {
		return err
	}
	if err := sdk.Ask(ctx, product, id, c.Text, c.By); err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.Out, "asked for %s\n", id)
	return err
}
