package rulestools

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rules"
)

// Check looks at a file, alone or against what was or is.
type Check struct {
	cli.APIFlags
	// Not cli.AdminFlags: --insecure is for both tokens.
	AdminToken string `help:"The license server's administrator token; not needed on its own machine unless it has one." env:"QUORATE_ADMIN_TOKEN"`

	File     string            `arg:"" help:"The file of rules; - for standard input."`
	Usage    string            `help:"Past grants as CSV: columns product, user, host, application, address, station, mode, licenses, start, end; other ones are passed over." placeholder:"FILE.csv"`
	Quantity map[string]uint32 `help:"With --usage: how many licenses of a product there are, for reservations: 6000010:14=20. May be repeated." placeholder:"PRODUCT=N"`
	Server   []string          `help:"Check against the programs that run now at this license server: http://HOST:PORT or https://HOST:PORT?pin=sha256:…" placeholder:"URL"`
	Place    string            `help:"Have the platform check against the grants of the last 30 days of this TMR group (131-4837572) or container (130-1874829)." placeholder:"SERIAL"`
}

// Help has the examples.
func (Check) Help() string {
	return `Without any of --usage, --server and --place it only reads the file. Exit status 1
when somebody would have been refused; it changes nothing.

Examples:
  quorate rules check rules.txt
  quorate rules check rules.txt --place 131-4837572
  quorate rules check rules.txt --usage grants.csv --quantity 6000010:14=20
  quorate rules check rules.txt --server http://licenses:7400 --admin-token …`
}

const (
	mostUsage  = 256 << 20 // bytes of a CSV file
	mostGrants = 2_000_000
	mostShown  = 20
	patience   = 5 * time.Second
)

// Run checks.
func (c *Check) Run(ctx context.Context, std cli.Streams, logger *slog.Logger) error {
	set, err := read(std, c.File)
	if err != nil {
		return err
	}
	var report reportView
	what := ""
	switch {
	case len(c.Server) > 0 && (c.Usage != "" || c.Place != "") || c.Usage != "" && c.Place != "":
		return license.Errorf(license.CodeInvalidInput, "name one of --usage, --server and --place", "there is one check at a time")
	case c.Place != "":
		report, err = checkAt(ctx, c.APIFlags, c.Place, set.Text())
		what = "grants of the last 30 days"
	case c.Usage != "":
		report, err = c.past(ctx, set)
		what = "grants"
	case len(c.Server) > 0:
		report, err = c.running(ctx, set, logger)
		what = "programs that run now"
	}
	if err != nil {
		return err
	}
	if c.JSON {
		type checked struct {
			Rules  int         `json:"rules"`
			Groups int         `json:"groups"`
			Digest string      `json:"digest"`
			Report *reportView `json:"report,omitempty"`
		}
		v := checked{len(set.Rules()), len(set.Groups()), set.Digest(), nil}
		if what != "" {
			v.Report = &report
		}
		err = cli.WriteJSON(std.Out, v)
	} else {
		fmt.Fprintf(std.Out, "%s: %s, %s\n", c.File, count(len(set.Rules()), "rule"), count(len(set.Groups()), "group"))
		if what != "" {
			err = report.write(std.Out, what)
		}
	}
	if err == nil && report.RefusedCount > 0 {
		err = cli.ExitStatus(1)
	}
	return err
}

func count(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return strconv.Itoa(n) + " " + of + "s"
}

