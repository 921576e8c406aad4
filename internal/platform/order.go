package platform

import (
	"context"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/item"
	"github.com/quorate/quorate/ent/order"
	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/store"
)

// MostOrdered bounds the quantity of one order.
const MostOrdered = 1_000_000

// OrderRequest asks for more licenses for a TMR group.
type OrderRequest struct {
	Item     string // global id
	Group    string // global id or virtual serial number
	Quantity int    // 1 to MostOrdered
	// IdempotencyKey: the same key gives the same order; empty is no key.
	IdempotencyKey string
}

// Order orders licenses. They are usable once rolled out. Only the group's
// vendor orders. Errors: CodeNotFound, CodeForbidden, CodeInvalidInput,
// CodeConflict for a key that was used for another order.
func (p *Platform) Order(ctx context.Context, r OrderRequest) (*ent.Order, error) {
	by, err := auth.Require(ctx, auth.Order)
	if err != nil {
		return nil, err
	}
	if r.Quantity < 1 || r.Quantity > MostOrdered {
		return nil, license.Errorf(license.CodeInvalidInput, "order 1 to 1000000", "a quantity of %d can't be ordered", r.Quantity)
	}
	if len(r.IdempotencyKey) > 200 {
		return nil, license.Errorf(license.CodeInvalidInput, "use at most 200 bytes, for example a UUID", "the idempotency key is too long")
	}
	var made *ent.Order
	err = p.store.WithTx(ctx, func(tx *store.Tx) error {
		made, err = p.order(ctx, tx, by, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

func (p *Platform) order(ctx context.Context, tx *store.Tx, by auth.Principal, r OrderRequest) (*ent.Order, error) {
	g, err := tx.TmrGroup.Query().Where(groupIs(r.Group)).Only(ctx)
	if err != nil {
		return nil, notFound(err, "TMR group", r.Group)
	}
	it, err := tx.Item.Query().Where(item.ID(r.Item)).Only(ctx)
	if err != nil {
		return nil, notFound(err, "item", r.Item)
	}
	switch {
	case !by.IsSystem() && g.VendorID != by.Organization:
		return nil, license.Errorf(license.CodeForbidden, "ask the vendor for an order", "only the vendor orders for %s", g.VirtualSerial)
	case it.VendorID != g.VendorID:
		return nil, license.Errorf(license.CodeInvalidInput, "order an item of the group's vendor", "the item %s is another vendor's", it.ID)
	case !it.Tmr:
		return nil, license.Errorf(license.CodeInvalidInput, "enable the item for TMR, or order another", "the item %q is not enabled for TMR", it.Name)
	}
	// Orders of a vendor are numbered without gaps, so they take turns.
	if _, err := tx.Organization.Query().Where(organization.ID(g.VendorID), store.Locked).Only(ctx); err != nil {
		return nil, err
	}
	if r.IdempotencyKey != "" {
		known, err := tx.Order.Query().Where(order.VendorID(g.VendorID), order.IdempotencyKey(r.IdempotencyKey)).Only(ctx)
		if err == nil && (known.ItemID != it.ID || known.TmrGroupID != g.ID || known.Quantity != r.Quantity) {
			return nil, license.Errorf(license.CodeConflict, "use a new key for a new order", "the idempotency key was used for another order")
		}
		if !ent.IsNotFound(err) {
			return known, err
		}
	}
	ordered, err := orderedQuantity(ctx, tx.Client, g.ID)
	if err != nil {
		return nil, err
	}
	if ordered+r.Quantity > 1<<31-1 {
		return nil, license.Errorf(license.CodeInvalidInput, "order less", "a group can't have so many licenses")
	}
	number := 1
	last, err := tx.Order.Query().Where(order.VendorID(g.VendorID)).Order(ent.Desc(order.FieldNumber)).First(ctx)
	if err == nil {
		number = last.Number + 1
	} else if !ent.IsNotFound(err) {
		return nil, err
	}
	create := tx.Order.Create().SetVendorID(g.VendorID).SetNillableCustomerID(g.CustomerID).
		SetItemID(it.ID).SetTmrGroupID(g.ID).SetNumber(number).SetQuantity(r.Quantity)
	if r.IdempotencyKey != "" {
		create.SetIdempotencyKey(r.IdempotencyKey)
	}
	made, err := create.Save(ctx)
	if err != nil {
		return nil, err
	}
	p.publish(ctx, tx, event.TmrGroup, g.ID)
	return made, audit(ctx, tx, auditOwner(by, g.VendorID), "order", made.ID, nil,
		map[string]any{"item": it.ID, "tmrGroup": g.ID, "quantity": r.Quantity})
}

// orderedQuantity is how many licenses were ordered for a group, rolled out or not.
func orderedQuantity(ctx context.Context, c *ent.Client, group string) (int, error) {
	var sums []struct {
		Sum *int `json:"sum"`
	}
	err := c.Order.Query().Where(order.TmrGroupID(group)).
		Aggregate(ent.As(ent.Sum(order.FieldQuantity), "sum")).Scan(ctx, &sums)
	if err != nil || len(sums) == 0 || sums[0].Sum == nil {
		return 0, err
	}
	return *sums[0].Sum, nil
}
