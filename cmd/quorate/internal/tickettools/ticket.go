// Package tickettools has the commands on tickets: what was sold and is activated
// by its code.
package tickettools

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
)

// Ticket are the commands on tickets.
type Ticket struct {
	Create   Create   `cmd:"" help:"Make a ticket for a customer; its code is printed."`
	Show     Show     `cmd:"" help:"Show the ticket of a code: what it brings, and what became of it."`
	List     List     `cmd:"" aliases:"ls" help:"List tickets."`
	Update   Update   `cmd:"" help:"Change a ticket's terms."`
	Activate Activate `cmd:"" help:"Activate a ticket, or a part of it, on a container or a TMR group."`
	Return   Return   `cmd:"" help:"Return licenses to their ticket."`
	Move     Move     `cmd:"" help:"Move licenses of a ticket to another container."`
	Revoke   Revoke   `cmd:"" help:"Take back what of a ticket is not activated."`
}

const ticketFields = `id code hint state customer { name } reference note partial returnLimit returns expiresAt revision
	lines { id item { id name product { reference } } quantity activated left }`

type ticketView struct {
	ID       string  `json:"id"`
	Code     *string `json:"code"`
	Hint     string  `json:"hint"`
	State    string  `json:"state"`
	Customer *struct {
		Name string `json:"name"`
	} `json:"customer"`
	Reference   string     `json:"reference"`
	Note        string     `json:"note"`
	Partial     bool       `json:"partial"`
	ReturnLimit *int       `json:"returnLimit"`
	Returns     int        `json:"returns"`
	ExpiresAt   *time.Time `json:"expiresAt"`
	Revision    int        `json:"revision"`
	Lines       []struct {
		ID   string `json:"id"`
		Item struct {
			ID      string `json:"id"`
			Name    string `json:"name"`
			Product struct {
				Reference string `json:"reference"`
			} `json:"product"`
		} `json:"item"`
		Quantity  int `json:"quantity"`
		Activated int `json:"activated"`
		Left      int `json:"left"`
	} `json:"lines"`
	Activations *activationsView `json:"activations,omitempty"`
}

type activationEdge struct {
	Node activationView `json:"node"`
}

type activationsView struct {
	Edges    []activationEdge `json:"edges"`
	PageInfo *struct {
		HasNextPage bool
		EndCursor   string
	} `json:"pageInfo,omitempty"` // nil once all pages are together
}

const activationFields = `id quantity returned left offline createdAt item { name } container { serial } tmrGroup { virtualSerial }`

type activationView struct {
	ID        string    `json:"id"`
	Quantity  int       `json:"quantity"`
	Returned  int       `json:"returned"`
	Left      int       `json:"left"`
	Offline   bool      `json:"offline"`
	CreatedAt time.Time `json:"createdAt"`
	Item      struct {
		Name string `json:"name"`
	} `json:"item"`
	place
}

// place is the container or the TMR group of something.
type place struct {
	Container *struct {
		Serial string `json:"serial"`
	} `json:"container"`
	TmrGroup *struct {
		VirtualSerial string `json:"virtualSerial"`
	} `json:"tmrGroup"`
}

func (p place) serial() string {
	switch {
	case p.Container != nil:
		return p.Container.Serial
	case p.TmrGroup != nil:
		return p.TmrGroup.VirtualSerial
	}
	return "-"
}

func (t ticketView) customer() string {
	if t.Customer == nil {
		return "-"
	}
	return cli.Printable(t.Customer.Name)
}

func words(state string) string { return strings.ToLower(strings.ReplaceAll(state, "_", " ")) }

func (t ticketView) write(w io.Writer) error {
	tab := cli.NewTable(w)
	if t.Code != nil {
		fmt.Fprintf(tab, "code\t%s\n", *t.Code)
	}
	fmt.Fprintf(tab, "ticket\t%s  revision %d\nstate\t%s\ncustomer\t%s\n", t.ID, t.Revision, words(t.State), t.customer())
	if t.Reference != "" {
		fmt.Fprintf(tab, "reference\t%s\n", cli.Printable(t.Reference))
	}
	if t.Note != "" {
		fmt.Fprintf(tab, "note\t%s\n", cli.Printable(t.Note))
	}
	if t.ExpiresAt != nil {
		fmt.Fprintf(tab, "until\t%s\n", t.ExpiresAt.Format(time.RFC3339))
	}
	if !t.Partial {
		fmt.Fprintf(tab, "parts\tonly all at once\n")
	}
	if t.ReturnLimit != nil {
		fmt.Fprintf(tab, "returns\t%d of %d\n", t.Returns, *t.ReturnLimit)
	}
	for _, l := range t.Lines {
		fmt.Fprintf(tab, "item\t%s %s (%s): %d of %d left\n", l.Item.Product.Reference, cli.Printable(l.Item.Name), l.Item.ID, l.Left, l.Quantity)
	}
	if t.Activations != nil {
		for _, e := range t.Activations.Edges {
			a := e.Node
			fmt.Fprintf(tab, "activation\t%s  %d of %s at %s, %d returned\n", a.ID, a.Left, cli.Printable(a.Item.Name), a.serial(), a.Returned)
		}
	}
	return tab.Flush()
}

