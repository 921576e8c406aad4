// Command quorate is every role of the license management platform in one
// binary: the platform, license servers, TMR servers, client and file tools.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/machine"
)

// version is set at build time by -ldflags "-X main.version=…".
var version = "dev"

// exit statuses: usage errors are 2, everything else that fails is 1.
const (
	exitFailure = 1
	exitUsage   = 2
)

type cli struct {
	Demo      demoCmd      `cmd:"" help:"Run everything in one process with sample data: platform, two TMR servers, three backends, programs."`
	Platform  platformCmd  `cmd:"" help:"Run the platform: GraphQL API, dashboard, workers."`
	Provision provisionCmd `cmd:"" help:"Register firms, products, containers and TMR groups from a file."`
	Server    serverCmd    `cmd:"" help:"Run a license server, or with --tmr a backend of a TMR group."`
	TMR       tmrCmd       `cmd:"" name:"tmr" help:"Run a TMR server in front of three backends."`
	Container containerCmd `cmd:"" help:"Create and show containers; register, replace and judge them, and take licenses from them."`
	Key       keyCmd       `cmd:"" help:"Create a server's keys: for TLS, and for handle tokens."`
	Firm      firmCmd      `cmd:"" help:"List, rotate, export and import the keys that firms sign with; change the master key."`

	Run     runCmd     `cmd:"" help:"Run a program while holding a license for it."`
	Ls      lsCmd      `cmd:"" name:"ls" help:"List licenses and handles of a license server."`
	Why     whyCmd     `cmd:"" help:"Tell whether a license could be used now, and why not."`
	Data    dataCmd    `cmd:"" help:"Write the protected data of a license."`
	Derive  deriveCmd  `cmd:"" help:"Derive a key from the secret data of a license."`
	Release releaseCmd `cmd:"" help:"Remove one handle from a license server."`

	Request requestCmd `cmd:"" help:"Write a license request file: of one container, or of a whole TMR group."`
	Apply   applyCmd   `cmd:"" help:"Install an update file: on one container, or on a TMR group one backend at a time."`
	Receipt receiptCmd `cmd:"" help:"Write the receipt file of what is installed."`
	Inspect inspectCmd `cmd:"" help:"Tell what a request, update or receipt file is, for whom, and whether its signatures hold."`

	Protect protectCmd `cmd:"" help:"Protect files for a product, and open them with a license."`

	Item    itemCmd    `cmd:"" help:"Make, change and show items: the license definitions that are ordered."`
	Order   orderCmd   `cmd:"" help:"Order licenses for a TMR group or a container."`
	Rollout rolloutCmd `cmd:"" help:"Start, watch, retry or abort rollouts."`
	Offline offlineCmd `cmd:"" help:"Roll out by files, at the platform, where the customer has no network."`

	Version kong.VersionFlag `help:"Show the version."`
	Verbose bool             `help:"Log in detail." short:"v" env:"QUORATE_VERBOSE"`
}

// streams are what a command reads and writes, so that tests can be their user.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	program := run
	if isPlugin(os.Args[0]) {
		program = runPlugin
	}
	code := program(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// run is main without the process: it returns the exit status.
func run(ctx context.Context, args []string, std streams) int {
	return runOn(ctx, machine.Traits, args, std)
}

// runOn is run on the machine that is known by these traits.
func runOn(ctx context.Context, traits func() [3]machine.Trait, args []string, std streams) int {
	var c cli
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("quorate"),
		kong.Description("License management with triple mode redundancy."),
		kong.UsageOnError(),
		kong.Writers(std.out, std.err),
		kong.Exit(func(code int) { exited = code }),
		kong.Vars{"version": version},
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(std),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		fmt.Fprintln(std.err, "quorate:", err)
		return exitFailure
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		fmt.Fprintf(std.err, "quorate: %v (see quorate %s--help)\n", err, commandOf(err))
		return exitUsage
	}
	level := slog.LevelInfo
	if c.Verbose {
		level = slog.LevelDebug
	}
	logger := slog.New(slog.NewTextHandler(std.err, &slog.HandlerOptions{Level: level}))
	if err := k.Run(logger, site{traits: traits, logger: logger}); err != nil {
		return report(std.err, err)
	}
	return 0
}

// commandOf gives the command that a usage error is about, with a space.
func commandOf(err error) string {
	var p *kong.ParseError
	if errors.As(err, &p) && p.Context != nil {
		if selected := p.Context.Selected(); selected != nil {
			return strings.TrimPrefix(selected.FullPath(), "quorate ") + " "
		}
	}
	return ""
}

// exitStatus is a program's own exit status, passed on without a word.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// report writes one line and gives the exit status.
func report(w io.Writer, err error) int {
	var status exitStatus
	if errors.As(err, &status) {
		return int(status)
	}
	var sdk *client.Error
	var coded *license.Error
	switch {
	case errors.As(err, &sdk):
		fmt.Fprintf(w, "quorate: %s [%s]\n", oneLine(sdk.Error()), sdk.Code)
	case errors.As(err, &coded):
		fmt.Fprintf(w, "quorate: %s [%s]\n", oneLine(coded.Error()), coded.Code)
	default:
		fmt.Fprintf(w, "quorate: %s\n", oneLine(err.Error()))
	}
	return exitFailure
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
