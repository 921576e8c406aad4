package admin

import (
	"context"
	"fmt"
	"strings"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
)

// Rollout are the commands on rollouts.
type Rollout struct {
	Start  rolloutStartCmd  `cmd:"" help:"Roll out to a TMR group or a container what was ordered for it."`
	Status rolloutStatusCmd `cmd:"" help:"Show where a rollout stands."`
	List   rolloutListCmd   `cmd:"" name:"ls" aliases:"list" help:"List rollouts, newest first."`
	Pause  rolloutPauseCmd  `cmd:"" help:"Have a rollout begin nothing more."`
	Resume rolloutResumeCmd `cmd:"" help:"Have a paused rollout go on."`
	Retry  rolloutRetryCmd  `cmd:"" help:"Try a held rollout's failed step again."`
	Abort  rolloutAbortCmd  `cmd:"" help:"Give a rollout up before its first activation."`
}

type rolloutListCmd struct {
	cli.APIFlags
	Place string   `help:"Only those of this TMR group or container, by id or serial number."`
	State []string `help:"Only those that stand there, for example HELD." placeholder:"STATE"`
	Most  int      `help:"How many at most." default:"50"`
}

func (rolloutListCmd) Help() string {
	return `Examples:
  quorate rollout ls
  quorate rollout ls --place 131-4837572 --most 5
  quorate rollout ls --state HELD --json`
}

func (c *rolloutListCmd) Run(ctx context.Context, std cli.Streams) error {
	vars := map[string]any{}
	if c.Place != "" {
		vars = placeInput(c.Place)
	}
	if len(c.State) > 0 {
		states := []string{}
		for _, s := range c.State {
			states = append(states, strings.ToUpper(s))
		}
		vars["states"] = states
	}
	all, err := cli.Pages[rolloutView](ctx, c.APIFlags, `query($first: Int!, $after: Cursor, $states: [RolloutState!], $tmrGroup: ID, $container: ID) {
		page: rollouts(first: $first, after: $after, states: $states, tmrGroup: $tmrGroup, container: $container) {
		edges { node { `+rolloutFields+` } } pageInfo { hasNextPage endCursor } } }`, vars, max(c.Most, 1))
	if err != nil {
		return err
	}
	if c.JSON {
		return cli.WriteJSON(std.Out, all)
	}
	t := cli.NewTable(std.Out)
	for _, r := range all {
		fmt.Fprintf(t, "%s\t%s\n", r.ID, cli.Printable(r.line()))
	}
	return t.Flush()
}

type rolloutPauseCmd struct {
	cli.APIFlags
	ID string `arg:"" name:"id" help:"The rollout's id, as quorate rollout start and ls print it."`
}

func (rolloutPauseCmd) Help() string {
	return `A backend whose turn has begun is brought to its end.

Example:
  quorate rollout pause rol_0199…`
}

func (c *rolloutPauseCmd) Run(ctx context.Context, std cli.Streams) error {
	return changeRollout(ctx, c.APIFlags, std.Out, "pauseRollout", c.ID)
}

type rolloutResumeCmd struct {
	cli.APIFlags
	ID string `arg:"" name:"id" help:"The rollout's id, as quorate rollout start and ls print it."`
}

func (rolloutResumeCmd) Help() string {
	return `Example:
  quorate rollout resume rol_0199…`
}

func (c *rolloutResumeCmd) Run(ctx context.Context, std cli.Streams) error {
	return changeRollout(ctx, c.APIFlags, std.Out, "resumeRollout", c.ID)
}

type rolloutStatusCmd struct {
	cli.APIFlags
	ID string `arg:"" name:"id" help:"The rollout's id, as quorate rollout start and ls print it."`
}

func (rolloutStatusCmd) Help() string {
	return `Example:
  quorate rollout status rol_0199…`
}

func (c *rolloutStatusCmd) Run(ctx context.Context, std cli.Streams) error {
	r, err := findRollout(ctx, c.APIFlags, c.ID)
	if err != nil {
		return err
	}
	return printRollout(std.Out, r, c.JSON)
}

type rolloutRetryCmd struct {
	cli.APIFlags
	ID string `arg:"" name:"id" help:"The rollout's id, as quorate rollout start and ls print it."`
}

func (rolloutRetryCmd) Help() string {
	return `Repair first what quorate rollout status names.

Example:
  quorate rollout retry rol_0199…`
}

func (c *rolloutRetryCmd) Run(ctx context.Context, std cli.Streams) error {
	return changeRollout(ctx, c.APIFlags, std.Out, "retryRollout", c.ID)
}

type rolloutAbortCmd struct {
	cli.APIFlags
	ID string `arg:"" name:"id" help:"The rollout's id, as quorate rollout start and ls print it."`
}

func (rolloutAbortCmd) Help() string {
	return `Its TMR-ID is not used again; what was ordered stays ordered.

Example:
  quorate rollout abort rol_0199…`
}

func (c *rolloutAbortCmd) Run(ctx context.Context, std cli.Streams) error {
	return changeRollout(ctx, c.APIFlags, std.Out, "abortRollout", c.ID)
}
