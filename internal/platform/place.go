package platform

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

// place is a TMR group with its three containers by position, or a container
// alone. The containers have their counters loaded.
type place struct {
	group      *ent.TmrGroup // nil: a container alone
	containers []*ent.Container
}

// findPlace resolves what the caller names, among what he may see. The error
// for a container of a TMR group, and for a group that is named as a container,
// is license.CodeInvalidInput.
func findPlace(ctx context.Context, tx *store.Tx, at Place) (place, error) {
	if (at.Group == "") == (at.Container == "") {
		return place{}, license.Errorf(license.CodeInvalidInput, "give a TMR group or a container", "either a TMR group or a container is wanted")
	}
	if at.Group != "" {
		g, err := tx.TmrGroup.Query().Where(groupIs(at.Group)).Only(ctx)
		if err == nil {
			return placeOf(ctx, tx, g.ID)
		}
		if ent.IsNotFound(err) {
			if c, other := tx.Container.Query().Where(containerIs(at.Group)).Only(ctx); other == nil {
				return place{}, license.Errorf(license.CodeInvalidInput, "name it as a container, or name the TMR group", "%s is a container, not a TMR group", c.Serial)
			}
		}
		return place{}, notFound(err, "TMR group", at.Group)
	}
	c, err := singleContainer(ctx, tx, at.Container)
	if err != nil {
		return place{}, err
	}
	return placeOf(ctx, tx, c.ID)
}

// singleContainer finds a container that is in no TMR group.
func singleContainer(ctx context.Context, tx *store.Tx, idOrSerial string) (*ent.Container, error) {
	c, err := tx.Container.Query().Where(containerIs(idOrSerial)).WithTmrGroup().Only(ctx)
	if err != nil {
		return nil, notFound(err, "container", idOrSerial)
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

// placeOf loads a place by the id of its group or container.
func placeOf(ctx context.Context, tx *store.Tx, id string) (place, error) {
	if !isGroup(id) {
		c, err := tx.Container.Query().Where(container.ID(id)).
			WithCounters(func(q *ent.FirmCounterQuery) { q.WithFirm() }).Only(ctx)
		return place{containers: []*ent.Container{c}}, err
	}
	g, err := tx.TmrGroup.Get(ctx, id)
	if err != nil {
		return place{}, err
	}
	t := place{group: g, containers: make([]*ent.Container, license.Backends)}
	all, err := tx.Container.Query().Where(container.TmrGroupID(id), container.PositionNotNil()).
		WithCounters(func(q *ent.FirmCounterQuery) { q.WithFirm() }).All(ctx)
	if err != nil {
		return t, err
	}
	for _, c := range all {
		t.containers[*c.Position-1] = c
	}
	for i, c := range t.containers {
		if c == nil {
			return t, fmt.Errorf("the group %s has no container at position %d", id, i+1)
		}
	}
	return t, nil
}

// lockPlace takes the lock under which it is decided which rollout runs there,
// and what it is to hold. Lock order: a rollout, then its place.
func lockPlace(ctx context.Context, tx *store.Tx, id string) error {
	var err error
	if isGroup(id) {
		_, err = tx.TmrGroup.Query().Where(tmrgroup.ID(id), store.Locked).OnlyID(ctx)
	} else {
		_, err = tx.Container.Query().Where(container.ID(id), store.Locked).OnlyID(ctx)
	}
	return err
}

func (t place) single() bool { return t.group == nil }

func (t place) id() string {
	if t.single() {
		return t.containers[0].ID
	}
	return t.group.ID
}

func (t place) serial() string {
	if t.single() {
		return t.containers[0].Serial
	}
	return t.group.VirtualSerial
}

func (t place) vendor() string {
	if t.single() {
		return t.containers[0].VendorID
	}
	return t.group.VendorID
}

func (t place) customer() *string {
	if t.single() {
		return t.containers[0].CustomerID
	}
	return t.group.CustomerID
}

// columns are what a row of the place has in its two columns.
func (t place) columns() (group, single *string) {
	id := t.id()
	if t.single() {
		return nil, &id
	}
	return &id, nil
}

// noun is how people are told of it.
func (t place) noun() string {
	if t.single() {
		return "container"
	}
	return "group"
}

// backend names one of its containers to people.
func (t place) backend(position int) string {
	if t.single() {
		return "container " + t.serial()
	}
	return fmt.Sprintf("backend %d", position)
}

// linked says whether its server was heard of just now.
func (t place) linked() bool {
	if t.single() {
		return heard(t.containers[0].LinkedAt)
	}
	return Linked(t.group)
}

// blocked is the error for a container that gets nothing any more.
func (t place) blocked() error {
	for _, c := range t.containers {
		if err := blockedError(c); err != nil {
			return err
		}
	}
	return nil
}

func blockedError(c *ent.Container) error {
	if c.BlockedAt == nil {
		return nil
	}
	return license.Errorf(license.CodeContainerBlocked, "use its replacement, or ask the vendor",
		"the container %s was blocked: %s", c.Serial, c.BlockReason)
}

func isGroup(placeID string) bool { return len(placeID) > 4 && placeID[:4] == "tmr_" }

// placeID is the id of the place that a row is of.
func placeID(group, single *string) string {
	if group != nil {
		return *group
	}
	if single != nil {
		return *single
	}
	return ""
}

func rolloutPlace(r *ent.Rollout) string { return placeID(r.TmrGroupID, r.ContainerID) }

func rolloutsAt(id string) predicate.Rollout {
	if isGroup(id) {
		return entrollout.TmrGroupID(id)
	}
	return entrollout.ContainerID(id)
}

func ordersAt(id string) predicate.Order {
	if isGroup(id) {
		return order.TmrGroupID(id)
	}
	return order.ContainerID(id)
}

func transfersAt(id string) predicate.Transfer {
	if isGroup(id) {
		return transfer.TmrGroupID(id)
	}
	return transfer.ContainerID(id)
}

func containerIs(idOrSerial string) predicate.Container {
	return container.Or(container.ID(idOrSerial), container.Serial(idOrSerial))
}

// counts says whether a transfer takes licenses away from where they were.
func counts() predicate.Transfer { return transfer.StateNEQ(property.TransferRefused) }
