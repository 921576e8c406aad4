package platform_test

import (
	"context"
	"slices"
	"testing"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/auditentry"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/orders"
	"github.com/quorate/quorate/internal/platform/plans"
	"github.com/quorate/quorate/internal/platform/provision"
	"github.com/quorate/quorate/internal/platform/tenants"
	"github.com/quorate/quorate/internal/platform/tickets"
)

// reseller is a sale whose buyer is a vendor, too.
type reseller struct {
	*sale
	id     string // the buyer's organization
	item   *ent.Item
	client context.Context // its customer
	held   *box            // its customer's
	ticket *ent.Ticket     // its own, of 5, nobody's yet
	code   string
}

// newReseller makes the buyer a vendor, who makes all that a vendor makes.
func newReseller(l *lab) *reseller {
	l.t.Helper()
	must := func(err error) {
		l.t.Helper()
		if err != nil {
			l.t.Fatal(err)
		}
	}
	r := &reseller{sale: newSale(l)}
	r.id = *r.made.Group.CustomerID
	_, made, err := l.MakeVendor(l.system(), r.id)
	if must(err); !made {
		l.t.Fatal("it was a vendor before")
	}
	firm, err := l.CreateFirm(r.buyer, catalog.FirmSpec{Code: 6000077, Name: "Shipping Software"})
	must(err)
	p, err := l.CreateProduct(r.buyer, firm.ID, catalog.ProductSpec{Code: 5, Name: "Cargo Planner"})
	must(err)
	r.item, err = l.CreateItem(r.buyer, p.ID, catalog.ItemSpec{Name: "Cargo Planner", Options: license.Options{Quantity: 10}})
	must(err)
	client, err := l.CreateCustomer(r.buyer, "", "Harbour")
	must(err)
	r.client = l.as(auth.Principal{Kind: auth.KindMember, ID: "mem_harbour", Organization: client.ID, Provider: r.id, Role: auth.Owner, Name: "Hanna Harbour"})
	r.held = l.fresh(951)
	out, err := l.RegisterContainer(r.buyer, provision.RegisterSpec{Request: r.held.request(), Vendor: r.id, Customer: "Harbour"})
	must(err)
	r.held.row = out.Container
	r.ticket, err = l.CreateTicket(r.buyer, tickets.TicketSpec{Lines: []tickets.LineSpec{{Item: r.item.ID, Quantity: 5}}, Terms: tickets.Terms{Partial: true}})
	must(err)
	r.code, err = l.TicketCode(r.buyer, r.ticket)
	must(err)
	return r
}

