package core

import (
	"context"
	"fmt"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/order"
	"github.com/quorate/quorate/ent/predicate"
	entrollout "github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/tmrgroup"
	"github.com/quorate/quorate/ent/transfer"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/store"
)

// Place is where licenses go to: a TMR group, or a container outside of groups.
// Exactly one of the two is given, as a global id or a serial number.
type Place struct{ Group, Container string }

// LoadedPlace is a TMR group with its three containers by position, or a container
// alone. The containers have their counters loaded.
type LoadedPlace struct {
	Group      *ent.TmrGroup // nil: a container alone
	Containers []*ent.Container
}

// FindPlace resolves what the caller names, among what he may see. The error
// for a container of a TMR group, and for a group that is named as a container,
// is license.CodeInvalidInput.
func FindPlace(ctx context.Context, tx *store.Tx, at Place) (LoadedPlace, error) {
	if (at.Group == "") == (at.Container == "") {
		return LoadedPlace{}, license.Errorf(license.CodeInvalidInput, "give a TMR group or a container", "either a TMR group or a container is wanted")
	}
	if at.Group != "" {
		g, err := tx.TmrGroup.Query().Where(GroupIs(at.Group)).Only(ctx)
		if err == nil {
			return PlaceOf(ctx, tx, g.ID)
		}
		if ent.IsNotFound(err) {
			if c, other := tx.Container.Query().Where(ContainerIs(at.Group)).Only(ctx); other == nil {
				return LoadedPlace{}, license.Errorf(license.CodeInvalidInput, "name it as a container, or name the TMR group", "%s is a container, not a TMR group", c.Serial)
			}
		}
		return LoadedPlace{}, NotFound(err, "TMR group", at.Group)
	}
	c, err := SingleContainer(ctx, tx, at.Container)
	if err != nil {
		return LoadedPlace{}, err
	}
	return PlaceOf(ctx, tx, c.ID)
}

// SingleContainer finds a container that is in no TMR group.
func SingleContainer(ctx context.Context, tx *store.Tx, idOrSerial string) (*ent.Container, error) {
	c, err := tx.Container.Query().Where(ContainerIs(idOrSerial)).WithTmrGroup().Only(ctx)
	if err != nil {
		return nil, NotFound(err, "container", idOrSerial)
	}
	if c.TmrGroupID != nil {
		group := "another"
		if g := c.Edges.TmrGroup; g != nil {
			group = g.VirtualSerial
		}
		return nil, license.Errorf(license.CodeInvalidInput, "name the TMR group: its containers hold the same licenses",
			"the container %s belongs to the TMR group %s", c.Serial, group)
	}
	return c, nil
}

// PlaceOf loads a place by the id of its group or container.
func PlaceOf(ctx context.Context, tx *store.Tx, id string) (LoadedPlace, error) {
	if !IsGroup(id) {
		c, err := tx.Container.Query().Where(container.ID(id)).
			WithCounters(func(q *ent.FirmCounterQuery) { q.WithFirm() }).Only(ctx)
		return LoadedPlace{Containers: []*ent.Container{c}}, err
	}
	g, err := tx.TmrGroup.Get(ctx, id)
	if err != nil {
		return LoadedPlace{}, err
	}
	t := LoadedPlace{Group: g, Containers: make([]*ent.Container, license.Backends)}
	all, err := tx.Container.Query().Where(container.TmrGroupID(id), container.PositionNotNil()).
		WithCounters(func(q *ent.FirmCounterQuery) { q.WithFirm() }).All(ctx)
	if err != nil {
		return t, err
	}
	for _, c := range all {
		t.Containers[*c.Position-1] = c
	}
	for i, c := range t.Containers {
		if c == nil {
			return t, fmt.Errorf("the group %s has no container at position %d", id, i+1)
		}
	}
	return t, nil
}

