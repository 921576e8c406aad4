// Package cli is what all commands of quorate share: how a tree of them is run,
// what they read and write, and the platform's API.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/license"
)

// Exit statuses: usage errors are 2, what was interrupted is 130, everything
// else that fails is 1.
const (
	ExitFailure     = 1
	ExitUsage       = 2
	ExitInterrupted = 130
)

// Streams are what a command reads and writes, so that tests can be their user.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Common are the flags of every command. A tree of commands embeds them.
type Common struct {
	Version kong.VersionFlag `help:"Show the version."`
	Verbose bool             `help:"Log in detail." short:"v" env:"QUORATE_VERBOSE"`
}

func (c *Common) common() *Common { return c }

// commandTree is a pointer to a struct of commands that embeds Common.
type commandTree interface{ common() *Common }

// Run runs the command of the tree that args name, and returns the exit
// status. Commands get ctx, the streams, a logger and what more gives for it.
func Run(ctx context.Context, tree commandTree, version string, args []string, std Streams, more func(*slog.Logger) []any) int {
	exited := -1
	parser, err := kong.New(tree,
		kong.Name("quorate"),
		kong.Description("License management with triple mode redundancy."),
		kong.UsageOnError(),
		kong.Writers(std.Out, std.Err),
		kong.Exit(func(code int) { exited = code }),
		kong.Vars{"version": version},
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(std),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		fmt.Fprintln(std.Err, "quorate:", err)
		return ExitFailure
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err == nil {
		err = emptyArgument(k)
	}
	if err != nil {
		help := fmt.Sprintf("see quorate %s--help", commandOf(k, err))
		if wantedJSON(args) {
			report(std.Err, license.Errorf(license.CodeInvalidInput, help, "%v", err), true)
		} else {
			fmt.Fprintf(std.Err, "quorate: %v (%s)\n", err, help)
		}
		return ExitUsage
	}
	level := slog.LevelInfo
	if tree.common().Verbose {
		level = slog.LevelDebug
	}
	logger := slog.New(slog.NewTextHandler(std.Err, &slog.HandlerOptions{Level: level}))
	bound := []any{logger}
	if more != nil {
		bound = append(bound, more(logger)...)
	}
	err = k.Run(bound...)
	if err == nil {
		return 0
	}
	status := report(std.Err, err, flagged(k, "json"))
	if status == ExitFailure && ctx.Err() != nil && !errors.As(err, new(ExitStatus)) {
		return ExitInterrupted
	}
	return status
}

// flagged says whether a command has the flag and was given it: also behind an
// operation's name, which the command reads itself.
func flagged(k *kong.Context, name string) bool {
	return slices.ContainsFunc(k.Flags(), func(f *kong.Flag) bool {
		return f.Name == name && f.Target.Kind() == reflect.Bool && f.Target.Bool()
	})
}

// wantedJSON looks for --json among arguments that make no command; what follows
// -- is another program's.
func wantedJSON(args []string) bool {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	return slices.Contains(args, "--json")
}

// emptyArgument refuses an argument that is there and empty, as a variable that
// is not set makes it: no command has a use for one.
func emptyArgument(k *kong.Context) error {
	for _, p := range k.Path {
		if a := p.Positional; a != nil && a.Target.Kind() == reflect.String && a.Target.String() == "" {
			return fmt.Errorf("%s is empty", a.Summary())
		}
	}
	return nil
}

// commandOf gives the command that a usage error is about, with a space.
func commandOf(k *kong.Context, err error) string {
	var p *kong.ParseError
	if errors.As(err, &p) {
		k = p.Context
	}
	if k != nil {
		name := ""
		for n := k.Selected(); n != nil && n.Parent != nil; n = n.Parent { // without the aliases, which no command line has
			name = n.Name + " " + name
		}
		return name
	}
	return ""
}

// ExitStatus is a program's own exit status, passed on without a word.
type ExitStatus int

// Error implements error.
func (e ExitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// Report writes one line and gives the exit status.
func Report(w io.Writer, err error) int { return report(w, err, false) }

// failure is an error as --json writes it.
type failure struct {
	Code    license.Code   `json:"code"`
	Message string         `json:"message"`
	Fix     string         `json:"fix,omitempty"`
	Details map[string]any `json:"details,omitempty"`
}

func report(w io.Writer, err error, asJSON bool) int {
	var status ExitStatus
	if errors.As(err, &status) {
		return int(status)
	}
	var f failure
	var sdk *client.Error
	var coded *license.Error
	switch {
	case errors.As(err, &sdk):
		f = failure{license.Code(sdk.Code), sdk.Message, sdk.Fix, sdk.Details}
	case errors.As(err, &coded):
		f = failure{coded.Code, coded.Message, coded.Fix, coded.Details}
	default:
		f = failure{Message: err.Error()}
	}
	if asJSON {
		if f.Code == "" {
			f.Code = license.CodeInternal
		}
		_ = WriteJSON(w, struct {
			Error failure `json:"error"`
		}{f})
		return ExitFailure
	}
	text := oneLine(f.Message)
	if f.Fix != "" {
		text += ": " + oneLine(f.Fix)
	}
	if f.Code != "" {
		text += " [" + string(f.Code) + "]"
	}
	if id, ok := f.Details["requestId"].(string); ok && f.Code == license.CodeInternal {
		text += " (request " + id + ")"
	}
	fmt.Fprintf(w, "quorate: %s\n", Printable(text)) // others' words, as those of a server, are in it
	return ExitFailure
}

// Quiet is the logger for an SDK whose command leaves the terminal to its answer,
// or to the program that it runs: it tells nothing unless details are wanted.
func Quiet(l *slog.Logger) *slog.Logger {
	if l != nil && l.Enabled(context.Background(), slog.LevelDebug) {
		return l
	}
	return slog.New(slog.DiscardHandler)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
