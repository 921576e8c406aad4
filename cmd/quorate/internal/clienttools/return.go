package clienttools

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
)

// Return gives borrowed licenses back.
type Return struct {
	Server []string      `help:"The license servers, as for quorate run; not needed to list." env:"QUORATE_SERVER" placeholder:"URL"`
	Wait   time.Duration `help:"How long to keep trying when no server answers." default:"5s"`
	ID     []string      `arg:"" optional:"" help:"The ids of borrowed licenses; without any, those that are borrowed are listed."`
	All    bool          `help:"Return all that no program uses."`
	JSON   bool          `help:"Write JSON." name:"json"`
}

// Help has the examples.
func (Return) Help() string {
	return `Lists the licenses that this user has borrowed on this computer (quorate run
--borrow, and programs that borrow), and returns them before their time.

Examples:
  quorate return                       # which licenses are borrowed, and until when
  quorate return 0190c5d2-7f4e-7cc3-a8a4-2f6c8f1f2f10 --server http://licenses:7400
  quorate return --all --server http://licenses:7400`
}

// Run lists, or returns.
func (c *Return) Run(ctx context.Context, std cli.Streams, logger *slog.Logger) error {
	listing := len(c.ID) == 0 && !c.All
	servers := c.Server
	switch {
	case c.All && len(c.ID) > 0:
		return license.Errorf(license.CodeInvalidInput, "leave the one or the other out", "--all stands without ids")
	case listing:
		servers = []string{"http://127.0.0.1"} // nobody is asked
	case len(servers) == 0:
		return license.Errorf(license.CodeInvalidInput, "name it with --server, or QUORATE_SERVER", "no license server is named")
	}
	sdk, err := addressFlags{servers}.openFor(ctx, c.Wait, cli.Quiet(logger), nil)
	if err != nil {
		return err
	}
	defer sdk.Close()
	all, err := sdk.Borrowed()
	if err != nil {
		return err
	}
	if listing {
		return c.list(std.Out, all)
	}
	ids := c.ID
	for _, b := range all {
		if c.All && !b.InUse {
			ids = append(ids, b.ID)
		}
	}
	var failed error
	for _, id := range ids {
		ctx, cancel := context.WithTimeout(ctx, c.Wait)
		err := sdk.Return(ctx, id)
		cancel()
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		if _, err := fmt.Fprintln(std.Out, "returned "+id); err != nil {
			return err
		}
	}
	return failed
}

func (c *Return) list(w io.Writer, all []client.Borrowed) error {
	if c.JSON {
		type row struct {
			ID       string      `json:"id"`
			Product  string      `json:"product"`
			Mode     client.Mode `json:"mode"`
			Licenses uint32      `json:"licenses"`
			Until    time.Time   `json:"until"`
			InUse    bool        `json:"inUse"`
		}
		rows := make([]row, len(all))
		for i, b := range all {
			rows[i] = row(b)
		}
		return cli.WriteJSON(w, rows)
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "no license is borrowed here")
		return err
	}
	t := cli.NewTable(w)
	fmt.Fprintln(t, "ID\tPRODUCT\tMODE\tLICENSES\tUNTIL\tIN USE")
	for _, b := range all {
		used := "no"
		if b.InUse {
			used = "yes"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\n", cli.Printable(b.ID), cli.Printable(b.Product), modeText(b.Mode), b.Licenses, b.Until.Local().Format(time.RFC3339), used)
	}
	return t.Flush()
}
