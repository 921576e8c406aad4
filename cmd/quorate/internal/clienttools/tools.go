// Package clienttools holds the commands that ask license servers: they run
// programs with a license, list and explain licenses, and protect files.
package clienttools

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
)

// serverFlags name the license servers that a client tool talks to.
type serverFlags struct {
	Server []string      `help:"A license server's address: http://HOST:PORT or https://HOST:PORT?pin=sha256:…; several, or the virtual IP, for a TMR group." env:"QUORATE_SERVER" required:"" placeholder:"URL"`
	Wait   time.Duration `help:"How long to keep trying when no server answers." default:"5s"`
}

func (f serverFlags) open(ctx context.Context, logger *slog.Logger, change func(*client.Config)) (*client.Client, error) {
	cfg := client.Config{Servers: f.Server, Wait: f.Wait, Logger: logger}
	if change != nil {
		change(&cfg)
	}
	return client.Open(ctx, cfg)
}

// Run runs a program with a license.
type Run struct {
	serverFlags
	statedFlags
	Product string   `required:"" help:"FIRM:PRODUCT, for example 6000010:14."`
	Units   uint64   `help:"Take so many units of the license before the program starts." placeholder:"N"`
	Program []string `arg:"" passthrough:"" help:"The program and its arguments."`
}

// Help has the examples.
func (Run) Help() string {
	return `The program starts only when a license was given, and is ended (SIGTERM, then
SIGKILL after 10 s) when the license is lost. Its exit status is passed on.
Units are taken before it starts, and stay taken.

Examples:
  quorate run --server http://licenses:7400 --product 6000010:14 -- chartproc data.csv
  quorate run --server http://licenses:7400 --product 6000010:14 --program-version 10.4 --units 3 -- chartproc a b c`
}

const killAfter = 10 * time.Second

