package admin

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/durable"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/usage"
)

// Usage has the commands on usage history.
type Usage struct {
	Show   UsageShow   `cmd:"" help:"Show what is used of each product in a container or TMR group now."`
	Export UsageExport `cmd:"" help:"Export usage over time, allocations, denials, or what is used now."`
	Log    UsageLog    `cmd:"" help:"Export the usage log of a firm."`
	Verify UsageVerify `cmd:"" help:"Verify exported usage logs, without the platform."`
}

// UsageShow shows what is used now.
type UsageShow struct {
	cli.APIFlags
	Container string `arg:"" help:"The serial number of a container, or of a TMR group's virtual container."`
}

// Help has the examples.
func (UsageShow) Help() string {
	return `Example:
  quorate usage show 131-4837572`
}

type productUse struct {
	Product    string `json:"product"`
	Name       string `json:"name"`
	FeatureMap string `json:"featureMap"`
	Total      int    `json:"total"`
	Taken      int    `json:"taken"`
	Free       int    `json:"free"`
	Modes      []struct {
		Mode     string `json:"mode"`
		Handles  int    `json:"handles"`
		Licenses int    `json:"licenses"`
		Borrowed int    `json:"borrowed"`
	} `json:"modes"`
}

// Run asks the platform.
func (c *UsageShow) Run(ctx context.Context, std cli.Streams) error {
	var out struct {
		Container *struct{ Use []productUse }
	}
	if err := c.Query(ctx, `query($serial: String!) { container(serial: $serial) { use { product name featureMap total taken free modes { mode handles licenses borrowed } } } }`,
		map[string]any{"serial": c.Container}, &out); err != nil {
		return err
	}
	if out.Container == nil {
		return license.Errorf(license.CodeNotFound, "look the serial number up in the dashboard", "there is no container %s", cli.Printable(c.Container))
	}
	if c.JSON {
		return cli.WriteJSON(std.Out, out.Container.Use)
	}
	w := cli.NewTable(std.Out)
	fmt.Fprintln(w, "PRODUCT\tNAME\tFEATURES\tTOTAL\tFREE\tTAKEN\tBY MODE (BORROWED)")
	for _, u := range out.Container.Use {
		modes := ""
		for _, m := range u.Modes {
			modes += fmt.Sprintf(" %s %d (%d)", m.Mode, m.Licenses, m.Borrowed)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%s\n", u.Product, cli.Printable(u.Name), u.FeatureMap, u.Total, u.Free, u.Taken, modes)
	}
	return w.Flush()
}

// UsageExport writes a file of usage history.
type UsageExport struct {
	cli.APIFlags
	What       string `arg:"" optional:"" default:"usage" enum:"usage,allocations,denials" help:"usage, allocations or denials."`
	Format     string `default:"csv" enum:"csv,json,openmetrics" help:"csv, json (a line each), or openmetrics: what is used now."`
	Container  string `help:"Only of this container or TMR group, by id or serial number."`
	Product    string `help:"Only of this product: FIRM:PRODUCT."`
	From       string `help:"The beginning, for example 2026-11-01 or 2026-11-01T08:00:00Z. Left out: 30 days ago for usage, else from the first on."`
	To         string `help:"The end; left out: now."`
	Resolution string `default:"day" enum:"minute,hour,day" help:"How long each point of usage is: minute, hour or day."`
	Output     string `short:"o" default:"-" help:"The file to write; replaced when it is whole."`
}

// Help has the examples.
func (UsageExport) Help() string {
	return `Examples:
  quorate usage export --resolution hour --from 2026-11-01 --product 6000010:14 -o usage.csv
  quorate usage export denials --format json
  quorate usage export --format openmetrics`
}

// Run copies the export.
func (c *UsageExport) Run(ctx context.Context, std cli.Streams) error {
	q := url.Values{}
	name := c.What
	switch {
	case c.Format == "openmetrics" && c.What != "usage":
		return license.Errorf(license.CodeInvalidInput, "take csv or json", "there are no %s in OpenMetrics", c.What)
	case c.Format == "openmetrics" && c.From+c.To != "":
		return license.Errorf(license.CodeInvalidInput, "leave --from and --to out, or take csv or json", "OpenMetrics has what is used now, and no time")
	case c.Format == "openmetrics":
		name = "metrics"
	default:
		q.Set("format", c.Format)
		if c.What == "usage" {
			q.Set("resolution", map[string]string{"minute": "MINUTE", "hour": "HOUR", "day": "DAY"}[c.Resolution])
		}
	}
	for key, value := range map[string]string{"container": c.Container, "product": c.Product} {
		if value != "" {
			q.Set(key, value)
		}
	}
	for key, value := range map[string]string{"from": c.From, "to": c.To} {
		if value != "" {
			at, err := cli.ParseTime(value)
			if err != nil {
				return err
			}
			q.Set(key, at.UTC().Format(time.RFC3339))
		}
	}
	return exportTo(std, c.Output, func(w io.Writer) error { return c.Export(ctx, name, q, w) })
}

// exportTo has a file replaced once all of it is written.
func exportTo(std cli.Streams, path string, write func(io.Writer) error) error {
	if path == "-" {
		return write(std.Out)
	}
	f, err := durable.NewFile(path, 0o600)
	if err == nil {
		defer f.Close()
		if err := write(f); err != nil {
			return err
		}
		err = f.Commit(true)
	}
	if err != nil {
		return &license.Error{Code: license.CodeUnavailable, Message: fmt.Sprintf("%s can't be written: %v", path, cli.Cause(err)),
			Fix: "check the folder's permissions and the free space, or choose another path", Err: err}
	}
	return nil
}

// UsageLog writes the usage log of a firm.
type UsageLog struct {
	cli.APIFlags
	Firm   string `arg:"" help:"The firm's code."`
	After  uint64 `help:"Only entries after this number, of the last export."`
	Output string `short:"o" default:"-" help:"The file to write; replaced when it is whole."`
}

// Help has the examples.
func (UsageLog) Help() string {
	return `Keep what you export: a log that is written anew later does not fit it any more.

Examples:
  quorate usage log 6000010 -o 2026-11.log
  quorate usage log 6000010 --after 48210 -o 2026-12.log`
}

// Run copies the log.
func (c *UsageLog) Run(ctx context.Context, std cli.Streams) error {
	q := url.Values{"firm": {c.Firm}}
	if c.After > 0 {
		q.Set("after", strconv.FormatUint(c.After, 10))
	}
	return exportTo(std, c.Output, func(w io.Writer) error { return c.Export(ctx, "log", q, w) })
}

// UsageVerify verifies exported logs.
type UsageVerify struct {
	Files []string `arg:"" help:"Exports of one firm's log, in the order in which they were made; they may overlap. - for standard input."`
	JSON  bool     `name:"json" help:"Write JSON."`
}

// Help has the examples.
func (UsageVerify) Help() string {
	return `It finds entries that were altered, taken out or put in; files that do not follow
each other; and events of license servers that never came. It needs no network.

Examples:
  quorate usage verify 2026-11.log
  quorate usage verify 2026-11.log 2026-12.log`
}

// Run reads the files.
func (c *UsageVerify) Run(_ context.Context, std cli.Streams) error {
	type fileFinding struct {
		File string `json:"file"`
		usage.Finding
	}
	var v usage.Verifier
	broken, gaps := 0, 0
	var found []fileFinding
	const mostShown = 1000 // a file that is no good at all tells the same again and again
	for _, path := range c.Files {
		err := readFrom(std, path, func(r io.Reader) error {
			return v.Read(r, func(f usage.Finding) {
				if f.Kind == usage.Broken || f.Kind == usage.Forked {
					broken++
				} else {
					gaps++
				}
				if len(found) < mostShown {
					found = append(found, fileFinding{path, f})
				}
			})
		})
		if err != nil {
			return err
		}
	}
	if c.JSON {
		if found == nil {
			found = []fileFinding{}
		}
		if err := cli.WriteJSON(std.Out, map[string]any{
			"firm": v.Firm, "first": v.First, "last": v.Last, "hash": v.Hash.String(), "entries": v.Entries, "uncounted": v.Uncounted, "findings": found,
		}); err != nil {
			return err
		}
	} else {
		for _, f := range found {
			at := ""
			if f.Source != "" {
				at = cli.Printable(f.Source) + ": "
			}
			fmt.Fprintf(std.Out, "%s: line %d, entry %d: %s: %s%s\n", cli.Printable(f.File), f.Line, f.Number, f.Kind, at, f.Note)
		}
		fmt.Fprintf(std.Out, "Firm %d: %d entries, %d to %d, the last with the hash %s\n", v.Firm, v.Entries, v.First, v.Last, v.Hash)
		if v.Uncounted > 0 {
			fmt.Fprintf(std.Out, "%d of them are of license servers that don't count their events: nobody can say whether some are missing.\n", v.Uncounted)
		}
	}
	switch {
	case broken > 0:
		return license.Errorf(license.CodeManipulation, "compare with an earlier export, and ask who had access to the platform's database", "the log is not as it was written: %d findings", broken+gaps)
	case gaps > 0:
		return license.Errorf(license.CodeConflict, "ask the customer what happened to the license server at that time", "events are missing in the log: %d findings", gaps)
	}
	return nil
}

func readFrom(std cli.Streams, path string, read func(io.Reader) error) error {
	if path == "-" {
		return read(std.In)
	}
	f, err := os.Open(path)
	if err != nil {
		return &license.Error{Code: license.CodeInvalidInput, Message: fmt.Sprintf("%s can't be read: %v", path, cli.Cause(err)), Fix: "give a file that quorate usage log wrote", Err: err}
	}
	defer f.Close()
	return read(f)
}
