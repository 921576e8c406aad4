package containers

import (
	"context"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/order"
	entrollout "github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/transfer"
	"github.com/quorate/quorate/ent/update"
	"github.com/quorate/quorate/internal/platform/core"
)

// ContainerStates tells what is known of containers, by id: of each one exactly
// one of the states. A virtual container is in the state of its group. The
// number of statements doesn't depend on the number of containers.
func ContainerStates(ctx context.Context, c *ent.Client, ids []string) (map[string]property.ContainerState, error) {
	asked, err := c.Container.Query().Where(container.IDIn(ids...)).All(ctx)
	if err != nil {
		return nil, err
	}
	var groups, alone []string
	for _, row := range asked {
		if row.TmrGroupID != nil {
			groups = append(groups, *row.TmrGroupID)
		} else {
			alone = append(alone, row.ID)
		}
	}
	members, err := c.Container.Query().Where(container.Or(container.IDIn(alone...), container.TmrGroupIDIn(groups...))).
		WithCounters().All(ctx)
	if err != nil {
		return nil, err
	}
	waiting, err := awaitingReceipts(ctx, c, members)
	if err != nil {
		return nil, err
	}
	busy, err := busyPlaces(ctx, c, groups, alone)
	if err != nil {
		return nil, err
	}
	states := make(map[string]property.ContainerState, len(asked))
	for _, row := range asked {
		place, of := row.ID, []*ent.Container{row}
		if row.TmrGroupID != nil {
			place = *row.TmrGroupID
		}
		if row.Kind == property.ContainerVirtual {
			for _, m := range members {
				if m.TmrGroupID != nil && *m.TmrGroupID == place {
					of = append(of, m)
				}
			}
		}
		states[row.ID] = stateOf(of, waiting, busy[place])
	}
	return states, nil
}

func stateOf(all []*ent.Container, waiting map[string]bool, busy bool) property.ContainerState {
	state := property.ContainerUpToDate
	if busy {
		state = property.ContainerUpdateDue
	}
	for _, c := range all {
		if waiting[c.ID] {
			state = property.ContainerAwaitingReceipt
		}
	}
	for _, c := range all {
		if c.ManipulationSuspected {
			state = property.ContainerSuspected
		}
	}
	for _, c := range all {
		if c.BlockedAt != nil {
			state = property.ContainerBlocked
		}
	}
	return state
}

// awaitingReceipts are the containers with an update that was issued, and not
// confirmed.
func awaitingReceipts(ctx context.Context, c *ent.Client, all []*ent.Container) (map[string]bool, error) {
	confirmed := map[[2]string]uint64{}
	ids := make([]string, len(all))
	for i, row := range all {
		ids[i] = row.ID
		for _, n := range row.Edges.Counters {
			confirmed[[2]string{row.ID, n.FirmID}] = n.Counter
		}
	}
	var newest []struct {
		Container string `json:"container_id"`
		Firm      string `json:"firm_id"`
		Number    uint64 `json:"number"`
	}
	err := c.Update.Query().Where(update.ContainerIDIn(ids...), update.DigestNotNil()).
		GroupBy(update.FieldContainerID, update.FieldFirmID).Aggregate(ent.As(ent.Max(update.FieldNumber), "number")).Scan(ctx, &newest)
	waiting := map[string]bool{}
	for _, n := range newest {
		if n.Number > confirmed[[2]string{n.Container, n.Firm}] {
			waiting[n.Container] = true
		}
	}
	return waiting, err
}

// busyPlaces are those for which something is ordered or under way.
func busyPlaces(ctx context.Context, c *ent.Client, groups, alone []string) (map[string]bool, error) {
	busy := map[string]bool{}
	orders, err := c.Order.Query().Where(order.RolloutIDIsNil(), order.Or(order.TmrGroupIDIn(groups...), order.ContainerIDIn(alone...))).
		Select(order.FieldTmrGroupID, order.FieldContainerID).All(ctx)
	if err != nil {
		return nil, err
	}
	for _, o := range orders {
		busy[core.PlaceID(o.TmrGroupID, o.ContainerID)] = true
	}
	transfers, err := c.Transfer.Query().Where(transfer.StateEQ(property.TransferRequested),
		transfer.Or(transfer.TmrGroupIDIn(groups...), transfer.ContainerIDIn(alone...))).
		Select(transfer.FieldTmrGroupID, transfer.FieldContainerID).All(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range transfers {
		busy[core.PlaceID(t.TmrGroupID, t.ContainerID)] = true
	}
	rollouts, err := c.Rollout.Query().Where(entrollout.StateNotIn(property.RolloutDone, property.RolloutAborted),
		entrollout.Or(entrollout.TmrGroupIDIn(groups...), entrollout.ContainerIDIn(alone...))).
		Select(entrollout.FieldTmrGroupID, entrollout.FieldContainerID).All(ctx)
	for _, r := range rollouts {
		busy[core.PlaceID(r.TmrGroupID, r.ContainerID)] = true
	}
	return busy, err
}

// ContainerLinked says whether the license server of a container outside of TMR
// groups was heard of just now.
func ContainerLinked(c *ent.Container) bool { return core.Heard(c.LinkedAt) }
