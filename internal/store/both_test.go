package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/license"
)

// TestBothStaysApart: of an organization that is a vendor and another vendor's
// customer, that one and his other customers see no row of its own; its own
// customers see none of its provider's; and it itself sees what each of the two
// sides shows.
func TestBothStaysApart(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		a := build(t, s, 0)
		b := buildUnder(t, s, 1, a.vendor)
		for _, e := range entities(s.Client()) {
			if owners[e.name].global {
				continue
			}
			t.Run(e.name, func(t *testing.T) {
				theirs, own := a.ids[e.name], b.ids[e.name]
				if e.name != ent.TypeOrganization { // a vendor sees its customers, whatever else they are
					invisible(t, e, member(t, a.vendor), own)
					unchangeable(t, e, member(t, a.vendor), own)
				}
				invisible(t, e, member(t, a.customer), own)
				unchangeable(t, e, member(t, a.customer), own)
				invisible(t, e, member(t, b.customer), theirs)
				unchangeable(t, e, member(t, b.customer), theirs)
				if owners[e.name].customer == reads { // what its provider sells
					if err := e.get(member(t, b.vendor), theirs); err != nil {
						t.Errorf("its provider's: %v", err)
					}
				} else {
					invisible(t, e, member(t, b.vendor), theirs)
				}
				unchangeable(t, e, member(t, b.vendor), theirs)
				if err := e.get(member(t, b.vendor), own); err != nil {
					t.Errorf("its own: %v", err)
				}
				if _, _, changing := e.column(); changing {
					if err := e.update(member(t, b.vendor), own); err != nil {
						t.Errorf("its own: %v", err)
					}
				}
			})
		}
	})
}

