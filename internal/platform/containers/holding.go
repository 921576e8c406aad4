package containers

import (
	"context"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/order"
	"github.com/quorate/quorate/ent/predicate"
	entrollout "github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/transfer"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// Holding is what a place is to hold of a product, by the orders and transfers
// that rollouts have which were not given up.
type Holding struct {
	Product *ent.Product
	Orders  []*ent.Order // with their items, oldest first
	Taken   []*ent.Transfer
}

// Holdings are those of a place by the rollouts of a sort, in the order in which
// the products were ordered first.
func Holdings(ctx context.Context, tx *store.Tx, place string, where ...predicate.Rollout) ([]*Holding, error) {
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
	var all []*Holding
	of := map[string]*Holding{}
	for _, o := range orders {
		product := o.Edges.Item.Edges.Product
		if of[product.ID] == nil {
			of[product.ID] = &Holding{Product: product}
			all = append(all, of[product.ID])
		}
		of[product.ID].Orders = append(of[product.ID].Orders, o)
	}
	for _, t := range taken {
		if h := of[t.ProductID]; h != nil {
			h.Taken = append(h.Taken, t)
		}
	}
	return all, nil
}

// Options are those of the license that is left; false when none is.
func (h *Holding) Options() (license.Options, bool) {
	left, gone := 0, 0
	for _, o := range h.Orders {
		left += o.Quantity
	}
	for _, t := range h.Taken {
		gone += t.Quantity
	}
	if left <= gone {
		return license.Options{}, false
	}
	options := catalog.OrderedOptions(h.Orders)
	options.Quantity -= uint32(min(uint64(gone), uint64(options.Quantity))) //nolint:gosec // G115: not negative
	if item := h.Orders[len(h.Orders)-1].Edges.Item; options.Units != nil && gone > 0 {
		n := *options.Units - min(uint64(gone)*catalog.ValueOf(item.Units), *options.Units) //nolint:gosec // G115: not negative
		options.Units = &n
	}
	return options, true
}

// GivenTerms are the terms that a rollout took at its start.
func GivenTerms(row *ent.Rollout) (map[license.Product]license.Options, []license.Product, error) {
	if row.State == property.RolloutQueued || len(row.Machine) == 0 {
		return nil, nil, nil
	}
	s, err := RolloutState(row)
	if err != nil {
		return nil, nil, err
	}
	terms := map[license.Product]license.Options{}
	for _, l := range s.Terms {
		terms[l.Product] = l.Options
	}
	return terms, s.Removes, nil
}
