package platform

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/allocation"
	"github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/denial"
	"github.com/quorate/quorate/ent/firm"
	"github.com/quorate/quorate/ent/product"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/tmrgroup"
	"github.com/quorate/quorate/ent/work"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
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
func (p *Platform) ApplyLeaseEvents(ctx context.Context, placeID string, events []LeaseEvent) (uint64, error) {
	if err := linked(ctx, placeID); err != nil {
		return 0, err
	}
	if len(events) > MostLeaseEvents {
		return 0, license.Errorf(license.CodeTooLarge, "push at most 1000 events at once", "%d events are too many", len(events))
	}
	for i, e := range events {
		if e.Position > mostNumber {
			return 0, numberTooLarge("position", e.Position)
		}
		if i > 0 && e.Position <= events[i-1].Position {
			return 0, license.Errorf(license.CodeInvalidInput, "push events in their order", "the events are not in order")
		}
	}
	ctx = system(ctx, "link")
	position, err := p.eventPosition(ctx, placeID)
	if err != nil || len(events) == 0 || events[len(events)-1].Position <= position {
		return position, err
	}
	err = p.store.WithTx(ctx, func(tx *store.Tx) error {
		h, err := p.openHistory(ctx, tx, placeID)
		if err != nil {
			return err
		}
		for _, e := range events {
			if e.Position <= h.position {
				continue
			}
			if err := h.apply(ctx, e); err != nil {
				return fmt.Errorf("event %d: %w", e.Position, err)
			}
			h.position = e.Position
		}
		position = h.position
		p.publish(ctx, tx, event.Allocations, h.container)
		return h.close(ctx)
	})
	return position, err
}

// eventPosition is up to where the platform has a place's events.
func (p *Platform) eventPosition(ctx context.Context, placeID string) (uint64, error) {
	if !isGroup(placeID) {
		c, err := p.store.Client().Container.Get(ctx, placeID)
		if err != nil {
			return 0, notFound(err, "container", placeID)
		}
		return c.EventPosition, nil
	}
	g, err := p.store.Client().TmrGroup.Get(ctx, placeID)
	if err != nil {
		return 0, notFound(err, "TMR group", placeID)
	}
	return g.EventPosition, nil
}

// history writes the events of a place in one transaction, in which it has the
// place's lock.
type history struct {
	p         *Platform
	tx        *store.Tx
	place     string
	vendor    string
	customer  *string
	container string // that the handles are of
	position  uint64
	products  map[license.Product]*ent.Product
}

func (p *Platform) openHistory(ctx context.Context, tx *store.Tx, placeID string) (*history, error) {
	h := &history{p: p, tx: tx, place: placeID, container: placeID, products: make(map[license.Product]*ent.Product)}
	if !isGroup(placeID) {
		c, err := tx.Container.Query().Where(container.ID(placeID), lockedContainer).Only(ctx)
		if err != nil {
			return nil, err
		}
		h.vendor, h.customer, h.position = c.VendorID, c.CustomerID, c.EventPosition
		return h, nil
	}
	g, err := tx.TmrGroup.Query().Where(tmrgroup.ID(placeID), lockedGroup).Only(ctx)
	if err != nil {
		return nil, err
	}
	h.vendor, h.customer, h.position = g.VendorID, g.CustomerID, g.EventPosition
	h.container, err = tx.Container.Query().Where(container.Serial(g.VirtualSerial)).OnlyID(ctx)
	return h, err
}

// close notes up to where the history is written.
func (h *history) close(ctx context.Context) error {
	if isGroup(h.place) {
		return h.tx.TmrGroup.UpdateOneID(h.place).SetEventPosition(h.position).Exec(ctx)
	}
	return h.tx.Container.UpdateOneID(h.place).SetEventPosition(h.position).Exec(ctx)
}

