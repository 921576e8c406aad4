package admin

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/importer"
	"github.com/quorate/quorate/internal/license"
)

// known finds what is there already.
func known(ctx context.Context, api cli.APIFlags, p importer.Plan) (*apply, error) {
	a := &apply{api: api, plan: p, customers: map[string]string{}, items: map[[2]string]itemView{}, tickets: map[string]ticketView{}, orders: map[string]bool{}, places: map[string]string{}}
	type organization struct {
		ID, Name string
		Customer bool
	}
	if err := pages(ctx, a, "organizations", "id name customer", func(o organization) {
		if o.Customer {
			a.customers[o.Name] = o.ID
		}
	}); err != nil || len(p.Items)+len(p.Orders) == 0 {
		return a, err
	}
	if err := pages(ctx, a, "items", itemFields, func(v itemView) { a.items[[2]string{v.Product.Reference, v.Name}] = v }); err != nil {
		return nil, err
	}
	placed := func(o importer.Order) bool { return o.Place != "" }
	if slices.ContainsFunc(p.Orders, placed) {
		if err := pages(ctx, a, "orders", "id", func(o struct{ ID string }) { a.orders[o.ID] = true }); err != nil {
			return nil, err
		}
	}
	if !slices.ContainsFunc(p.Orders, func(o importer.Order) bool { return !placed(o) }) {
		return a, nil
	}
	return a, pages(ctx, a, "tickets", ticketFields, func(t ticketView) { a.tickets[t.Reference] = t })
}

func customerDone(c importer.Customer) importDone { return importDone{Kind: "customer", Name: c.Name} }

func itemDone(i importer.Item) importDone {
	return importDone{Kind: "item", Name: i.Product + " " + i.Name}
}

func orderDone(o importer.Order) importDone {
	d := importDone{Kind: "ticket", Name: fmt.Sprintf("%d × %s %s, %s", o.Quantity, o.Product, o.Item, o.Customer)}
	if o.Place != "" {
		d.Kind, d.Name = "order", d.Name+", "+o.Place
	}
	return d
}

func (a *apply) hasCustomer(c importer.Customer, d *importDone) bool {
	id, ok := a.customers[c.Name]
	if ok {
		d.Done, d.ID = importThere, id
	}
	return ok
}

// hasItem says whether there is an item of the name, and in what it differs.
func (a *apply) hasItem(i importer.Item, d *importDone) bool {
	v, ok := a.items[[2]string{i.Product, i.Name}]
	if !ok {
		return false
	}
	d.Done, d.ID, d.Differences = importThere, v.ID, a.plan.Differences(v.asImported(), i)
	if len(d.Differences) > 0 {
		d.Done = importDiffers
	}
	return true
}

func (a *apply) hasTicket(o importer.Order, d *importDone) bool {
	t, ok := a.tickets[reference(o)]
	if !ok {
		return false
	}
	d.Done, d.ID = importThere, t.ID
	if t.Code != nil {
		d.Ticket = *t.Code
	}
	differs := func(field, there, file string) {
		if there != file {
			d.Done, d.Differences = importDiffers, append(d.Differences, importer.Difference{Field: field, There: there, File: file})
		}
	}
	customer, item, quantity := "none", "several", "several"
	if t.Customer != nil {
		customer = t.Customer.Name
	}
	if len(t.Lines) == 1 {
		item, quantity = t.Lines[0].Item.Name, strconv.Itoa(t.Lines[0].Quantity)
	}
	differs("customer", customer, o.Customer)
	differs("item", item, o.Item)
	differs("quantity", quantity, strconv.FormatUint(uint64(o.Quantity), 10))
	return true
}

// asImported is the item as a file would have it.
func (v itemView) asImported() importer.Item {
	i := importer.Item{Product: v.Product.Reference, Name: v.Name, Quantity: uint32(v.Quantity), TMR: v.TMR}
	for _, t := range []struct {
		from *time.Time
		into *time.Time
	}{{v.Activation, &i.Activation}, {v.Expiration, &i.Expiration}, {v.MaintenanceFrom, &i.MaintenanceFrom}, {v.MaintenanceUntil, &i.MaintenanceUntil}} {
		if t.from != nil {
			*t.into = *t.from
		}
	}
	if v.UsagePeriod != nil {
		i.UsagePeriod = int64(*v.UsagePeriod)
	}
	if v.Linger != nil {
		i.Linger = int64(*v.Linger)
	}
	if v.Units != nil {
		if n, err := strconv.ParseUint(*v.Units, 10, 64); err == nil {
			i.Units = &n
		}
	}
	if n, err := strconv.ParseUint(v.FeatureMap, 10, 32); err == nil {
		i.Features = uint32(n)
	}
	if v.MinimumVersion != nil {
		i.MinimumVersion = *v.MinimumVersion
	}
	if v.Text != nil {
		i.Text = *v.Text
	}
	return i
}

func differences(d importDone) string {
	var all []string
	for _, one := range d.Differences {
		all = append(all, one.String())
	}
	return strings.Join(all, ", ")
}

