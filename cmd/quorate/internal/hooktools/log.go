package hooktools

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
)

type delivery struct {
	ID       string    `json:"id"`
	State    string    `json:"state"`
	Attempt  int       `json:"attempt"`
	DueAt    *string   `json:"dueAt"`
	Replay   bool      `json:"replay"`
	Created  string    `json:"createdAt"`
	Attempts []attempt `json:"attempts"`
	Event    struct {
		ID      string `json:"id"`
		Kind    string `json:"kind"`
		Payload string `json:"payload,omitempty"`
	} `json:"webhookEvent"`
}

type attempt struct {
	At       string `json:"at"`
	Status   int    `json:"status"`
	Millis   int    `json:"millis"`
	Response string `json:"response"`
	Error    string `json:"error"`
}

const deliveryFields = `id state attempt dueAt replay createdAt attempts { at status millis response error } webhookEvent { id kind }`

// last says what came of the last attempt.
func (d delivery) last() string {
	if len(d.Attempts) == 0 {
		return "-"
	}
	a := d.Attempts[len(d.Attempts)-1]
	if a.Status == 0 {
		return a.Error
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", a.Status, a.Response))
}

// Test sends an endpoint an event.
type Test struct {
	cli.APIFlags
	ID string `arg:"" name:"webhook" help:"The endpoint's id."`
}

// Help has the examples.
func (Test) Help() string {
	return `Example:
  quorate webhook test whe_0199…`
}

type delivered struct {
	Made struct {
		Delivery delivery `json:"webhookDelivery"`
	} `json:"made"`
}

// Run sends the event.
func (c *Test) Run(ctx context.Context, std cli.Streams) error {
	return do(ctx, c.APIFlags, std, `mutation($input: TestWebhookInput!) { made: testWebhook(input: $input) { webhookDelivery { `+deliveryFields+` } } }`,
		input(map[string]any{"webhookEndpoint": c.ID, "idempotencyKey": onceKey("")}), func(out delivered) error {
			_, err := fmt.Fprintf(std.Out, "Sent as %s. See what comes of it with: quorate webhook log %s\n", out.Made.Delivery.ID, c.ID)
			return err
		})
}

// Log shows deliveries.
type Log struct {
	cli.APIFlags
	ID    string `arg:"" name:"webhook" help:"The endpoint's id, or a delivery's for all of its attempts."`
	State string `enum:"PENDING,DELIVERED,FAILED," default:"" help:"Only those in a state: PENDING, DELIVERED or FAILED."`
	Most  int    `default:"50" help:"How many, 1 to 100; the newest."`
}

// Help has the examples.
func (Log) Help() string {
	return `Examples:
  quorate webhook log whe_0199… --state FAILED
  quorate webhook log whd_0199…`
}

type logged struct {
	Deliveries struct {
		Edges []struct{ Node delivery } `json:"edges"`
	} `json:"webhookDeliveries"`
}

// Run shows them.
func (c *Log) Run(ctx context.Context, std cli.Streams) error {
	if strings.HasPrefix(c.ID, "whd_") {
		return c.one(ctx, std)
	}
	if _, err := find(ctx, c.APIFlags, c.ID); err != nil {
		return err
	}
	in := map[string]any{"id": c.ID, "first": min(max(c.Most, 1), 100)}
	if c.State != "" {
		in["state"] = c.State
	}
	return do(ctx, c.APIFlags, std, `query($id: ID!, $state: DeliveryState, $first: Int!) { webhookDeliveries(webhookEndpoint: $id, state: $state, first: $first) { edges { node { `+deliveryFields+` } } } }`,
		in, func(out logged) error {
			return cli.WriteTable(std.Out, "ID EVENT AT STATE ATTEMPTS LAST", func(w io.Writer) {
				for _, e := range out.Deliveries.Edges {
					d := e.Node
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\n", d.ID, d.Event.Kind, d.Created, d.State, d.Attempt, license.Clip(cli.Printable(d.last()), 60))
				}
			})
		})
}

func (c *Log) one(ctx context.Context, std cli.Streams) error {
	var got struct{ Node json.RawMessage }
	if err := c.Query(ctx, `query($id: ID!) { node(id: $id) { ... on WebhookDelivery { `+strings.Replace(deliveryFields, "id kind", "id kind payload", 1)+` } } }`,
		map[string]any{"id": c.ID}, &got); err != nil {
		return err
	}
	var d delivery
	if err := json.Unmarshal(got.Node, &d); err != nil {
		return err
	}
	if d.ID == "" {
		return license.Errorf(license.CodeNotFound, "look it up with: quorate webhook log WEBHOOK", "there is no delivery %s", license.Clip(c.ID, 64))
	}
	if c.JSON {
		return cli.WriteJSON(std.Out, got.Node)
	}
	if _, err := fmt.Fprintf(std.Out, "Delivery: %s\nEvent:    %s %s\nState:    %s\nBody:     %s\n", d.ID, d.Event.Kind, d.Event.ID, d.State, cli.Printable(d.Event.Payload)); err != nil {
		return err
	}
	for i, a := range d.Attempts {
		if _, err := fmt.Fprintf(std.Out, "Attempt %d, %s, %d ms: %s\n", i+1, a.At, a.Millis, cli.Printable(delivery{Attempts: d.Attempts[i : i+1]}.last())); err != nil {
			return err
		}
	}
	return nil
}

// Replay sends deliveries again.
type Replay struct {
	cli.APIFlags
	ID    string `arg:"" name:"delivery-or-webhook" help:"A delivery's id, or with --since an endpoint's."`
	Since string `help:"Send all again that were made since then and failed: a time, or a duration such as 24h or 7d."`
}

// Help has the examples.
func (Replay) Help() string {
	return `Examples:
  quorate webhook replay whd_0199…
  quorate webhook replay whe_0199… --since 24h`
}

type replayed struct {
	Made struct {
		Count int  `json:"count"`
		More  bool `json:"more"`
	} `json:"made"`
}

// Run sends them.
func (c *Replay) Run(ctx context.Context, std cli.Streams) error {
	if c.Since == "" {
		return do(ctx, c.APIFlags, std, `mutation($input: ReplayWebhookDeliveryInput!) { made: replayWebhookDelivery(input: $input) { webhookDelivery { `+deliveryFields+` } } }`,
			input(map[string]any{"webhookDelivery": c.ID, "idempotencyKey": onceKey("")}), func(out delivered) error {
				_, err := fmt.Fprintf(std.Out, "Sent again as %s.\n", out.Made.Delivery.ID)
				return err
			})
	}
	since, err := cli.ParseTime(c.Since)
	if err != nil {
		long, other := cli.ParseLong(c.Since)
		if other != nil {
			return err
		}
		since = time.Now().Add(-long)
	}
	return do(ctx, c.APIFlags, std, `mutation($input: ReplayFailedWebhookDeliveriesInput!) { made: replayFailedWebhookDeliveries(input: $input) { count more } }`,
		input(map[string]any{"webhookEndpoint": c.ID, "since": since.UTC().Format(time.RFC3339), "idempotencyKey": onceKey("")}), func(out replayed) error {
			more := ""
			if out.Made.More {
				more = " There are more: run this again."
			}
			_, err := fmt.Fprintf(std.Out, "%d deliveries are sent again.%s\n", out.Made.Count, more)
			return err
		})
}
