package clienttools

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
)

// statedFlags are what a program states of itself.
type statedFlags struct {
	Features       uint32 `help:"Bits of the feature map that must be there."`
	ProgramVersion string `help:"The program's version, for licenses with a lowest one." placeholder:"10.4"`
	ReleaseDate    string `help:"The day that the program was released, for licenses with a maintenance period." placeholder:"YYYY-MM-DD"`
}

func (f statedFlags) options() (opts []client.Option, err error) {
	if f.Features != 0 {
		opts = append(opts, client.WithFeatures(f.Features))
	}
	if f.ProgramVersion != "" {
		opts = append(opts, client.WithVersion(f.ProgramVersion))
	}
	if f.ReleaseDate != "" {
		day, err := time.Parse(time.DateOnly, f.ReleaseDate)
		if err != nil {
			return nil, license.Errorf(license.CodeInvalidInput, "write it as YYYY-MM-DD", "%q is not a day", f.ReleaseDate)
		}
		opts = append(opts, client.WithReleaseDate(day))
	}
	return opts, nil
}

// Why explains whether a license could be used.
type Why struct {
	serverFlags
	statedFlags
	accessFlags
	Product     string `arg:"" help:"FIRM:PRODUCT, for example 6000010:14."`
	User        string `help:"Ask as this user; otherwise as you."`
	Host        string `help:"Ask as from this computer, by its name; otherwise as from this one."`
	Application string `help:"Ask as this program."`
	JSON        bool   `help:"Write JSON." name:"json"`
}

// Help has the examples.
func (Why) Help() string {
	return `Tells whether the license could be used now, and every reason why not, without
taking it. Exit status 0 when it is usable, 1 when it isn't. The address that an
access list sees is always that of this computer.

Examples:
  quorate why --server http://licenses:7400 6000010:14
  quorate why --server http://licenses:7400 6000010:14 --mode exclusive --licenses 4
  quorate why --server http://licenses:7400 6000010:14 --user anna --program-version 10.4 --json`
}

// Run asks and tells, without taking the license. What is not usable is an exit status.
func (c *Why) Run(ctx context.Context, std cli.Streams, logger *slog.Logger) error {
	opts, err := c.statedFlags.options()
	if err != nil {
		return err
	}
	more, err := c.accessFlags.options()
	if err != nil {
		return err
	}
	opts = append(opts, more...)
	sdk, err := c.open(ctx, cli.Quiet(logger), func(cfg *client.Config) {
		cfg.User, cfg.Application, cfg.Address, cfg.Station = c.User, c.Application, c.Host, cmp.Or(c.Station, c.Host)
	})
	if err != nil {
		return err
	}
	defer sdk.Close()
	why, err := sdk.Why(ctx, c.Product, opts...)
	if err != nil {
		return err
	}
	if c.JSON {
		err = cli.WriteJSON(std.Out, explained(why))
	} else {
		err = printWhy(std.Out, why)
	}
	if err == nil && !why.Usable {
		err = cli.ExitStatus(cli.ExitFailure)
	}
	return err
}

type listedWhy struct {
	Product      string          `json:"product"`
	Name         string          `json:"name,omitempty"`
	Container    string          `json:"container"`
	Usable       bool            `json:"usable"`
	Reasons      []listedRefusal `json:"reasons"`
	Options      *listedOptions  `json:"options,omitempty"` // left out where there is no license
	From         *time.Time      `json:"from,omitempty"`
	Until        *time.Time      `json:"until,omitempty"`
	FirstUse     *time.Time      `json:"firstUse,omitempty"`
	UnitsLeft    *uint64         `json:"unitsLeft,omitempty"`
	Free         uint32          `json:"free"`
	HeldBack     uint32          `json:"heldBack,omitempty"`
	Waiting      uint32          `json:"waiting,omitempty"`
	Status       string          `json:"status,omitempty"`
	Now          *time.Time      `json:"now,omitempty"`
	ClockSetBack bool            `json:"clockSetBack,omitempty"`
	Certified    *time.Time      `json:"certified,omitempty"`
}

type listedRefusal struct {
	Code    client.Code    `json:"code"`
	Message string         `json:"message"`
	Fix     string         `json:"fix"`
	Details map[string]any `json:"details,omitempty"`
}

