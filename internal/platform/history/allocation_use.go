package history

import (
	"context"
	"slices"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/allocation"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/usage"
)

// MostActivity bounds of how many handles one push may tell how they are used.
const MostActivity = 2000

const (
	// sameUse is how far apart two times may be that tell of the same moment: the
	// ways to the platform take different times.
	sameUse = time.Second
	// forgotten is how much older a last access must be than the one that is known,
	// to be taken for that of a server which doesn't know the renewals before it led.
	forgotten = 10 * time.Second
	// mostTold bounds how far from now a license server's times are.
	mostTold = 10 * 365 * 24 * time.Hour
)

// HandleActivity is how a living handle is used. Its times are from now: a
// license server's clock isn't compared with the platform's.
type HandleActivity struct {
	Handle     string
	Accesses   uint32        // that use what it takes; 0: not told
	LastAccess time.Duration // since the last access or renewal
	Idle       time.Duration // since its program used it; 0: in use, or not told
	Expires    time.Duration // until it ends without a renewal
}

// ApplyActivity notes how handles are used at the allocations of a group's
// virtual container, or of a container outside of groups. What has ended or isn't
// known there is passed over. Errors: as ApplyView, CodeTooLarge.
func (p *Service) ApplyActivity(ctx context.Context, placeID string, told []HandleActivity) error {
	if err := core.RequireServer(ctx, placeID); err != nil {
		return err
	}
	if len(told) > MostActivity {
		return license.Errorf(license.CodeTooLarge, "push at most 2000 at once", "the use of %d handles is too much for one push", len(told))
	}
	byHandle := make(map[string]HandleActivity, len(told))
	var handles []string
	for _, a := range told {
		if _, twice := byHandle[a.Handle]; !twice && fitHandle(a.Handle) {
			handles = append(handles, a.Handle)
		}
		byHandle[a.Handle] = a
	}
	if len(handles) == 0 {
		return nil
	}
	slices.Sort(handles)
	ctx = core.System(ctx, "link")
	return p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		h, err := p.openHistory(ctx, tx, placeID) // its lock: events change the same rows
		if err != nil {
			return err
		}
		changed := false
		for chunk := range slices.Chunk(handles, rowsAtOnce) {
			rows, err := tx.Allocation.Query().
				Where(allocation.ContainerID(h.container), allocation.StateEQ(property.AllocationActive), allocation.HandleIn(chunk...)).
				Select(allocation.FieldHandle, allocation.FieldAccesses, allocation.FieldLastAccessAt, allocation.FieldIdleSince, allocation.FieldExpiresAt).
				Order(ent.Asc(allocation.FieldID)).All(ctx)
			if err != nil {
				return err
			}
			rows = slices.DeleteFunc(rows, func(row *ent.Allocation) bool { return !used(row, byHandle[row.Handle], h.now) })
			if len(rows) == 0 {
				continue
			}
			changed = true
			if err := p.saveUse(ctx, tx, rows); err != nil {
				return err
			}
		}
		if changed {
			p.core.Publish(ctx, tx, event.Allocations, h.container)
		}
		return nil
	})
}

// used puts what was told into a row, and says whether that is news.
func used(row *ent.Allocation, told HandleActivity, now time.Time) bool {
	within := func(d time.Duration) time.Duration { return min(max(d, 0), mostTold).Truncate(time.Millisecond) }
	news := false
	set := func(was **time.Time, is time.Time) {
		if *was == nil || (*was).Sub(is).Abs() >= sameUse {
			*was, news = &is, true
		}
	}
	set(&row.ExpiresAt, now.Add(within(told.Expires)))
	if n := int(min(told.Accesses, usage.MostAsked)); n > 0 && n != row.Accesses {
		row.Accesses, news = n, true
	}
	last := now.Add(-within(told.LastAccess))
	if row.LastAccessAt != nil && row.LastAccessAt.Sub(last) >= forgotten {
		return news
	}
	if row.LastAccessAt == nil || last.After(*row.LastAccessAt) {
		set(&row.LastAccessAt, last)
	}
	switch {
	case told.Idle > 0:
		set(&row.IdleSince, now.Add(-within(told.Idle)))
	case row.IdleSince != nil:
		row.IdleSince, news = nil, true
	}
	return news
}

// saveUse writes the use of rows in one statement, which ent has none for.
func (p *Service) saveUse(ctx context.Context, tx *store.Tx, rows []*ent.Allocation) error {
	d := p.core.Store.Dialect()
	choose := func(column string, of func(*ent.Allocation) any) sql.Querier {
		return sql.ExprFunc(func(b *sql.Builder) {
			b.WriteString("CASE ").Ident(allocation.FieldID)
			for _, row := range rows {
				b.WriteString(" WHEN ").Arg(row.ID).WriteString(" THEN ").Arg(of(row))
			}
			b.WriteString(" ELSE ").Ident(column).WriteString(" END") // which also tells the type
		})
	}
	at := func(t *time.Time) any {
		if t == nil {
			return nil
		}
		return *t
	}
	ids := make([]any, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	query, args := sql.Dialect(d).Update(allocation.Table).
		Set(allocation.FieldAccesses, choose(allocation.FieldAccesses, func(a *ent.Allocation) any { return a.Accesses })).
		Set(allocation.FieldLastAccessAt, choose(allocation.FieldLastAccessAt, func(a *ent.Allocation) any { return at(a.LastAccessAt) })).
		Set(allocation.FieldIdleSince, choose(allocation.FieldIdleSince, func(a *ent.Allocation) any { return at(a.IdleSince) })).
		Set(allocation.FieldExpiresAt, choose(allocation.FieldExpiresAt, func(a *ent.Allocation) any { return at(a.ExpiresAt) })).
		Where(sql.In(allocation.FieldID, ids...)).Query()
	_, err := tx.SQL().ExecContext(ctx, query, args...)
	return err
}
