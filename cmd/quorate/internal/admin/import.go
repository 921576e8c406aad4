package admin

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/importer"
	"github.com/quorate/quorate/internal/license"
)

// Import takes over what other license managers have.
type Import struct {
	FlexNet importFlexNetCmd `cmd:"" name:"flexnet-options" help:"Make rules of a FlexNet options file."`
	Keygen  importKeygenCmd  `cmd:"" name:"keygen" help:"Take over licenses exported from keygen: customers, items and tickets."`
	CSV     importCSVCmd     `cmd:"" name:"csv" help:"Take over customers, items or orders from a table."`
}

// importFlags are what all imports have.
type importFlags struct {
	cli.APIFlags
	DryRun  bool `help:"Show the plan alone, and change nothing: this is the default."`
	Apply   bool `help:"Carry the plan out at the platform. A second run changes nothing."`
	LeftOut bool `name:"accept-left-out" help:"With --apply: carry it out though something of the file is left out."`
}

// read gives a file.
func (f importFlags) read(std cli.Streams, path string, most int64) ([]byte, error) {
	if f.Apply && f.DryRun {
		return nil, license.Errorf(license.CodeInvalidInput, "give one of --dry-run and --apply", "either the plan is shown or it is carried out")
	}
	in := std.In
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, &license.Error{Code: license.CodeInvalidInput, Message: fmt.Sprintf("%s can't be read (%v)", path, cli.Cause(err)), Fix: "name a file that is there", Err: err}
		}
		defer file.Close()
		in = file
	}
	b, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return nil, &license.Error{Code: license.CodeInvalidInput, Message: fmt.Sprintf("%s can't be read (%v)", path, cli.Cause(err)), Fix: "name a file", Err: err}
	}
	return b, nil
}

// agreed refuses to carry out what leaves something out, unless that is meant.
func (f importFlags) agreed(all []importer.Problem) error {
	left := 0
	for _, p := range all {
		if p.LeftOut {
			left += 1 + p.More
		}
	}
	if left > 0 && !f.LeftOut {
		return license.Errorf(license.CodeInvalidInput, "look at them without --apply, mend the file, or add --accept-left-out", "%d things of the file would be left out", left)
	}
	return nil
}

// tell writes what differs and what is left out.
func tell(w io.Writer, all []importer.Problem) {
	for _, p := range all {
		fmt.Fprintln(w, p)
	}
}

// productsByName reads NAME=FIRM:PRODUCT.
func productsByName(given map[string]string, flag string) (map[string]license.Product, error) {
	all := make(map[string]license.Product, len(given))
	for name, text := range given {
		p, err := license.ParseProduct(text)
		if err != nil {
			return nil, license.Errorf(license.CodeInvalidInput, "write it as "+flag+" NAME=6000010:14", "%q is no product", license.Clip(text, 64))
		}
		all[name] = p
	}
	return all, nil
}

type importFlexNetCmd struct {
	importFlags
	File    string            `arg:"" help:"The file, or - for standard input."`
	Feature map[string]string `help:"Which product a feature of the file is, for example cad=6000010:14; may be repeated." placeholder:"NAME=FIRM:PRODUCT"`
	Place   string            `help:"With --apply: the TMR group or container whose rules these are, by id or serial number."`
	Replace bool              `help:"With --apply: take the place of rules that are there."`
	Confirm bool              `help:"With --apply: save rules that would have refused past grants, too."`
}

func (importFlexNetCmd) Help() string {
	return `The rules go to standard output, and to standard error what the file has that
they don't, by line. Nothing is dropped silently (docs/importing.md).

Examples:
  quorate import flexnet-options vendor.opt --feature cad=6000010:14 --feature mesh=6000010:15 > rules.txt
  quorate import flexnet-options vendor.opt --feature cad=6000010:14 --place 131-4837572 --apply`
}

// Run shows the rules, or saves them.
func (c *importFlexNetCmd) Run(ctx context.Context, std cli.Streams) error {
	b, err := c.read(std, c.File, importer.MostBytes)
	if err != nil {
		return err
	}
	products, err := productsByName(c.Feature, "--feature")
	if err != nil {
		return err
	}
	got, err := importer.ParseFlexNet(b, products)
	if err != nil {
		return err
	}
	if !c.Apply {
		if c.JSON {
			return cli.WriteJSON(std.Out, got)
		}
		tell(std.Err, got.Problems)
		_, err := io.WriteString(std.Out, got.Rules)
		return err
	}
	if c.Place == "" {
		return license.Errorf(license.CodeInvalidInput, "name it with --place", "it is not known whose rules these are")
	}
	if err := c.agreed(got.Problems); err != nil {
		return err
	}
	done, err := c.save(ctx, got.Rules)
	if err != nil {
		return err
	}
	if c.JSON {
		return cli.WriteJSON(std.Out, []importDone{done})
	}
	tell(std.Err, got.Problems)
	return writeDone(std.Out, []importDone{done})
}