type listedOptions struct {
	Quantity         uint32     `json:"quantity"`
	TMRID            uint32     `json:"tmrId,omitempty"`
	Activation       *time.Time `json:"activation,omitempty"`
	Expiration       *time.Time `json:"expiration,omitempty"`
	UsagePeriodS     int64      `json:"usagePeriodSeconds,omitempty"`
	Units            *uint64    `json:"units,omitempty"`
	FeatureMap       uint32     `json:"featureMap"`
	MaintenanceFrom  *time.Time `json:"maintenanceFrom,omitempty"`
	MaintenanceUntil *time.Time `json:"maintenanceUntil,omitempty"`
	MinimumVersion   string     `json:"minimumVersion,omitempty"`
	Text             string     `json:"text,omitempty"`
	LingerS          int64      `json:"lingerSeconds,omitempty"`
	ProtectedData    bool       `json:"protectedData,omitempty"`
	SecretData       bool       `json:"secretData,omitempty"`
}

func listedTerms(t client.Terms) *listedOptions {
	return &listedOptions{
		Quantity: t.Quantity, TMRID: t.TMRID, Activation: stamped(t.Activation), Expiration: stamped(t.Expiration),
		UsagePeriodS: int64(t.UsagePeriod / time.Second), Units: t.Units, FeatureMap: t.FeatureMap,
		MaintenanceFrom: stamped(t.MaintenanceFrom), MaintenanceUntil: stamped(t.MaintenanceUntil),
		MinimumVersion: t.MinimumVersion, Text: t.Text, LingerS: int64(t.Linger / time.Second),
		ProtectedData: t.ProtectedData, SecretData: t.SecretData,
	}
}

// stamped leaves out a time that isn't there.
func stamped(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func listedError(e *client.Error) listedRefusal {
	return listedRefusal{Code: e.Code, Message: e.Message, Fix: e.Fix, Details: e.Details}
}

func explained(w client.Explanation) listedWhy {
	out := listedWhy{
		Product: w.Product, Name: w.Name, Container: w.Container, Usable: w.Usable, Reasons: []listedRefusal{},
		From: stamped(w.From), Until: stamped(w.Until), FirstUse: stamped(w.FirstUse), UnitsLeft: w.UnitsLeft, Free: w.Free, HeldBack: w.HeldBack, Waiting: w.Waiting,
		Status: w.Status, Now: stamped(w.Now), ClockSetBack: w.ClockSetBack, Certified: stamped(w.Certified),
	}
	if w.Found {
		out.Options = listedTerms(w.Terms)
	}
	for _, r := range w.Reasons {
		out.Reasons = append(out.Reasons, listedError(r))
	}
	return out
}

func printWhy(w io.Writer, why client.Explanation) error {
	verdict := "usable"
	if !why.Usable {
		verdict = "not usable"
	}
	line := why.Product
	if why.Name != "" {
		line += "  " + cli.Printable(why.Name)
	}
	line += fmt.Sprintf("  in %s: %s", why.Container, verdict)
	if why.Status != "" {
		line += "  " + why.Status
	}
	fmt.Fprintln(w, line)
	for _, r := range why.Reasons {
		fmt.Fprintf(w, "  %s: %s\n      %s\n", r.Code, cli.Printable(r.Message), cli.Printable(r.Fix))
	}
	table := cli.NewTable(w)
	if why.Found {
		printTerms(table, why)
	}
	if !why.Now.IsZero() {
		clock := why.Now.UTC().Format(time.RFC3339)
		if why.ClockSetBack {
			clock += ", set back"
		}
		if !why.Certified.IsZero() {
			clock += ", certified " + why.Certified.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(table, "  server's time\t%s\n", clock)
	}
	return table.Flush()
}

func printTerms(w io.Writer, why client.Explanation) {
	t := why.Terms
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "  %s\t%s\n", name, value)
		}
	}
	at := func(t time.Time, layout string) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(layout)
	}
	if t.Quantity == 0 {
		row("quantity", "local only")
	} else {
		quantity := fmt.Sprintf("%d, %d free", t.Quantity, why.Free)
		if why.HeldBack > 0 {
			quantity += fmt.Sprintf(", %d held back for others", why.HeldBack)
		}
		if why.Waiting > 0 {
			quantity += fmt.Sprintf(", %d waiting", why.Waiting)
		}
		row("quantity", quantity)
	}
	row("usable from", at(why.From, time.RFC3339))
	row("usable until", at(why.Until, time.RFC3339))
	if t.UsagePeriod != 0 {
		row("usage period", t.UsagePeriod.String()+" from the first use")
	}
	row("first use", at(why.FirstUse, time.RFC3339))
	if why.UnitsLeft != nil {
		row("units left", fmt.Sprint(*why.UnitsLeft))
	}
	row("features", fmt.Sprintf("%#x", t.FeatureMap))
	row("releases from", at(t.MaintenanceFrom, time.DateOnly))
	row("releases until", at(t.MaintenanceUntil, time.DateOnly))
	row("version from", cli.Printable(t.MinimumVersion))
	if t.Linger != 0 {
		row("linger time", t.Linger.String())
	}
	row("text", cli.Printable(t.Text))
}

