// Package hooktools has the commands on webhooks: endpoints at the platform,
// their log, and messages as receivers get them.
package hooktools

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"os"
	"strings"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/webhook"
)

// Webhook is the tree of commands on webhooks.
type Webhook struct {
	Create Create `cmd:"" help:"Make an endpoint that is told what happens; its secret is shown once."`
	List   List   `cmd:"" aliases:"ls" help:"List the endpoints, or with --kinds what they can be told."`
	Show   Show   `cmd:"" help:"Show an endpoint."`
	Update Update `cmd:"" help:"Change, enable or disable an endpoint."`
	Rotate Rotate `cmd:"" help:"Give an endpoint a new secret, shown once; the one before signs, too, for 24 hours."`
	Test   Test   `cmd:"" help:"Send an endpoint an event, to try it out."`
	Log    Log    `cmd:"" help:"Show what was sent to an endpoint, and what came of it."`
	Replay Replay `cmd:"" help:"Send a delivery again, or all of an endpoint that were made since a time and failed."`
	Delete Delete `cmd:"" help:"Remove an endpoint with its log."`
	Verify Verify `cmd:"" help:"Tell whether a message that was received is genuine. Asks nobody."`
}

type endpoint struct {
	ID             string   `json:"id"`
	URL            string   `json:"url"`
	Description    string   `json:"description"`
	Events         []string `json:"events"`
	Enabled        bool     `json:"enabled"`
	DisabledReason string   `json:"disabledReason"`
	FailingSince   *string  `json:"failingSince"`
	PreviousUntil  *string  `json:"previousUntil"`
	Revision       int      `json:"revision"`
	CreatedAt      string   `json:"createdAt"`
}

const endpointFields = `id url description events enabled disabledReason failingSince previousUntil revision createdAt`

func (e endpoint) state() string {
	switch {
	case !e.Enabled:
		return "disabled: " + e.DisabledReason
	case e.FailingSince != nil:
		return "failing since " + *e.FailingSince
	}
	return "enabled"
}

type changed struct {
	Made struct {
		Endpoint endpoint `json:"webhookEndpoint"`
		Secret   *string  `json:"secret,omitempty"`
	} `json:"made"`
}

func (c changed) tell(std cli.Streams) error {
	e := c.Made.Endpoint
	if _, err := fmt.Fprintf(std.Out, "Webhook:  %s\nURL:      %s\nEvents:   %s\nState:    %s\nRevision: %d\n", e.ID, cli.Printable(e.URL), strings.Join(e.Events, ", "), cli.Printable(e.state()), e.Revision); err != nil {
		return err
	}
	if c.Made.Secret != nil {
		_, err := fmt.Fprintf(std.Out, "Secret:   %s   (shown this once)\n", *c.Made.Secret)
		return err
	}
	return nil
}

// do runs an operation and writes its data: as JSON, or by show.
func do[T any](ctx context.Context, f cli.APIFlags, std cli.Streams, query string, variables map[string]any, show func(T) error) error {
	if f.JSON {
		var data map[string]json.RawMessage
		if err := f.Query(ctx, query, variables, &data); err != nil {
			return err
		}
		return cli.WriteAnswer(std.Out, data)
	}
	var out T
	if err := f.Query(ctx, query, variables, &out); err != nil {
		return err
	}
	return show(out)
}

// onceKey makes a command that is repeated by hand make something anew, and one
// that a network repeats not.
func onceKey(given string) string {
	if given != "" {
		return given
	}
	return rand.Text()
}

func input(in map[string]any) map[string]any { return map[string]any{"input": in} }

// Create makes an endpoint.
type Create struct {
	cli.APIFlags
	To          string   `arg:"" name:"url" help:"Where messages go to."`
	Event       []string `help:"A kind of event that it wants; may be repeated. Left out: every kind."`
	Description string   `help:"What it is for."`
	Key         string   `help:"An idempotency key: repeated with it, the command makes nothing anew."`
}

// Help has the examples.
func (Create) Help() string {
	return `Examples:
  quorate webhook create https://books.example.com/quorate --event order.created --event rollout.done
  quorate webhook create https://siem.example.com/in --description "everything"`
}

// Run makes the endpoint.
func (c *Create) Run(ctx context.Context, std cli.Streams) error {
	if len(c.Event) == 0 {
		c.Event = []string{"*"}
	}
	return do(ctx, c.APIFlags, std, `mutation($input: CreateWebhookInput!) { made: createWebhook(input: $input) { webhookEndpoint { `+endpointFields+` } secret } }`,
		input(map[string]any{"url": c.To, "events": c.Event, "description": c.Description, "idempotencyKey": onceKey(c.Key)}),
		func(out changed) error { return out.tell(std) })
}

