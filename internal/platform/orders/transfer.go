package orders

import (
	"context"
	"fmt"
	"slices"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/firm"
	"github.com/quorate/quorate/ent/item"
	"github.com/quorate/quorate/ent/order"
	"github.com/quorate/quorate/ent/predicate"
	"github.com/quorate/quorate/ent/product"
	entrollout "github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/transfer"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// TransferRequest asks for licenses to leave a place.
type TransferRequest struct {
	From core.Place
	// To is a container outside of groups, by global id or serial number; of a
	// move only.
	To       string
	Product  string // global id, or FIRM:PRODUCT
	Quantity int
	Reason   string
	// Activation is by which of a ticket's activations the licenses came, by
	// global id; of a return and a move only. Place and product are its own then.
	Activation string
	// Key: the same one gives the same transfer.
	Key string `json:"-"`
}

// ReturnLicenses gives licenses back. The next rollout takes them from the
// place; once that is confirmed they can be ordered again as a credit, and those
// of a ticket's activation are on the ticket again. Until then they count nowhere
// else. What isn't rolled out can't be returned, and a TMR group keeps at least
// one license. A customer returns a ticket's licenses to the ticket alone, as
// often as the ticket allows. Errors: CodeNotFound, CodeForbidden,
// CodeInvalidInput, CodeConflict for more than is there, CodeContainerBlocked; of
// an activation CodeTicketRevoked, CodeTicketExpired, CodeLimitReached.
func (p *Service) ReturnLicenses(ctx context.Context, r TransferRequest) (*ent.Transfer, error) {
	return p.requestTransfer(ctx, property.TransferReturn, r)
}

// MoveLicenses is a return whose confirmation orders the licenses for another
// container of the same customer; of a ticket's activation it makes another one
// there. Errors: those of ReturnLicenses; CodeLimitReached.
func (p *Service) MoveLicenses(ctx context.Context, r TransferRequest) (*ent.Transfer, error) {
	return p.requestTransfer(ctx, property.TransferMove, r)
}

// RevokeLicenses takes licenses away by the vendor's will; they are nobody's
// then. Errors: those of ReturnLicenses.
func (p *Service) RevokeLicenses(ctx context.Context, r TransferRequest) (*ent.Transfer, error) {
	return p.requestTransfer(ctx, property.TransferRevoke, r)
}

func (p *Service) requestTransfer(ctx context.Context, kind property.TransferKind, r TransferRequest) (*ent.Transfer, error) {
	by, err := auth.Require(ctx, auth.Order)
	if err != nil {
		return nil, err
	}
	switch {
	case r.Quantity < 1 || r.Quantity > 1<<31-1:
		return nil, license.Errorf(license.CodeInvalidInput, "give how many licenses", "%d licenses can't be transferred", r.Quantity)
	case len(r.Reason) > core.MostReason:
		return nil, core.LongReason()
	}
	var made *ent.Transfer
	request := func(tx *store.Tx) error {
		w := transferring{p: p, tx: tx, by: by, kind: kind}
		if err := w.find(ctx, r); err != nil {
			return err
		}
		caller := ctx
		ctx := core.System(ctx, "transfer") // all of it is the caller's to see
		if err := w.lock(ctx); err != nil {
			return err
		}
		if err := w.check(ctx, r.Quantity); err != nil {
			return err
		}
		beyond, err := w.allowed(ctx, kind, w.product.Edges.Firm)
		if err != nil {
			return err
		}
		if w.activation != nil && kind == property.TransferReturn {
			if beyond, err = w.returnable(ctx); err != nil {
				return err
			}
		}
		if made, err = w.create(ctx, r.Quantity, r.Reason); err != nil {
			return err
		}
		return core.Audit(caller, tx, core.AuditOwner(by, made.VendorID), "transfer."+string(kind), made.ID, nil, transferFacts(made, beyond))
	}
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		ids, _, err := core.Once(ctx, tx, by.Organization, "transfer."+string(kind), r.Key, r, func() ([]string, error) {
			if err := request(tx); err != nil {
				return nil, err
			}
			return []string{made.ID}, nil
		})
		if err != nil {
			return err
		}
		made, err = tx.Transfer.Get(ctx, ids[0])
		return core.NotFound(err, "transfer", ids[0])
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

func transferFacts(t *ent.Transfer, beyond bool) map[string]any {
	facts := map[string]any{"from": core.PlaceID(t.TmrGroupID, t.ContainerID), "product": t.ProductID, "quantity": t.Quantity, "reason": t.Reason, "state": t.State}
	if t.ToContainerID != nil {
		facts["to"] = *t.ToContainerID
	}
	if t.TicketActivationID != nil {
		facts["activation"] = *t.TicketActivationID
	}
	if beyond {
		facts["beyondLimit"] = true
	}
	return facts
}

// transferring is one request in one transaction.
type transferring struct {
	p       *Service
	tx      *store.Tx
	by      auth.Principal
	kind    property.TransferKind
	from    core.LoadedPlace
	to      *ent.Container // nil: nowhere
	product *ent.Product
	item    *ent.Item // ordered last
	used    []any     // what the audit log tells of a replaced container's use
	// activation is by which the licenses came; nil: they are no ticket's.
	activation *ent.TicketActivation
}

func (w *transferring) find(ctx context.Context, r TransferRequest) (err error) {
	if r.Activation != "" {
		if r, err = w.findActivation(ctx, r); err != nil {
			return err
		}
	}
	if w.from, err = core.FindPlace(ctx, w.tx, r.From); err != nil {
		return err
	}
	if w.kind == property.TransferMove {
		if w.to, err = core.SingleContainer(ctx, w.tx, r.To); err != nil {
			return err
		}
	}
	if w.product, err = findProduct(ctx, w.tx, r.Product); err != nil {
		return err
	}
	switch {
	case w.kind == property.TransferRevoke && !w.vendors():
		return license.Errorf(license.CodeForbidden, "return the licenses instead", "only the vendor revokes licenses")
	case w.product.VendorID != w.from.Vendor():
		return license.Errorf(license.CodeInvalidInput, "name a product of its vendor", "the product is another vendor's than %s", w.from.Serial())
	case w.to == nil:
		return nil
	case w.to.ID == w.from.ID():
		return license.Errorf(license.CodeInvalidInput, "name two different containers", "the licenses are in %s already", w.to.Serial)
	case !sameCustomer(w.to, w.from):
		return license.Errorf(license.CodeInvalidInput, "move within one customer", "%s and %s are not the same customer's", w.from.Serial(), w.to.Serial)
	}
	return nil
}

// vendors says whether the vendor himself asks.
func (w *transferring) vendors() bool {
	return w.by.IsSystem() || w.by.Organization == w.from.Vendor()
}

func sameCustomer(c *ent.Container, t core.LoadedPlace) bool {
	customer := t.Customer()
	return c.VendorID == t.Vendor() && (c.CustomerID == nil) == (customer == nil) && (customer == nil || *customer == *c.CustomerID)
}

// findProduct resolves a product by its global id or FIRM:PRODUCT.
func findProduct(ctx context.Context, tx *store.Tx, name string) (*ent.Product, error) {
	which := product.ID(name)
	if ref, err := license.ParseProduct(name); err == nil {
		which = product.And(product.Code(int(ref.Code)), product.HasFirmWith(firm.Code(int(ref.Firm))))
	}
	found, err := tx.Product.Query().Where(which).WithFirm().Only(ctx)
	return found, core.NotFound(err, "product", name)
}

// lock takes the locks of both places, in one order for everybody, and of the
// vendor's orders, and reads the places again.
func (w *transferring) lock(ctx context.Context) error {
	ids := []string{w.from.ID()}
	if w.to != nil {
		ids = append(ids, w.to.ID)
	}
	slices.Sort(ids)
	for _, id := range ids {
		if err := core.LockPlace(ctx, w.tx, id); err != nil {
			return err
		}
	}
	if err := lockOrders(ctx, w.tx, w.from.Vendor()); err != nil {
		return err
	}
	var err error
	if w.from, err = core.PlaceOf(ctx, w.tx, w.from.ID()); err != nil || w.to == nil {
		return err
	}
	w.to, err = w.tx.Container.Get(ctx, w.to.ID)
	return err
}

// check says whether so many licenses may leave.
func (w *transferring) check(ctx context.Context, quantity int) error {
	if err := w.from.Blocked(); err != nil {
		return err
	}
	if w.to != nil {
		if err := core.BlockedError(w.to); err != nil {
			return err
		}
	}
	last, err := lastItem(ctx, w.tx, w.from.ID(), w.product.ID)
	if err != nil {
		return err
	}
	left, waiting := 0, 0
	if last != nil {
		done, err := sumOrders(ctx, w.tx, core.OrdersAt(w.from.ID()), ofProduct(w.product.ID), order.HasRolloutWith(entrollout.StateEQ(property.RolloutDone)))
		if err != nil {
			return err
		}
		gone, err := sumTransfers(ctx, w.tx, core.TransfersAt(w.from.ID()), transfer.ProductID(w.product.ID), core.TransferCounts())
		if err != nil {
			return err
		}
		ordered, err := sumOrders(ctx, w.tx, core.OrdersAt(w.from.ID()), ofProduct(w.product.ID))
		if err != nil {
			return err
		}
		left, waiting = done-gone, ordered-done
		if !w.from.Single() {
			left-- // a group's license can't be removed from one backend after another
		}
	}
	w.item = last
	tickets, err := w.ofTickets(ctx)
	if err != nil {
		return err
	}
	switch {
	case w.activation != nil:
		w.item = w.activation.Edges.TicketLine.Edges.Item
		if quantity > tickets {
			return license.Errorf(license.CodeConflict, "name at most that many", "%d licenses of this activation are at %s", tickets, w.from.Serial())
		}
	case tickets > 0 && w.kind != property.TransferRevoke && !w.vendors() && quantity > left-tickets:
		return license.Errorf(license.CodeConflict, "name at most that many, or the activation that the others came by",
			"%d licenses of %s at %s are no ticket's", max(left-tickets, 0), core.ProductOf(w.product), w.from.Serial())
	}
	switch {
	case quantity > left:
		fix, all := "name at most that many", ""
		if waiting > 0 {
			fix = fmt.Sprintf("have the other %d rolled out first (by files: hand in the receipts), or name at most that many", waiting)
		}
		if !w.from.Single() {
			all = ", all but one of a TMR group's"
		}
		return license.Errorf(license.CodeConflict, fix, "%d licenses of %s can leave %s: those that are rolled out%s",
			max(left, 0), core.ProductOf(w.product), w.from.Serial(), all)
	case w.kind == property.TransferRevoke:
		return nil
	}
	return movable(w.item)
}

// lastItem is the item of a product that was ordered last for a place, or nil.
func lastItem(ctx context.Context, tx *store.Tx, place, product string) (*ent.Item, error) {
	o, err := tx.Order.Query().Where(core.OrdersAt(place), ofProduct(product)).Order(ent.Desc(order.FieldNumber)).WithItem().First(ctx)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return o.Edges.Item, nil
}

func ofProduct(product string) predicate.Order { return order.HasItemWith(item.ProductID(product)) }

// movable refuses licenses of which a part may be used up: in another place, or
// ordered anew, they would be whole again.
func movable(i *ent.Item) error {
	if o := catalog.ItemOptions(i); o.Units != nil || o.UsagePeriod != 0 {
		return license.Errorf(license.CodeInvalidInput, "have the vendor re-host the container, or revoke them and sell others",
			"licenses with a unit counter or a usage period can't be returned or moved: a part may be used up")
	}
	return nil
}

func (w *transferring) create(ctx context.Context, quantity int, reason string) (*ent.Transfer, error) {
	group, single := w.from.Columns()
	create := w.tx.Transfer.Create().SetVendorID(w.from.Vendor()).SetNillableCustomerID(w.from.Customer()).
		SetKind(w.kind).SetProductID(w.product.ID).SetItemID(w.item.ID).SetQuantity(quantity).
		SetNillableTmrGroupID(group).SetNillableContainerID(single).
		SetReason(core.ClipNote(reason)).SetRequestedBy(core.ClipText(core.DisplayName(w.by)))
	if w.to != nil {
		create.SetToContainerID(w.to.ID)
	}
	if w.activation != nil {
		create.SetTicketActivationID(w.activation.ID)
	}
	return create.Save(ctx)
}

func sumTransfers(ctx context.Context, tx *store.Tx, which ...predicate.Transfer) (int, error) {
	var sums []struct {
		Sum *int `json:"sum"`
	}
	err := tx.Transfer.Query().Where(which...).
		Aggregate(ent.As(ent.Sum(transfer.FieldQuantity), "sum")).Scan(ctx, &sums)
	if err != nil || len(sums) == 0 || sums[0].Sum == nil {
		return 0, err
	}
	return *sums[0].Sum, nil
}

// productsAt are those that were ever ordered for a place, with their firms.
func productsAt(ctx context.Context, tx *store.Tx, place string) ([]*ent.Product, error) {
	orders, err := tx.Order.Query().Where(core.OrdersAt(place)).Order(ent.Asc(order.FieldNumber)).WithItem(core.WithProduct).All(ctx)
	var all []*ent.Product
	for _, o := range orders {
		p := o.Edges.Item.Edges.Product
		if !slices.ContainsFunc(all, func(q *ent.Product) bool { return q.ID == p.ID }) {
			all = append(all, p)
		}
	}
	return all, err
}