// Data writes the protected data of a license.
type Data struct {
	serverFlags
	statedFlags
	Product string `arg:"" help:"FIRM:PRODUCT, for example 6000010:14."`
	Output  string `short:"o" help:"The file to write, whole or not at all; without it, standard output." placeholder:"FILE"`
	Force   bool   `help:"Replace the file to write where there is one."`
}

// Help has the examples.
func (Data) Help() string {
	return `Writes the protected data that the vendor has put into the license. A license is
held meanwhile. A file named by --output may be read only by its owner.

Examples:
  quorate data --server http://licenses:7400 6000010:14
  quorate data --server http://licenses:7400 6000010:14 -o settings.bin`
}

// Run reads the data with a license and writes it.
func (c *Data) Run(ctx context.Context, std cli.Streams, logger *slog.Logger) error {
	out := fileFlags{In: "-", Output: c.Output, Force: c.Force}
	if err := out.check(); err != nil {
		return err
	}
	var data []byte
	err := c.with(ctx, c.statedFlags, c.Product, cli.Quiet(logger), func(ctx context.Context, h *client.Handle) (err error) {
		data, err = h.Data(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if c.Output == "" && isTerminal(std.Out) && !plainText(data) {
		return license.Errorf(license.CodeInvalidInput, "name a file with --output", "the protected data is no text for a terminal")
	}
	return out.convert(ctx, std, 0o600, func(dst io.Writer, _ io.Reader) error {
		_, err := dst.Write(data)
		return err
	})
}

func plainText(b []byte) bool {
	return utf8.Valid(b) && strings.IndexFunc(string(b), func(r rune) bool {
		return !unicode.IsPrint(r) && r != '\n' && r != '\t'
	}) < 0
}

// Derive derives keys from the secret data of a license.
type Derive struct {
	serverFlags
	statedFlags
	Product string `arg:"" help:"FIRM:PRODUCT, for example 6000010:14."`
	Context string `required:"" help:"What the key is for: another text gives another key." placeholder:"TEXT"`
	JSON    bool   `help:"Write JSON." name:"json"`
}

// Help has the examples.
func (Derive) Help() string {
	return `Prints a key of 32 bytes, in hexadecimal digits, that is derived from the secret
data that the vendor has put into the license. The secret data stays in its
container. A license is held meanwhile.

Example:
  quorate derive --server http://licenses:7400 6000010:14 --context 'project files, version 1'`
}

// Run has the license server derive the key, and prints it.
func (c *Derive) Run(ctx context.Context, std cli.Streams, logger *slog.Logger) error {
	var key []byte
	err := c.with(ctx, c.statedFlags, c.Product, cli.Quiet(logger), func(ctx context.Context, h *client.Handle) (err error) {
		key, err = h.Derive(ctx, []byte(c.Context))
		return err
	})
	switch {
	case err != nil:
		return err
	case c.JSON:
		return cli.WriteJSON(std.Out, struct {
			Product string `json:"product"`
			Key     string `json:"key"`
		}{c.Product, hex.EncodeToString(key)})
	}
	_, err = fmt.Fprintln(std.Out, hex.EncodeToString(key))
	return err
}

// with holds a license while use runs, for as long as --wait at most.
func (f serverFlags) with(
	ctx context.Context, stated statedFlags, product string, logger *slog.Logger,
	use func(context.Context, *client.Handle) error,
) error {
	opts, err := stated.options()
	if err != nil {
		return err
	}
	sdk, err := f.open(ctx, logger, nil)
	if err != nil {
		return err
	}
	defer sdk.Close()
	ctx, cancel := context.WithTimeout(ctx, f.Wait)
	defer cancel()
	h, err := sdk.Access(ctx, product, opts...)
	if err != nil {
		return err
	}
	return use(ctx, h)
}