// parseLines reads ITEM=QUANTITY, by the names that the input has for them.
func parseLines(all []string, item string) ([]map[string]any, error) {
	var out []map[string]any
	for _, s := range all {
		id, number, ok := strings.Cut(s, "=")
		n, err := strconv.Atoi(number)
		if !ok || err != nil || id == "" {
			return nil, license.Errorf(license.CodeInvalidInput, "write it as ITEM=QUANTITY, for example itm_…=5", "%q is not an item with a quantity", s)
		}
		out = append(out, map[string]any{item: id, "quantity": n})
	}
	return out, nil
}

// Create makes a ticket.
type Create struct {
	cli.APIFlags
	Line        []string `arg:"" name:"item" help:"What it brings, each as ITEM=QUANTITY with the item's id (quorate item ls)."`
	Customer    string   `help:"The customer's id or name. Left out: the first customer that activates it."`
	Until       string   `help:"Until when it can be activated: a day, at whose beginning (UTC) it ends, or RFC 3339. Left out: for ever."`
	Whole       bool     `help:"It can't be activated in parts."`
	ReturnLimit *int     `help:"How often the customer may return licenses to it; 0: never. Left out: any number."`
	Reference   string   `help:"The order's number in your books."`
	Note        string   `help:"What the customer is to know."`
	Key         string   `help:"The same key makes one ticket, however often the command runs."`
}

// Help has the examples.
func (Create) Help() string {
	return `Examples:
  quorate ticket create itm_0193…=20 --customer "Shipping Company" --reference PO-4711
  quorate ticket create itm_0193…=5 itm_0194…=1 --until 2028-01-01 --return-limit 2`
}

// Run makes it.
func (c *Create) Run(ctx context.Context, std cli.Streams) error {
	lines, err := parseLines(c.Line, "item")
	if err != nil {
		return err
	}
	in := map[string]any{"lines": lines, "partial": !c.Whole, "reference": c.Reference, "note": c.Note}
	if c.Customer != "" {
		in["customer"] = c.Customer
	}
	if c.Key != "" {
		in["idempotencyKey"] = c.Key
	}
	if c.ReturnLimit != nil {
		in["returnLimit"] = *c.ReturnLimit
	}
	if c.Until != "" {
		at, err := cli.ParseTime(c.Until)
		if err != nil {
			return err
		}
		in["expiresAt"] = at.Format(time.RFC3339)
	}
	return change(ctx, std, c.APIFlags, "createTicket", "CreateTicketInput", in)
}

// change runs a mutation that gives a ticket, and prints that.
func change(ctx context.Context, std cli.Streams, api cli.APIFlags, mutation, input string, in map[string]any) error {
	out := map[string]struct{ Ticket ticketView }{}
	if err := api.Query(ctx, fmt.Sprintf(`mutation($input: %s!) { %s(input: $input) { ticket { %s } } }`, input, mutation, ticketFields),
		map[string]any{"input": in}, &out); err != nil {
		return err
	}
	if api.JSON {
		return cli.WriteJSON(std.Out, out[mutation].Ticket)
	}
	return out[mutation].Ticket.write(std.Out)
}

// Show shows a ticket.
type Show struct {
	cli.APIFlags
	Code string `arg:"" help:"The code, in capital or small letters, with dashes or without."`
}

// Help has the examples.
func (Show) Help() string {
	return `Example:
  quorate ticket show 7KQ4M-01AZ9-XW3HD-8PV5T-N2C6J`
}

// Run asks for it.
func (c *Show) Run(ctx context.Context, std cli.Streams) error {
	var t ticketView
	earlier := []activationEdge{}
	for vars := map[string]any{"code": c.Code}; ; {
		var out struct{ Ticket ticketView }
		if err := c.Query(ctx, `query($code: String!, $after: Cursor) { ticket(code: $code) { `+ticketFields+`
			activations(first: 100, after: $after) { edges { node { `+activationFields+` } } pageInfo { hasNextPage endCursor } } } }`, vars, &out); err != nil {
			return err
		}
		t = out.Ticket
		if t.Activations == nil {
			break
		}
		t.Activations.Edges = append(earlier, t.Activations.Edges...)
		page := t.Activations.PageInfo
		t.Activations.PageInfo = nil
		if page == nil || !page.HasNextPage {
			break
		}
		earlier, vars["after"] = t.Activations.Edges, page.EndCursor
	}
	if c.JSON {
		return cli.WriteJSON(std.Out, t)
	}
	return t.write(std.Out)
}