func (h *history) apply(ctx context.Context, e LeaseEvent) error {
	of, err := h.product(ctx, e.Product)
	if err != nil {
		return err
	}
	if of == nil || (e.Handle == "" && e.Kind != LeaseDenied) || e.Handle != clipText(e.Handle) || e.N > mostNumber {
		h.p.log.WarnContext(ctx, "a lease event was passed over", "place", h.place, "position", e.Position, "kind", clip(string(e.Kind)))
		return nil
	}
	e.At = plausible(e.At)
	switch e.Kind {
	case LeaseGranted:
		return h.granted(ctx, of, e)
	case LeaseReleased:
		return h.ended(ctx, of, e, property.AllocationReleased)
	case LeaseExpired:
		return h.ended(ctx, of, e, property.AllocationExpired)
	case LeaseRemoved:
		return h.ended(ctx, of, e, property.AllocationRemoved)
	case LeaseDenied:
		return h.tx.Denial.Create().SetVendorID(h.vendor).SetNillableCustomerID(h.customer).
			SetContainerID(h.container).SetProductID(of.ID).SetPosition(e.Position).SetAt(e.At).
			SetReason(clipText(string(e.Reason))).SetClient(clipText(e.Client)).SetUser(clipText(e.User)).
			SetApplication(clipText(e.Application)).Exec(ctx)
	}
	h.p.log.WarnContext(ctx, "a lease event was passed over", "place", h.place, "position", e.Position, "kind", clip(string(e.Kind)))
	return nil
}

// product gives nil for one that the place's vendor does not have.
func (h *history) product(ctx context.Context, ref license.Product) (*ent.Product, error) {
	if known, ok := h.products[ref]; ok {
		return known, nil
	}
	found, err := h.tx.Product.Query().Where(product.Code(int(ref.Code)), product.VendorID(h.vendor),
		product.HasFirmWith(firm.Code(int(ref.Firm)))).Only(ctx)
	if err != nil && !ent.IsNotFound(err) {
		return nil, err
	}
	h.products[ref] = found
	return found, nil
}

func (h *history) find(ctx context.Context, handle string) (*ent.Allocation, error) {
	found, err := h.tx.Allocation.Query().
		Where(allocation.ContainerID(h.container), allocation.Handle(handle)).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	return found, err
}

func (h *history) granted(ctx context.Context, of *ent.Product, e LeaseEvent) error {
	found, err := h.find(ctx, e.Handle)
	if err != nil {
		return err
	}
	if found == nil {
		return h.create(of, e).SetState(property.AllocationActive).Exec(ctx)
	}
	return h.tx.Allocation.UpdateOne(found).SetState(property.AllocationActive).SetSeat(int(e.Seat)).SetN(e.N).
		SetLastAccess(e.At).ClearEndedAt().ClearEndedBy().Exec(ctx)
}

func (h *history) ended(ctx context.Context, of *ent.Product, e LeaseEvent, how property.AllocationState) error {
	found, err := h.find(ctx, e.Handle)
	if err != nil {
		return err
	}
	if found == nil { // its beginning was lost: history knows at least its end
		return h.create(of, e).SetState(how).SetEndedAt(e.At).SetEndedBy(clipText(e.By)).Exec(ctx)
	}
	return h.tx.Allocation.UpdateOne(found).SetState(how).SetEndedAt(e.At).SetEndedBy(clipText(e.By)).Exec(ctx)
}

func (h *history) create(of *ent.Product, e LeaseEvent) *ent.AllocationCreate {
	mode := e.Mode
	if !mode.Valid() {
		mode = license.UserLimit
	}
	licenses := 1
	if mode == license.NoUserLimit {
		licenses = 0
	}
	return h.tx.Allocation.Create().SetVendorID(h.vendor).SetNillableCustomerID(h.customer).
		SetContainerID(h.container).SetProductID(of.ID).SetHandle(e.Handle).SetMode(mode).SetLicenses(licenses).
		SetSeat(int(e.Seat)).SetN(e.N).SetClient(clipText(e.Client)).SetUser(clipText(e.User)).
		SetStation(clipText(e.Station)).SetProcessID(int(e.Process)).SetApplication(clipText(e.Application)).
		SetFirstAccess(e.At).SetLastAccess(e.At)
}

// clipText makes a foreign text fit a column: valid, without NUL, at most 200 bytes.
func clipText(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "�"), "\x00", "")
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "")
	}
	return s
}

