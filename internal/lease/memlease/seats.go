package memlease

import (
	"cmp"
	"container/heap"
	"context"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// seats is a lease.Seats. Each method changes the memory under the store's
// lock, then waits outside it until what it relies on is written.
type seats struct {
	store *Store
	group license.Serial
	epoch uint64
}

// Epoch implements lease.Seats.
func (t *seats) Epoch() uint64 { return t.epoch }

// enter locks the store; the caller unlocks after nil.
func (t *seats) enter(ctx context.Context) (*group, error) {
	if err := t.store.enter(ctx); err != nil {
		return nil, err
	}
	g := t.store.group(t.group)
	if g.epoch != t.epoch {
		t.store.mu.Unlock()
		return nil, lease.Fenced(t.group, t.epoch)
	}
	return g, nil
}

// leave unlocks the store, waits until b is written, and then gives err.
func (t *seats) leave(ctx context.Context, b *batch, err error) error {
	t.store.mu.Unlock()
	if unwritten := b.wait(ctx); unwritten != nil {
		return unwritten
	}
	return err
}

// Access implements lease.Seats.
func (t *seats) Access(ctx context.Context, r lease.Request) (lease.Grant, error) {
	if err := r.Check(t.group); err != nil {
		return lease.Grant{}, err
	}
	if err := offered(r); err != nil {
		return lease.Grant{}, err
	}
	g, err := t.enter(ctx)
	if err != nil {
		return lease.Grant{}, err
	}
	grant, b, err := t.access(g, r, time.Now())
	return grant, t.leave(ctx, b, err)
}

func (t *seats) access(g *group, r lease.Request, now time.Time) (lease.Grant, *batch, error) {
	s, content := t.store, r.Content()
	if h := g.handles[r.ID]; h != nil {
		switch {
		case h.content != content:
			return lease.Grant{}, g.last, lease.Mismatch(r.ID)
		case !now.Before(h.deadline):
			s.end(g, h, lease.Expired, "", now)
			return lease.Grant{}, g.last, lease.Ended(lease.Expired, r.ID)
		}
		s.renew(g, h, now)
		grant := t.grant(h)
		grant.Repeated = true
		return grant, h.written, nil
	}
	if e, ok := g.ended[r.ID]; ok {
		if e.content != content {
			return lease.Grant{}, g.last, lease.Mismatch(r.ID)
		}
		return lease.Grant{}, g.last, lease.Ended(e.kind, r.ID)
	}
	if l := g.lingers[r.ID]; l != nil { // its end is no longer remembered
		if l.content != content {
			return lease.Grant{}, g.last, lease.Mismatch(r.ID)
		}
		return lease.Grant{}, g.last, lease.Ended(lease.Released, r.ID)
	}
	p := g.pool(r.Pool.Product)
	h := &handle{
		id: r.ID, product: r.Pool.Product, mode: r.Mode, lease: r.Lease,
		station: r.Station, client: r.Client, content: content,
	}
	if r.Mode == license.UserLimit {
		own := p.lingersFor(r.Holder(), now)
		full := func() bool {
			taken := uint32(len(p.held))
			if own != nil {
				taken -= p.lingering
			}
			return taken >= r.Quantity
		}
		for full() && s.expireOne(g, p, now) {
		}
		if full() {
			s.event(g, h, lease.Denied, now, func(e *lease.Event) { e.Reason = license.CodeNoFreeSeat })
			var next time.Duration
			if len(p.due) > 0 {
				next = p.due[0].deadline.Sub(now)
			}
			return lease.Grant{}, g.last, lease.NoFreeSeat(r.Pool, lease.Shortage{Taken: uint32(len(p.held)), Quantity: r.Quantity, Next: next})
		}
		if own != nil {
			h.seat = own.seat
			s.unlinger(g, own)
		} else {
			h.seat = p.lowest()
		}
	}
	h.n = p.n[h.seat] + 1
	s.begin(g, h, now)
	return t.grant(h), h.written, nil
}

func (t *seats) grant(h *handle) lease.Grant {
	return lease.Grant{
		Handle: h.id, Pool: lease.Pool{Container: t.group, Product: h.product}, Mode: h.mode,
		Seat: h.seat, Epoch: t.epoch, N: h.n, Lease: h.lease, Licenses: 1,
	}
}

// Renew implements lease.Seats.
func (t *seats) Renew(ctx context.Context, ref lease.Ref) (lease.Grant, error) {
	return t.confirm(ctx, ref, true)
}

// Check implements lease.Seats.
func (t *seats) Check(ctx context.Context, ref lease.Ref) error {
	_, err := t.confirm(ctx, ref, false)
	return err
}

func (t *seats) confirm(ctx context.Context, ref lease.Ref, renew bool) (lease.Grant, error) {
	if err := ref.Check(t.group, t.epoch); err != nil {
		return lease.Grant{}, err
	}
	g, err := t.enter(ctx)
	if err != nil {
		return lease.Grant{}, err
	}
	h, err := t.find(g, ref, time.Now())
	if err != nil {
		return lease.Grant{}, t.leave(ctx, g.last, err)
	}
	if renew {
		t.store.renew(g, h, time.Now())
	}
	grant := t.grant(h)
	return grant, t.leave(ctx, h.written, nil)
}

// find gives the living handle of a reference; a lost one is taken in again.
func (t *seats) find(g *group, ref lease.Ref, now time.Time) (*handle, error) {
	unknown := lease.Ended(lease.Released, ref.Handle)
	if h := g.handles[ref.Handle]; h != nil {
		switch {
		case h.product != ref.Pool.Product || h.n != ref.N || h.seat != ref.Seat:
			return nil, unknown
		case !now.Before(h.deadline):
			t.store.end(g, h, lease.Expired, "", now)
			return nil, lease.Ended(lease.Expired, ref.Handle)
		}
		return h, nil
	}
	if e, ok := g.ended[ref.Handle]; ok {
		if e.product != ref.Pool.Product || e.n != ref.N {
			return nil, unknown
		}
		return nil, lease.Ended(e.kind, ref.Handle)
	}
	if g.lingers[ref.Handle] != nil {
		return nil, unknown
	}
	return t.takeIn(g, ref, now)
}

// takeIn takes a handle in again whose record was lost: its seat must be free
// or linger, and its n be above every n that is known of the seat.
func (t *seats) takeIn(g *group, ref lease.Ref, now time.Time) (*handle, error) {
	p := g.pool(ref.Pool.Product)
	var holder *handle
	if ref.Seat != 0 {
		holder = p.held[ref.Seat]
	}
	if ref.N <= p.n[ref.Seat] || holder != nil && holder.linger == 0 && now.Before(holder.deadline) {
		return nil, lease.Ended(lease.Released, ref.Handle)
	}
	if err := ref.CheckLost(); err != nil {
		return nil, err
	}
	switch {
	case holder == nil:
	case holder.linger > 0:
		t.store.unlinger(g, holder)
	default:
		t.store.end(g, holder, lease.Expired, "", now)
	}
	h := &handle{
		id: ref.Handle, product: ref.Pool.Product, mode: ref.Mode, seat: ref.Seat, n: ref.N, lease: ref.Lease,
		station: ref.Station, client: ref.Client, content: ref.Request().Content(),
	}
	t.store.begin(g, h, now)
	return h, nil
}

// Release implements lease.Seats.
func (t *seats) Release(ctx context.Context, ref lease.Ref) error {
	if err := ref.Check(t.group, t.epoch); err != nil {
		return err
	}
	g, err := t.enter(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	h, err := t.find(g, ref, now)
	if err == nil {
		if h.seat != 0 {
			h.linger = ref.Linger
		}
		t.store.end(g, h, lease.Released, "", now)
	}
	return t.leave(ctx, g.last, nil)
}

// Remove implements lease.Seats.
func (t *seats) Remove(ctx context.Context, pool lease.Pool, r lease.Removal) error {
	if err := r.Check(pool, t.group); err != nil {
		return err
	}
	if r.MinAge > 0 {
		return notYet("a minimum age")
	}
	id, by := r.Handle, r.By
	g, err := t.enter(ctx)
	if err != nil {
		return err
	}
	now, unknown := time.Now(), lease.Ended(lease.Released, id)
	h := g.handles[id]
	switch {
	case h == nil || h.product != pool.Product:
		if l := g.lingers[id]; l != nil && l.product == pool.Product {
			if now.Before(l.deadline) {
				unknown = nil
			}
			t.store.free(g, l)
			return t.leave(ctx, g.last, unknown)
		}
		if e := g.ended[id]; e.kind == lease.Removed && e.product == pool.Product {
			unknown = nil
		}
		return t.leave(ctx, g.last, unknown)
	case !now.Before(h.deadline):
		t.store.end(g, h, lease.Expired, "", now)
		return t.leave(ctx, g.last, unknown)
	}
	t.store.end(g, h, lease.Removed, by, now)
	return t.leave(ctx, g.last, nil)
}

// offered refuses what the contract has and this store has not yet.
func offered(r lease.Request) error {
	switch {
	case r.Mode != license.UserLimit && r.Mode != license.NoUserLimit:
		return notYet("the access mode " + string(r.Mode))
	case r.Wants() > 1:
		return notYet("more than one license for a handle")
	case r.Borrowed:
		return notYet("borrowing")
	case len(r.Limits.Tags)+len(r.Limits.Caps)+len(r.Limits.Holds) > 0:
		return notYet("a limit")
	case r.Wait != nil:
		return notYet("a queue")
	}
	return nil
}

func notYet(what string) error {
	return license.Errorf(license.CodeInvalidInput, "ask without", "%s is not offered by this store yet", what)
}

// Ask implements lease.Seats.
func (t *seats) Ask(context.Context, lease.Pool, string, lease.Notice) error {
	return notYet("a notice")
}

// Leave implements lease.Seats.
func (t *seats) Leave(_ context.Context, pool lease.Pool, id string) error {
	return lease.CheckLeave(pool, t.group, id)
}

// Waiting implements lease.Seats.
func (t *seats) Waiting(_ context.Context, pool lease.Pool) ([]lease.Waiter, error) {
	return nil, pool.Check(t.group)
}

// Expire implements lease.Seats.
func (t *seats) Expire(ctx context.Context) (int, error) {
	g, err := t.enter(ctx)
	if err != nil {
		return 0, err
	}
	now, count := time.Now(), 0
	for _, p := range g.pools {
		for t.store.expireOne(g, p, now) {
			count++
		}
	}
	if err := t.leave(ctx, g.last, nil); err != nil {
		return 0, err
	}
	return count, nil
}

// Next implements lease.Seats.
func (t *seats) Next(ctx context.Context) (time.Duration, bool, error) {
	g, err := t.enter(ctx)
	if err != nil {
		return 0, false, err
	}
	defer t.store.mu.Unlock()
	var first time.Time
	for _, p := range g.pools {
		if len(p.due) > 0 && (first.IsZero() || p.due[0].deadline.Before(first)) {
			first = p.due[0].deadline
		}
	}
	if first.IsZero() {
		return 0, false, nil
	}
	return max(time.Until(first), 0), true, nil
}

// List implements lease.Seats.
func (t *seats) List(ctx context.Context, pool lease.Pool) ([]lease.Handle, error) {
	if err := pool.Check(t.group); err != nil {
		return nil, err
	}
	g, err := t.enter(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	var all []lease.Handle
	if p := g.pools[pool.Product]; p != nil {
		for _, h := range p.due {
			if h.linger == 0 && now.Before(h.deadline) {
				all = append(all, lease.Handle{
					Grant: t.grant(h), Station: h.station, Client: h.client, Accesses: h.accesses,
					FirstAccess: h.first, LastAccess: h.last, Remaining: h.deadline.Sub(now),
				})
			}
		}
	}
	if err := t.leave(ctx, g.last, nil); err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b lease.Handle) int {
		return cmp.Or(a.FirstAccess.Compare(b.FirstAccess), cmp.Compare(a.Handle, b.Handle))
	})
	return all, nil
}

// Usage implements lease.Seats.
func (t *seats) Usage(ctx context.Context, pool lease.Pool) (lease.Usage, error) {
	if err := pool.Check(t.group); err != nil {
		return lease.Usage{}, err
	}
	g, err := t.enter(ctx)
	if err != nil {
		return lease.Usage{}, err
	}
	now := time.Now()
	u := lease.Usage{ByMode: map[license.AccessMode]uint32{}}
	if p := g.pools[pool.Product]; p != nil {
		for t.store.expireOne(g, p, now) {
		}
		u.Taken, u.Lingering = uint32(len(p.held)), p.lingering
		for mode, n := range p.modes {
			u.ByMode[mode] = n
		}
	}
	if err := t.leave(ctx, g.last, nil); err != nil {
		return lease.Usage{}, err
	}
	return u, nil
}

// begin starts a handle: memory, journal and event together.
func (s *Store) begin(g *group, h *handle, now time.Time) {
	h.accesses, h.first, h.last = 1, now, now
	h.deadline = now.Add(h.lease)
	g.put(h)
	if s.journal != nil {
		s.write(g, handleWrite(g, h), seatWrite(g, h))
	}
	s.event(g, h, lease.Granted, now, nil)
	h.written = g.last
}

func (s *Store) renew(g *group, h *handle, now time.Time) {
	h.last = now
	// A timer that Claim set further away stays.
	if d := now.Add(h.lease); d.After(h.deadline) {
		h.deadline = d
		heap.Fix(&g.pool(h.product).due, h.index)
	}
}

// end ends a handle: memory, journal and event together. Its seat lingers from
// now on where h.linger says so.
func (s *Store) end(g *group, h *handle, kind lease.EventKind, by string, now time.Time) {
	g.take(h)
	g.remember(h.id, ended{kind: kind, product: h.product, content: h.content, n: h.n, deadline: h.deadline}, s.opt.MostEnded)
	if s.journal != nil {
		s.write(g, handleDelete(g, h))
	}
	if h.linger > 0 {
		h.deadline = now.Add(h.linger)
		g.keep(h)
		if s.journal != nil {
			s.write(g, lingerWrite(g, h))
		}
	}
	s.event(g, h, kind, now, func(e *lease.Event) { e.By = by })
}

// unlinger ends a linger, memory and journal together, for a handle that takes
// the seat now.
func (s *Store) unlinger(g *group, h *handle) {
	g.drop(h)
	if s.journal != nil {
		s.write(g, lingerDelete(g, h))
	}
}

// free ends a linger, and its seat is free then.
func (s *Store) free(g *group, h *handle) {
	s.unlinger(g, h)
	g.pool(h.product).clear(h.seat)
}

// expireOne ends one handle of the pool whose lease has run out, or one linger.
func (s *Store) expireOne(g *group, p *pool, now time.Time) bool {
	if len(p.due) == 0 || now.Before(p.due[0].deadline) {
		return false
	}
	if h := p.due[0]; h.linger > 0 {
		s.free(g, h)
	} else {
		s.end(g, h, lease.Expired, "", now)
	}
	return true
}

func (s *Store) event(g *group, h *handle, kind lease.EventKind, now time.Time, more func(*lease.Event)) {
	g.position = after(g.position)
	e := lease.Event{
		Position: g.position, Kind: kind, At: now.UTC(), Handle: h.id,
		Pool: lease.Pool{Container: g.serial, Product: h.product}, Mode: h.mode,
		Station: h.station, Client: h.client, Seat: h.seat, N: h.n,
	}
	if more != nil {
		more(&e)
	}
	g.events = append(g.events, e)
	var old []lease.Event
	if excess := len(g.events) - s.opt.MostEvents; excess > s.opt.MostEvents/8 {
		old, g.events = g.events[:excess], slices.Clone(g.events[excess:])
	}
	if s.journal == nil {
		g.visible = g.position
		g.tell()
		return
	}
	s.write(g, eventWrite(g, e))
	for _, e := range old {
		s.write(g, eventDelete(g, e))
	}
}