// write tells people what a check found.
func (r reportView) write(w io.Writer, what string) error {
	var b strings.Builder
	switch r.RefusedCount {
	case 0:
		fmt.Fprintf(&b, "none of %d %s would have been refused\n", r.Checked, what)
	case 1:
		fmt.Fprintf(&b, "this one of %d %s would have been refused:\n", r.Checked, what)
	default:
		fmt.Fprintf(&b, "these %d of %d %s would have been refused:\n", r.RefusedCount, r.Checked, what)
	}
	for _, f := range r.Refused[:min(len(r.Refused), mostShown)] {
		fmt.Fprintf(&b, "  %s\n", cli.Printable(f.Reason))
	}
	if more := r.RefusedCount - min(len(r.Refused), mostShown); more > 0 {
		fmt.Fprintf(&b, "  and %d more\n", more)
	}
	if !r.Complete {
		b.WriteString("there were more: these are the newest\n")
	}
	if r.Unsure > 0 {
		fmt.Fprintf(&b, "%d more might have been, by the address that they came from, which isn't known\n", r.Unsure)
	}
	if len(r.UnknownQuantities) > 0 {
		fmt.Fprintf(&b, "reservations were not checked for %s: how many licenses there are isn't known (--quantity)\n", strings.Join(r.UnknownQuantities, ", "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func viewed(ctx context.Context, set *rules.Set, grants []rules.Past, quantity map[license.Product]uint32) (reportView, error) {
	r, err := rules.Check(ctx, set, grants, quantity)
	if err != nil {
		return reportView{}, err
	}
	v := reportView{Checked: r.Checked, Complete: true, RefusedCount: len(r.Refused), Refused: []refusalView{}, Unsure: r.Unsure, UnknownQuantities: []string{}, ByRule: map[string]int{}}
	for _, f := range r.Refused {
		v.ByRule[f.Rule]++
		if len(v.Refused) < 100 {
			v.Refused = append(v.Refused, refusalView{f.Rule, f.Reason})
		}
	}
	for _, p := range r.Unknown {
		v.UnknownQuantities = append(v.UnknownQuantities, p.String())
	}
	return v, nil
}

// past checks against a file of grants.
func (c *Check) past(ctx context.Context, set *rules.Set) (reportView, error) {
	grants, err := readUsage(c.Usage)
	if err != nil {
		return reportView{}, err
	}
	quantity := map[license.Product]uint32{}
	for text, n := range c.Quantity {
		p, err := license.ParseProduct(text)
		if err != nil {
			return reportView{}, err
		}
		quantity[p] = n
	}
	return viewed(ctx, set, grants, quantity)
}

// running checks against the handles that live now, as if their programs were
// started again in the same order.
func (c *Check) running(ctx context.Context, set *rules.Set, logger *slog.Logger) (reportView, error) {
	admin := cli.AdminFlags{AdminToken: c.AdminToken, Insecure: c.Insecure}
	if err := admin.CheckFor(c.Server); err != nil {
		return reportView{}, err
	}
	sdk, err := client.Open(ctx, client.Config{Servers: c.Server, Wait: patience, Logger: cli.Quiet(logger), AdminToken: c.AdminToken})
	if err != nil {
		return reportView{}, err
	}
	defer sdk.Close()
	licenses, err := sdk.Licenses(ctx)
	if err != nil {
		return reportView{}, err
	}
	quantity := map[license.Product]uint32{}
	for _, l := range licenses {
		if p, err := license.ParseProduct(l.Product); err == nil && l.Total > 0 {
			quantity[p] = l.Total
		}
	}
	handles, err := sdk.Handles(ctx)
	if err != nil {
		return reportView{}, err
	}
	if len(handles) > 0 && !slices.ContainsFunc(handles, func(a client.Allocation) bool { return a.User != "" || a.Application != "" }) {
		return reportView{}, license.Errorf(license.CodeForbidden, "run it on the license server itself, or give its --admin-token",
			"the license server tells only administrators who uses its licenses")
	}
	var grants []rules.Past
	for _, h := range handles {
		p, err := license.ParseProduct(h.Product)
		if err != nil {
			continue
		}
		grants = append(grants, rules.Past{
			ID: h.ID, Product: p, Mode: license.AccessMode(h.Mode), Station: h.Station, Licenses: h.Licenses, Start: h.FirstAccess,
			Ask: stated(h.User, h.Address, h.Application, h.Address),
		})
	}
	return viewed(ctx, set, grants, quantity)
}

// stated makes an ask of what was noted of a program; an address that is none is
// not known.
func stated(user, host, application, address string) license.Ask {
	a := license.Ask{User: user, Host: host, Application: application}
	if at, err := netip.ParseAddr(address); err == nil {
		a.Address = at
	}
	return a
}
