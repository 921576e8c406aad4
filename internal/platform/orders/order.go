package orders

import (
	"context"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/item"
	"github.com/quorate/quorate/ent/order"
	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/ent/predicate"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// MostOrdered bounds the quantity of one order.
const MostOrdered = 1_000_000

// OrderRequest asks for more licenses for a TMR group or a container.
type OrderRequest struct {
	Item string // global id
	// Group or Container, exactly one, is a global id or a serial number.
	Group, Container string
	Quantity         int // 1 to MostOrdered
	// Credit: take licenses that came back, instead of buying more.
	Credit bool
	// IdempotencyKey: the same key gives the same order; empty is no key.
	IdempotencyKey string
}

// Order orders licenses. They are usable once rolled out. Only the place's
// vendor orders, but for licenses that came back, which its customer may order
// too. Errors: CodeNotFound, CodeForbidden, CodeInvalidInput,
// CodeContainerBlocked, CodeConflict for a key that was used for another order
// and for more than came back.
func (p *Service) Order(ctx context.Context, r OrderRequest) (*ent.Order, error) {
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
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		made, err = p.order(ctx, tx, by, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

func (p *Service) order(ctx context.Context, tx *store.Tx, by auth.Principal, r OrderRequest) (*ent.Order, error) {
	t, err := core.FindPlace(ctx, tx, core.Place{Group: r.Group, Container: r.Container})
	if err != nil {
		return nil, err
	}
	it, err := tx.Item.Query().Where(item.ID(r.Item), store.Locked).Only(ctx) // what it is fit for stays so
	if err != nil {
		return nil, core.NotFound(err, "item", r.Item)
	}
	if !by.IsSystem() && t.Vendor() != by.Organization && !r.Credit {
		return nil, license.Errorf(license.CodeForbidden, "ask the vendor for an order", "only the vendor orders for %s", t.Serial())
	}
	if err := fits(it, t); err != nil {
		return nil, err
	}
	caller := ctx
	ctx = core.System(ctx, "order") // the place and the item are the caller's to see
	if err := lockOrders(ctx, tx, t.Vendor()); err != nil {
		return nil, err
	}
	if t, err = core.PlaceOf(ctx, tx, t.ID()); err != nil { // a container may have been blocked meanwhile
		return nil, err
	}
	if !by.IsSystem() && t.Vendor() != by.Organization { // a customer's keys are its own
		ids, _, err := core.Once(ctx, tx, by.Organization, "order", r.IdempotencyKey, r, func() ([]string, error) {
			made, err := p.place(ctx, caller, tx, by, t, it, r, "")
			if err != nil {
				return nil, err
			}
			return []string{made.ID}, nil
		})
		if err != nil {
			return nil, err
		}
		return tx.Order.Get(ctx, ids[0])
	}
	if r.IdempotencyKey != "" {
		known, err := tx.Order.Query().Where(order.VendorID(t.Vendor()), order.IdempotencyKey(r.IdempotencyKey)).Only(ctx)
		if err == nil && (known.ItemID != it.ID || core.PlaceID(known.TmrGroupID, known.ContainerID) != t.ID() || known.Quantity != r.Quantity ||
			(known.Source == property.OrderCredit) != r.Credit) {
			return nil, license.Errorf(license.CodeConflict, "use a new key for a new order", "the idempotency key was used for another order")
		}
		if !ent.IsNotFound(err) {
			return known, err
		}
	}
	return p.place(ctx, caller, tx, by, t, it, r, r.IdempotencyKey)
}

// place makes an order that was not made before. It needs the vendor's lock.
// ctx is the system's, caller tells for the audit log who orders.
func (p *Service) place(ctx, caller context.Context, tx *store.Tx, by auth.Principal, t core.LoadedPlace, it *ent.Item, r OrderRequest, key string) (*ent.Order, error) {
	if err := t.Blocked(); err != nil {
		return nil, err
	}
	source := property.OrderPurchase
	if r.Credit {
		source = property.OrderCredit
		left, err := credit(ctx, tx, t.Vendor(), t.Customer(), it.ProductID)
		if err != nil {
			return nil, err
		}
		if r.Quantity > left {
			return nil, license.Errorf(license.CodeConflict, "order at most that many, or buy more", "%d licenses of this product have come back", left)
		}
	}
	if err := room(ctx, tx, t, r.Quantity); err != nil {
		return nil, err
	}
	made, err := newOrder(ctx, p.core, tx, t, orderOf{item: it.ID, quantity: r.Quantity, source: source, key: key})
	if err != nil {
		return nil, err
	}
	return made, core.Audit(caller, tx, core.AuditOwner(by, t.Vendor()), "order", made.ID, nil,
		map[string]any{"item": it.ID, t.Noun(): t.ID(), "quantity": r.Quantity, "source": string(source)})
}

// fits refuses an item that a place can't have.
func fits(it *ent.Item, t core.LoadedPlace) error {
	switch {
	case it.VendorID != t.Vendor():
		return license.Errorf(license.CodeInvalidInput, "order an item of the "+t.Noun()+"'s vendor", "the item %s is another vendor's", it.ID)
	case !it.Tmr && !t.Single():
		return license.Errorf(license.CodeInvalidInput, "enable the item for TMR, or order another", "the item %q is not enabled for TMR", it.Name)
	}
	return nil
}

// room refuses more licenses than a place can count.
func room(ctx context.Context, tx *store.Tx, t core.LoadedPlace, quantity int) error {
	ordered, err := orderedQuantity(ctx, tx, t.ID())
	if err != nil {
		return err
	}
	if ordered+quantity > 1<<31-1 {
		return license.Errorf(license.CodeInvalidInput, "order less", "%s can't have so many licenses", t.Serial())
	}
	return nil
}

// lockOrders lets orders, returns and credits of a vendor take turns: orders are
// numbered without gaps, and nothing is counted twice. Lock order: a rollout,
// its place, the vendor.
func lockOrders(ctx context.Context, tx *store.Tx, vendor string) error {
	_, err := tx.Organization.Query().Where(organization.ID(vendor), store.Locked).OnlyID(ctx)
	return err
}

// orderOf is an order to write.
type orderOf struct {
	item     string
	quantity int
	source   property.OrderSource
	transfer *string           // that makes it
	carried  *property.Carried // what is left of the licenses; nil: they are whole
	key      string            // of idempotency
}

// newOrder writes an order. It needs the vendor's lock.
func newOrder(ctx context.Context, p *core.Core, tx *store.Tx, t core.LoadedPlace, o orderOf) (*ent.Order, error) {
	number := 1
	last, err := tx.Order.Query().Where(order.VendorID(t.Vendor())).Order(ent.Desc(order.FieldNumber)).First(ctx)
	if err == nil {
		number = last.Number + 1
	} else if !ent.IsNotFound(err) {
		return nil, err
	}
	group, single := t.Columns()
	create := tx.Order.Create().SetVendorID(t.Vendor()).SetNillableCustomerID(t.Customer()).
		SetItemID(o.item).SetNillableTmrGroupID(group).SetNillableContainerID(single).
		SetNumber(number).SetQuantity(o.quantity).SetSource(o.source).SetNillableTransferID(o.transfer)
	if o.key != "" {
		create.SetIdempotencyKey(o.key)
	}
	if o.carried != nil {
		create.SetCarried(o.carried)
	}
	made, err := create.Save(ctx)
	if err != nil {
		return nil, err
	}
	if group != nil {
		p.Publish(ctx, tx, event.TmrGroup, *group)
	}
	return made, p.EmitShared(ctx, tx, made.VendorID, made.CustomerID, core.EventOrderCreated, core.AtPlace(group, single, map[string]any{
		"order": made.ID, "number": made.Number, "item": made.ItemID, "quantity": made.Quantity, "source": made.Source,
	}))
}

// orderedQuantity is how many licenses were ordered for a place, rolled out or
// not.
func orderedQuantity(ctx context.Context, tx *store.Tx, place string) (int, error) {
	return sumOrders(ctx, tx, core.OrdersAt(place))
}

func sumOrders(ctx context.Context, tx *store.Tx, which ...predicate.Order) (int, error) {
	var sums []struct {
		Sum *int `json:"sum"`
	}
	err := tx.Order.Query().Where(which...).
		Aggregate(ent.As(ent.Sum(order.FieldQuantity), "sum")).Scan(ctx, &sums)
	if err != nil || len(sums) == 0 || sums[0].Sum == nil {
		return 0, err
	}
	return *sums[0].Sum, nil
}
