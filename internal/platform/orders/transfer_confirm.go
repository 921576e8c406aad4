package orders

import (
	"cmp"
	"context"
	"slices"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/item"
	"github.com/quorate/quorate/ent/order"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/transfer"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// ConfirmTransfers makes of a rollout's transfers what they were meant for: the
// containers have confirmed that they hold the licenses no more. Returned ones
// are at the customer's disposal or on their ticket again, moved ones are ordered
// for where they go.
func ConfirmTransfers(ctx context.Context, p *core.Core, tx *store.Tx, row *ent.Rollout) error {
	all, err := tx.Transfer.Query().Where(transfer.RolloutID(row.ID), transfer.StateEQ(property.TransferIssued)).
		Order(ent.Asc(transfer.FieldID)).All(ctx)
	if err != nil || len(all) == 0 {
		return err
	}
	if err := core.LockPlace(ctx, tx, core.RolloutPlace(row)); err != nil {
		return err
	}
	if err := lockOrders(ctx, tx, row.VendorID); err != nil {
		return err
	}
	for _, t := range all {
		change := tx.Transfer.UpdateOne(t).SetState(property.TransferConfirmed).SetConfirmedAt(core.Now())
		facts := map[string]any{"state": property.TransferConfirmed, "kind": t.Kind, "quantity": t.Quantity}
		switch t.Kind {
		case property.TransferReturn:
			if t.TicketActivationID == nil {
				change.SetCredited(true)
				break
			}
			if err := backOnTicket(ctx, p, tx, t, 1); err != nil {
				return err
			}
		case property.TransferMove:
			to, err := follow(ctx, tx, *t.ToContainerID)
			if err != nil {
				return err
			}
			if to.BlockedAt != nil && t.TicketActivationID != nil {
				change.SetNote("the container " + to.Serial + " was blocked meanwhile: the licenses are on the ticket again")
				if err := backOnTicket(ctx, p, tx, t, 0); err != nil {
					return err
				}
				break
			}
			if to.BlockedAt != nil {
				change.SetCredited(true).SetNote("the container " + to.Serial + " was blocked meanwhile: the licenses can be ordered again as a credit")
				break
			}
			made, err := newOrder(ctx, p, tx, core.LoadedPlace{Containers: []*ent.Container{to}}, orderOf{item: t.ItemID, quantity: t.Quantity, source: property.OrderMove, transfer: &t.ID})
			if err != nil {
				return err
			}
			facts["order"] = made.ID
			there, err := activatedThere(ctx, tx, t, made)
			if err != nil {
				return err
			}
			if there != nil {
				facts["activation"] = there.ID
			}
		}
		if err := change.Exec(ctx); err != nil {
			return err
		}
		if err := core.Audit(ctx, tx, t.VendorID, "transfer.confirm", t.ID, map[string]any{"state": t.State}, facts); err != nil {
			return err
		}
		if err := emitConfirmed(ctx, p, tx, t); err != nil {
			return err
		}
	}
	return nil
}

func emitConfirmed(ctx context.Context, p *core.Core, tx *store.Tx, t *ent.Transfer) error {
	data := core.AtPlace(t.TmrGroupID, t.ContainerID, map[string]any{"transfer": t.ID, "kind": t.Kind, "product": t.ProductID, "quantity": t.Quantity})
	if t.ToContainerID != nil {
		data["toContainer"] = *t.ToContainerID
	}
	return p.EmitShared(ctx, tx, t.VendorID, t.CustomerID, core.EventTransferConfirmed, data)
}

// follow gives the container that stands in for one now.
func follow(ctx context.Context, tx *store.Tx, id string) (*ent.Container, error) {
	for seen := map[string]bool{}; ; {
		c, err := tx.Container.Get(ctx, id)
		if err != nil || c.ReplacedByID == nil || seen[id] {
			return c, err
		}
		seen[id] = true
		id = *c.ReplacedByID
	}
}

// credit is how many licenses of a product have come back from a customer and
// were not ordered again. It needs the vendor's lock.
func credit(ctx context.Context, tx *store.Tx, vendor string, customer *string, product string) (int, error) {
	ofTransfers, ofOrders := transfer.CustomerIDIsNil(), order.CustomerIDIsNil()
	if customer != nil {
		ofTransfers, ofOrders = transfer.CustomerID(*customer), order.CustomerID(*customer)
	}
	back, err := sumTransfers(ctx, tx, transfer.VendorID(vendor), ofTransfers, transfer.ProductID(product), transfer.Credited(true))
	if err != nil {
		return 0, err
	}
	used, err := sumOrders(ctx, tx, order.VendorID(vendor), ofOrders, ofProduct(product), order.SourceEQ(property.OrderCredit))
	return back - used, err
}

// Credit is how many licenses of a product a customer may order without buying.
type Credit struct {
	Product  string  // global id
	Customer *string // nil: the vendor itself
	Quantity int
}

// Credits are those that the caller may see, by customer and product.
func (p *Service) Credits(ctx context.Context) ([]Credit, error) {
	c, err := p.core.Read(ctx)
	if err != nil {
		return nil, err
	}
	type sum struct {
		Customer *string `json:"customer_id"`
		Product  string  `json:"product_id"`
		Item     string  `json:"item_id"`
		Sum      int     `json:"sum"`
	}
	var back, used []sum
	if err := c.Transfer.Query().Where(transfer.Credited(true)).
		GroupBy(transfer.FieldCustomerID, transfer.FieldProductID).Aggregate(ent.As(ent.Sum(transfer.FieldQuantity), "sum")).
		Scan(ctx, &back); err != nil || len(back) == 0 {
		return nil, err
	}
	if err := c.Order.Query().Where(order.SourceEQ(property.OrderCredit)).
		GroupBy(order.FieldCustomerID, order.FieldItemID).Aggregate(ent.As(ent.Sum(order.FieldQuantity), "sum")).
		Scan(ctx, &used); err != nil {
		return nil, err
	}
	ids := make([]string, len(used))
	for i, u := range used {
		ids[i] = u.Item
	}
	items, err := c.Item.Query().Where(item.IDIn(ids...)).Select(item.FieldProductID).All(ctx)
	if err != nil {
		return nil, err
	}
	productOf := map[string]string{}
	for _, i := range items {
		productOf[i.ID] = i.ProductID
	}
	var out []Credit
	for _, b := range back {
		left := b.Sum
		for _, u := range used {
			if productOf[u.Item] == b.Product && catalog.ValueOf(u.Customer) == catalog.ValueOf(b.Customer) {
				left -= u.Sum
			}
		}
		if left > 0 {
			out = append(out, Credit{Product: b.Product, Customer: b.Customer, Quantity: left})
		}
	}
	slices.SortFunc(out, func(a, b Credit) int {
		return cmp.Or(cmp.Compare(a.Product, b.Product), cmp.Compare(catalog.ValueOf(a.Customer), catalog.ValueOf(b.Customer)))
	})
	return out, nil
}

// TransferRules are what a firm allows its customers. Nil: any number.
type TransferRules struct {
	Rehosts *int // containers within Days
	Moves   *int // moves within Days
	Days    int
}

// SetTransferRules sets a firm's rules. Error: CodeNotFound, CodeForbidden,
// CodeInvalidInput.
func (p *Service) SetTransferRules(ctx context.Context, firmID string, r TransferRules) (*ent.Firm, error) {
	by, err := auth.Require(ctx, auth.EditCatalog)
	if err != nil {
		return nil, err
	}
	if r.Days < 1 || r.Days > 3650 || (r.Rehosts != nil && (*r.Rehosts < 0 || *r.Rehosts > 1_000_000)) || (r.Moves != nil && (*r.Moves < 0 || *r.Moves > 1_000_000)) {
		return nil, license.Errorf(license.CodeInvalidInput, "give a period of 1 to 3650 days, and no negative numbers", "the rules make no sense")
	}
	var f *ent.Firm
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		before, err := tx.Firm.Get(ctx, firmID)
		if err != nil {
			return core.NotFound(err, "firm", firmID)
		}
		if !by.IsSystem() && by.Organization != before.VendorID {
			return license.Errorf(license.CodeForbidden, "ask the vendor", "only the vendor sets the rules")
		}
		change := tx.Firm.UpdateOne(before).ClearRehostLimit().ClearMoveLimit().SetLimitDays(r.Days)
		if r.Rehosts != nil {
			change.SetRehostLimit(*r.Rehosts)
		}
		if r.Moves != nil {
			change.SetMoveLimit(*r.Moves)
		}
		if f, err = change.Save(ctx); err != nil {
			return err
		}
		return core.Audit(ctx, tx, core.AuditOwner(by, f.VendorID), "firm.transferRules", f.ID, rulesOf(before), rulesOf(f))
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

func rulesOf(f *ent.Firm) map[string]any {
	return map[string]any{"rehosts": f.RehostLimit, "moves": f.MoveLimit, "days": f.LimitDays}
}
