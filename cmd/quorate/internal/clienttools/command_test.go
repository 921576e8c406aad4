package clienttools

import (
	"context"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
)

// tree is this package's commands.
type tree struct {
	Run     Run     `cmd:""`
	Ls      Ls      `cmd:"" name:"ls"`
	Why     Why     `cmd:""`
	Data    Data    `cmd:""`
	Derive  Derive  `cmd:""`
	Release Release `cmd:""`
	Return  Return  `cmd:""`
	Ask     Ask     `cmd:""`
	Lmstat  Lmstat  `cmd:""`
	Proto   Proto   `cmd:""`
	Protect Protect `cmd:""`

	cli.Common
}

// run runs a command as the process does.
func run(ctx context.Context, args []string, std cli.Streams) int {
	return cli.Run(ctx, &tree{}, "test", args, std, nil)
}
