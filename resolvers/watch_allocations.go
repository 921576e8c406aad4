package resolvers

import (
	"context"
	"slices"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/allocation"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/graph"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/platform/history"
)

// rowsAtOnce bounds how many ids one statement names.
const rowsAtOnce = 500

// allocationsWatch follows the living allocations of one container: all of
// them first, then what changed since the last message, at most one message per
// gap. It keeps what it has sent, so a slow client gets one larger message, not
// many old ones.
type allocationsWatch struct {
	r         *Resolver
	container *ent.Container

	sequence int
	sent     map[string]stamp
	figures  history.Usage
}

// stamp is what tells two states of a living allocation apart.
type stamp struct {
	licenses, seat int
	lastAccess     time.Time
	asked          time.Time // for its removal
	refused        string
	used           time.Time // as its license server told
	accesses       int
	idle, expires  time.Time
	notice, taken  time.Time
	untaken        string
}

func (w *allocationsWatch) run(ctx context.Context, emit func(*graph.AllocationsChange) error) error {
	signals, err := w.r.bus.Subscribe(ctx, event.Allocations, w.container.ID)
	if err != nil {
		return err
	}
	var views <-chan struct{} // the quantity in force comes with the group's view
	if w.container.TmrGroupID != nil {
		if views, err = w.r.bus.Subscribe(ctx, event.TmrGroup, *w.container.TmrGroupID); err != nil {
			return err
		}
	}
	tick := time.NewTicker(10 * w.r.tick) // in case that a signal got lost
	defer tick.Stop()
	for {
		if err := w.step(ctx, emit); err != nil {
			return err
		}
		pause := time.NewTimer(w.r.gap)
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil
		case <-pause.C:
		}
		open := true
		select {
		case <-ctx.Done():
			return nil
		case _, open = <-signals:
		case _, open = <-views:
		case <-tick.C:
		}
		if !open {
			return errBusClosed()
		}
	}
}

// step emits what changed since the last message, if anything did.
func (w *allocationsWatch) step(ctx context.Context, emit func(*graph.AllocationsChange) error) error {
	alive, err := w.r.client.Allocation.Query().
		Where(allocation.ContainerID(w.container.ID), allocation.StateEQ(property.AllocationActive)).
		Select(allocation.FieldLicenses, allocation.FieldSeat, allocation.FieldLastAccess,
			allocation.FieldRemovalAt, allocation.FieldRemovalCode,
			allocation.FieldLastAccessAt, allocation.FieldAccesses, allocation.FieldIdleSince, allocation.FieldExpiresAt,
			allocation.FieldNoticeAt, allocation.FieldNoticeTakenAt, allocation.FieldNoticeCode).All(ctx)
	if err != nil {
		return err
	}
	f, err := w.r.platform.ContainerUsage(ctx, w.container.ID)
	if err != nil {
		return err
	}
	now := make(map[string]stamp, len(alive))
	var changed []string
	for _, a := range alive {
		s := stamp{
			a.Licenses, a.Seat, a.LastAccess.UTC(), value(a.RemovalAt).UTC(), a.RemovalCode,
			value(a.LastAccessAt).UTC(), a.Accesses, value(a.IdleSince).UTC(), value(a.ExpiresAt).UTC(),
			value(a.NoticeAt).UTC(), value(a.NoticeTakenAt).UTC(), a.NoticeCode,
		}
		now[a.ID] = s
		if was, ok := w.sent[a.ID]; !ok || was != s {
			changed = append(changed, a.ID)
		}
	}
	removed := []string{}
	for id := range w.sent {
		if _, ok := now[id]; !ok {
			removed = append(removed, id)
		}
	}
	if w.sequence > 0 && len(changed) == 0 && len(removed) == 0 && f == w.figures {
		return nil
	}
	upserted, err := w.rows(ctx, changed)
	if err != nil {
		return err
	}
	slices.Sort(removed)
	w.sequence++
	w.sent, w.figures = now, f
	return emit(&graph.AllocationsChange{
		Sequence: w.sequence, Snapshot: w.sequence == 1,
		Total: f.Total, Taken: f.Taken, Free: f.Free, Denials: f.Denials,
		Upserted: upserted, Removed: removed,
	})
}

func (w *allocationsWatch) rows(ctx context.Context, ids []string) ([]*ent.Allocation, error) {
	all := make([]*ent.Allocation, 0, len(ids))
	slices.Sort(ids)
	for chunk := range slices.Chunk(ids, rowsAtOnce) {
		rows, err := w.r.client.Allocation.Query().Where(allocation.IDIn(chunk...)).
			WithProduct().WithContainer().Order(ent.Asc(allocation.FieldID)).All(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	return all, nil
}
