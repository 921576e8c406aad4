// Package cli is what all commands of quorate share: how a tree of them is run,
// what they read and write, and the platform's API.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/license"
)

// Exit statuses: usage errors are 2, everything else that fails is 1.
const (
	ExitFailure = 1
	ExitUsage   = 2
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
	if err != nil {
		fmt.Fprintf(std.Err, "quorate: %v (see quorate %s--help)\n", err, commandOf(err))
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
	if err := k.Run(bound...); err != nil {
		return Report(std.Err, err)
	}
	return 0
}

// commandOf gives the command that a usage error is about, with a space.
func commandOf(err error) string {
	var p *kong.ParseError
	if errors.As(err, &p) && p.Context != nil {
		name := ""
		for n := p.Context.Selected(); n != nil && n.Parent != nil; n = n.Parent { // without the aliases, which no command line has
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
func Report(w io.Writer, err error) int {
	var status ExitStatus
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