// save makes the rules those of the place.
func (c *importFlexNetCmd) save(ctx context.Context, text string) (importDone, error) {
	done := importDone{Kind: "rules", Name: c.Place}
	var now struct {
		RuleSet *struct {
			Version int
			Text    string
		}
	}
	if err := c.Query(ctx, `query($tmrGroup: ID, $container: ID) { ruleSet(tmrGroup: $tmrGroup, container: $container) { version text } }`, placeInput(c.Place), &now); err != nil {
		return done, err
	}
	input := placeInput(c.Place)
	input["text"], input["confirm"], input["expectedVersion"] = text, c.Confirm, 0
	if s := now.RuleSet; s != nil {
		if s.Text == text {
			done.Done = importThere
			return done, nil
		}
		if !c.Replace && strings.TrimSpace(s.Text) != "" {
			return done, license.Errorf(license.CodeConflict, "add --replace, or put both together by hand and save them with quorate rules save", "there are other rules already, version %d", s.Version)
		}
		input["expectedVersion"] = s.Version
	}
	var out struct {
		SaveRules struct {
			Saved   bool
			RuleSet *struct{ Version int }
			Report  struct{ RefusedCount int }
		}
	}
	if err := c.Query(ctx, `mutation($input: SaveRulesInput!) { saveRules(input: $input) { saved ruleSet { version } report { refusedCount } } }`,
		map[string]any{"input": input}, &out); err != nil {
		return done, err
	}
	if !out.SaveRules.Saved {
		return done, license.Errorf(license.CodeConflict, "look at them with quorate rules check --place, then add --confirm", "these rules would have refused %d of the grants of the last 30 days", out.SaveRules.Report.RefusedCount)
	}
	done.Done = importMade
	if s := out.SaveRules.RuleSet; s != nil {
		done.ID = fmt.Sprintf("version %d", s.Version)
	}
	return done, nil
}

type importKeygenCmd struct {
	importFlags
	Files   []string          `arg:"" help:"The files, or - for standard input."`
	Product map[string]string `help:"Which product one of keygen's is, by its id, code or name, for example cad=6000010:14; may be repeated." placeholder:"NAME=FIRM:PRODUCT"`
}

func (importKeygenCmd) Help() string {
	return `The files are keygen's own answers: GET /v1/accounts/ACCOUNT/licenses with
page[number] and page[size], all pages, and so users, groups, policies and
products, which the licenses name. Each license becomes a ticket, which its
customer activates (docs/importing.md).

Examples:
  quorate import keygen licenses-*.json users-*.json groups-*.json policies-*.json products-*.json --product cad=6000010:14
  cat keygen/*.json | quorate import keygen - --product cad=6000010:14 --apply --accept-left-out --json`
}

// Run shows the plan, or carries it out.
func (c *importKeygenCmd) Run(ctx context.Context, std cli.Streams) error {
	products, err := productsByName(c.Product, "--product")
	if err != nil {
		return err
	}
	return c.plan(ctx, std, c.Files, importer.MostExport, func(files [][]byte) (importer.Plan, error) { return importer.ParseKeygen(files, products) })
}

type importCSVCmd struct {
	importFlags
	File string `arg:"" help:"The file, or - for standard input."`
}

func (importCSVCmd) Help() string {
	return `The header tells what is in the file (docs/importing.md):
  customers  customer
  items      product, item; quantity, tmr, activation, expiration, usageDays,
             units, features, maintenanceFrom, maintenanceUntil, minimumVersion,
             text, lingerSeconds
  orders     customer, product, item, quantity; place, reference, key
An order with a place is ordered for that container or TMR group; one without
becomes a ticket.

Examples:
  quorate import csv customers.csv
  quorate import csv items.csv --apply
  quorate import csv orders.csv --apply --json`
}

// Run shows the plan, or carries it out.
func (c *importCSVCmd) Run(ctx context.Context, std cli.Streams) error {
	return c.plan(ctx, std, []string{c.File}, importer.MostBytes, func(files [][]byte) (importer.Plan, error) { return importer.ParseCSV(files[0]) })
}

// plan reads a plan, and shows it or carries it out.
func (f importFlags) plan(ctx context.Context, std cli.Streams, paths []string, most int64, parse func([][]byte) (importer.Plan, error)) error {
	files := make([][]byte, 0, len(paths))
	for _, path := range paths {
		b, err := f.read(std, path, most)
		if err != nil {
			return err
		}
		files = append(files, b)
	}
	p, err := parse(files)
	if err != nil {
		return err
	}
	if !f.Apply {
		return f.show(ctx, std, p)
	}
	if err := f.agreed(p.Problems); err != nil {
		return err
	}
	done, err := applyPlan(ctx, f.APIFlags, p)
	if err != nil {
		return err
	}
	if f.JSON {
		err = cli.WriteJSON(std.Out, done)
	} else {
		tell(std.Err, p.Problems)
		if err = writeDone(std.Out, done); err == nil {
			_, err = fmt.Fprintf(std.Out, "%d made, %d there, %d differs, %d failed\n",
				became(done, importMade), became(done, importThere), became(done, importDiffers), became(done, importFailed))
		}
	}
	if err == nil && became(done, importFailed)+became(done, importDiffers) > 0 {
		err = cli.ExitStatus(cli.ExitFailure)
	}
	return err
}