// LockPlace takes the lock under which it is decided which rollout runs there,
// and what it is to hold. Lock order: a rollout, then its place.
func LockPlace(ctx context.Context, tx *store.Tx, id string) error {
	var err error
	if IsGroup(id) {
		_, err = tx.TmrGroup.Query().Where(tmrgroup.ID(id), store.Locked).OnlyID(ctx)
	} else {
		_, err = tx.Container.Query().Where(container.ID(id), store.Locked).OnlyID(ctx)
	}
	return err
}

// Single: a container alone.
func (t LoadedPlace) Single() bool { return t.Group == nil }

// ID is the id of the group or the container.
func (t LoadedPlace) ID() string {
	if t.Single() {
		return t.Containers[0].ID
	}
	return t.Group.ID
}

// Serial is the virtual serial number of the group, or that of the container.
func (t LoadedPlace) Serial() string {
	if t.Single() {
		return t.Containers[0].Serial
	}
	return t.Group.VirtualSerial
}

// Vendor is the organization's id.
func (t LoadedPlace) Vendor() string {
	if t.Single() {
		return t.Containers[0].VendorID
	}
	return t.Group.VendorID
}

// Customer is the organization's id; nil: the vendor runs it.
func (t LoadedPlace) Customer() *string {
	if t.Single() {
		return t.Containers[0].CustomerID
	}
	return t.Group.CustomerID
}

// Columns are what a row of the place has in its two columns.
func (t LoadedPlace) Columns() (group, single *string) {
	id := t.ID()
	if t.Single() {
		return nil, &id
	}
	return &id, nil
}

// Noun is how people are told of it.
func (t LoadedPlace) Noun() string {
	if t.Single() {
		return "container"
	}
	return "group"
}

// Backend names one of its containers to people.
func (t LoadedPlace) Backend(position int) string {
	if t.Single() {
		return "container " + t.Serial()
	}
	return fmt.Sprintf("backend %d", position)
}

// Linked says whether its server was heard of just now.
func (t LoadedPlace) Linked() bool {
	if t.Single() {
		return Heard(t.Containers[0].LinkedAt)
	}
	return Linked(t.Group)
}

// Blocked is the error for a container that gets nothing any more.
func (t LoadedPlace) Blocked() error {
	for _, c := range t.Containers {
		if err := BlockedError(c); err != nil {
			return err
		}
	}
	return nil
}

// BlockedError is the error for a container that is blocked, or nil.
func BlockedError(c *ent.Container) error {
	if c.BlockedAt == nil {
		return nil
	}
	return license.Errorf(license.CodeContainerBlocked, "use its replacement, or ask the vendor",
		"the container %s was blocked: %s", c.Serial, c.BlockReason)
}

// IsGroup says whether an id is that of a TMR group.
func IsGroup(placeID string) bool { return len(placeID) > 4 && placeID[:4] == "tmr_" }

// PlaceID is the id of the place that a row is of.
func PlaceID(group, single *string) string {
	if group != nil {
		return *group
	}
	if single != nil {
		return *single
	}
	return ""
}

// RolloutPlace is the id of the place that a rollout is of.
func RolloutPlace(r *ent.Rollout) string { return PlaceID(r.TmrGroupID, r.ContainerID) }

// RolloutsAt, OrdersAt and TransfersAt find those of a place, by its id.
func RolloutsAt(id string) predicate.Rollout {
	if IsGroup(id) {
		return entrollout.TmrGroupID(id)
	}
	return entrollout.ContainerID(id)
}

func OrdersAt(id string) predicate.Order {
	if IsGroup(id) {
		return order.TmrGroupID(id)
	}
	return order.ContainerID(id)
}

func TransfersAt(id string) predicate.Transfer {
	if IsGroup(id) {
		return transfer.TmrGroupID(id)
	}
	return transfer.ContainerID(id)
}

// TransferCounts says whether a transfer takes licenses away from where they were.
func TransferCounts() predicate.Transfer { return transfer.StateNEQ(property.TransferRefused) }
