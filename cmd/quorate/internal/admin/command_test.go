package admin

import (
	"context"
	"log/slog"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/cmd/quorate/internal/filetools"
	"github.com/quorate/quorate/internal/machine"
)

// tree is this package's commands, and those that write what they send.
type tree struct {
	Item      Item    `cmd:""`
	Order     Order   `cmd:""`
	Rollout   Rollout `cmd:""`
	Offline   Offline `cmd:""`
	Import    Import  `cmd:""`
	Container struct {
		Create   filetools.ContainerCreate `cmd:""`
		Register ContainerRegister         `cmd:""`
		Decide   ContainerDecide           `cmd:""`
		Return   ContainerReturn           `cmd:""`
		Move     ContainerMove             `cmd:""`
		Revoke   ContainerRevoke           `cmd:""`
		Rehost   ContainerRehost           `cmd:""`
		Replace  ContainerReplace          `cmd:""`
	} `cmd:""`
	Request filetools.Request `cmd:""`
	Apply   filetools.Apply   `cmd:""`

	cli.Common
}

// run runs a command as the process does.
func run(ctx context.Context, args []string, std cli.Streams) int {
	return cli.Run(ctx, &tree{}, "test", args, std, func(logger *slog.Logger) []any {
		return []any{filetools.Site{Traits: machine.Traits, Logger: logger}}
	})
}
