package containers

import (
	"context"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/order"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/transfer"
	"github.com/quorate/quorate/internal/platform/core"
)

// ContainerLicense is what a container outside of TMR groups holds and is to
// hold of a product, as far as the platform knows.
type ContainerLicense struct {
	Item *ent.Item // ordered last; with its product
	// Quantity is on the container: rolled out, and not known to be gone.
	Quantity int
	// Waiting was ordered, and is not on it yet.
	Waiting int
	// Leaving is the part of Quantity that is to leave.
	Leaving int
}

// ContainerLicenses tells what containers hold, by id, as far as the client's
// principal may see: the products in the order in which they were ordered first.
// The number of statements doesn't depend on the number of containers.
func ContainerLicenses(ctx context.Context, c *ent.Client, ids []string) (map[string][]ContainerLicense, error) {
	orders, err := c.Order.Query().Where(order.ContainerIDIn(ids...)).Order(ent.Asc(order.FieldNumber)).
		WithItem(func(q *ent.ItemQuery) { q.WithProduct() }).WithRollout().All(ctx)
	if err != nil {
		return nil, err
	}
	transfers, err := c.Transfer.Query().Where(transfer.ContainerIDIn(ids...), core.TransferCounts()).All(ctx)
	if err != nil {
		return nil, err
	}
	type key struct{ container, product string }
	var keys []key
	held, gone := map[key]*ContainerLicense{}, map[key]int{}
	for _, o := range orders {
		k := key{*o.ContainerID, o.Edges.Item.ProductID}
		if held[k] == nil {
			held[k] = &ContainerLicense{}
			keys = append(keys, k)
		}
		h := held[k]
		h.Item = o.Edges.Item
		if r := o.Edges.Rollout; r != nil && r.State == property.RolloutDone {
			h.Quantity += o.Quantity
		} else {
			h.Waiting += o.Quantity
		}
	}
	for _, t := range transfers {
		k := key{*t.ContainerID, t.ProductID}
		switch {
		case t.State == property.TransferConfirmed:
			gone[k] += t.Quantity
		case held[k] != nil:
			held[k].Leaving += t.Quantity
		}
	}
	all := make(map[string][]ContainerLicense, len(ids))
	for _, k := range keys {
		h := *held[k]
		// A replacement takes what was only ordered as well.
		on := min(gone[k], h.Quantity)
		h.Quantity -= on
		h.Waiting -= min(gone[k]-on, h.Waiting)
		if h.Quantity > 0 || h.Waiting > 0 {
			all[k.container] = append(all[k.container], h)
		}
	}
	return all, nil
}
