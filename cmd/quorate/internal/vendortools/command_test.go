package vendortools

import (
	"context"
	"log/slog"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/cmd/quorate/internal/roles"
)

// tree is the commands of this package that tests run, and what sets up a platform.
type tree struct {
	Platform  roles.Platform `cmd:""`
	Firm      Firm           `cmd:""`
	Provision Provision      `cmd:""`

	cli.Common
}

// run runs a command as the process does.
func run(ctx context.Context, args []string, std cli.Streams) int {
	return cli.Run(ctx, &tree{}, "test", args, std, func(*slog.Logger) []any { return []any{Opener(roles.Open)} })
}
