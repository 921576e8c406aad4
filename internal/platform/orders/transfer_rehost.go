package orders

import (
	"context"
	"slices"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/order"
	"github.com/quorate/quorate/ent/product"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/ticketactivation"
	"github.com/quorate/quorate/ent/transfer"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/containers"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// RehostContainer replaces a lost container by another one of the same
// customer: the lost one is blocked at once, and all that it was to hold is
// ordered for the replacement: units as far as they were left by its last
// fingerprint, and a usage period that had begun ends when it would have ended.
// What was used after that fingerprint is not known. Licenses that were to be
// revoked are revoked. Repeating it gives the same transfers, and so does the
// same key; an empty one is no key. Errors: CodeNotFound, CodeForbidden,
// CodeInvalidInput, CodeConflict for one that was replaced by another and for a
// key of another request, CodeContainerBlocked, CodeLimitReached.
func (p *Service) RehostContainer(ctx context.Context, lost, replacement, reason, key string) ([]*ent.Transfer, error) {
	by, err := auth.Require(ctx, auth.Order)
	if err != nil {
		return nil, err
	}
	if len(reason) > core.MostReason {
		return nil, core.LongReason()
	}
	var made []*ent.Transfer
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		// The lost container alone is kept: its transfers may be too many for a key.
		ids, again, err := core.Once(ctx, tx, by.Organization, "rehostContainer", key, []string{lost, replacement, reason}, func() ([]string, error) {
			w := transferring{p: p, tx: tx, by: by, kind: property.TransferRehost}
			var old string
			old, made, err = w.replace(ctx, lost, replacement, reason)
			return []string{old}, err
		})
		if err != nil || !again {
			return err
		}
		made, err = rehosts(core.System(ctx, "transfer"), tx, ids[0])
		return err
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

// replace gives the id of the lost container, and the transfers from it.
func (w *transferring) replace(ctx context.Context, lost, replacement, reason string) (id string, made []*ent.Transfer, err error) {
	old, err := core.SingleContainer(ctx, w.tx, lost)
	if err != nil {
		return "", nil, err
	}
	w.from = core.LoadedPlace{Containers: []*ent.Container{old}}
	if w.to, err = core.SingleContainer(ctx, w.tx, replacement); err != nil {
		return "", nil, err
	}
	if w.to.ID == old.ID || !sameCustomer(w.to, w.from) {
		return "", nil, license.Errorf(license.CodeInvalidInput, "register a new container for the same customer, and name that",
			"%s can't replace %s", w.to.Serial, old.Serial)
	}
	caller := ctx
	ctx = core.System(ctx, "transfer")
	if err := w.lock(ctx); err != nil {
		return "", nil, err
	}
	if known := w.from.Containers[0].ReplacedByID; known != nil {
		if *known != w.to.ID {
			return "", nil, license.Errorf(license.CodeConflict, "re-host the replacement", "the container %s was replaced by another one already", old.Serial)
		}
		made, err = rehosts(ctx, w.tx, old.ID)
		return old.ID, made, err
	}
	if err := core.BlockedError(w.to); err != nil {
		return "", nil, err
	}
	made, beyond, err := w.rehost(ctx, reason)
	if err != nil {
		return "", nil, err
	}
	return old.ID, made, core.Audit(caller, w.tx, core.AuditOwner(w.by, old.VendorID), "container.rehost", old.ID, nil,
		map[string]any{"replacement": w.to.ID, "reason": reason, "transfers": len(made), "beyondLimit": beyond, "used": w.used})
}

// rehosts are the transfers by which a container was replaced.
func rehosts(ctx context.Context, tx *store.Tx, lost string) ([]*ent.Transfer, error) {
	return tx.Transfer.Query().Where(transfer.ContainerID(lost), transfer.KindEQ(property.TransferRehost)).Order(ent.Asc(transfer.FieldID)).All(ctx)
}

func (w *transferring) rehost(ctx context.Context, reason string) (made []*ent.Transfer, beyond bool, err error) {
	old := w.from.Containers[0]
	products, err := productsAt(ctx, w.tx, old.ID)
	if err != nil {
		return nil, false, err
	}
	var firms []*ent.Firm
	for _, p := range products {
		if !slices.ContainsFunc(firms, func(f *ent.Firm) bool { return f.ID == p.FirmID }) {
			firms = append(firms, p.Edges.Firm)
		}
	}
	for _, f := range firms {
		over, err := w.allowed(ctx, property.TransferRehost, f)
		if err != nil {
			return nil, false, err
		}
		beyond = beyond || over
	}
	if err := w.settle(ctx, old); err != nil {
		return nil, false, err
	}
	for _, product := range products {
		ordered, err := sumOrders(ctx, w.tx, order.ContainerID(old.ID), ofProduct(product.ID))
		if err != nil {
			return nil, false, err
		}
		gone, err := sumTransfers(ctx, w.tx, transfer.ContainerID(old.ID), transfer.ProductID(product.ID), core.TransferCounts())
		if err != nil {
			return nil, false, err
		}
		if ordered <= gone {
			continue
		}
		all, err := w.tx.Order.Query().Where(order.ContainerID(old.ID), ofProduct(product.ID)).Order(ent.Asc(order.FieldNumber)).WithItem().All(ctx)
		if err != nil {
			return nil, false, err
		}
		taken, err := w.tx.Transfer.Query().Where(transfer.ContainerID(old.ID), transfer.ProductID(product.ID), core.TransferCounts()).All(ctx)
		if err != nil {
			return nil, false, err
		}
		w.product = product
		if w.item, err = lastItem(ctx, w.tx, old.ID, product.ID); err != nil {
			return nil, false, err
		}
		t, err := w.create(ctx, ordered-gone, reason)
		if err != nil {
			return nil, false, err
		}
		if t, err = w.tx.Transfer.UpdateOne(t).SetState(property.TransferConfirmed).SetConfirmedAt(core.Now()).Save(ctx); err != nil {
			return nil, false, err
		}
		if err := emitConfirmed(ctx, w.p.core, w.tx, t); err != nil {
			return nil, false, err
		}
		h := &containers.Holding{Product: product, Orders: all, Taken: taken}
		options, _ := h.Options()
		left, used := carried(old, w.item, all, core.ProductOf(product), options)
		if left != nil {
			w.used = append(w.used, usedFacts(core.ProductOf(product), options, left, used))
		}
		if _, err := newOrder(ctx, w.p.core, w.tx, core.LoadedPlace{Containers: []*ent.Container{w.to}}, orderOf{item: w.item.ID, quantity: t.Quantity, source: property.OrderRehost, transfer: &t.ID, carried: left}); err != nil {
			return nil, false, err
		}
		made = append(made, t)
	}
	if err := containers.Block(ctx, w.p.core, w.tx, old, "replaced by "+w.to.Serial+": "+reason); err != nil {
		return nil, false, err
	}
	// What tickets brought there is to be returned and moved from the replacement.
	if err := w.tx.TicketActivation.Update().Where(ticketactivation.ContainerID(old.ID)).SetContainerID(w.to.ID).Exec(ctx); err != nil {
		return nil, false, err
	}
	return made, beyond, w.tx.Container.UpdateOneID(old.ID).SetReplacedByID(w.to.ID).Exec(ctx)
}

// usedFacts is what the audit log tells of licenses that may be used up.
func usedFacts(p license.Product, o license.Options, left *property.Carried, used uint64) map[string]any {
	facts := map[string]any{"product": p.String()}
	if o.Units != nil {
		facts["unitsGranted"], facts["unitsUsed"], facts["unitsLeft"] = *o.Units, used, *left.Units
	}
	if left.End != nil {
		facts["usagePeriodEnds"] = left.End.Format(time.RFC3339)
	}
	return facts
}

// settle ends the transfers that the lost container can't confirm any more.
func (w *transferring) settle(ctx context.Context, old *ent.Container) error {
	open := transfer.StateIn(property.TransferRequested, property.TransferIssued)
	revoked, err := w.tx.Transfer.Query().Where(transfer.ContainerID(old.ID), open, transfer.KindEQ(property.TransferRevoke)).All(ctx)
	if err != nil {
		return err
	}
	for _, t := range revoked {
		if err := w.tx.Transfer.UpdateOneID(t.ID).SetState(property.TransferConfirmed).SetConfirmedAt(core.Now()).
			SetNote("the container was replaced without them").Exec(ctx); err != nil {
			return err
		}
		if err := emitConfirmed(ctx, w.p.core, w.tx, t); err != nil {
			return err
		}
	}
	return w.tx.Transfer.Update().Where(transfer.ContainerID(old.ID), open).
		SetState(property.TransferRefused).SetNote("the container was replaced: the licenses went to " + w.to.Serial).Exec(ctx)
}

// allowed says whether the firm's rule lets the customer do one more, and
// whether it is beyond that, which only the vendor's owners may go.
func (w *transferring) allowed(ctx context.Context, kind property.TransferKind, f *ent.Firm) (beyond bool, err error) {
	var limit *int
	what := ""
	switch kind {
	case property.TransferMove:
		limit, what = f.MoveLimit, "moves of licenses"
	case property.TransferRehost:
		limit, what = f.RehostLimit, "replacements of containers"
	}
	if limit == nil {
		return false, nil
	}
	period := time.Duration(f.LimitDays) * 24 * time.Hour
	of := transfer.CustomerIDIsNil()
	if c := w.from.Customer(); c != nil {
		of = transfer.CustomerID(*c)
	}
	rows, err := w.tx.Transfer.Query().Where(of, transfer.VendorID(f.VendorID), transfer.KindEQ(kind), core.TransferCounts(),
		transfer.HasProductWith(product.FirmID(f.ID)), transfer.CreatedAtGT(core.Now().Add(-period))).
		Order(ent.Desc(transfer.FieldCreatedAt)).All(ctx)
	if err != nil {
		return false, err
	}
	var times []time.Time // one for each, the newest first
	seen := map[string]bool{}
	for _, t := range rows {
		if kind == property.TransferRehost {
			from := core.PlaceID(t.TmrGroupID, t.ContainerID)
			if seen[from] {
				continue
			}
			seen[from] = true
		}
		times = append(times, t.CreatedAt)
	}
	if len(times) < *limit {
		return false, nil
	}
	if w.by.IsSystem() || (w.by.Organization == f.VendorID && w.by.IsOwner()) {
		return true, nil
	}
	if *limit == 0 {
		return false, license.Errorf(license.CodeLimitReached, "ask the vendor", "%s allows no %s", f.Name, what)
	}
	return false, license.Errorf(license.CodeLimitReached, "try again then, or ask the vendor",
		"%s allows %d %s in %d days: the next is possible at %s", f.Name, *limit, what, f.LimitDays,
		times[*limit-1].Add(period).UTC().Format(time.RFC3339))
}
