package orders

import (
	"context"
	"slices"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/item"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/ticket"
	"github.com/quorate/quorate/ent/ticketactivation"
	"github.com/quorate/quorate/ent/ticketline"
	"github.com/quorate/quorate/ent/transfer"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// LockPlaces takes the locks of places, in one order for everybody, and then that
// of their vendor's orders. A ticket is locked after them.
func LockPlaces(ctx context.Context, tx *store.Tx, vendor string, ids ...string) error {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		if err := core.LockPlace(ctx, tx, id); err != nil {
			return err
		}
	}
	return lockOrders(ctx, tx, vendor)
}

// LockTicket reads a ticket under its lock, with its lines.
func LockTicket(ctx context.Context, tx *store.Tx, id string) (*ent.Ticket, error) {
	return tx.Ticket.Query().Where(ticket.ID(id), store.Locked).WithLines(func(q *ent.TicketLineQuery) {
		q.Order(ent.Asc(ticketline.FieldPosition)).WithItem(core.WithProduct)
	}).Only(ctx)
}

// OfTicket orders licenses that a ticket brings. It needs the locks of LockPlaces.
// Errors: CodeInvalidInput for an item that the place can't have,
// CodeContainerBlocked.
func OfTicket(ctx context.Context, p *core.Core, tx *store.Tx, t core.LoadedPlace, it *ent.Item, quantity int) (*ent.Order, error) {
	if err := t.Blocked(); err != nil {
		return nil, err
	}
	if err := fits(it, t); err != nil {
		return nil, err
	}
	if err := room(ctx, tx, t, quantity); err != nil {
		return nil, err
	}
	return newOrder(ctx, p, tx, t, orderOf{item: it.ID, quantity: quantity, source: property.OrderTicket})
}

// findActivation has a request be about what the activation brought.
func (w *transferring) findActivation(ctx context.Context, r TransferRequest) (TransferRequest, error) {
	found, err := w.tx.TicketActivation.Query().Where(ticketactivation.ID(r.Activation)).Only(ctx)
	if err != nil {
		return r, core.NotFound(err, "activation", r.Activation)
	}
	// What it is of belongs to the same vendor and customer.
	if w.activation, err = w.tx.TicketActivation.Query().Where(ticketactivation.ID(found.ID)).
		WithTicketLine(func(q *ent.TicketLineQuery) { q.WithItem(core.WithProduct) }).Only(core.System(ctx, "transfer")); err != nil {
		return r, err
	}
	r.From = core.Place{}
	if found.TmrGroupID != nil {
		r.From.Group = *found.TmrGroupID
	} else {
		r.From.Container = *found.ContainerID
	}
	r.Product = w.activation.Edges.TicketLine.Edges.Item.ProductID
	return r, nil
}

// ofTickets is how many licenses of the activation that is asked for, or else of
// all of the product, are at the place.
func (w *transferring) ofTickets(ctx context.Context) (int, error) {
	which := ticketactivation.HasTicketLineWith(ticketline.HasItemWith(item.ProductID(w.product.ID)))
	if w.activation != nil {
		which = ticketactivation.ID(w.activation.ID)
	}
	at := ticketactivation.TmrGroupID(w.from.ID())
	if w.from.Single() {
		at = ticketactivation.ContainerID(w.from.ID())
	}
	all, err := w.tx.TicketActivation.Query().Where(at, which).All(ctx)
	if err != nil || len(all) == 0 {
		return 0, err
	}
	there := 0
	ids := make([]string, len(all))
	for i, a := range all {
		there += a.Quantity
		ids[i] = a.ID
	}
	gone, err := sumTransfers(ctx, w.tx, transfer.TicketActivationIDIn(ids...), core.TransferCounts())
	return there - gone, err
}

