package rollouts

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/order"
	entrollout "github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/transfer"
	"github.com/quorate/quorate/ent/update"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/containers"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/rollout"
	"github.com/quorate/quorate/internal/store"
)

// due is what no rollout of a place has yet, of one firm.
type due struct {
	firm      *ent.Firm // nil: nothing
	orders    []string
	transfers []string
	products  []string // whose changed terms go along
	// repairs: a container lost updates that were confirmed before, so that it
	// gets them again, and one that follows them.
	repairs bool
}

// whatIsDue is the firm of the oldest order or transfer that no rollout has,
// with all of that firm; else that of products whose items were changed; else
// that of a container whose state was accepted though updates are missing.
func whatIsDue(ctx context.Context, tx *store.Tx, t core.LoadedPlace) (due, error) {
	orders, err := tx.Order.Query().Where(core.OrdersAt(t.ID()), order.RolloutIDIsNil()).Order(ent.Asc(order.FieldNumber)).
		WithItem(core.WithProduct).All(ctx)
	if err != nil {
		return due{}, err
	}
	transfers, err := tx.Transfer.Query().Where(core.TransfersAt(t.ID()), transfer.StateEQ(property.TransferRequested), transfer.RolloutIDIsNil()).
		Order(ent.Asc(transfer.FieldID)).WithProduct(core.WithFirm).All(ctx)
	if err != nil {
		return due{}, err
	}
	var d due
	var at time.Time
	if len(orders) > 0 {
		d.firm, at = orders[0].Edges.Item.Edges.Product.Edges.Firm, orders[0].CreatedAt
	}
	if len(transfers) > 0 && (d.firm == nil || transfers[0].CreatedAt.Before(at)) {
		d.firm = transfers[0].Edges.Product.Edges.Firm
	}
	changed, err := changedProducts(ctx, tx, t.ID())
	if err != nil {
		return due{}, err
	}
	if d.firm == nil && len(changed) > 0 {
		d.firm = changed[0].Edges.Firm
	}
	if d.firm == nil {
		return d, d.repair(ctx, tx, t)
	}
	for _, q := range changed {
		if q.FirmID == d.firm.ID {
			d.products = append(d.products, q.ID)
		}
	}
	for _, o := range orders {
		if o.Edges.Item.Edges.Product.FirmID == d.firm.ID {
			d.orders = append(d.orders, o.ID)
		}
	}
	for _, o := range transfers {
		if o.Edges.Product.FirmID == d.firm.ID {
			d.transfers = append(d.transfers, o.ID)
		}
	}
	return d, nil
}

// repair looks for a firm whose newest update is not in the container, with no
// rollout that would bring it there.
func (d *due) repair(ctx context.Context, tx *store.Tx, t core.LoadedPlace) error {
	busy, err := tx.Rollout.Query().Where(core.RolloutsAt(t.ID()), entrollout.StateNotIn(property.RolloutDone, property.RolloutAborted)).Exist(ctx)
	if err != nil || busy {
		return err
	}
	for _, c := range t.Containers {
		for _, n := range c.Edges.Counters {
			// One that is recorded for a new backend, and not signed yet, counts too.
			lacks, err := tx.Update.Query().Where(update.ContainerID(c.ID), update.FirmID(n.FirmID), update.NumberGT(n.Counter)).Exist(ctx)
			if err != nil {
				return err
			}
			if lacks {
				d.firm, d.repairs = n.Edges.Firm, true
				return nil
			}
		}
	}
	return nil
}

// take gives what is due to a rollout.
func (d due) take(ctx context.Context, tx *store.Tx, row *ent.Rollout) error {
	if err := tx.Order.Update().Where(order.IDIn(d.orders...)).SetRolloutID(row.ID).Exec(ctx); err != nil {
		return err
	}
	return tx.Transfer.Update().Where(transfer.IDIn(d.transfers...)).SetRolloutID(row.ID).SetState(property.TransferIssued).Exec(ctx)
}

// changes is what a rollout brings about.
type changes struct {
	terms   []license.License
	removes []license.Product
}

func (c changes) started(offline bool) rollout.Started {
	return rollout.Started{At: core.Now(), Terms: c.terms, Removes: c.removes, Offline: offline}
}

// rolloutChanges are the licenses that a rollout brings: for each product of its
// orders and transfers, and each whose changed terms it brings, what is ordered
// up to it and not given up, less what was taken away. One that only repairs
// brings all that the place is to hold of its firm.
func rolloutChanges(ctx context.Context, tx *store.Tx, row *ent.Rollout) (changes, error) {
	held, err := containers.Holdings(ctx, tx, core.RolloutPlace(row), entrollout.NumberLTE(row.Number))
	if err != nil {
		return changes{}, err
	}
	mine := func(id *string) bool { return id != nil && *id == row.ID }
	concerns := func(h *containers.Holding) bool {
		return slices.Contains(row.Products, h.Product.ID) ||
			slices.ContainsFunc(h.Orders, func(o *ent.Order) bool { return mine(o.RolloutID) }) ||
			slices.ContainsFunc(h.Taken, func(t *ent.Transfer) bool { return mine(t.RolloutID) })
	}
	repairs := !slices.ContainsFunc(held, concerns)
	var out changes
	for _, h := range held {
		if h.Product.Edges.Firm.Code != row.Firm || (!repairs && !concerns(h)) {
			continue
		}
		options, ok := h.Options()
		if !ok {
			out.removes = append(out.removes, core.ProductOf(h.Product))
			continue
		}
		options.TMRID = uint32(row.TmrID) //nolint:gosec // G115: bounded by the schema
		out.terms = append(out.terms, license.License{Product: core.ProductOf(h.Product), Name: h.Product.Name, Options: options})
	}
	return out, nil
}

// changedProducts are a place's products whose terms would be others now than
// those of the last rollout that brought them or is bringing them. A queued one
// takes the terms that are valid when its turn comes.
func changedProducts(ctx context.Context, tx *store.Tx, place string) ([]*ent.Product, error) {
	open, err := containers.Holdings(ctx, tx, place) // not found in a rollout yet
	if err != nil {
		return nil, err
	}
	const page = 50
	var changed []*ent.Product
	for before := math.MaxInt; len(open) > 0; {
		rows, err := tx.Rollout.Query().
			Where(core.RolloutsAt(place), entrollout.StateNEQ(property.RolloutAborted), entrollout.NumberLT(before)).
			Order(ent.Desc(entrollout.FieldNumber)).Limit(page).WithOrders(func(q *ent.OrderQuery) { q.WithItem() }).WithTransfers().All(ctx)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			before = row.Number
			terms, removes, err := containers.GivenTerms(row)
			if err != nil {
				return nil, err
			}
			open = slices.DeleteFunc(open, func(h *containers.Holding) bool {
				id := h.Product.ID
				if row.State == property.RolloutQueued {
					return slices.Contains(row.Products, id) ||
						slices.ContainsFunc(row.Edges.Orders, func(o *ent.Order) bool { return o.Edges.Item.ProductID == id }) ||
						slices.ContainsFunc(row.Edges.Transfers, func(t *ent.Transfer) bool { return t.ProductID == id })
				}
				given, found := terms[core.ProductOf(h.Product)]
				given.TMRID = 0
				if wanted, some := h.Options(); found && some && !given.Equal(wanted) {
					changed = append(changed, h.Product)
				}
				return found || slices.Contains(removes, core.ProductOf(h.Product))
			})
		}
		if len(rows) < page {
			break
		}
	}
	return changed, nil
}
