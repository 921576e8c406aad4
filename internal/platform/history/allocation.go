package history

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/allocation"
	"github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/denial"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/work"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/store"
)

// LeaseEventKind is what happened to a handle.
type LeaseEventKind string

// The kinds of lease events.
const (
	LeaseGranted  LeaseEventKind = "GRANTED"
	LeaseReleased LeaseEventKind = "RELEASED"
	LeaseExpired  LeaseEventKind = "EXPIRED"
	LeaseRemoved  LeaseEventKind = "REMOVED"
	LeaseDenied   LeaseEventKind = "DENIED"
)

// eventPatience is how long after a removal was done its event may take.
const eventPatience = 30 * time.Second

// MostLeaseEvents bounds how many events one push may bring.
const MostLeaseEvents = 1000

// LeaseEvent is one entry of the event stream of a group, or of a container
// outside of groups. Position counts up by any
// steps and never repeats.
type LeaseEvent struct {
	Position    uint64
	Kind        LeaseEventKind
	At          time.Time
	Handle      string
	Product     license.Product
	Mode        license.AccessMode
	Client      string // host or address
	User        string
	Station     string
	Process     uint32
	Application string
	Seat        uint32
	N           uint64
	Reason      license.Code // of a denial
	By          string       // who removed it
	Licenses    uint32       // that were asked for, at least 1
	Borrowed    bool         // it is used without the server for a time
	Rule        string       // of the license server, that refused; empty: none did
	// Seq counts the events of one firm in the group by one, so that a missing
	// number is a gap; zero: not told.
	Seq uint64
}

// ApplyLeaseEvents makes the allocation history of a group's virtual container,
// or of a container outside of groups, from its event stream and returns the
// position up to which the platform has it. Events at or before that are
// skipped, so pushing them again changes nothing, whoever of several servers over
// the same seats does. An event of a product that the platform doesn't know, or
// that it can't store, is passed over. Errors: as ApplyView.
func (p *Service) ApplyLeaseEvents(ctx context.Context, placeID string, events []LeaseEvent) (uint64, error) {
	if err := core.RequireServer(ctx, placeID); err != nil {
		return 0, err
	}
	if len(events) > MostLeaseEvents {
		return 0, license.Errorf(license.CodeTooLarge, "push at most 1000 events at once", "%d events are too many", len(events))
	}
	for i, e := range events {
		if e.Position > core.MostNumber {
			return 0, core.NumberTooLarge("position", e.Position)
		}
		if i > 0 && e.Position <= events[i-1].Position {
			return 0, license.Errorf(license.CodeInvalidInput, "push events in their order", "the events are not in order")
		}
	}
	ctx = core.System(ctx, "link")
	position, err := EventPosition(ctx, p.core, placeID)
	if err != nil || len(events) == 0 || events[len(events)-1].Position <= position {
		return position, err
	}
	if err := p.beginLogs(ctx, placeID, events); err != nil {
		return 0, err
	}
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		h, err := p.openHistory(ctx, tx, placeID)
		if err != nil {
			return err
		}
		position = h.position
		fresh := slices.DeleteFunc(slices.Clone(events), func(e LeaseEvent) bool { return e.Position <= h.position })
		if len(fresh) == 0 {
			return nil
		}
		if err := h.read(ctx, fresh); err != nil {
			return err
		}
		for _, e := range fresh {
			h.apply(ctx, e)
		}
		if err := h.save(ctx); err != nil {
			return err
		}
		if err := h.log(ctx, fresh); err != nil {
			return err
		}
		position = fresh[len(fresh)-1].Position
		if len(h.denials) > 0 { // first, so that one reading has both
			p.core.Publish(ctx, tx, event.Denials, h.container)
		}
		p.core.Publish(ctx, tx, event.Allocations, h.container)
		if err := h.moveTo(ctx, position); err != nil {
			return err
		}
		return h.emitDenied(ctx)
	})
	return position, err
}

