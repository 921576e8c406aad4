// Package filters narrows the lists of the API by their arguments. One that is left
// out or null doesn't matter, and an empty list of states or sorts finds nothing.
package filters

import (
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/allocation"
	entcontainer "github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/denial"
	entitem "github.com/quorate/quorate/ent/item"
	"github.com/quorate/quorate/ent/order"
	"github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/platform/core"
)

// Allocations narrows allocations; from and to are when they were in use.
func Allocations(q *ent.AllocationQuery, customer *string, from, to *time.Time) *ent.AllocationQuery {
	if customer != nil {
		q.Where(allocation.CustomerID(*customer))
	}
	if from != nil {
		q.Where(allocation.Or(allocation.EndedAtIsNil(), allocation.EndedAtGTE(core.Plausible(*from))))
	}
	if to != nil {
		q.Where(allocation.FirstAccessLT(core.Plausible(*to)))
	}
	return q
}

// Denials narrows denials.
func Denials(q *ent.DenialQuery, customer, reason *string, from, to *time.Time) *ent.DenialQuery {
	if customer != nil {
		q.Where(denial.CustomerID(*customer))
	}
	if reason != nil {
		q.Where(denial.Reason(*reason))
	}
	if from != nil {
		q.Where(denial.AtGTE(core.Plausible(*from)))
	}
	if to != nil {
		q.Where(denial.AtLT(core.Plausible(*to)))
	}
	return q
}

// Items narrows items; the product is named by its id or its code.
func Items(q *ent.ItemQuery, product *string, expiresFrom, expiresTo *time.Time) *ent.ItemQuery {
	if product != nil {
		q.Where(entitem.HasProductWith(core.ProductIs(*product)))
	}
	if expiresFrom != nil {
		q.Where(entitem.ExpirationGTE(core.Plausible(*expiresFrom)))
	}
	if expiresTo != nil {
		q.Where(entitem.ExpirationLT(core.Plausible(*expiresTo)))
	}
	return q
}

// Containers narrows containers.
func Containers(q *ent.ContainerQuery, kinds []property.ContainerKind, customer *string, suspected *bool) *ent.ContainerQuery {
	if kinds != nil {
		q.Where(entcontainer.KindIn(kinds...))
	}
	if customer != nil {
		q.Where(entcontainer.CustomerID(*customer))
	}
	if suspected != nil {
		q.Where(entcontainer.ManipulationSuspected(*suspected))
	}
	return q
}

// Rollouts narrows rollouts; places are named by ids or serial numbers.
func Rollouts(q *ent.RolloutQuery, states []property.RolloutState, group, container, customer *string) *ent.RolloutQuery {
	if states != nil {
		q.Where(rollout.StateIn(states...))
	}
	if group != nil {
		q.Where(rollout.HasTmrGroupWith(core.GroupIs(*group)))
	}
	if container != nil {
		q.Where(rollout.HasContainerWith(core.ContainerIs(*container)))
	}
	if customer != nil {
		q.Where(rollout.CustomerID(*customer))
	}
	return q
}

// Orders narrows orders; places are named by ids or serial numbers.
func Orders(q *ent.OrderQuery, item, group, container, customer *string, rolledOut *bool) *ent.OrderQuery {
	if item != nil {
		q.Where(order.ItemID(*item))
	}
	if group != nil {
		q.Where(order.HasTmrGroupWith(core.GroupIs(*group)))
	}
	if container != nil {
		q.Where(order.HasContainerWith(core.ContainerIs(*container)))
	}
	if customer != nil {
		q.Where(order.CustomerID(*customer))
	}
	if rolledOut != nil {
		done := order.HasRolloutWith(rollout.StateEQ(property.RolloutDone))
		if !*rolledOut {
			done = order.Not(done)
		}
		q.Where(done)
	}
	return q
}
