// Command quorate is every role of the license management platform in one
// binary: the platform, license servers, TMR servers, client and file tools.
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/quorate/quorate/cmd/quorate/internal/admin"
	"github.com/quorate/quorate/cmd/quorate/internal/apitools"
	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/cmd/quorate/internal/clienttools"
	"github.com/quorate/quorate/cmd/quorate/internal/filetools"
	"github.com/quorate/quorate/cmd/quorate/internal/fleettools"
	"github.com/quorate/quorate/cmd/quorate/internal/hooktools"
	"github.com/quorate/quorate/cmd/quorate/internal/orgtools"
	"github.com/quorate/quorate/cmd/quorate/internal/roles"
	"github.com/quorate/quorate/cmd/quorate/internal/rulestools"
	"github.com/quorate/quorate/cmd/quorate/internal/tickettools"
	"github.com/quorate/quorate/cmd/quorate/internal/vendortools"
	"github.com/quorate/quorate/internal/machine"
)

// version is set at build time by -ldflags "-X main.version=…".
var version = "dev"

// tree is every command.
type tree struct {
	Demo      roles.Demo            `cmd:"" help:"Run everything in one process with sample data: platform, two TMR servers, three backends, programs."`
	Platform  roles.Platform        `cmd:"" help:"Run the platform: GraphQL API, dashboard, workers."`
	Provision vendortools.Provision `cmd:"" help:"Register firms, products, containers and TMR groups from a file."`
	Server    roles.Server          `cmd:"" help:"Run a license server, or with --tmr a backend of a TMR group."`
	TMR       roles.TMR             `cmd:"" name:"tmr" help:"Run a TMR server in front of three backends."`
	Container containerCmd          `cmd:"" help:"Create and show containers; register, replace and judge them, and take licenses from them."`
	Key       roles.Key             `cmd:"" help:"Create a server's keys: for TLS, and for handle tokens."`
	Firm      vendortools.Firm      `cmd:"" help:"List, rotate, export and import the keys that firms sign with; change the master key."`

	Run     clienttools.Run     `cmd:"" help:"Run a program while holding a license for it."`
	Ls      clienttools.Ls      `cmd:"" name:"ls" help:"List licenses of a license server, their handles, and who waits."`
	Why     clienttools.Why     `cmd:"" help:"Tell whether a license could be used now, and why not."`
	Data    clienttools.Data    `cmd:"" help:"Write the protected data of a license."`
	Derive  clienttools.Derive  `cmd:"" help:"Derive a key from the secret data of a license."`
	Release clienttools.Release `cmd:"" help:"Remove handles from a license server."`
	Return  clienttools.Return  `cmd:"" help:"List the licenses that are borrowed here, and return them before their time."`
	Ask     clienttools.Ask     `cmd:"" help:"Ask who has a license to release it."`
	Lmstat  clienttools.Lmstat  `cmd:"" help:"Report on license servers as lmstat does, for scripts."`
	Proto   clienttools.Proto   `cmd:"" help:"Write the protocol of programs, for languages without an SDK."`

	Request filetools.Request `cmd:"" help:"Write a license request file: of one container, or of a whole TMR group."`
	Apply   filetools.Apply   `cmd:"" help:"Install an update file: on one container, or on a TMR group one backend at a time."`
	Receipt filetools.Receipt `cmd:"" help:"Write the receipt file of what is installed."`
	Inspect filetools.Inspect `cmd:"" help:"Tell what a request, update or receipt file is, for whom, and whether its signatures hold."`

	Rules   rulestools.Rules    `cmd:"" help:"Check, try out, show and save the rules of who may use which license."`
	Protect clienttools.Protect `cmd:"" help:"Protect files for a product, and open them with a license."`

	Item         admin.Item            `cmd:"" help:"Make, change and show items: the license definitions that are ordered."`
	Order        admin.Order           `cmd:"" help:"Order licenses for a TMR group or a container."`
	Ticket       tickettools.Ticket    `cmd:"" help:"Make, show, activate and revoke tickets; return and move what they brought."`
	Enroll       fleettools.Enroll     `cmd:"" help:"Make one-time codes by which servers get their link tokens."`
	Servers      fleettools.Servers    `cmd:"" help:"List the servers that link to the platform; revoke and rotate their tokens."`
	Rollout      admin.Rollout         `cmd:"" help:"Start, watch, retry or abort rollouts."`
	Customer     orgtools.Customer     `cmd:"" help:"Make, list and rename customers."`
	Organization orgtools.Organization `cmd:"" help:"Show and change your organization, make its test environment, read its audit log."`
	Member       orgtools.Member       `cmd:"" help:"List members, change their roles, remove them; groups of members."`
	Invite       orgtools.Invite       `cmd:"" help:"Invite persons to become members."`
	Token        orgtools.Token        `cmd:"" help:"Make, list and revoke API tokens."`
	Webhook      hooktools.Webhook     `cmd:"" help:"Have your systems told what happens: endpoints, their log, replays; verify messages."`

	API     apitools.API  `cmd:"" name:"api" help:"Run any query or mutation of the platform's API."`
	Usage   admin.Usage   `cmd:"" help:"Show and export usage history; export and verify the usage log."`
	Import  admin.Import  `cmd:"" help:"Take over FlexNet options files, keygen exports and tables; shows the plan first."`
	Offline admin.Offline `cmd:"" help:"Roll out by files, at the platform, where the customer has no network."`

	cli.Common
}

// containerCmd is what is done with containers: where they are, and at the
// platform.
type containerCmd struct {
	Create filetools.ContainerCreate `cmd:"" help:"Create a container for one platform and write its first fingerprint."`
	Show   filetools.ContainerShow   `cmd:"" help:"Show what a container holds."`

	Register admin.ContainerRegister `cmd:"" help:"Make a container known to the platform, by its request file."`
	Decide   admin.ContainerDecide   `cmd:"" help:"Decide about a suspected container: accept its state, or block it."`
	Return   admin.ContainerReturn   `cmd:"" help:"Give licenses of a container or a TMR group back."`
	Move     admin.ContainerMove     `cmd:"" help:"Move licenses to another container."`
	Revoke   admin.ContainerRevoke   `cmd:"" help:"Take licenses away from a container or a TMR group."`
	Rehost   admin.ContainerRehost   `cmd:"" help:"Replace a lost container: it is blocked, and its licenses are ordered for another one."`
	Replace  admin.ContainerReplace  `cmd:"" help:"Replace a lost backend of a TMR group: a new container comes into its place."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	program := run
	if clienttools.IsPlugin(os.Args[0]) {
		program = clienttools.RunPlugin
	}
	code := program(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
}

// run is main without the process: it returns the exit status.
func run(ctx context.Context, args []string, std cli.Streams) int {
	return cli.Run(ctx, &tree{}, version, args, std, func(logger *slog.Logger) []any {
		roles.LogRedis(logger)
		roles.LogTelemetry(logger)
		return []any{vendortools.Opener(roles.Open), roles.Build{Version: version}, filetools.Site{Traits: machine.Traits, Logger: logger}}
	})
}