// TestBothSellsAndBuys: a customer that is a vendor, too, sells licenses of its
// own, and goes on using its vendor's.
func TestBothSellsAndBuys(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		r := newReseller(l)
		// As a vendor: orders and tickets for its customer.
		if r.held.row.VendorID != r.id {
			t.Errorf("its customer's container is of %s", r.held.row.VendorID)
		}
		if _, err := l.Order(r.buyer, orders.OrderRequest{Item: r.item.ID, Container: r.held.serial, Quantity: 3}); err != nil {
			t.Fatal(err)
		}
		sold := func(quantity int) tickets.Activation {
			return tickets.Activation{Code: r.code, Wait: true, Targets: []tickets.Target{{At: r.held.place(), Shares: []tickets.Share{{Line: r.item.ID, Quantity: quantity}}}}}
		}
		r.activate(r.client, sold(2))
		begun, err := l.StartOfflineRollout(r.client, r.held.place(), r.held.request())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.FinishOfflineRollout(r.buyer, begun.Row.ID, r.held.apply(begun.Update, 0)); err != nil || r.held.quantity() != 5 {
			t.Errorf("its customer holds %d, %v", r.held.quantity(), err)
		}
		if _, err := l.SetTransferRules(r.buyer, r.firm(r.buyer, 6000077).ID, orders.TransferRules{Days: 30}); err != nil {
			t.Error(err)
		}
		// As a customer: its provider's ticket on its own container.
		own := r.fresh(952)
		if out, err := l.RegisterContainer(r.buyer, provision.RegisterSpec{Request: own.request()}); err != nil || out.Container.VendorID != l.owner.Organization || *out.Container.CustomerID != r.id {
			t.Fatalf("without saying it is its provider's customer: %+v, %v", out.Container, err)
		} else {
			own.row = out.Container
		}
		if again, err := l.RegisterContainer(r.buyer, provision.RegisterSpec{Request: own.request(), Vendor: l.owner.Organization, Customer: "Shipping Company"}); err != nil || again.Container.ID != own.row.ID {
			t.Errorf("saying so: %+v, %v", again.Container, err)
		}
		_, code := r.sale.ticket(4)
		r.activate(r.buyer, r.part(code, own.place(), 4))
		own.roll()
		if own.quantity() != 4 {
			t.Errorf("it holds %d of its provider's", own.quantity())
		}
		// A container of its own, with its own licenses.
		office := r.fresh(953)
		if out, err := l.RegisterContainer(r.buyer, provision.RegisterSpec{Request: office.request(), Vendor: r.id}); err != nil || out.Container.VendorID != r.id || out.Container.CustomerID != nil {
			t.Fatalf("%+v, %v", out.Container, err)
		}
		// A plan is its provider's only for what is its provider's.
		plan := func(at ...core.Place) (*ent.RolloutPlan, error) {
			return l.CreatePlan(r.buyer, plans.Spec{Name: "update", Waves: [][]core.Place{at}, AtOnce: 1})
		}
		if p, err := plan(r.held.place(), office.place()); err != nil || p.VendorID != r.id || p.CustomerID != nil {
			t.Errorf("a plan for its own: %+v, %v", p, err)
		}
		if p, err := plan(own.place()); err != nil || p.VendorID != l.owner.Organization || *p.CustomerID != r.id {
			t.Errorf("a plan at its provider: %+v, %v", p, err)
		}
		_, err = plan(own.place(), office.place())
		wantCode(t, "a plan for both", err, license.CodeInvalidInput)
		if n := l.Store().Client().RolloutPlan.Query().CountX(l.vendor()); n != 1 {
			t.Errorf("its provider sees %d plans", n)
		}
		// A test environment, where it is nobody's customer.
		test, err := l.CreateTestEnvironment(r.buyer, "")
		if err != nil || !test.Vendor || test.Customer || test.ProviderID != nil {
			t.Errorf("its test environment: %+v, %v", test, err)
		}
		_, err = l.CreateTestEnvironment(r.rest, "")
		wantCode(t, "a mere customer's", err, license.CodeForbidden)
	})
}

func (r *reseller) firm(ctx context.Context, code int) *ent.Firm {
	r.t.Helper()
	for _, f := range r.Store().Client().Firm.Query().AllX(ctx) {
		if f.Code == code {
			return f
		}
	}
	r.t.Fatalf("no firm %d", code)
	return nil
}

