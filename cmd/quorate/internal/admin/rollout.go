package admin

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
)

// Order orders licenses.
type Order struct {
	cli.APIFlags
	Group    string `arg:"" help:"The id or serial number of a TMR group (131-4837572) or of a container outside of groups (130-1874829)."`
	Quantity int    `arg:"" help:"How many licenses more."`
	Credit   bool   `help:"Take licenses that came back, instead of buying more."`
	Item     string `help:"The item's id or name; may be left out where the platform has one item only."`
	Key      string `help:"Idempotency key: the same key gives the same order."`
}

// Help has the examples.
func (Order) Help() string {
	return `Examples:
  quorate order 131-4837572 10
  quorate order 130-1874829 2 --credit
  quorate order 131-4837572 10 --item itm_0199… --key erp-4711 --json`
}

// Run places the order.
func (c *Order) Run(ctx context.Context, std cli.Streams) error {
	item := c.Item
	if item == "" {
		var items struct {
			Items struct {
				TotalCount int
				Edges      []struct{ Node struct{ ID string } }
			}
		}
		if err := c.Query(ctx, `{ items(first: 1) { totalCount edges { node { id } } } }`, nil, &items); err != nil {
			return err
		}
		switch n := items.Items.TotalCount; n {
		case 1:
			item = items.Items.Edges[0].Node.ID
		case 0:
			return license.Errorf(license.CodeNotFound, "define an item first", "the platform has no items")
		default:
			return license.Errorf(license.CodeInvalidInput, "name one with --item", "the platform has %d items", n)
		}
	}
	if !strings.HasPrefix(item, "itm_") {
		found, err := findItem(ctx, c.APIFlags, item)
		if err != nil {
			return err
		}
		item = found.ID
	}
	input := placeInput(c.Group)
	input["item"], input["quantity"], input["credit"] = item, c.Quantity, c.Credit
	if c.Key != "" {
		input["idempotencyKey"] = c.Key
	}
	var out struct {
		Order struct {
			Order struct {
				ID       string `json:"id"`
				Number   int    `json:"number"`
				Quantity int    `json:"quantity"`
				TmrGroup *struct {
					Name            string `json:"name"`
					OrderedQuantity int    `json:"orderedQuantity"`
				} `json:"tmrGroup"`
				Container *struct {
					Serial string `json:"serial"`
				} `json:"container,omitempty"`
			}
		}
	}
	err := c.Query(ctx, `mutation($input: OrderInput!) { order(input: $input) {
		order { id number quantity tmrGroup { name orderedQuantity } container { serial } } } }`, map[string]any{"input": input}, &out)
	if err != nil {
		return err
	}
	o := out.Order.Order
	if c.JSON {
		return cli.WriteJSON(std.Out, o)
	}
	if o.TmrGroup == nil {
		fmt.Fprintf(std.Out, "Order %d: %d more for the container %s. Roll it out with: quorate rollout start %s, or by files with: quorate offline start %s REQUEST\n",
			o.Number, o.Quantity, o.Container.Serial, c.Group, c.Group)
		return nil
	}
	fmt.Fprintf(std.Out, "Order %d: %d more for %s, %d ordered in all. Roll it out with: quorate rollout start %s\n",
		o.Number, o.Quantity, o.TmrGroup.Name, o.TmrGroup.OrderedQuantity, c.Group)
	return nil
}

const rolloutFields = `id number state tmrId quantity blocker errorCode pausedAt steps { position state note } tmrGroup { name status quantity } container { serial state }`

type rolloutView struct {
	ID        string  `json:"id"`
	Number    int     `json:"number"`
	State     string  `json:"state"`
	TMRID     int     `json:"tmrId"`
	Quantity  int     `json:"quantity"`
	Blocker   *string `json:"blocker"`
	ErrorCode *string `json:"errorCode"`
	PausedAt  *string `json:"pausedAt"`
	Steps     []struct {
		Position int    `json:"position"`
		State    string `json:"state"`
		Note     string `json:"note"`
	} `json:"steps"`
	TmrGroup *struct {
		Name     string `json:"name"`
		Status   string `json:"status"`
		Quantity int    `json:"quantity"`
	} `json:"tmrGroup"`
	Container *struct {
		Serial string `json:"serial"`
		State  string `json:"state"`
	} `json:"container,omitempty"`
}

