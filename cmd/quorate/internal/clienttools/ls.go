package clienttools

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/cmd/quorate/internal/cli"
)

// Ls lists what a license server has.
type Ls struct {
	serverFlags
	cli.AdminFlags
	Product string `help:"Only this product, FIRM:PRODUCT."`
	Handles bool   `help:"List the handles: who has which license." xor:"what"`
	Taking  bool   `help:"List the handles that take a license, and no others." xor:"what"`
	Waiting bool   `help:"List who waits for a license." xor:"what"`
	JSON    bool   `help:"Write JSON." name:"json"`
}

// Help has the examples.
func (Ls) Help() string {
	return `Lists the licenses: how many there are, are free, and are taken in each access
mode (of "no user limit", which takes none, how many run), with those that are
borrowed in brackets. How much of other users is shown depends on the server; an
administrator token shows all. It goes over https or to this machine alone.

Examples:
  quorate ls --server http://licenses:7400
  quorate ls --server http://licenses:7400 --handles
  quorate ls --server http://licenses:7400 --taking --product 6000010:14
  quorate ls --server http://licenses:7400 --waiting
  quorate ls --server http://licenses:7400 --product 6000010:14 --json`
}

// Run lists licenses, handles or who waits.
func (c *Ls) Run(ctx context.Context, std cli.Streams, logger *slog.Logger) error {
	sdk, err := c.open(ctx, cli.Quiet(logger), c.authorize(c.AdminFlags))
	if err != nil {
		return err
	}
	defer sdk.Close()
	switch {
	case c.Waiting:
		waiting, err := sdk.Waiting(ctx, c.Product)
		if err != nil {
			return err
		}
		if c.JSON {
			return cli.WriteJSON(std.Out, waitingList(waiting))
		}
		return printWaiting(std.Out, waiting)
	case c.Handles || c.Taking:
		handles, err := sdk.Handles(ctx, client.Filter{Product: c.Product, Taking: c.Taking})
		if err != nil {
			return err
		}
		if c.JSON {
			return cli.WriteJSON(std.Out, handleList(handles))
		}
		return printHandles(std.Out, handles)
	}
	licenses, err := sdk.Licenses(ctx)
	if err != nil {
		return err
	}
	if c.Product != "" {
		licenses = slices.DeleteFunc(licenses, func(l client.License) bool { return l.Product != c.Product })
	}
	var handles []client.Allocation
	if c.JSON || slices.ContainsFunc(licenses, func(l client.License) bool { return l.Borrowed > 0 }) {
		if handles, err = sdk.Handles(ctx, client.Filter{Product: c.Product}); err != nil {
			return err
		}
	}
	if c.JSON {
		return cli.WriteJSON(std.Out, listing(licenses, handles))
	}
	return printLicenses(std.Out, licenses, handles)
}

// authorize sends an administrator token where nobody on the way can read it.
func (f addressFlags) authorize(admin cli.AdminFlags) func(*client.Config) {
	return func(cfg *client.Config) {
		if admin.CheckFor(f.Server) == nil {
			cfg.AdminToken = admin.AdminToken
		}
	}
}

// borrowedBy is how many licenses are borrowed in each access mode.
func borrowedBy(product string, handles []client.Allocation) map[client.Mode]uint32 {
	out := map[client.Mode]uint32{}
	for _, h := range handles {
		if h.Borrowed && h.Product == product {
			out[h.Mode] += h.Takes
		}
	}
	return out
}

// takenIn is how many licenses are taken in a mode, or how many run without
// taking any.
func takenIn(l client.License, m client.Mode) uint32 {
	if m == client.NoUserLimit {
		return l.Taken[m]
	}
	return l.TakenLicenses[m]
}