// TestBothMixesNothing: with its provider's rows it does what a customer does, its
// provider sees nothing of its own, and its customers see nothing of its
// provider's.
func TestBothMixesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		r := newReseller(l)
		c, provider := l.Store().Client(), l.owner.Organization
		if _, err := l.Order(r.buyer, orders.OrderRequest{Item: r.item.ID, Container: r.held.serial, Quantity: 1}); err != nil {
			t.Fatal(err)
		}
		for who, ctx := range map[string]context.Context{"its provider": l.vendor(), "its provider's other customer": r.rest} {
			for what, n := range map[string]int{
				"firms": c.Firm.Query().CountX(ctx), "products": c.Product.Query().CountX(ctx), "items": c.Item.Query().CountX(ctx),
			} {
				if n != 1 {
					t.Errorf("%s sees %d %s", who, n, what)
				}
			}
			if n := c.Order.Query().CountX(ctx) + c.Ticket.Query().CountX(ctx); n != 0 {
				t.Errorf("%s sees %d orders and tickets", who, n)
			}
			_, err := l.TicketByCode(ctx, r.code)
			wantCode(t, who+" with its ticket", err, license.CodeNotFound)
			_, err = l.ActivateTicket(ctx, r.part(r.code, r.one.place(), 1))
			wantCode(t, who+" activates its ticket", err, license.CodeNotFound)
			_, err = l.Order(ctx, orders.OrderRequest{Item: r.item.ID, Container: r.one.serial, Quantity: 1})
			wantCode(t, who+" orders its item", err, license.CodeNotFound)
			_, err = l.UpdateOrganization(ctx, *r.held.row.CustomerID, 1, tenants.OrganizationChange{Name: new("X")})
			wantCode(t, who+" renames its customer", err, license.CodeNotFound)
		}
		names := []string{}
		for _, o := range c.Organization.Query().AllX(l.vendor()) {
			names = append(names, o.Name)
		}
		if slices.Contains(names, "Harbour") || !slices.Contains(names, "Shipping Company") {
			t.Errorf("its provider sees %v", names)
		}
		// Its customer and its provider.
		_, code := r.sale.ticket(4, func(spec *tickets.TicketSpec) { spec.Customer = "" })
		_, err := l.TicketByCode(r.client, code)
		wantCode(t, "its customer with its provider's ticket", err, license.CodeNotFound)
		if n := c.Firm.Query().CountX(r.client) + c.Item.Query().CountX(r.client) + c.Container.Query().CountX(r.client); n != 3 {
			t.Errorf("its customer sees %d firms, items and containers", n)
		}
		_, err = l.RegisterContainer(r.client, provision.RegisterSpec{Request: r.fresh(961).request(), Vendor: provider})
		wantCode(t, "its customer at its provider", err, license.CodeForbidden)
		// Between the two sides of its own.
		_, err = l.ActivateTicket(r.buyer, r.part(code, r.held.place(), 1))
		wantCode(t, "its provider's ticket at its customer's", err, license.CodeInvalidInput)
		_, err = l.ActivateTicket(r.buyer, tickets.Activation{Code: r.code, Wait: true, Targets: []tickets.Target{{At: r.one.place()}}})
		wantCode(t, "its own ticket at its provider's", err, license.CodeInvalidInput)
		for what, req := range map[string]orders.OrderRequest{
			"its item for its container at its provider": {Item: r.item.ID, Container: r.one.serial, Quantity: 1},
			"its provider's item for its customer":       {Item: r.made.Item.ID, Container: r.held.serial, Quantity: 1},
		} {
			if _, err = l.Order(r.buyer, req); err == nil {
				t.Errorf("%s: ordered", what)
			}
		}
		_, err = l.CreateProduct(r.buyer, r.made.Firm.ID, catalog.ProductSpec{Code: 99, Name: "X"})
		wantCode(t, "a product of its provider's firm", err, license.CodeNotFound)
		_, err = l.CreateItem(r.buyer, r.made.Product.ID, catalog.ItemSpec{Name: "X", Options: license.Options{Quantity: 1}})
		wantCode(t, "an item of its provider's product", err, license.CodeNotFound)
		_, err = l.CreateTicket(r.buyer, tickets.TicketSpec{Lines: []tickets.LineSpec{{Item: r.made.Item.ID, Quantity: 1}}})
		wantCode(t, "a ticket for its provider's item", err, license.CodeNotFound)
		_, err = l.CreateTicket(r.buyer, tickets.TicketSpec{Customer: "Ferry Company", Lines: []tickets.LineSpec{{Item: r.item.ID, Quantity: 1}}})
		wantCode(t, "a ticket for its provider's other customer", err, license.CodeNotFound)
		// What only its provider decides.
		_, err = l.Order(r.buyer, orders.OrderRequest{Item: r.made.Item.ID, Container: r.one.serial, Quantity: 1})
		wantCode(t, "licenses for itself at its provider", err, license.CodeForbidden)
		_, err = l.SetTransferRules(r.buyer, r.made.Firm.ID, orders.TransferRules{Days: 1})
		wantCode(t, "its provider's rules of moving", err, license.CodeForbidden)
		row, _ := r.sale.ticket(4)
		_, err = l.UpdateTicket(r.buyer, row.ID, row.Revision, func(terms *tickets.Terms) { terms.ReturnLimit = nil })
		wantCode(t, "its provider's ticket", err, license.CodeForbidden)
		_, err = l.DecideContainer(r.buyer, r.one.serial, property.DecideBlock, "")
		wantCode(t, "a decision at its provider", err, license.CodeForbidden)
		own := c.Organization.GetX(r.buyer, r.id)
		_, err = l.UpdateOrganization(r.buyer, r.id, own.Revision, tenants.OrganizationChange{Name: new("Ferry Company")})
		wantCode(t, "a name of its own", err, license.CodeForbidden)
		_, err = l.RegisterContainer(r.buyer, provision.RegisterSpec{Request: r.fresh(962).request(), Customer: "Harbour"})
		wantCode(t, "its customer at its provider", err, license.CodeForbidden)
		_, err = l.RegisterContainer(r.buyer, provision.RegisterSpec{Request: r.fresh(962).request(), Vendor: *r.other.row.CustomerID})
		wantCode(t, "at a stranger's", err, license.CodeForbidden)
		_, err = l.RegisterContainer(r.buyer, provision.RegisterSpec{Request: r.one.request(), Vendor: r.id})
		wantCode(t, "its provider's container as its own", err, license.CodeConflict)
		spec := l.spec()
		spec.Customer = ""
		_, err = l.Provision(r.buyer, spec)
		wantCode(t, "its provider's firm and group as its own", err, license.CodeConflict)
		_, err = l.RewrapKeys(r.buyer, mustKey(t, 9))
		wantCode(t, "the platform's keys", err, license.CodeForbidden)
		// What its users are called is its matter, and its customers' users theirs.
		if _, err := l.UpdateOrganization(r.buyer, r.id, own.Revision, tenants.OrganizationChange{UserVisibility: new(property.VisibilityTotals)}); err != nil {
			t.Error(err)
		}
		for _, e := range c.AuditEntry.Query().AllX(l.vendor()) {
			if e.Target == r.id && e.Action == "organization.vendor" || e.Actor == "MEMBER mem_customer" {
				t.Errorf("its provider's log tells %s of %s", e.Action, e.Target)
			}
		}
	})
}