// List lists endpoints, or kinds of events.
type List struct {
	cli.APIFlags
	Kinds bool `help:"List the kinds of events instead."`
}

// Help has the examples.
func (List) Help() string {
	return `Examples:
  quorate webhook list
  quorate webhook list --kinds`
}

type listed struct {
	Webhooks struct {
		Edges []struct{ Node endpoint } `json:"edges"`
	} `json:"webhooks"`
}

type kinds struct {
	Kinds []struct {
		Kind string   `json:"kind"`
		When string   `json:"when"`
		Data []string `json:"data"`
	} `json:"webhookEventKinds"`
}

// Run lists them.
func (c *List) Run(ctx context.Context, std cli.Streams) error {
	if c.Kinds {
		return do(ctx, c.APIFlags, std, `{ webhookEventKinds { kind when data } }`, nil, func(out kinds) error {
			return cli.WriteTable(std.Out, "KIND WHEN", func(w io.Writer) {
				for _, k := range out.Kinds {
					fmt.Fprintf(w, "%s\t%s\n", k.Kind, k.When)
				}
			})
		})
	}
	return do(ctx, c.APIFlags, std, `{ webhooks(first: 100) { edges { node { `+endpointFields+` } } } }`, nil, func(out listed) error {
		return cli.WriteTable(std.Out, "ID URL EVENTS STATE", func(w io.Writer) {
			for _, e := range out.Webhooks.Edges {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", e.Node.ID, cli.Printable(e.Node.URL), strings.Join(e.Node.Events, ","), cli.Printable(e.Node.state()))
			}
		})
	})
}

// Show shows an endpoint.
type Show struct {
	cli.APIFlags
	ID string `arg:"" name:"webhook" help:"The endpoint's id."`
}

// Help has the examples.
func (Show) Help() string {
	return `Example:
  quorate webhook show whe_0199…`
}

// find reads an endpoint.
func find(ctx context.Context, f cli.APIFlags, id string) (out changed, err error) {
	var got struct{ Node *endpoint }
	if err := f.Query(ctx, `query($id: ID!) { node(id: $id) { ... on WebhookEndpoint { `+endpointFields+` } } }`, map[string]any{"id": id}, &got); err != nil {
		return out, err
	}
	if got.Node == nil || got.Node.ID == "" {
		return out, license.Errorf(license.CodeNotFound, "look it up with: quorate webhook list", "there is no webhook %s", license.Clip(id, 64))
	}
	out.Made.Endpoint = *got.Node
	return out, nil
}

// Run shows the endpoint.
func (c *Show) Run(ctx context.Context, std cli.Streams) error {
	out, err := find(ctx, c.APIFlags, c.ID)
	if err != nil {
		return err
	}
	if c.JSON {
		return cli.WriteJSON(std.Out, out.Made.Endpoint)
	}
	return out.tell(std)
}

// Update changes an endpoint.
type Update struct {
	cli.APIFlags
	ID          string   `arg:"" name:"webhook" help:"The endpoint's id."`
	To          *string  `name:"to" help:"Where messages go to."`
	Event       []string `help:"A kind of event that it wants; may be repeated. They replace those before."`
	Description *string  `help:"What it is for."`
	Enable      bool     `xor:"enabled" help:"Send messages again; what waits is sent."`
	Disable     bool     `xor:"enabled" help:"Send none; what is due waits."`
	Revision    int      `help:"Change it only if it has this revision; left out: the present one."`
}

// Help has the examples.
func (Update) Help() string {
	return `Examples:
  quorate webhook update whe_0199… --event order.created
  quorate webhook update whe_0199… --enable`
}

// Run changes the endpoint.
func (c *Update) Run(ctx context.Context, std cli.Streams) error {
	revision, err := seen(ctx, c.APIFlags, c.ID, c.Revision)
	if err != nil {
		return err
	}
	in := map[string]any{"webhookEndpoint": c.ID, "revision": revision}
	if c.To != nil {
		in["url"] = *c.To
	}
	if c.Description != nil {
		in["description"] = *c.Description
	}
	if len(c.Event) > 0 {
		in["events"] = c.Event
	}
	if c.Enable || c.Disable {
		in["enabled"] = c.Enable
	}
	return do(ctx, c.APIFlags, std, `mutation($input: UpdateWebhookInput!) { made: updateWebhook(input: $input) { webhookEndpoint { `+endpointFields+` } } }`,
		input(in), func(out changed) error { return out.tell(std) })
}

