package watch

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/allocation"
	"github.com/quorate/quorate/ent/denial"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/graph"
	"github.com/quorate/quorate/internal/live"
	"github.com/quorate/quorate/internal/platform/history"
)

// Allocations follows living allocations and their figures.
func (r *Streams) Allocations(ctx context.Context, s Scope) (Plan[*graph.AllocationsChange], error) {
	src, err := r.source(ctx, "allocations", s, true)
	last := &lastUsage{}
	src.Read = func(ctx context.Context) (live.Items, bool, error) {
		alive, err := r.client.Allocation.Query().Where(s.rows, allocation.StateEQ(property.AllocationActive)).
			Select(allocationStamps...).Limit(mostWatched + 1).All(ctx)
		if err != nil {
			return nil, false, err
		}
		if len(alive) > mostWatched {
			return nil, false, tooMuch()
		}
		items := make(live.Items, len(alive)+1)
		for _, a := range alive {
			items[a.ID] = allocationStamp(a)
		}
		u, err := r.usage(ctx, s)
		items[figures] = usageStamp(u)
		last.keep(u)
		return items, false, err
	}
	return Plan[*graph.AllocationsChange]{src, func(ctx context.Context, c live.Change) (*graph.AllocationsChange, live.Items, error) {
		rows, err := r.allocationRows(ctx, without(c, figures))
		if err != nil {
			return nil, nil, err
		}
		u, ok := last.of(c)
		if !ok {
			if u, err = r.usage(ctx, s); err != nil {
				return nil, nil, err
			}
			last.keep(u)
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

// lastUsage are the figures that were read last: those that a change tells of,
// where their stamp is the one that it has.
type lastUsage struct {
	mu    sync.Mutex
	known bool
	usage history.Usage
}

func (l *lastUsage) keep(u history.Usage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known, l.usage = true, u
}

// of gives the figures for a change; false: they have to be read.
func (l *lastUsage) of(c live.Change) (history.Usage, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if stamp, ok := c.Upserted[figures]; ok && stamp != usageStamp(l.usage) {
		return history.Usage{}, false
	}
	return l.usage, l.known
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

// allocationRows reads allocations for a message, in order.
func (r *Streams) allocationRows(ctx context.Context, ids []string) ([]*ent.Allocation, error) {
	all := make([]*ent.Allocation, 0, len(ids))
	for chunk := range slices.Chunk(ids, rowsAtOnce) {
		q := r.client.Allocation.Query().Where(allocation.IDIn(chunk...))
		if selected(ctx, "upserted", "product") {
			q.WithProduct()
		}
		if selected(ctx, "upserted", "container") {
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

// usage gives the figures of a scope.
func (r *Streams) usage(ctx context.Context, s Scope) (history.Usage, error) {
	if s.container != nil && s.product == nil && s.customer == "" {
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