// TestMakeVendor: the platform's operator says who is a vendor.
func TestMakeVendor(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		s := newSale(l)
		_, err := l.CreateFirm(s.buyer, catalog.FirmSpec{Code: 6000077, Name: "X"})
		wantCode(t, "a customer's firm", err, license.CodeForbidden)
		spec := l.spec()
		spec.Customer, spec.Firm.Code, spec.Group = "", 6000078, l.otherGroup()
		_, err = l.Provision(s.buyer, spec)
		wantCode(t, "a customer provisions", err, license.CodeForbidden)
		for who, ctx := range map[string]context.Context{"himself": s.buyer, "his vendor": l.vendor()} {
			_, _, err = l.MakeVendor(ctx, "Shipping Company")
			wantCode(t, who, err, license.CodeForbidden)
		}
		for again := range 2 {
			out, made, err := l.MakeVendor(l.system(), "Shipping Company")
			if err != nil || !out.Vendor || !out.Customer || *out.ProviderID != l.owner.Organization || made != (again == 0) || out.Revision != 2 {
				t.Errorf("%+v, %v, %v", out, made, err)
			}
		}
		entries := l.Store().Client().AuditEntry.Query().Where(auditentry.Action("organization.vendor")).AllX(l.system())
		if len(entries) != 1 || entries[0].OrganizationID != *s.made.Group.CustomerID || entries[0].Actor != l.actor() {
			t.Errorf("%v", entries)
		}
		if _, made, err := l.MakeVendor(l.system(), l.owner.Organization); err != nil || made {
			t.Errorf("a vendor: %v, %v", made, err)
		}
		if _, err := l.CreateTestEnvironment(l.vendor(), ""); err != nil {
			t.Fatal(err)
		}
		if out, _, err := l.MakeVendor(l.system(), "Nautical Charts"); err != nil || out.ID != l.owner.Organization {
			t.Errorf("by the name of its test environment, too: %v, %v", out, err)
		}
		if _, err := l.CreateCustomer(s.buyer, "", "Ferry Company"); err != nil {
			t.Fatal(err)
		}
		_, _, err = l.MakeVendor(l.system(), "Ferry Company")
		wantCode(t, "a name of two", err, license.CodeInvalidInput)
		_, _, err = l.MakeVendor(l.system(), "Nobody")
		wantCode(t, "nobody", err, license.CodeNotFound)
		_, _, err = l.MakeVendor(l.system(), "")
		wantCode(t, "nothing", err, license.CodeNotFound)
		// Setting the platform up finds the vendors that are nobody's customers.
		first, err := l.Bootstrap(t.Context(), firstSpec())
		if err != nil || first.Created || first.Organization.ID != l.owner.Organization {
			t.Errorf("%+v, %v", first, err)
		}
	})
}

// actor is how the audit log names the system of a test.
func (l *lab) actor() string { return auth.System("test").Actor() }