// seen is the revision that is given, or the present one.
func seen(ctx context.Context, f cli.APIFlags, id string, given int) (int, error) {
	if given != 0 {
		return given, nil
	}
	out, err := find(ctx, f, id)
	return out.Made.Endpoint.Revision, err
}

// Rotate gives an endpoint a new secret.
type Rotate struct {
	cli.APIFlags
	ID       string `arg:"" name:"webhook" help:"The endpoint's id."`
	Revision int    `help:"Only if it has this revision; left out: the present one."`
}

// Help has the examples.
func (Rotate) Help() string {
	return `Example:
  quorate webhook rotate whe_0199…`
}

// Run rotates the secret.
func (c *Rotate) Run(ctx context.Context, std cli.Streams) error {
	revision, err := seen(ctx, c.APIFlags, c.ID, c.Revision)
	if err != nil {
		return err
	}
	return do(ctx, c.APIFlags, std, `mutation($input: RotateWebhookSecretInput!) { made: rotateWebhookSecret(input: $input) { webhookEndpoint { `+endpointFields+` } secret } }`,
		input(map[string]any{"webhookEndpoint": c.ID, "revision": revision}), func(out changed) error { return out.tell(std) })
}

// Delete removes an endpoint.
type Delete struct {
	cli.APIFlags
	ID string `arg:"" name:"webhook" help:"The endpoint's id."`
}

// Help has the examples.
func (Delete) Help() string {
	return `Example:
  quorate webhook delete whe_0199…`
}

type deleted struct {
	Made struct {
		ID string `json:"deletedId"`
	} `json:"made"`
}

// Run removes the endpoint.
func (c *Delete) Run(ctx context.Context, std cli.Streams) error {
	return do(ctx, c.APIFlags, std, `mutation($input: DeleteWebhookInput!) { made: deleteWebhook(input: $input) { deletedId } }`,
		input(map[string]any{"webhookEndpoint": c.ID}), func(out deleted) error {
			_, err := fmt.Fprintf(std.Out, "The webhook %s is removed.\n", out.Made.ID)
			return err
		})
}

// Verify checks a message as a receiver does.
type Verify struct {
	Secret  string    `required:"" env:"QUORATE_WEBHOOK_SECRET" help:"The endpoint's secret, beginning with whsec_."`
	Body    string    `arg:"" help:"File with the body, byte for byte as it came; - is the standard input."`
	Headers []string  `name:"header" short:"H" sep:"none" required:"" help:"The three headers webhook-id, webhook-timestamp and webhook-signature, as in 'webhook-id: evt_…'."`
	At      time.Time `format:"2006-01-02T15:04:05Z07:00" help:"When it came, for one of some time ago; left out: now."`
	JSON    bool      `help:"Write JSON." name:"json"`
}

// Help has the examples.
func (Verify) Help() string {
	return `Example:
  quorate webhook verify body.json -H 'webhook-id: evt_0199…' -H 'webhook-timestamp: 1795342500' -H 'webhook-signature: v1,…'`
}

// Run checks the message.
func (c *Verify) Run(std cli.Streams) error {
	secret, err := webhook.ParseSecret(c.Secret)
	if err != nil {
		return err
	}
	h := http.Header{}
	for _, line := range c.Headers {
		name, v, ok := strings.Cut(line, ":")
		if !ok {
			return license.Errorf(license.CodeInvalidInput, "write it as 'webhook-id: evt_…'", "a header has no colon")
		}
		h.Set(textproto.TrimString(name), textproto.TrimString(v))
	}
	in := std.In
	if c.Body != "-" {
		f, err := os.Open(c.Body)
		if err != nil {
			return cli.Cause(err)
		}
		defer f.Close()
		in = f
	}
	body, err := io.ReadAll(io.LimitReader(in, webhook.MostBody+1))
	if err != nil {
		return err
	}
	at := c.At
	if at.IsZero() {
		at = time.Now()
	}
	if err := webhook.Verify(h, body, at, secret); err != nil {
		return err
	}
	if c.JSON {
		return cli.WriteJSON(std.Out, map[string]any{"genuine": true, "id": h.Get("webhook-id")})
	}
	_, err = fmt.Fprintln(std.Out, "The message is genuine.")
	return err
}