// ReleaseAllocation has one living allocation removed by its license server: it
// stays ACTIVE until the server has done it. Asking again while that is due
// changes nothing. If the server did it a while ago and its event never came,
// asking again ends the allocation in the history. Errors: CodeNotFound,
// CodeForbidden, CodeConflict when it has ended or its server has no link,
// CodeContainerBlocked.
func (p *Platform) ReleaseAllocation(ctx context.Context, id string) (*ent.Allocation, error) {
	by, err := auth.Require(ctx, auth.Release)
	if err != nil {
		return nil, err
	}
	var found *ent.Allocation
	err = p.store.WithTx(ctx, func(tx *store.Tx) error {
		found, err = tx.Allocation.Query().Where(allocation.ID(id), store.Locked).
			WithProduct(func(q *ent.ProductQuery) { q.WithFirm() }).
			WithContainer(func(q *ent.ContainerQuery) { q.WithTmrGroup().WithServers() }).Only(ctx)
		if err != nil {
			return notFound(err, "allocation", id)
		}
		if found.State != property.AllocationActive {
			return license.Errorf(license.CodeConflict, "reload the list", "the allocation has ended already")
		}
		at := place{group: found.Edges.Container.Edges.TmrGroup, containers: []*ent.Container{found.Edges.Container}}
		if found.Edges.Product == nil || found.Edges.Product.Edges.Firm == nil || (at.single() && len(found.Edges.Container.Edges.Servers) == 0) {
			return license.Errorf(license.CodeConflict, "release it at its license server", "the allocation's server has no link")
		}
		if err := at.blocked(); err != nil { // nothing reaches its server any more
			return err
		}
		return p.requestRemoval(ctx, tx, by, found, at)
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

func (p *Platform) requestRemoval(ctx context.Context, tx *store.Tx, by auth.Principal, a *ent.Allocation, at place) error {
	// A removal that failed may be asked for again, one that is due may not.
	prefix := "remove/" + a.ID + "/"
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
			a.State, a.EndedAt = property.AllocationRemoved, w.DoneAt
			p.publish(ctx, tx, event.Allocations, a.ContainerID)
			if err := tx.Allocation.UpdateOneID(a.ID).SetState(a.State).SetEndedAt(*a.EndedAt).SetEndedBy(displayName(by)).Exec(ctx); err != nil {
				return err
			}
			return audit(ctx, tx, auditOwner(by, a.VendorID), "allocation.end", a.ID, map[string]any{"client": a.Client, "user": a.User}, nil)
		case w.State == property.WorkDone:
			return nil
		}
	}
	_, err = p.addWork(ctx, tx, at, nil, prefix+itoa(len(asked)+1), LinkWork{
		Kind: property.WorkRemove, Product: productOf(a.Edges.Product), Handle: a.Handle, By: displayName(by),
	})
	if err != nil {
		return err
	}
	return audit(ctx, tx, auditOwner(by, a.VendorID), "allocation.release", a.ID, map[string]any{"client": a.Client, "user": a.User}, nil)
}

// Usage are the figures of one container.
type Usage struct {
	Total   int // licenses in force
	Taken   int
	Free    int
	Denials int // in the last 24 hours
}

// ContainerUsage gives the figures of a container: of one outside of TMR groups
// by what its license server last told that it serves. Error: CodeNotFound.
func (p *Platform) ContainerUsage(ctx context.Context, id string) (Usage, error) {
	c, err := p.Read(ctx)
	if err != nil {
		return Usage{}, err
	}
	found, err := c.Container.Query().Where(container.ID(id)).WithTmrGroup().Only(ctx)
	if err != nil {
		return Usage{}, notFound(err, "container", id)
	}
	var u Usage
	g := found.Edges.TmrGroup
	switch {
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
	var sums []struct {
		Sum *int `json:"sum"`
	}
	if err := c.Allocation.Query().Where(allocation.ContainerID(id), allocation.StateEQ(property.AllocationActive)).
		Aggregate(ent.As(ent.Sum(allocation.FieldLicenses), "sum")).Scan(ctx, &sums); err != nil {
		return Usage{}, err
	}
	if len(sums) > 0 && sums[0].Sum != nil {
		u.Taken = *sums[0].Sum
	}
	u.Free = max(u.Total-u.Taken, 0)
	u.Denials, err = c.Denial.Query().Where(denial.ContainerID(id), denial.AtGT(time.Now().UTC().Add(-24*time.Hour))).Count(ctx)
	return u, err
}
