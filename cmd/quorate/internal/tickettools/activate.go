package tickettools

import (
	"context"
	"fmt"
	"strings"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/cmd/quorate/internal/filetools"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/license"
)

// Activate activates a ticket at one place.
type Activate struct {
	cli.APIFlags
	Code      string   `arg:"" help:"The ticket's code."`
	Place     string   `arg:"" help:"The id or serial number of a container outside of groups (130-1874829) or of a TMR group (131-4837572)."`
	Line      []string `arg:"" optional:"" name:"item" help:"How much, each as ITEM=QUANTITY. Left out: all that is left."`
	NoRollout bool     `help:"Have somebody else start the rollout (quorate rollout start)."`
	Request   string   `help:"By files: the request file that quorate request wrote there."`
	Output    string   `help:"With --request: where to write the update file, or - for standard output." short:"o" default:"-"`
	Key       string   `help:"The same key activates once, however often the command runs."`
}

// Help has the examples.
func (Activate) Help() string {
	return `Examples:
  quorate ticket activate 7KQ4M-01AZ9-XW3HD-8PV5T-N2C6J 130-1874829
  quorate ticket activate 7KQ4M-01AZ9-XW3HD-8PV5T-N2C6J 131-4837572 itm_0193…=20 --key order-17
  quorate ticket activate 7KQ4M-01AZ9-XW3HD-8PV5T-N2C6J 130-1874829 --request one.lreq -o one.lupd`
}

// Run activates it.
func (c *Activate) Run(ctx context.Context, std cli.Streams) error {
	place := cli.PlaceInput(c.Place)
	lines, err := parseLines(c.Line, "line")
	if err != nil {
		return err
	}
	if lines != nil {
		place["lines"] = lines
	}
	in := map[string]any{"code": c.Code, "places": []any{place}, "rollout": !c.NoRollout}
	if c.Key != "" {
		in["idempotencyKey"] = c.Key
	}
	if c.Request != "" {
		if err := filetools.Writable(c.Output, armor.Update); err != nil {
			return err
		}
		f, err := filetools.ReadArmored(std.In, c.Request)
		if err != nil {
			return err
		}
		if f.Kind != armor.Request {
			return license.Errorf(license.CodeInvalidInput, "give a request file", "%s is a %s file, not a request", c.Request, f.Kind)
		}
		request, err := armor.Encode(f)
		if err != nil {
			return err
		}
		in["request"] = string(request)
	}
	var out struct {
		ActivateTicket struct {
			Ticket      ticketView       `json:"ticket"`
			Activations []activationView `json:"activations"`
			Rollouts    []struct {
				ID    string `json:"id"`
				State string `json:"state"`
			} `json:"rollouts"`
			Update  *string `json:"update"`
			Problem *struct {
				Code    license.Code `json:"code"`
				Message string       `json:"message"`
				Fix     string       `json:"fix"`
			} `json:"problem"`
		}
	}
	if err := c.Query(ctx, `mutation($input: ActivateTicketInput!) { activateTicket(input: $input) { ticket { `+ticketFields+` } activations { `+activationFields+` }
		rollouts { id state } update problem { code message fix } } }`, map[string]any{"input": in}, &out); err != nil {
		return err
	}
	made := out.ActivateTicket
	if made.Update != nil {
		if err := filetools.WriteText(std.Out, c.Output, armor.Update, []byte(*made.Update)); err != nil {
			return err
		}
	}
	say := std.Out
	if made.Update != nil && c.Output == "-" { // the update is there
		say = std.Err
	}
	if c.JSON {
		if err := cli.WriteJSON(say, made); err != nil {
			return err
		}
	} else {
		for _, a := range made.Activations {
			fmt.Fprintf(say, "%s  %d of %s at %s\n", a.ID, a.Quantity, cli.Printable(a.Item.Name), a.serial())
		}
		for _, r := range made.Rollouts {
			fmt.Fprintf(say, "rollout %s: %s\n", r.ID, words(r.State))
		}
	}
	if p := made.Problem; p != nil {
		return license.Errorf(p.Code, p.Fix, "the licenses are activated, and the rollout by files is not begun: %s", p.Message)
	}
	return nil
}

const transferFields = `id kind state quantity product { reference } tmrGroup { virtualSerial } container { serial } toContainer { serial }`

type transferView struct {
	ID       string `json:"id"`
	Kind     string `json:"kind"`
	State    string `json:"state"`
	Quantity int    `json:"quantity"`
	Product  struct {
		Reference string `json:"reference"`
	} `json:"product"`
	place
	ToContainer *struct {
		Serial string `json:"serial"`
	} `json:"toContainer"`
}

// leaving are the flags of what leaves a place.
type leaving struct {
	cli.APIFlags
	Activation string `arg:"" help:"The activation's id, as quorate ticket show prints it."`
	Quantity   int    `arg:"" help:"How many licenses."`
	Reason     string `help:"Why."`
	Key        string `help:"The same key does it once, however often the command runs."`
}

func (c leaving) run(ctx context.Context, std cli.Streams, mutation, input string, more map[string]any) error {
	in := map[string]any{"activation": c.Activation, "quantity": c.Quantity, "reason": c.Reason}
	if c.Key != "" {
		in["idempotencyKey"] = c.Key
	}
	for k, v := range more {
		in[k] = v
	}
	out := map[string]struct{ Transfer transferView }{}
	if err := c.Query(ctx, fmt.Sprintf(`mutation($input: %s!) { %s(input: $input) { transfer { %s } } }`, input, mutation, transferFields),
		map[string]any{"input": in}, &out); err != nil {
		return err
	}
	t := out[mutation].Transfer
	if c.JSON {
		return cli.WriteJSON(std.Out, t)
	}
	to := ""
	if t.ToContainer != nil {
		to = " to " + t.ToContainer.Serial
	}
	from := t.serial()
	_, err := fmt.Fprintf(std.Out, "%s\n%s %d licenses of %s%s: %s. The next rollout takes them: quorate rollout start %s, or quorate offline start %s REQUEST\n",
		t.ID, strings.ToLower(t.Kind), t.Quantity, t.Product.Reference, to, words(t.State), from, from)
	return err
}

// Return returns licenses to their ticket.
type Return struct{ leaving }

// Help has the examples.
func (Return) Help() string {
	return `They can be activated again when the container has confirmed that they are gone.

Example:
  quorate ticket return tac_0193… 2 --reason "too many" --key back-17`
}

// Run asks for it.
func (c *Return) Run(ctx context.Context, std cli.Streams) error {
	return c.run(ctx, std, "returnTicketActivation", "ReturnTicketActivationInput", nil)
}

// Move moves licenses of a ticket.
type Move struct {
	leaving
	To string `required:"" help:"The id or serial number of the container that they go to."`
}

// Help has the examples.
func (Move) Help() string {
	return `They are another activation of the ticket there.

Example:
  quorate ticket move tac_0193… 2 --to 130-27845973`
}

// Run asks for it.
func (c *Move) Run(ctx context.Context, std cli.Streams) error {
	return c.run(ctx, std, "moveTicketActivation", "MoveTicketActivationInput", map[string]any{"to": c.To})
}
