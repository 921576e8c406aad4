package roles

import (
	"context"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/cmd/quorate/internal/clienttools"
)

// tree is the commands of this package that tests run, and those that programs are
// run with.
type tree struct {
	Platform Platform `cmd:""`

	Run clienttools.Run `cmd:""`
	Ls  clienttools.Ls  `cmd:"" name:"ls"`
	Why clienttools.Why `cmd:""`

	cli.Common
}

// run runs a command as the process does.
func run(ctx context.Context, args []string, std cli.Streams) int {
	return cli.Run(ctx, &tree{}, "test", args, std, nil)
}
