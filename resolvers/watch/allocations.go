package watch

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/allocation"
	"github.com/quorate/quorate/ent/denial"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/graph"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/live"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/history"
)

// mostHandedOn is how many living allocations a stream reads whole, so that a
// change of them is told without reading again. Of more it reads the stamps.
const mostHandedOn = 500

// allocationsRead is what one reading found.
type allocationsRead struct {
	usage history.Usage
	rows  map[string]*ent.Allocation // without edges; empty where there are too many
}

// Allocations follows living allocations and their figures.
func (r *Streams) Allocations(ctx context.Context, s Scope) (Plan[*graph.AllocationsChange], error) {
	src, err := r.source(ctx, "allocations", s, true, event.Allocations, event.Denials, event.Served)
	many := false // the last reading found
	figuresOf := r.figures(s)
	src.Read = func(ctx context.Context, heard live.Heard) (live.Reading, error) {
		usage := figuresOf(ctx, heard)
		q := r.client.Allocation.Query().Where(s.rows, allocation.StateEQ(property.AllocationActive)).Limit(mostWatched + 1)
		whole := !many
		var alive []*ent.Allocation
		var err error
		if whole {
			alive, err = q.All(ctx)
		} else {
			alive, err = q.Select(allocationStamps...).All(ctx)
		}
		u, failed := usage(alive)
		if err = cmp.Or(err, failed); err == nil && len(alive) > mostWatched {
			err = tooMuch()
		}
		if err != nil {
			return live.Reading{}, err
		}
		many = len(alive) > mostHandedOn
		items, read := make(live.Items, len(alive)+1), &allocationsRead{u, map[string]*ent.Allocation{}}
		for _, a := range alive {
			items[a.ID] = allocationStamp(a)
			if whole && len(alive) <= mostHandedOn {
				read.rows[a.ID] = a
			}
		}
		items[figures] = usageStamp(u)
		return live.Reading{Items: items, Rows: read}, nil
	}
	return Plan[*graph.AllocationsChange]{src, func(ctx context.Context, c live.Change) (*graph.AllocationsChange, live.Items, error) {
		read, _ := c.Rows.(*allocationsRead)
		rows, err := r.allocationRows(ctx, c, read)
		if err != nil {
			return nil, nil, err
		}
		u, err := r.usageOf(ctx, s, c, read)
		if err != nil {
			return nil, nil, err
		}
		shows := live.Items{figures: usageStamp(u)}
		for _, a := range rows {
			if a.State == property.AllocationActive {
				shows[a.ID] = allocationStamp(a)
			}
		}
		t := toldOf(c)
		return &graph.AllocationsChange{
			Sequence: t.Sequence, Since: t.Since, Snapshot: t.Snapshot, Position: t.Position,
			Total: u.Total, Taken: u.Taken, Free: u.Free, Denials: u.Denials,
			Upserted: rows, Removed: removed(c),
		}, shows, nil
	}}, err
}

// usageOf gives the figures for a change: those read with it, where their stamp is
// the one that it has.
func (r *Streams) usageOf(ctx context.Context, s Scope, c live.Change, read *allocationsRead) (history.Usage, error) {
	if read != nil {
		if stamp, ok := c.Upserted[figures]; !ok || stamp == usageStamp(read.usage) {
			return read.usage, nil
		}
	}
	return r.usage(ctx, s)
}

// allocationStamps are the columns that tell two states of a living allocation
// apart, and those of its owners, by which its users are hidden.
//
//nolint:gochecknoglobals // a constant list
var allocationStamps = []string{
	allocation.FieldVendorID, allocation.FieldCustomerID, allocation.FieldLicenses, allocation.FieldSeat, allocation.FieldLastAccess,
	allocation.FieldRemovalAt, allocation.FieldRemovalCode, allocation.FieldLastAccessAt, allocation.FieldAccesses,
	allocation.FieldIdleSince, allocation.FieldExpiresAt, allocation.FieldNoticeAt, allocation.FieldNoticeTakenAt, allocation.FieldNoticeCode,
}