// TestNothingIsOfTwoVendors: who is on both sides ties no row of the one to a row
// of the other, though he sees them both.
func TestNothingIsOfTwoVendors(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		a := build(t, s, 0)
		b := buildUnder(t, s, 1, a.vendor)
		c, sys := s.Client(), system(t)
		// What it has at its provider.
		bought := c.Container.Create().SetVendorID(a.vendor.ID).SetCustomerID(b.vendor.ID).SetSerial("130-71").
			SetKind(property.ContainerUniversal).SaveX(sys)
		coming := c.Rollout.Create().SetVendorID(a.vendor.ID).SetCustomerID(b.vendor.ID).SetContainerID(bought.ID).SetNumber(1).
			SetState(property.RolloutCollecting).SetStartedBy("me").SaveX(sys)
		ctx := member(t, b.vendor)
		if n, err := c.Container.Query().Count(ctx); err != nil || n != 2 {
			t.Errorf("it sees %d containers, %v", n, err)
		}
		if n, err := c.Container.Query().Count(member(t, b.customer)); err != nil || n != 1 {
			t.Errorf("its customer sees %d containers, %v", n, err)
		}
		if _, err := c.Container.Get(member(t, a.vendor), bought.ID); err != nil {
			t.Errorf("its provider: %v", err)
		}
		number := 100
		order := func(vendor string, customer *string, item, container string) func(context.Context) error {
			return func(ctx context.Context) error {
				number++
				return c.Order.Create().SetVendorID(vendor).SetNillableCustomerID(customer).SetItemID(item).SetContainerID(container).
					SetNumber(number).SetQuantity(1).Exec(ctx)
			}
		}
		for what, make := range map[string]func(context.Context) error{
			"its item for a container at its provider":         order(b.vendor.ID, nil, b.item.ID, bought.ID),
			"its provider's item for a container of its own":   order(b.vendor.ID, nil, a.item.ID, b.container.ID),
			"its item, ordered at its provider":                order(a.vendor.ID, &b.vendor.ID, b.item.ID, bought.ID),
			"its provider's item for its customer":             order(a.vendor.ID, &b.customer.ID, a.item.ID, bought.ID),
			"its customer's container for its provider's item": order(a.vendor.ID, &b.vendor.ID, a.item.ID, b.container.ID),
			"an item of its provider's product": func(ctx context.Context) error {
				return c.Item.Create().SetVendorID(b.vendor.ID).SetProductID(a.product.ID).SetName("x").SetQuantity(1).Exec(ctx)
			},
			"a product of its provider's firm": func(ctx context.Context) error {
				return c.Product.Create().SetVendorID(b.vendor.ID).SetFirmID(a.firm.ID).SetCode(99).SetName("x").SetSealedKey([]byte{1}).SetPublicKey([]byte{1}).Exec(ctx)
			},
			"a firm for its provider": func(ctx context.Context) error {
				return c.Firm.Create().SetVendorID(a.vendor.ID).SetCode(6_000_099).SetName("x").SetSealedKey([]byte{1}).SetPublicKey([]byte{1}).SetCert([]byte{1}).Exec(ctx)
			},
			"a group for its provider's other customer": func(ctx context.Context) error {
				return c.TmrGroup.Create().SetVendorID(b.vendor.ID).SetCustomerID(a.customer.ID).SetName("x").SetVirtualSerial("131-9").
					SetActivationID(make([]byte, 16)).SetTokenKey(make([]byte, 32)).SetNextTmrID(1).Exec(ctx)
			},
			"a ticket in its provider's name": func(ctx context.Context) error {
				return c.Ticket.Create().SetVendorID(a.vendor.ID).SetCodeDigest([]byte("x")).SetSealedCode([]byte{1}).SetHint("ABCDE").SetCreatedBy("me").Exec(ctx)
			},
			"a customer of its provider's": func(ctx context.Context) error {
				return c.Organization.Create().SetName("x").SetCustomer(true).SetProviderID(a.vendor.ID).Exec(ctx)
			},
		} {
			if err := make(ctx); license.CodeOf(err) != license.CodeForbidden {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := c.Order.UpdateOneID(b.order.ID).SetRolloutID(coming.ID).Exec(ctx); err == nil {
			t.Error("an own order was tied to a rollout of its provider's")
		}
		if n, err := c.Order.Update().SetRolloutID(coming.ID).Save(ctx); err != nil || n != 0 {
			t.Errorf("%d own orders were tied to a rollout of its provider's, %v", n, err)
		}
		if got := c.Order.GetX(sys, b.order.ID); got.RolloutID == nil || *got.RolloutID != b.rollout.ID {
			t.Errorf("the own order is of the rollout %v", got.RolloutID)
		}
		// Each for itself may.
		for what, make := range map[string]func(context.Context) error{
			"its own item":        order(b.vendor.ID, &b.customer.ID, b.item.ID, b.container.ID),
			"its provider's item": order(a.vendor.ID, &b.vendor.ID, a.item.ID, bought.ID),
			"what it has tied yet": func(ctx context.Context) error {
				return c.Order.UpdateOneID(b.order.ID).SetRolloutID(b.rollout.ID).Exec(ctx)
			},
		} {
			if err := make(ctx); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

// TestBothMeetsTheVeil: what its customers' users are called is hidden from who
// has a provider, too; its own users at its provider it sees.
func TestBothMeetsTheVeil(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		a := build(t, s, 0)
		b := buildUnder(t, s, 1, a.vendor)
		c := s.Client()
		bought := c.Container.Create().SetVendorID(a.vendor.ID).SetCustomerID(b.vendor.ID).SetSerial("130-71").
			SetKind(property.ContainerUniversal).SaveX(system(t))
		mine := c.Allocation.Create().SetVendorID(a.vendor.ID).SetCustomerID(b.vendor.ID).SetContainerID(bought.ID).SetProductID(a.product.ID).
			SetHandle("h2").SetMode(license.UserLimit).SetSeat(1).SetN(1).SetClient("c").SetUser("mine").SetStation("s").SetProcessID(1).
			SetApplication("a").SetState(property.AllocationActive).SetFirstAccess(time.Now()).SetLastAccess(time.Now()).SaveX(system(t))
		s.SetVeil(func(_ context.Context, _ *ent.Organization, row any) error {
			if r, ok := row.(*ent.Allocation); ok {
				r.User = ""
			}
			return nil
		})
		for what, x := range map[string]struct {
			who  *ent.Organization
			row  string
			want string
		}{
			"its customer's":       {b.vendor, b.ids[ent.TypeAllocation], ""},
			"its own":              {b.vendor, mine.ID, "mine"},
			"its own, its vendor":  {a.vendor, mine.ID, ""},
			"the customer himself": {b.customer, b.ids[ent.TypeAllocation], "u"},
		} {
			if got, err := c.Allocation.Get(member(t, x.who), x.row); err != nil || got.User != x.want {
				t.Errorf("%s: %v, %v instead of %q", what, got, err, x.want)
			}
		}
	})
}
