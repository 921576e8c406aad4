package platform

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/order"
	"github.com/quorate/quorate/ent/predicate"
	entrollout "github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/transfer"
	"github.com/quorate/quorate/ent/update"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
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

// newestUpdate is the last one issued by a firm for a container, or nil.
func newestUpdate(ctx context.Context, tx *store.Tx, container, firm string) (*ent.Update, error) {
	u, err := tx.Update.Query().Where(update.ContainerID(container), update.FirmID(firm), update.DigestNotNil()).
		Order(ent.Desc(update.FieldNumber)).First(ctx)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	return u, err
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
	held, err := holdings(ctx, tx, core.RolloutPlace(row), entrollout.NumberLTE(row.Number))
	if err != nil {
		return changes{}, err
	}
	mine := func(id *string) bool { return id != nil && *id == row.ID }
	concerns := func(h *holding) bool {
		return slices.Contains(row.Products, h.product.ID) ||
			slices.ContainsFunc(h.orders, func(o *ent.Order) bool { return mine(o.RolloutID) }) ||
			slices.ContainsFunc(h.taken, func(t *ent.Transfer) bool { return mine(t.RolloutID) })
	}
	repairs := !slices.ContainsFunc(held, concerns)
	var out changes
	for _, h := range held {
		if h.product.Edges.Firm.Code != row.Firm || (!repairs && !concerns(h)) {
			continue
		}
		options, ok := h.options()
		if !ok {
			out.removes = append(out.removes, core.ProductOf(h.product))
			continue
		}
		options.TMRID = uint32(row.TmrID) //nolint:gosec // G115: bounded by the schema
		out.terms = append(out.terms, license.License{Product: core.ProductOf(h.product), Name: h.product.Name, Options: options})
	}
	return out, nil
}

// holding is what a place is to hold of a product, by the orders and transfers
// that rollouts have which were not given up.
type holding struct {
	product *ent.Product
	orders  []*ent.Order // with their items, oldest first
	taken   []*ent.Transfer
}

// holdings are those of a place by the rollouts of a sort, in the order in which
// the products were ordered first.
func holdings(ctx context.Context, tx *store.Tx, place string, where ...predicate.Rollout) ([]*holding, error) {
	where = append(where, entrollout.StateNEQ(property.RolloutAborted))
	orders, err := tx.Order.Query().Where(core.OrdersAt(place), order.HasRolloutWith(where...)).
		Order(ent.Asc(order.FieldNumber)).WithItem(core.WithProduct).All(ctx)
	if err != nil {
		return nil, err
	}
	taken, err := tx.Transfer.Query().Where(core.TransfersAt(place), core.TransferCounts(), transfer.HasRolloutWith(where...)).
		Order(ent.Asc(transfer.FieldID)).All(ctx)
	if err != nil {
		return nil, err
	}
	var all []*holding
	of := map[string]*holding{}
	for _, o := range orders {
		product := o.Edges.Item.Edges.Product
		if of[product.ID] == nil {
			of[product.ID] = &holding{product: product}
			all = append(all, of[product.ID])
		}
		of[product.ID].orders = append(of[product.ID].orders, o)
	}
	for _, t := range taken {
		if h := of[t.ProductID]; h != nil {
			h.taken = append(h.taken, t)
		}
	}
	return all, nil
}

// options are those of the license that is left; false when none is.
func (h *holding) options() (license.Options, bool) {
	left, gone := 0, 0
	for _, o := range h.orders {
		left += o.Quantity
	}
	for _, t := range h.taken {
		gone += t.Quantity
	}
	if left <= gone {
		return license.Options{}, false
	}
	options := catalog.OrderedOptions(h.orders)
	options.Quantity -= uint32(min(uint64(gone), uint64(options.Quantity))) //nolint:gosec // G115: not negative
	if item := h.orders[len(h.orders)-1].Edges.Item; options.Units != nil && gone > 0 {
		n := *options.Units - min(uint64(gone)*catalog.ValueOf(item.Units), *options.Units) //nolint:gosec // G115: not negative
		options.Units = &n
	}
	return options, true
}

// changedProducts are a place's products whose terms would be others now than
// those of the last rollout that brought them or is bringing them. A queued one
// takes the terms that are valid when its turn comes.
func changedProducts(ctx context.Context, tx *store.Tx, place string) ([]*ent.Product, error) {
	open, err := holdings(ctx, tx, place) // not found in a rollout yet
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
			terms, removes, err := givenTerms(row)
			if err != nil {
				return nil, err
			}
			open = slices.DeleteFunc(open, func(h *holding) bool {
				id := h.product.ID
				if row.State == property.RolloutQueued {
					return slices.Contains(row.Products, id) ||
						slices.ContainsFunc(row.Edges.Orders, func(o *ent.Order) bool { return o.Edges.Item.ProductID == id }) ||
						slices.ContainsFunc(row.Edges.Transfers, func(t *ent.Transfer) bool { return t.ProductID == id })
				}
				given, found := terms[core.ProductOf(h.product)]
				given.TMRID = 0
				if wanted, some := h.options(); found && some && !given.Equal(wanted) {
					changed = append(changed, h.product)
				}
				return found || slices.Contains(removes, core.ProductOf(h.product))
			})
		}
		if len(rows) < page {
			break
		}
	}
	return changed, nil
}

// givenTerms are the terms that a rollout took at its start.
func givenTerms(row *ent.Rollout) (map[license.Product]license.Options, []license.Product, error) {
	if row.State == property.RolloutQueued || len(row.Machine) == 0 {
		return nil, nil, nil
	}
	s, err := rolloutState(row)
	if err != nil {
		return nil, nil, err
	}
	terms := map[license.Product]license.Options{}
	for _, l := range s.Terms {
		terms[l.Product] = l.Options
	}
	return terms, s.Removes, nil
}