func printLicenses(w io.Writer, licenses []client.License, handles []client.Allocation) error {
	if len(licenses) == 0 {
		_, err := fmt.Fprintln(w, "no licenses here")
		return err
	}
	table := cli.NewTable(w)
	fmt.Fprintln(table, "CONTAINER\tFIRM\tPRODUCT\tNAME\tFEATURES\tTOTAL\tFREE\tUSER LIMIT\tSTATION SHARE\tEXCLUSIVE\tNO USER LIMIT")
	for _, l := range licenses {
		firm, code, _ := strings.Cut(l.Product, ":")
		total, free := fmt.Sprint(l.Total), fmt.Sprint(l.Free)
		if l.Total == 0 && l.Status == "" { // of a group there is nothing local
			total, free = "local only", "-"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%#x\t%s\t%s", l.Container, firm, code, cli.Printable(l.Name), l.FeatureMap, total, free)
		borrowed := borrowedBy(l.Product, handles)
		for _, m := range []client.Mode{client.UserLimit, client.StationShare, client.Exclusive, client.NoUserLimit} {
			fmt.Fprintf(table, "\t%d", takenIn(l, m))
			if borrowed[m] > 0 {
				fmt.Fprintf(table, " (%d)", borrowed[m])
			}
		}
		fmt.Fprintln(table)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, l := range licenses {
		if known := knownOf(l); known != "" {
			fmt.Fprintf(w, "%s: %s\n", l.Product, known)
		}
		if !l.Usable {
			fmt.Fprintf(w, "%s: not usable: %s\n", l.Product, l.WhyNot)
		}
		if l.Refusal != nil {
			fmt.Fprintf(w, "    %s: %s\n", cli.Printable(l.Refusal.Message), cli.Printable(l.Refusal.Fix))
		}
	}
	return nil
}

// knownOf is what else is worth knowing of a license, in one line.
func knownOf(l client.License) string {
	var all []string
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if l.Status != "" {
		add("%s", l.Status)
	}
	if l.UnitsLeft != nil {
		add("%d units left", *l.UnitsLeft)
	}
	if !l.Until.IsZero() {
		add("until %s", l.Until.Local().Format(time.DateTime))
	}
	if !l.FirstUse.IsZero() && l.Terms.UsagePeriod != 0 {
		add("first used %s", l.FirstUse.Local().Format(time.DateTime))
	}
	for _, some := range []struct {
		n    uint32
		what string
	}{{l.Lingering, "lingering"}, {l.HeldBack, "held back for others"}, {l.Waiting, "waiting"}} {
		if some.n > 0 {
			add("%d %s", some.n, some.what)
		}
	}
	if l.Terms.Text != "" {
		add("%s", cli.Printable(l.Terms.Text))
	}
	return strings.Join(all, ", ")
}

func printHandles(w io.Writer, handles []client.Allocation) error {
	if len(handles) == 0 {
		_, err := fmt.Fprintln(w, "no handles")
		return err
	}
	table := cli.NewTable(w)
	fmt.Fprintln(table, "HANDLE\tPRODUCT\tCLIENT\tPROCESS\tAPPLICATION\tMODE\tTAKES\tACCESSES\tFIRST ACCESS\tLAST ACCESS\tEXPIRES\tIDLE")
	at := func(t time.Time) string { return t.Local().Format(time.DateTime) }
	for _, h := range handles {
		takes, expires, idle := fmt.Sprint(h.Takes), "", "-"
		if h.Borrowed {
			takes = fmt.Sprintf("(%d)", h.Takes)
		}
		if expires = "in " + h.Remaining.Round(time.Second).String(); !h.Expires.IsZero() {
			expires = at(h.Expires)
		}
		if h.Idle > 0 {
			idle = h.Idle.Round(time.Second).String()
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", h.ID, h.Product, cli.Printable(who(h.User, h.Address)), h.Process,
			cli.Printable(h.Application), modeText(h.Mode), takes, h.Accesses, at(h.FirstAccess), at(h.LastAccess), expires, idle)
	}
	return table.Flush()
}

func printWaiting(w io.Writer, waiting []client.Waiter) error {
	if len(waiting) == 0 {
		_, err := fmt.Fprintln(w, "nobody waits")
		return err
	}
	table := cli.NewTable(w)
	fmt.Fprintln(table, "PRODUCT\tPLACE\tCLIENT\tPROCESS\tAPPLICATION\tMODE\tLICENSES\tPRIORITY\tSINCE")
	for _, q := range waiting {
		fmt.Fprintf(table, "%s\t%d\t%s\t%d\t%s\t%s\t%d\t%d\t%s\n", q.Product, q.Position, cli.Printable(who(q.User, q.Address)), q.Process,
			cli.Printable(q.Application), modeText(q.Mode), q.Licenses, q.Priority, q.Since.Local().Format(time.DateTime))
	}
	return table.Flush()
}