func allocationStamp(a *ent.Allocation) uint64 {
	parts := []string{strconv.Itoa(a.Licenses), strconv.Itoa(a.Seat), strconv.Itoa(a.Accesses), a.RemovalCode, a.NoticeCode, at(&a.LastAccess)}
	for _, t := range []*time.Time{a.RemovalAt, a.LastAccessAt, a.IdleSince, a.ExpiresAt, a.NoticeAt, a.NoticeTakenAt} {
		parts = append(parts, at(t))
	}
	return stampOf(parts...)
}

func at(t *time.Time) string {
	if t == nil {
		return ""
	}
	return strconv.FormatInt(t.UnixMicro(), 36)
}

// allocationRows gives allocations for a message, in order: those read with it,
// where they have the stamps that it has and show what is asked for.
func (r *Streams) allocationRows(ctx context.Context, c live.Change, read *allocationsRead) ([]*ent.Allocation, error) {
	ids := without(c, figures)
	product, holder := selected(ctx, "upserted", "product"), selected(ctx, "upserted", "container")
	all := make([]*ent.Allocation, 0, len(ids))
	if read != nil && !product && !holder {
		for _, id := range ids {
			if a := read.rows[id]; a != nil && allocationStamp(a) == c.Upserted[id] {
				all = append(all, a)
			}
		}
		if len(all) == len(ids) {
			return all, nil
		}
		all = all[:0]
	}
	for chunk := range slices.Chunk(ids, rowsAtOnce) {
		q := r.client.Allocation.Query().Where(allocation.IDIn(chunk...))
		if product {
			q.WithProduct()
		}
		if holder {
			q.WithContainer()
		}
		rows, err := q.Order(ent.Asc(allocation.FieldID)).All(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	return all, nil
}

// figures reads the figures of a scope for one reading after the other: it begins
// beside the rows, and what it gives waits. Of one container, what is taken comes
// from the living allocations, and the rest is read anew only where more than
// allocations may have changed.
func (r *Streams) figures(s Scope) func(ctx context.Context, heard live.Heard) func(alive []*ent.Allocation) (history.Usage, error) {
	one, known := s.oneContainer(), false
	var u history.Usage
	return func(ctx context.Context, heard live.Heard) func(alive []*ent.Allocation) (history.Usage, error) {
		read := func() (history.Usage, error) { return u, nil }
		switch {
		case !one:
			read = core.Beside(func() (history.Usage, error) { return r.usage(ctx, s) })
		case !known || !heard.Only(event.Allocations):
			read = core.Beside(func() (history.Usage, error) { return r.platform.ContainerCapacity(ctx, s.container.ID) })
		}
		return func(alive []*ent.Allocation) (history.Usage, error) {
			var err error
			u, err = read()
			if known = err == nil; !known || !one {
				return u, err
			}
			taken := 0
			for _, a := range alive {
				taken += a.Licenses
			}
			return u.With(taken), nil
		}
	}
}

// usage gives the figures of a scope.
func (r *Streams) usage(ctx context.Context, s Scope) (history.Usage, error) {
	if s.oneContainer() {
		return r.platform.ContainerUsage(ctx, s.container.ID)
	}
	var u history.Usage
	ids, err := r.containers(ctx, s)
	if err != nil {
		return u, err
	}
	used, err := history.ContainersUse(ctx, r.client, ids)
	if err != nil {
		return u, err
	}
	for _, products := range used {
		for _, p := range products {
			if s.product == nil || p.Product.String() == s.reference() {
				u.Total, u.Taken = u.Total+p.Total, u.Taken+p.Taken
			}
		}
	}
	u.Free = max(u.Total-u.Taken, 0)
	u.Denials, err = r.client.Denial.Query().Where(func(q *sql.Selector) { s.rows(q) }, denial.AtGT(time.Now().UTC().Add(-24*time.Hour))).Count(ctx)
	return u, err
}

func usageStamp(u history.Usage) uint64 { return stampOf(fmt.Sprint(u)) }
