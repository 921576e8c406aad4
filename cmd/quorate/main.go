// Command quorate is every role of the license management platform in one
// binary: the platform, license servers, TMR servers, client and file tools.
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/quorate/quorate/internal/machine"
)

// version is set at build time by -ldflags "-X main.version=…".
var version = "dev"

// tree is every command.
type tree struct {
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

	commonFlags
}

// containerCmd is what is done with containers: where they are, and at the
// platform.
type containerCmd struct {
	Create containerCreateCmd `cmd:"" help:"Create a container for one platform and write its first fingerprint."`
	Show   containerShowCmd   `cmd:"" help:"Show what a container holds."`

	Register containerRegisterCmd `cmd:"" help:"Make a container known to the platform, by its request file."`
	Decide   containerDecideCmd   `cmd:"" help:"Decide about a suspected container: accept its state, or block it."`
	Return   containerReturnCmd   `cmd:"" help:"Give licenses of a container or a TMR group back."`
	Move     containerMoveCmd     `cmd:"" help:"Move licenses to another container."`
	Revoke   containerRevokeCmd   `cmd:"" help:"Take licenses away from a container or a TMR group."`
	Rehost   containerRehostCmd   `cmd:"" help:"Replace a lost container: it is blocked, and its licenses are ordered for another one."`
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
	return runTree(ctx, &tree{}, version, args, std, func(logger *slog.Logger) []any {
		return []any{site{traits: machine.Traits, logger: logger}}
	})
}

// runOn is run on the machine that is known by these traits.
func runOn(ctx context.Context, traits func() [3]machine.Trait, args []string, std streams) int {
	return runTree(ctx, &tree{}, version, args, std, func(logger *slog.Logger) []any {
		return []any{site{traits: traits, logger: logger}}
	})
}
