package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/importer"
	"github.com/quorate/quorate/internal/license"
)

// What became of a thing of a plan.
const (
	importMade    = "made"
	importThere   = "there"   // it was there already
	importDiffers = "differs" // it was there already, is not as in the file, and stays
	importFailed  = "failed"
)

// importDone is one thing of a plan, carried out.
type importDone struct {
	Kind string `json:"kind"` // customer, item, order, ticket, rules
	Name string `json:"name"`
	Done string `json:"done"` // made, there, differs, failed
	ID   string `json:"id,omitempty"`
	// Ticket is the code that the customer activates it by.
	Ticket string       `json:"ticket,omitempty"`
	Code   license.Code `json:"code,omitempty"`
	Reason string       `json:"reason,omitempty"`
	// Differences are those of an item or a ticket that is there, from what is there
	// to the file.
	Differences []importer.Difference `json:"differences,omitempty"`
}

func writeDone(w io.Writer, all []importDone) error {
	t := cli.NewTable(w)
	for _, d := range all {
		tail := d.ID
		if d.Ticket != "" {
			tail = d.Ticket
		}
		if d.Reason != "" {
			tail = fmt.Sprintf("%s [%s]", d.Reason, d.Code)
		}
		if d.Done == importDiffers {
			tail += "  " + differences(d)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", d.Done, d.Kind, d.Name, tail)
	}
	return t.Flush()
}

// apply carries a plan out: what is there by its name or key stays.
type apply struct {
	api       cli.APIFlags
	customers map[string]string // ids by name
	items     map[[2]string]itemView
	plan      importer.Plan
	tickets   map[string]ticketView // by reference
	orders    map[string]bool       // by id
	places    map[string]string     // whose they are
	done      []importDone
}

type ticketView struct {
	ID, Reference string
	Code          *string
	Customer      *struct{ Name string }
	Lines         []struct {
		Quantity int
		Item     struct{ ID, Name string }
	}
}

const ticketFields = `id reference code customer { name } lines { quantity item { id name } }`

// applyPlan gives what became of each thing of the plan. Error: the platform
// can't be asked, or doesn't let the caller.
func applyPlan(ctx context.Context, api cli.APIFlags, p importer.Plan) ([]importDone, error) {
	a, err := known(ctx, api, p)
	if err != nil {
		return nil, err
	}
	for _, c := range p.Customers {
		if err := a.note(customerDone(c), func(d *importDone) error { return a.customer(ctx, c, d) }); err != nil {
			return nil, err
		}
	}
	for _, i := range p.Items {
		if err := a.note(itemDone(i), func(d *importDone) error { return a.item(ctx, i, d) }); err != nil {
			return nil, err
		}
	}
	for _, o := range p.Orders {
		d, do := orderDone(o), a.ticket
		if o.Place != "" {
			do = a.order
		}
		if err := a.note(d, func(d *importDone) error { return do(ctx, o, d) }); err != nil {
			return nil, err
		}
	}
	return a.done, nil
}

// unasked says of an error that all other calls would have it, too.
func unasked(err error) bool {
	switch license.CodeOf(err) {
	case license.CodeUnauthenticated, license.CodeForbidden, license.CodeUnavailable, license.CodeInternal:
		return true
	}
	return false
}

// note keeps what became of something. An error that all others would have too
// is given.
func (a *apply) note(d importDone, do func(*importDone) error) error {
	err := do(&d)
	switch {
	case err == nil:
	case unasked(err):
		fix := "run it again: what is there is not made twice"
		if coded := (*license.Error)(nil); errors.As(err, &coded) {
			if coded.Fix != "" {
				fix = coded.Fix + ", then " + fix
			}
			err = license.Errorf(coded.Code, fix, "the import broke off after %d of %d things: %s", len(a.done), a.plan.Things(), coded.Message)
		}
		return err
	default:
		d.refused(err)
	}
	a.done = append(a.done, d)
	return nil
}

// mostWaits bounds how often a throttled call is repeated.
const mostWaits = 6

// query asks the platform, and again where it was asked too often.
func (a *apply) query(ctx context.Context, query string, variables map[string]any, out any) error {
	wait := 500 * time.Millisecond
	for try := 0; ; try++ {
		err := a.api.Query(ctx, query, variables, out)
		if license.CodeOf(err) != license.CodeThrottled || try == mostWaits {
			return err
		}
		select {
		case <-time.After(wait):
			wait *= 2
		case <-ctx.Done():
			return err
		}
	}
}

// pages asks for one list after the other, page by page.
func pages[T any](ctx context.Context, a *apply, list, fields string, each func(T)) error {
	var after *string
	for {
		var out map[string]struct {
			Edges    []struct{ Node T }
			PageInfo struct {
				HasNextPage bool
				EndCursor   *string
			}
		}
		if err := a.query(ctx, fmt.Sprintf(`query($after: Cursor) { %s(first: 100, after: $after) { edges { node { %s } } pageInfo { hasNextPage endCursor } } }`, list, fields),
			map[string]any{"after": after}, &out); err != nil {
			return err
		}
		page := out[list]
		for _, e := range page.Edges {
			each(e.Node)
		}
		if !page.PageInfo.HasNextPage || page.PageInfo.EndCursor == nil {
			return nil
		}
		after = page.PageInfo.EndCursor
	}
}

// once is an idempotency key for something of a name.
func once(kind, name string) string {
	sum := sha256.Sum256([]byte(name))
	return "import:" + kind + ":" + hex.EncodeToString(sum[:16])
}

func (a *apply) customer(ctx context.Context, c importer.Customer, d *importDone) error {
	if a.hasCustomer(c, d) {
		return nil
	}
	var out struct {
		CreateCustomer struct{ Organization struct{ ID string } }
	}
	if err := a.query(ctx, `mutation($input: CreateCustomerInput!) { createCustomer(input: $input) { organization { id } } }`,
		map[string]any{"input": map[string]any{"name": c.Name, "idempotencyKey": once("customer", c.Name)}}, &out); err != nil {
		return err
	}
	d.Done, d.ID = importMade, out.CreateCustomer.Organization.ID
	a.customers[c.Name] = d.ID
	return nil
}

func (a *apply) item(ctx context.Context, i importer.Item, d *importDone) error {
	if a.hasItem(i, d) {
		return nil
	}
	input := map[string]any{"product": i.Product, "name": i.Name, "quantity": i.Quantity, "tmr": i.TMR}
	for name, at := range map[string]time.Time{"activation": i.Activation, "expiration": i.Expiration, "maintenanceFrom": i.MaintenanceFrom, "maintenanceUntil": i.MaintenanceUntil} {
		if !at.IsZero() {
			input[name] = at.UTC().Format(time.RFC3339)
		}
	}
	if i.UsagePeriod != 0 {
		input["usagePeriod"] = i.UsagePeriod
	}
	if i.Linger != 0 {
		input["linger"] = i.Linger
	}
	if i.Units != nil {
		input["units"] = strconv.FormatUint(*i.Units, 10)
	}
	if i.Features != 0 {
		input["featureMap"] = strconv.FormatUint(uint64(i.Features), 10)
	}
	if i.MinimumVersion != "" {
		input["minimumVersion"] = i.MinimumVersion
	}
	if i.Text != "" {
		input["text"] = i.Text
	}
	var out struct {
		CreateItem struct{ Item itemView }
	}
	if err := a.query(ctx, `mutation($input: CreateItemInput!) { createItem(input: $input) { item { `+itemFields+` } } }`, map[string]any{"input": input}, &out); err != nil {
		return err
	}
	d.Done, d.ID = importMade, out.CreateItem.Item.ID
	a.items[[2]string{i.Product, i.Name}] = out.CreateItem.Item
	return nil
}

// itemOf gives the item of an order.
func (a *apply) itemOf(o importer.Order) (string, error) {
	if v, ok := a.items[[2]string{o.Product, o.Item}]; ok {
		return v.ID, nil
	}
	return "", license.Errorf(license.CodeNotFound, "make it with quorate item create, or import the items first", "the product %s has no item %q", o.Product, o.Item)
}

// order orders for a place, which has to be the customer's.
func (a *apply) order(ctx context.Context, o importer.Order, d *importDone) error {
	item, err := a.itemOf(o)
	if err != nil {
		return err
	}
	if err := a.mayHave(ctx, o); err != nil {
		return err
	}
	input := placeInput(o.Place)
	input["item"], input["quantity"], input["idempotencyKey"] = item, o.Quantity, "import:"+o.Key
	var made struct {
		Order struct {
			Order struct{ ID string }
		}
	}
	if err := a.query(ctx, `mutation($input: OrderInput!) { order(input: $input) { order { id } } }`, map[string]any{"input": input}, &made); err != nil {
		return err
	}
	d.Done, d.ID = importMade, made.Order.Order.ID
	if a.orders[d.ID] {
		d.Done = importThere
	}
	return nil
}

// mayHave says why an order's place can't be ordered for: it isn't there, or is
// another one's.
func (a *apply) mayHave(ctx context.Context, o importer.Order) error {
	owner, known := a.places[o.Place]
	if !known {
		var at struct {
			Container *struct{ Customer *struct{ Name string } }
		}
		if err := a.query(ctx, `query($serial: String!) { container(serial: $serial) { customer { name } } }`, map[string]any{"serial": o.Place}, &at); err != nil {
			return err
		}
		if at.Container == nil {
			return license.Errorf(license.CodeNotFound, "take the serial number of a container, or of a TMR group's virtual one", "there is no container %s", o.Place)
		}
		if c := at.Container.Customer; c != nil {
			owner = c.Name
		}
		a.places[o.Place] = owner
	}
	if owner != o.Customer {
		return license.Errorf(license.CodeConflict, "take a place of this customer, or leave it out to make a ticket", "%s is not a place of %s", o.Place, o.Customer)
	}
	return nil
}

// reference is what a ticket of an order is known by.
func reference(o importer.Order) string {
	if o.Reference == "" || o.Reference == o.Key {
		return "import:" + o.Key
	}
	return license.Clip(o.Reference, 80) + " import:" + o.Key
}

func (a *apply) ticket(ctx context.Context, o importer.Order, d *importDone) error {
	if a.hasTicket(o, d) {
		return nil
	}
	item, err := a.itemOf(o)
	if err != nil {
		return err
	}
	customer, ok := a.customers[o.Customer]
	if !ok {
		return license.Errorf(license.CodeNotFound, "import the customers first", "there is no customer %q", o.Customer)
	}
	var out struct{ CreateTicket struct{ Ticket ticketView } }
	if err := a.query(ctx, `mutation($input: CreateTicketInput!) { createTicket(input: $input) { ticket { `+ticketFields+` } } }`, map[string]any{"input": map[string]any{
		"customer": customer, "lines": []any{map[string]any{"item": item, "quantity": o.Quantity}},
		"reference": reference(o), "idempotencyKey": once("ticket", o.Key),
	}}, &out); err != nil {
		return err
	}
	t := out.CreateTicket.Ticket
	a.tickets[t.Reference] = t
	d.Done, d.ID = importMade, t.ID
	if t.Code != nil {
		d.Ticket = *t.Code
	}
	return nil
}