// Run holds a license while the program runs, and passes its exit status on.
func (c *Run) Run(ctx context.Context, std cli.Streams, logger *slog.Logger) error {
	program := c.Program
	if len(program) > 0 && program[0] == "--" {
		program = program[1:]
	}
	if len(program) == 0 {
		return license.Errorf(license.CodeInvalidInput, "name it after --", "there is no program to run")
	}
	path, err := exec.LookPath(program[0])
	if err != nil {
		return &license.Error{Code: license.CodeNotFound, Message: fmt.Sprintf("there is no program %q", program[0]), Fix: "check its name, its path and that it is executable", Err: err}
	}
	opts, err := c.options()
	if err != nil {
		return err
	}
	sdk, err := c.open(ctx, quiet(logger), func(cfg *client.Config) { cfg.Application = program[0] })
	if err != nil {
		return err
	}
	defer sdk.Close()
	h, err := sdk.Access(ctx, c.Product, opts...)
	if err != nil {
		return err
	}
	if c.Units != 0 {
		if err := c.consume(ctx, h); err != nil {
			return err
		}
	}
	cmd := exec.Command(path, program[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = std.In, std.Out, std.Err
	if err := cmd.Start(); err != nil {
		return err
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	lost := h.Done()
	var kill <-chan time.Time
	var lostErr error
	for {
		select {
		case err := <-ended:
			if lostErr != nil {
				return lostErr
			}
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				if s, ok := exit.Sys().(syscall.WaitStatus); ok && s.Signaled() {
					return cli.ExitStatus(128 + int(s.Signal()))
				}
				return cli.ExitStatus(exit.ExitCode())
			}
			return err
		case s := <-signals:
			_ = cmd.Process.Signal(s)
		case <-lost:
			lost, lostErr = nil, h.Err()
			_ = cmd.Process.Signal(syscall.SIGTERM)
			kill = time.After(killAfter)
		case <-kill:
			_ = cmd.Process.Kill()
		}
	}
}

func (c *Run) consume(ctx context.Context, h *client.Handle) error {
	ctx, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	_, err := h.Consume(ctx, c.Units)
	return err
}

// quiet leaves a program's terminal to the program, unless details are wanted.
func quiet(l *slog.Logger) *slog.Logger {
	if l.Enabled(context.Background(), slog.LevelDebug) {
		return l
	}
	return nil
}

// Ls lists what a license server has.
type Ls struct {
	serverFlags
	Product string `help:"Only this product, FIRM:PRODUCT."`
	JSON    bool   `help:"Write JSON." name:"json"`
}

// Help has the examples.
func (Ls) Help() string {
	return `Examples:
  quorate ls --server http://licenses:7400
  quorate ls --server http://licenses:7400 --product 6000010:14 --json`
}

// Run lists licenses and handles.
func (c *Ls) Run(ctx context.Context, std cli.Streams, logger *slog.Logger) error {
	sdk, err := c.open(ctx, quiet(logger), nil)
	if err != nil {
		return err
	}
	defer sdk.Close()
	licenses, err := sdk.Licenses(ctx)
	if err != nil {
		return err
	}
	handles, err := sdk.Handles(ctx)
	if err != nil {
		return err
	}
	if c.Product != "" {
		licenses = slices.DeleteFunc(licenses, func(l client.License) bool { return l.Product != c.Product })
		handles = slices.DeleteFunc(handles, func(h client.Allocation) bool { return h.Product != c.Product })
	}
	if c.JSON {
		return cli.WriteJSON(std.Out, listing(licenses, handles))
	}
	return printListing(std.Out, licenses, handles)
}

type listedLicense struct {
	Product    string            `json:"product"`
	Name       string            `json:"name"`
	Container  string            `json:"container"`
	FeatureMap uint32            `json:"featureMap"`
	Usable     bool              `json:"usable"`
	WhyNot     string            `json:"whyNot,omitempty"`
	Total      uint32            `json:"total"`
	Free       uint32            `json:"free"`
	Taken      map[string]uint32 `json:"taken"`
	Expiration *time.Time        `json:"expiration,omitempty"`
	TMRID      uint32            `json:"tmrId,omitempty"`
	Status     string            `json:"status,omitempty"`
	Handles    []listedHandle    `json:"handles"`

	Refusal   *listedRefusal `json:"refusal,omitempty"` // when not usable
	Options   *listedOptions `json:"options"`
	FirstUse  *time.Time     `json:"firstUse,omitempty"`
	Until     *time.Time     `json:"until,omitempty"`
	UnitsLeft *uint64        `json:"unitsLeft,omitempty"`
	Lingering uint32         `json:"lingering,omitempty"`
}

type listedHandle struct {
	ID          string    `json:"id"`
	Client      string    `json:"client"`
	User        string    `json:"user"`
	Process     uint32    `json:"process"`
	Application string    `json:"application"`
	Mode        string    `json:"mode"`
	Seat        uint32    `json:"seat"`
	Accesses    uint32    `json:"accesses"`
	FirstAccess time.Time `json:"firstAccess"`
	LastAccess  time.Time `json:"lastAccess"`
	RemainingMS int64     `json:"remainingMs"`
}

func listing(licenses []client.License, handles []client.Allocation) []listedLicense {
	out := make([]listedLicense, 0, len(licenses))
	for _, l := range licenses {
		v := listedLicense{
			Product: l.Product, Name: l.Name, Container: l.Container, FeatureMap: l.FeatureMap,
			Usable: l.Usable, WhyNot: string(l.WhyNot), Total: l.Total, Free: l.Free,
			Taken: map[string]uint32{}, TMRID: l.TMRID, Status: l.Status, Handles: []listedHandle{},
			Options: listedTerms(l.Terms), FirstUse: stamped(l.FirstUse), Until: stamped(l.Until),
			UnitsLeft: l.UnitsLeft, Lingering: l.Lingering,
		}
		if l.Refusal != nil {
			v.Refusal = new(listedError(l.Refusal))
		}
		for m, n := range l.Taken {
			v.Taken[string(m)] = n
		}
		if !l.Expiration.IsZero() {
			v.Expiration = &l.Expiration
		}
		for _, h := range handles {
			if h.Product == l.Product {
				v.Handles = append(v.Handles, listedHandle{
					ID: h.ID, Client: h.Address, User: h.User, Process: h.Process, Application: h.Application,
					Mode: string(h.Mode), Seat: h.Seat, Accesses: h.Accesses,
					FirstAccess: h.FirstAccess, LastAccess: h.LastAccess, RemainingMS: h.Remaining.Milliseconds(),
				})
			}
		}
		out = append(out, v)
	}
	return out
}

func printListing(w io.Writer, licenses []client.License, handles []client.Allocation) error {
	if len(licenses) == 0 {
		_, err := fmt.Fprintln(w, "no licenses here")
		return err
	}
	for i, l := range licenses {
		if i > 0 {
			fmt.Fprintln(w)
		}
		line := fmt.Sprintf("%s  %s  in %s: ", l.Product, cli.Printable(l.Name), l.Container) + roomText(l)
		if l.Status != "" {
			line += "  " + l.Status
		}
		if !l.Usable {
			line += fmt.Sprintf("  not usable: %s", l.WhyNot)
		}
		fmt.Fprintln(w, line)
		if l.Refusal != nil {
			fmt.Fprintf(w, "  %s: %s\n", cli.Printable(l.Refusal.Message), cli.Printable(l.Refusal.Fix))
		}
		if known := knownOf(l); known != "" {
			fmt.Fprintf(w, "  %s\n", known)
		}
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		rows := 0
		for _, h := range handles {
			if h.Product != l.Product {
				continue
			}
			if rows++; rows == 1 {
				fmt.Fprintln(table, "  HANDLE\tCLIENT\tUSER\tPROGRAM\tMODE\tSEAT\tSINCE\tENDS IN")
			}
			fmt.Fprintf(table, "  %s\t%s\t%s\t%s %d\t%s\t%s\t%s\t%s\n", h.ID, cli.Printable(h.Address), cli.Printable(h.User), cli.Printable(h.Application), h.Process,
				strings.ToLower(strings.ReplaceAll(string(h.Mode), "_", " ")), strconv.FormatUint(uint64(h.Seat), 10),
				h.FirstAccess.Local().Format(time.DateTime), h.Remaining.Round(time.Second))
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func roomText(l client.License) string {
	if l.Total == 0 && l.Status == "" { // of a group there is nothing local
		return "local only"
	}
	return fmt.Sprintf("%d of %d free", l.Free, l.Total)
}

// knownOf is what else is worth knowing of a license, in one line.
func knownOf(l client.License) string {
	var all []string
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if l.UnitsLeft != nil {
		add("%d units left", *l.UnitsLeft)
	}
	if !l.Until.IsZero() {
		add("until %s", l.Until.Local().Format(time.DateTime))
	}
	if !l.FirstUse.IsZero() && l.Terms.UsagePeriod != 0 {
		add("first used %s", l.FirstUse.Local().Format(time.DateTime))
	}
	if l.Lingering > 0 {
		add("%d lingering", l.Lingering)
	}
	if l.Terms.Text != "" {
		add("%s", cli.Printable(l.Terms.Text))
	}
	return strings.Join(all, ", ")
}

// Release removes a handle.
type Release struct {
	serverFlags
	Product string `arg:"" help:"FIRM:PRODUCT, for example 6000010:14."`
	Handle  string `arg:"" help:"The handle's id, as quorate ls shows it."`
	cli.AdminFlags
	By string `help:"Who removes it, for the history." env:"USER"`
}

// Help has the examples.
func (Release) Help() string {
	return `The seat is free at once, and the program gets a clear error at its next call.

Example:
  quorate release --server http://licenses:7400 6000010:14 0199a1c2-…`
}

// Run has the license server remove the handle.
func (c *Release) Run(ctx context.Context, std cli.Streams, logger *slog.Logger) error {
	if err := c.CheckFor(c.Server); err != nil {
		return err
	}
	sdk, err := c.open(ctx, quiet(logger), func(cfg *client.Config) { cfg.AdminToken = c.AdminToken })
	if err != nil {
		return err
	}
	defer sdk.Close()
	if err := sdk.Remove(ctx, c.Product, c.Handle, c.By); err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.Out, "removed %s\n", c.Handle)
	return err
}