// became counts what became the same.
func became(all []importDone, what string) (n int) {
	for _, d := range all {
		if d.Done == what {
			n++
		}
	}
	return n
}

// compare says of each thing of the plan, in its order, what would become of it:
// Done is empty for what would be made, and for orders for a place, of which the
// platform alone knows whether they are there; it is importFailed for what would
// be refused, as far as that can be known before. Error: the platform can't be
// asked.
func (a *apply) compare(ctx context.Context) ([]importDone, error) {
	products := map[string]bool{}
	if len(a.plan.Items) > 0 {
		if err := pages(ctx, a, "products", "reference", func(p struct{ Reference string }) { products[p.Reference] = true }); err != nil {
			return nil, err
		}
	}
	var all []importDone
	for _, c := range a.plan.Customers {
		d := customerDone(c)
		a.hasCustomer(c, &d)
		all = append(all, d)
	}
	made := map[[2]string]bool{} // whether for TMR
	for _, i := range a.plan.Items {
		d := itemDone(i)
		switch {
		case a.hasItem(i, &d):
		case !products[i.Product]:
			d.refused(license.Errorf(license.CodeNotFound, "make it with quorate api createProduct", "there is no product %s", i.Product))
		default:
			made[[2]string{i.Product, i.Name}] = i.TMR
		}
		all = append(all, d)
	}
	for _, o := range a.plan.Orders {
		d := orderDone(o)
		if o.Place != "" || !a.hasTicket(o, &d) {
			if err := a.mayOrder(ctx, o, made); unasked(err) {
				return nil, err
			} else if err != nil {
				d.refused(err)
			}
		}
		all = append(all, d)
	}
	return all, nil
}

// mayOrder says why an order would be refused, where that can be known before;
// made are the items that the plan makes, and whether they are for TMR.
func (a *apply) mayOrder(ctx context.Context, o importer.Order, made map[[2]string]bool) error {
	k := [2]string{o.Product, o.Item}
	tmr, will := made[k]
	if !will {
		if _, err := a.itemOf(o); err != nil {
			return err
		}
		tmr = a.items[k].TMR
	}
	if o.Place == "" {
		return nil
	}
	if err := a.mayHave(ctx, o); err != nil {
		return err
	}
	if _, group := placeInput(o.Place)["tmrGroup"]; group && !tmr {
		return license.Errorf(license.CodeInvalidInput, "enable it with quorate item update --tmr, or order another", "the item %q is not enabled for TMR", o.Item)
	}
	return nil
}

func (d *importDone) refused(err error) {
	d.Done, d.Code, d.Reason = importFailed, license.CodeOf(err), err.Error()
}

// show writes the plan, compared with the platform where that can be asked.
func (f importFlags) show(ctx context.Context, std cli.Streams, p importer.Plan) error {
	var all []importDone
	a, err := known(ctx, f.APIFlags, p)
	if err == nil {
		all, err = a.compare(ctx)
	}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return err
	default:
		fmt.Fprintf(std.Err, "not compared with the platform: %v\n", err)
	}
	if f.JSON {
		those := func(failed bool) []importDone {
			return slices.DeleteFunc(slices.Concat([]importDone{}, all), func(d importDone) bool { return d.Done == "" || (d.Done == importFailed) != failed })
		}
		return cli.WriteJSON(std.Out, struct {
			importer.Plan
			Compared bool         `json:"compared"`
			There    []importDone `json:"there"`
			Failing  []importDone `json:"failing"`
		}{p, err == nil, those(false), those(true)})
	}
	tell(std.Err, p.Problems)
	return writePlan(std.Out, p, all)
}

// writePlan writes a plan; all is as compare gives it, or empty.
func writePlan(w io.Writer, p importer.Plan, all []importDone) error {
	next := 0
	state := func() string {
		if next++; len(all) == 0 {
			return ""
		}
		switch d := all[next-1]; d.Done {
		case importDiffers:
			return "there, differs: " + differences(d)
		case importFailed:
			return fmt.Sprintf("would fail: %s [%s]", d.Reason, d.Code)
		default:
			return d.Done
		}
	}
	t := cli.NewTable(w)
	for _, c := range p.Customers {
		fmt.Fprintf(t, "customer\t%s\t%s\n", c.Name, state())
	}
	for _, i := range p.Items {
		fmt.Fprintf(t, "item\t%s\t%s\t%d\t%s\n", i.Product, i.Name, i.Quantity, state())
	}
	for _, o := range p.Orders {
		kind, at := "ticket", ""
		if o.Place != "" {
			kind, at = "order", "for "+o.Place
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", kind, o.Product, o.Item, o.Quantity, o.Customer, at, state())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	there, differ := became(all, importThere), became(all, importDiffers)
	found := ""
	if len(all) > 0 {
		found = fmt.Sprintf("%d are there, %d of them differs; %d would fail; ", there+differ, differ, became(all, importFailed))
	}
	_, err := fmt.Fprintf(w, "%d customers, %d items, %d orders; %snothing was changed: --apply carries it out\n", len(p.Customers), len(p.Items), len(p.Orders), found)
	return err
}