// returnable says whether licenses may go back to their ticket, and whether that
// is beyond what the ticket allows, which only the vendor's owners may go. It
// takes the ticket's lock.
func (w *transferring) returnable(ctx context.Context) (beyond bool, err error) {
	t, err := LockTicket(ctx, w.tx, w.activation.TicketID)
	if err != nil {
		return false, err
	}
	const instead = "ask the vendor, or return licenses that are no ticket's: those of a ticket could not be activated again"
	switch {
	case t.RevokedAt != nil:
		return false, license.Errorf(license.CodeTicketRevoked, instead, "the ticket …-%s was revoked", t.Hint)
	case t.ExpiresAt != nil && !core.Now().Before(*t.ExpiresAt):
		return false, license.Errorf(license.CodeTicketExpired, instead, "the ticket …-%s has expired", t.Hint)
	case t.ReturnLimit == nil:
		return false, nil
	}
	open, err := w.tx.Transfer.Query().Where(transfer.KindEQ(property.TransferReturn),
		transfer.StateIn(property.TransferRequested, property.TransferIssued),
		transfer.HasTicketActivationWith(ticketactivation.TicketID(t.ID))).Count(ctx)
	if err != nil || t.Returns+open < *t.ReturnLimit {
		return false, err
	}
	if w.by.IsSystem() || (w.by.Organization == t.VendorID && w.by.IsOwner()) {
		return true, nil
	}
	if *t.ReturnLimit == 0 {
		return false, license.Errorf(license.CodeLimitReached, "ask the vendor", "licenses of the ticket …-%s can't be returned", t.Hint)
	}
	return false, license.Errorf(license.CodeLimitReached, "ask the vendor", "licenses of the ticket …-%s may be returned %d times, and were", t.Hint, *t.ReturnLimit)
}

// backOnTicket makes of licenses that a container has given up licenses of their
// ticket, which counts that as so many returns.
func backOnTicket(ctx context.Context, p *core.Core, tx *store.Tx, t *ent.Transfer, returns int) error {
	a, err := tx.TicketActivation.Get(ctx, *t.TicketActivationID)
	if err != nil {
		return err
	}
	of, err := LockTicket(ctx, tx, a.TicketID)
	if err != nil {
		return err
	}
	if err := tx.TicketActivation.UpdateOne(a).AddReturned(t.Quantity).Exec(ctx); err != nil {
		return err
	}
	if err := tx.TicketLine.UpdateOneID(a.TicketLineID).AddActivated(-t.Quantity).Exec(ctx); err != nil {
		return err
	}
	if err := tx.Ticket.UpdateOne(of).AddReturns(returns).Exec(ctx); err != nil {
		return err
	}
	if err := core.Audit(ctx, tx, t.VendorID, "ticket.returned", of.ID, nil,
		map[string]any{"activation": a.ID, "transfer": t.ID, "quantity": t.Quantity}); err != nil {
		return err
	}
	return p.EmitShared(ctx, tx, t.VendorID, t.CustomerID, core.EventTicketReturned, core.AtPlace(t.TmrGroupID, t.ContainerID, map[string]any{
		"ticket": of.ID, "activation": a.ID, "transfer": t.ID, "quantity": t.Quantity,
	}))
}

// activatedThere makes an activation of what was moved, where it was of one; nil
// where it was of none.
func activatedThere(ctx context.Context, tx *store.Tx, t *ent.Transfer, made *ent.Order) (*ent.TicketActivation, error) {
	if t.TicketActivationID == nil {
		return nil, nil
	}
	a, err := tx.TicketActivation.Get(ctx, *t.TicketActivationID)
	if err != nil {
		return nil, err
	}
	return tx.TicketActivation.Create().SetVendorID(a.VendorID).SetNillableCustomerID(a.CustomerID).
		SetTicketID(a.TicketID).SetTicketLineID(a.TicketLineID).SetNillableContainerID(made.ContainerID).
		SetOrderID(made.ID).SetQuantity(made.Quantity).SetActivatedBy(t.RequestedBy).Save(ctx)
}