// List lists tickets.
type List struct {
	cli.APIFlags
	Customer  string `help:"Only those of this customer, by its id or name."`
	Reference string `help:"Only those of this reference."`
}

// Help has the examples.
func (List) Help() string {
	return `Examples:
  quorate ticket list
  quorate ticket list --reference PO-4711 --json`
}

// Run asks for all pages.
func (c *List) Run(ctx context.Context, std cli.Streams) error {
	vars := map[string]any{}
	if c.Customer != "" {
		id, err := cli.CustomerID(ctx, c.APIFlags, c.Customer)
		if err != nil {
			return err
		}
		vars["customer"] = id
	}
	if c.Reference != "" {
		vars["reference"] = c.Reference
	}
	all, err := cli.Pages[ticketView](ctx, c.APIFlags, `query($first: Int!, $after: Cursor, $customer: ID, $reference: String) {
		page: tickets(first: $first, after: $after, customer: $customer, reference: $reference) {
		edges { node { `+ticketFields+` } } pageInfo { hasNextPage endCursor } } }`, vars, 0)
	if err != nil {
		return err
	}
	if c.JSON {
		return cli.WriteJSON(std.Out, all)
	}
	tab := cli.NewTable(std.Out)
	fmt.Fprintln(tab, "TICKET\tCODE\tSTATE\tCUSTOMER\tREFERENCE\tLEFT")
	for _, t := range all {
		left, of := 0, 0
		for _, l := range t.Lines {
			left, of = left+l.Left, of+l.Quantity
		}
		fmt.Fprintf(tab, "%s\t…-%s\t%s\t%s\t%s\t%d of %d\n", t.ID, t.Hint, words(t.State), t.customer(), cmp.Or(cli.Printable(t.Reference), "-"), left, of)
	}
	return tab.Flush()
}

// Update changes a ticket's terms.
type Update struct {
	cli.APIFlags
	Ticket      string  `arg:"" help:"The ticket's id."`
	Revision    int     `required:"" help:"The revision that is changed, as quorate ticket show prints it."`
	Until       string  `help:"Until when it can be activated: a day, at whose beginning (UTC) it ends, RFC 3339, or never."`
	ReturnLimit string  `help:"How often the customer may return licenses to it; any: any number."`
	Partial     *bool   `negatable:"" help:"Whether it may be activated in parts."`
	Reference   *string `help:"The order's number in your books."`
	Note        *string `help:"What the customer is to know."`
}

// Help has the examples.
func (Update) Help() string {
	return `Examples:
  quorate ticket update tkt_0193… --revision 1 --until 2029-01-01
  quorate ticket update tkt_0193… --revision 2 --return-limit any --note "extended"`
}

// Run changes it.
func (c *Update) Run(ctx context.Context, std cli.Streams) error {
	in := map[string]any{"ticket": c.Ticket, "revision": c.Revision}
	switch c.Until {
	case "":
	case "never":
		in["expiresAt"] = nil
	default:
		at, err := cli.ParseTime(c.Until)
		if err != nil {
			return err
		}
		in["expiresAt"] = at.Format(time.RFC3339)
	}
	switch c.ReturnLimit {
	case "":
	case "any":
		in["returnLimit"] = nil
	default:
		n, err := strconv.Atoi(c.ReturnLimit)
		if err != nil {
			return license.Errorf(license.CodeInvalidInput, "give a number, or any", "%q is no limit", c.ReturnLimit)
		}
		in["returnLimit"] = n
	}
	if c.Partial != nil {
		in["partial"] = *c.Partial
	}
	if c.Reference != nil {
		in["reference"] = *c.Reference
	}
	if c.Note != nil {
		in["note"] = *c.Note
	}
	return change(ctx, std, c.APIFlags, "updateTicket", "UpdateTicketInput", in)
}

// Revoke takes back what is left.
type Revoke struct {
	cli.APIFlags
	Ticket string `arg:"" help:"The ticket's id."`
	Reason string `help:"Why."`
}

// Help has the examples.
func (Revoke) Help() string {
	return `Example:
  quorate ticket revoke tkt_0193… --reason "not paid"`
}

// Run revokes it.
func (c *Revoke) Run(ctx context.Context, std cli.Streams) error {
	return change(ctx, std, c.APIFlags, "revokeTicket", "RevokeTicketInput", map[string]any{"ticket": c.Ticket, "reason": c.Reason})
}
