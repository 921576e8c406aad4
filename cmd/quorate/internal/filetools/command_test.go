package filetools_test

import (
	"context"
	"log/slog"

	"github.com/quorate/quorate/cmd/quorate/internal/admin"
	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/cmd/quorate/internal/clienttools"
	"github.com/quorate/quorate/cmd/quorate/internal/filetools"
	"github.com/quorate/quorate/cmd/quorate/internal/roles"
	"github.com/quorate/quorate/internal/machine"
)

// tree is this package's commands, and those that files and containers go on to.
type tree struct {
	Container struct {
		Create filetools.ContainerCreate `cmd:""`
		Show   filetools.ContainerShow   `cmd:""`
	} `cmd:""`
	Request filetools.Request `cmd:""`
	Apply   filetools.Apply   `cmd:""`
	Receipt filetools.Receipt `cmd:""`
	Inspect filetools.Inspect `cmd:""`

	Offline admin.Offline       `cmd:""`
	Release clienttools.Release `cmd:""`
	Server  roles.Server        `cmd:""`

	cli.Common
}

// run runs a command as the process does.
func run(ctx context.Context, args []string, std cli.Streams) int {
	return runOn(ctx, machine.Traits, args, std)
}

// runOn is run on the machine that is known by these traits.
func runOn(ctx context.Context, traits func() [3]machine.Trait, args []string, std cli.Streams) int {
	return cli.Run(ctx, &tree{}, "test", args, std, func(logger *slog.Logger) []any {
		return []any{roles.Build{}, filetools.Site{Traits: traits, Logger: logger}}
	})
}