// EventPosition is up to where the platform has a place's events.
func EventPosition(ctx context.Context, p *core.Core, placeID string) (uint64, error) {
	if !core.IsGroup(placeID) {
		c, err := p.Store.Client().Container.Get(ctx, placeID)
		if err != nil {
			return 0, core.NotFound(err, "container", placeID)
		}
		return c.EventPosition, nil
	}
	g, err := p.Store.Client().TmrGroup.Get(ctx, placeID)
	if err != nil {
		return 0, core.NotFound(err, "TMR group", placeID)
	}
	return g.EventPosition, nil
}

// ReleaseAllocation has one living allocation removed by its license server: it
// stays ACTIVE until the server has done it. Asking again while that is due
// changes nothing. If the server did it a while ago and its event never came,
// asking again ends the allocation in the history. Errors: CodeNotFound,
// CodeForbidden, CodeConflict when it has ended or its server has no link,
// CodeContainerBlocked.
func (p *Service) ReleaseAllocation(ctx context.Context, id string) (*ent.Allocation, error) {
	by, err := auth.Require(ctx, auth.Release)
	if err != nil {
		return nil, err
	}
	var found *ent.Allocation
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		h, err := p.historyOf(ctx, tx, id)
		if err != nil {
			return err
		}
		a, at, err := reachable(ctx, tx, id, "release it at its license server")
		if err != nil {
			return err
		}
		found = a
		return p.requestRemoval(ctx, h, by, a, at)
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// historyOf opens the history that an allocation is in. Lock order: the place,
// then its allocations.
func (p *Service) historyOf(ctx context.Context, tx *store.Tx, allocationID string) (*history, error) {
	a, err := tx.Allocation.Query().Where(allocation.ID(allocationID)).WithContainer().Only(ctx)
	if err != nil {
		return nil, core.NotFound(err, "allocation", allocationID)
	}
	placeID := a.ContainerID
	if c := a.Edges.Container; c != nil && c.TmrGroupID != nil {
		placeID = *c.TmrGroupID
	}
	return p.openHistory(core.System(ctx, "release"), tx, placeID)
}

func (p *Service) requestRemoval(ctx context.Context, h *history, by auth.Principal, a *ent.Allocation, at core.LoadedPlace) error {
	tx := h.tx
	// A removal that failed may be asked for again, one that is due may not.
	prefix := removalPrefix + a.ID + "/"
	asked, err := tx.Work.Query().Where(work.KeyHasPrefix(prefix)).All(ctx)
	if err != nil {
		return err
	}
	for _, w := range asked {
		switch {
		case w.DoneAt != nil && w.DoneAt.Before(a.LastAccess): // it has been given anew since
		case w.State == property.WorkPending:
			return nil
		case w.State == property.WorkDone && w.DoneAt != nil && time.Since(*w.DoneAt) > eventPatience:
			// A crash of the server can lose the end of its event stream.
			if err := h.endLost(core.System(ctx, "release"), a, *w.DoneAt, core.DisplayName(by)); err != nil {
				return err
			}
			a.State, a.EndedAt = property.AllocationRemoved, h.rows[a.Handle].EndedAt
			p.core.Publish(ctx, tx, event.Allocations, a.ContainerID)
			return core.Audit(ctx, tx, core.AuditOwner(by, a.VendorID), "allocation.end", a.ID, map[string]any{"client": a.Client, "user": a.User}, nil)
		case w.State == property.WorkDone:
			return nil
		}
	}
	if _, err = tasks.AddWork(ctx, p.core, tx, at, nil, prefix+strconv.Itoa(len(asked)+1), tasks.LinkWork{
		Kind: property.WorkRemove, Product: core.ProductOf(a.Edges.Product), Handle: a.Handle, By: core.DisplayName(by),
	}); err != nil {
		return err
	}
	if err := tx.Allocation.UpdateOneID(a.ID).SetRemovalAt(core.Now()).SetRemovalBy(core.ClipText(core.DisplayName(by))).
		SetRemovalCode("").SetRemovalMessage("").Exec(ctx); err != nil {
		return err
	}
	p.core.Publish(ctx, tx, event.Allocations, a.ContainerID)
	return core.Audit(ctx, tx, core.AuditOwner(by, a.VendorID), "allocation.release", a.ID, map[string]any{"client": a.Client, "user": a.User}, nil)
}

// removalPrefix is what the keys of removals begin with, before the
// allocation's id and a number.
const removalPrefix = "remove/"

// RemovalDone notes at the allocation what its license server said to its
// removal: who asked sees why it was refused.
func RemovalDone(ctx context.Context, p *core.Core, tx *store.Tx, key string, failed *license.Error) error {
	id, _, _ := strings.Cut(strings.TrimPrefix(key, removalPrefix), "/")
	a, err := tx.Allocation.Query().Where(allocation.ID(id)).Only(ctx)
	if ent.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	change := tx.Allocation.UpdateOneID(id).SetRemovalCode("").SetRemovalMessage("")
	if failed != nil {
		change.SetRemovalCode(string(tasks.FailedCode(failed.Code))).SetRemovalMessage(core.ClipNote(failed.Error()))
		if failed.Code == license.CodeBorrowed {
			change.SetBorrowed(true)
		}
	}
	p.Publish(ctx, tx, event.Allocations, a.ContainerID)
	return change.Exec(ctx)
}

// Usage are the figures of one container.
type Usage struct {
	Total   int // licenses in force
	Taken   int
	Free    int
	Denials int // in the last 24 hours
}

// With gives the figures where that many licenses are taken.
func (u Usage) With(taken int) Usage {
	u.Taken, u.Free = taken, max(u.Total-taken, 0)
	return u
}

// ContainerUsage gives the figures of a container: of one outside of TMR groups
// by what its license server last told that it serves. Error: CodeNotFound.
func (p *Service) ContainerUsage(ctx context.Context, id string) (Usage, error) {
	u, err := p.ContainerCapacity(ctx, id)
	if err != nil {
		return Usage{}, err
	}
	c, err := p.core.Read(ctx)
	if err != nil {
		return Usage{}, err
	}
	var sums []struct {
		Sum *int `json:"sum"`
	}
	if err := c.Allocation.Query().Where(allocation.ContainerID(id), allocation.StateEQ(property.AllocationActive)).
		Aggregate(ent.As(ent.Sum(allocation.FieldLicenses), "sum")).Scan(ctx, &sums); err != nil {
		return Usage{}, err
	}
	taken := 0
	if len(sums) > 0 && sums[0].Sum != nil {
		taken = *sums[0].Sum
	}
	return u.With(taken), nil
}

// ContainerCapacity gives the figures of a container as if nothing were taken.
// Error: CodeNotFound.
func (p *Service) ContainerCapacity(ctx context.Context, id string) (Usage, error) {
	c, err := p.core.Read(ctx)
	if err != nil {
		return Usage{}, err
	}
	counted := core.Beside(func() (int, error) {
		return c.Denial.Query().Where(denial.ContainerID(id), denial.AtGT(time.Now().UTC().Add(-24*time.Hour))).Count(ctx)
	})
	found, err := c.Container.Query().Where(container.ID(id)).WithTmrGroup().Only(ctx)
	denials, failed := counted()
	if err != nil {
		return Usage{}, core.NotFound(err, "container", id)
	}
	if failed != nil {
		return Usage{}, failed
	}
	u := Usage{Denials: denials}
	switch g := found.Edges.TmrGroup; {
	case g == nil:
		for _, l := range found.Served {
			if l.Reason == "" {
				u.Total += l.Quantity
			}
		}
	case found.Kind == property.ContainerVirtual:
		for _, l := range g.Licenses {
			u.Total += l.Quantity
		}
	}
	return u.With(0), nil
}