func (r rolloutView) over() bool { return r.State == "DONE" || r.State == "ABORTED" }

func (r rolloutView) line() string {
	var steps []string
	for _, s := range r.Steps {
		steps = append(steps, fmt.Sprintf("%d %s", s.Position, strings.ToLower(s.State)))
	}
	state := strings.ToLower(r.State)
	if r.PausedAt != nil && !r.over() {
		state += ", paused"
	}
	to, status := fmt.Sprintf("to TMR-ID #%d", r.TMRID), ""
	if r.TmrGroup != nil {
		status = " " + r.TmrGroup.Status
	}
	if r.Container != nil {
		to = "to the container " + r.Container.Serial
	}
	line := fmt.Sprintf("rollout %d %s: %s [%s]%s", r.Number, to, state, strings.Join(steps, ", "), status)
	if r.Blocker != nil {
		line += ": " + *r.Blocker
	}
	return line
}

type rolloutStartCmd struct {
	cli.APIFlags
	Group string `arg:"" help:"The id or serial number of a TMR group (131-4837572) or of a container outside of groups (130-1874829)."`
	Key   string `help:"Idempotency key: the same key gives the same rollout."`
	Wait  bool   `help:"Wait until it is done; show its progress on stderr. Exit status 1 when it is held or aborted."`
}

func (rolloutStartCmd) Help() string {
	return `Examples:
  quorate rollout start 131-4837572 --wait
  quorate rollout start 131-4837572 --json`
}

func (c *rolloutStartCmd) Run(ctx context.Context, std cli.Streams) error {
	input := placeInput(c.Group)
	if c.Key != "" {
		input["idempotencyKey"] = c.Key
	}
	var out struct{ StartRollout struct{ Rollout rolloutView } }
	err := c.Query(ctx, `mutation($input: StartRolloutInput!) { startRollout(input: $input) { rollout { `+rolloutFields+` } } }`,
		map[string]any{"input": input}, &out)
	if err != nil {
		return err
	}
	r := out.StartRollout.Rollout
	if c.Wait {
		if r, err = c.wait(ctx, r, std.Err); err != nil {
			return err
		}
	}
	if err := printRollout(std.Out, r, c.JSON); err != nil {
		return err
	}
	if c.Wait && r.State != "DONE" {
		return cli.ExitStatus(cli.ExitFailure)
	}
	return nil
}

func (c *rolloutStartCmd) wait(ctx context.Context, r rolloutView, progress io.Writer) (rolloutView, error) {
	last := ""
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		if line := r.line(); line != last {
			fmt.Fprintln(progress, line)
			last = line
		}
		if r.over() || r.State == "HELD" {
			return r, nil
		}
		select {
		case <-ctx.Done():
			return r, ctx.Err()
		case <-tick.C:
		}
		var err error
		if r, err = findRollout(ctx, c.APIFlags, r.ID); err != nil {
			return r, err
		}
	}
}

func findRollout(ctx context.Context, api cli.APIFlags, id string) (rolloutView, error) {
	var out struct{ Node *rolloutView }
	err := api.Query(ctx, `query($id: ID!) { node(id: $id) { ... on Rollout { `+rolloutFields+` } } }`, map[string]any{"id": id}, &out)
	if err == nil && (out.Node == nil || out.Node.ID == "") {
		err = license.Errorf(license.CodeNotFound, "give the id that rollout start printed", "there is no rollout %q", id)
	}
	if err != nil {
		return rolloutView{}, err
	}
	return *out.Node, nil
}

func printRollout(w io.Writer, r rolloutView, asJSON bool) error {
	if asJSON {
		return cli.WriteJSON(w, r)
	}
	_, err := fmt.Fprintf(w, "%s\n%s\n", r.ID, r.line())
	return err
}

func changeRollout(ctx context.Context, api cli.APIFlags, w io.Writer, mutation, id string) error {
	var out struct{ Payload struct{ Rollout rolloutView } }
	err := api.Query(ctx, `mutation($id: ID!) { payload: `+mutation+`(input: {rollout: $id}) { rollout { `+rolloutFields+` } } }`,
		map[string]any{"id": id}, &out)
	if err != nil {
		return err
	}
	return printRollout(w, out.Payload.Rollout, api.JSON)
}
