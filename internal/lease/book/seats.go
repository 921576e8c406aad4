package book

import (
	"container/heap"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// Access implements lease.Seats. The Book keeps the request's slices.
func (b *Book) Access(now time.Time, r lease.Request) (lease.Grant, error) {
	if err := r.Check(b.group); err != nil {
		return lease.Grant{}, err
	}
	if b.grace {
		return lease.Grant{}, waits(b.group)
	}
	content := r.Content()
	if h := b.handles[r.ID]; h != nil {
		return b.repeat(now, h, content)
	}
	if err := b.over(r.ID, content); err != nil {
		return lease.Grant{}, err
	}
	p := b.pool(r.Pool.Product)
	w := b.waiters[r.ID]
	if w != nil && w.content != content {
		if now.Before(w.lapses) {
			return lease.Grant{}, lease.Mismatch(r.ID)
		}
		b.leave(w)
	}
	b.lapse(p, now)
	if w = b.waiters[r.ID]; w != nil && r.Wait == nil {
		b.leave(w)
		w = nil
	}
	place := p.behind(0)
	switch {
	case w != nil:
		place = slices.Index(p.queue, w)
	case r.Wait != nil:
		place = p.behind(r.Wait.Priority)
	}
	a := p.asker(r, now)
	if no := p.decide(a, uint64(r.Quantity), place, now); no != nil {
		return lease.Grant{}, b.refuse(now, p, w, r, content, no)
	}
	if w != nil {
		b.leave(w)
	}
	h := &handle{
		id: r.ID, product: r.Pool.Product, mode: r.Mode, lease: r.Lease, station: r.Station, client: r.Client,
		content: content, licenses: r.Wants(), tags: r.Limits.Tags, borrowed: r.Borrowed,
	}
	if a.own != nil && r.Mode != license.NoUserLimit {
		h.seat = a.own.seat
		b.unlinger(a.own)
	} else {
		h.seat = p.lowest()
	}
	h.n = p.n[h.seat] + 1
	b.begin(h, now)
	return b.grant(h), nil
}

// repeat answers a request whose handle lives.
func (b *Book) repeat(now time.Time, h *handle, content string) (lease.Grant, error) {
	switch {
	case h.content != content:
		return lease.Grant{}, lease.Mismatch(h.id)
	case !now.Before(h.deadline):
		b.end(h, lease.Expired, 0, "", now)
		return lease.Grant{}, lease.Ended(lease.Expired, h.id)
	}
	b.renew(h, now)
	g := b.grant(h)
	g.Repeated, g.Notice = true, h.notice
	return g, nil
}

// over answers a request whose handle has ended, with nil where there was none.
func (b *Book) over(id, content string) error {
	kind, before := lease.Released, ""
	if e, ok := b.ended[id]; ok {
		kind, before = e.kind, e.content
	} else if l := b.lingers[id]; l != nil { // its end is no longer remembered
		before = l.content
	} else {
		return nil
	}
	if before != content {
		return lease.Mismatch(id)
	}
	return lease.Ended(kind, id)
}

// refuse answers a request that isn't granted now: it waits, or is denied.
func (b *Book) refuse(now time.Time, p *pool, w *waiter, r lease.Request, content string, no *refusal) error {
	short := lease.Shortage{
		Taken: narrow(p.all.total()), Quantity: r.Quantity, Licenses: r.Wants(), HeldBack: narrow(no.held),
	}
	if len(p.due) > 0 {
		short.Next = max(p.due[0].deadline.Sub(now), 0)
	}
	if no.code == license.CodeNoFreeSeat {
		if at, waits := b.wait(p, w, r, content, now); waits {
			short.Waiting = uint32(len(p.queue))
			return lease.Queued(r.Pool, short, uint32(at)+1)
		}
	}
	if w != nil {
		b.leave(w)
	}
	b.denied(now, r, no.code, no.rule)
	switch no.code {
	case license.CodeStationBusy:
		return lease.StationBusy(r.Pool, r.Station, r.Mode)
	case license.CodeLimitReached:
		return lease.LimitReached(r.Pool, no.most, narrow(p.taken(no.most.Tag)))
	}
	short.Waiting = uint32(len(p.queue))
	return lease.NoFreeSeat(r.Pool, short)
}

func (b *Book) grant(h *handle) lease.Grant {
	return lease.Grant{
		Handle: h.id, Pool: lease.Pool{Container: b.group, Product: h.product}, Mode: h.mode,
		Seat: h.seat, Epoch: b.epoch, N: h.n, Lease: h.lease, Licenses: h.licenses,
	}
}

// Renew implements lease.Seats.
func (b *Book) Renew(now time.Time, ref lease.Ref) (lease.Grant, error) {
	h, err := b.find(now, ref)
	if err != nil {
		return lease.Grant{}, err
	}
	b.renew(h, now)
	h.idle = ref.Idle
	g := b.grant(h)
	g.Notice = h.notice
	return g, nil
}

// Check implements lease.Seats; the grant tells which record it rests on.
func (b *Book) Check(now time.Time, ref lease.Ref) (lease.Grant, error) {
	h, err := b.find(now, ref)
	if err != nil {
		return lease.Grant{}, err
	}
	return b.grant(h), nil
}

// find gives the living handle of a reference; a lost one is taken in again.
func (b *Book) find(now time.Time, ref lease.Ref) (*handle, error) {
	if err := ref.Check(b.group, b.epoch); err != nil {
		return nil, err
	}
	unknown := lease.Ended(lease.Released, ref.Handle)
	if h := b.handles[ref.Handle]; h != nil {
		switch {
		case h.product != ref.Pool.Product || h.n != ref.N || h.seat != ref.Seat:
			return nil, unknown
		case !now.Before(h.deadline):
			b.end(h, lease.Expired, 0, "", now)
			return nil, lease.Ended(lease.Expired, ref.Handle)
		}
		return h, nil
	}
	if e, ok := b.ended[ref.Handle]; ok {
		if e.product != ref.Pool.Product || e.n != ref.N {
			return nil, unknown
		}
		return nil, lease.Ended(e.kind, ref.Handle)
	}
	if b.lingers[ref.Handle] != nil {
		return nil, unknown
	}
	return b.takeIn(now, ref)
}

// takeIn takes a handle in again whose record was lost: its seat must be free
// or linger, and its n be above every n that is known of the seat.
func (b *Book) takeIn(now time.Time, ref lease.Ref) (*handle, error) {
	if b.opt.Sure && !b.grace {
		return nil, lease.Ended(lease.Released, ref.Handle)
	}
	p := b.pool(ref.Pool.Product)
	holder := p.held[ref.Seat]
	if ref.N <= p.n[ref.Seat] || holder != nil && holder.linger == 0 && now.Before(holder.deadline) && !b.grace {
		return nil, lease.Ended(lease.Released, ref.Handle)
	}
	if err := ref.CheckLost(); err != nil {
		return nil, err
	}
	switch {
	case holder == nil:
	case holder.linger > 0:
		b.unlinger(holder)
	default:
		b.end(holder, lease.Expired, 0, "", now)
	}
	r := ref.Request()
	h := &handle{
		id: ref.Handle, product: ref.Pool.Product, mode: ref.Mode, seat: ref.Seat, n: ref.N, lease: ref.Lease,
		station: ref.Station, client: ref.Client, content: r.Content(),
		licenses: r.Wants(), tags: ref.Tags, borrowed: ref.Borrowed,
	}
	if w := b.waiters[h.id]; w != nil {
		b.leave(w)
	}
	b.begin(h, now)
	return h, nil
}

// Release implements lease.Seats.
func (b *Book) Release(now time.Time, ref lease.Ref) error {
	if err := ref.Check(b.group, b.epoch); err != nil {
		return err
	}
	h, err := b.find(now, ref)
	if err != nil {
		return nil // over already
	}
	linger := ref.Linger
	if h.mode == license.NoUserLimit {
		linger = 0
	}
	b.end(h, lease.Released, linger, "", now)
	return nil
}

// Remove implements lease.Seats.
func (b *Book) Remove(now time.Time, pool lease.Pool, r lease.Removal) error {
	if err := r.Check(pool, b.group); err != nil {
		return err
	}
	unknown := lease.Ended(lease.Released, r.Handle)
	h := b.handles[r.Handle]
	if h == nil || h.product != pool.Product {
		if l := b.lingers[r.Handle]; l != nil && l.product == pool.Product {
			if now.Before(l.deadline) {
				unknown = nil
			}
			b.free(l)
		} else if e := b.ended[r.Handle]; e.kind == lease.Removed && e.product == pool.Product {
			unknown = nil
		}
		return unknown
	}
	age := now.Sub(h.first)
	switch {
	case !now.Before(h.deadline):
		b.end(h, lease.Expired, 0, "", now)
		return unknown
	case h.borrowed:
		return lease.Borrowed(h.id)
	case age < r.MinAge:
		return lease.TooYoung(h.id, max(age, 0), r.MinAge)
	}
	b.end(h, lease.Removed, 0, r.By, now)
	return nil
}

// Ask implements lease.Seats. It rests on the handle's record.
func (b *Book) Ask(now time.Time, pool lease.Pool, id string, n lease.Notice) error {
	if err := n.Check(pool, b.group, id); err != nil {
		return err
	}
	h := b.handles[id]
	if h == nil || h.product != pool.Product || !now.Before(h.deadline) {
		return lease.Ended(lease.Released, id)
	}
	if h.borrowed {
		return lease.Borrowed(id)
	}
	h.notice = &n
	return nil
}

// Leave implements lease.Seats.
func (b *Book) Leave(pool lease.Pool, id string) error {
	if err := lease.CheckLeave(pool, b.group, id); err != nil {
		return err
	}
	if w := b.waiters[id]; w != nil && w.request.Pool == pool {
		b.leave(w)
	}
	return nil
}

// Waiting implements lease.Seats.
func (b *Book) Waiting(now time.Time, pool lease.Pool) ([]lease.Waiter, error) {
	if err := pool.Check(b.group); err != nil {
		return nil, err
	}
	p := b.pools[pool.Product]
	if p == nil {
		return nil, nil
	}
	b.lapsePlaces(p, now)
	var all []lease.Waiter
	for _, w := range p.queue {
		all = append(all, lease.Waiter{
			ID: w.request.ID, Mode: w.request.Mode, Station: w.request.Station, Client: w.request.Client,
			Licenses: w.request.Wants(), Priority: w.priority, Since: w.since,
		})
	}
	return all, nil
}

// Expire implements lease.Seats.
func (b *Book) Expire(now time.Time) int {
	count := 0
	for _, p := range b.pools {
		count += b.lapse(p, now)
	}
	return count
}

// Next implements lease.Seats.
func (b *Book) Next(now time.Time) (time.Duration, bool) {
	var first time.Time
	for _, p := range b.pools {
		if len(p.due) > 0 && (first.IsZero() || p.due[0].deadline.Before(first)) {
			first = p.due[0].deadline
		}
	}
	if first.IsZero() {
		return 0, false
	}
	return max(first.Sub(now), 0), true
}

// Usage implements lease.Seats.
func (b *Book) Usage(now time.Time, pool lease.Pool) (lease.Usage, error) {
	if err := pool.Check(b.group); err != nil {
		return lease.Usage{}, err
	}
	p := b.pool(pool.Product)
	b.lapse(p, now)
	return p.usage(), nil
}

// begin starts a handle.
func (b *Book) begin(h *handle, now time.Time) {
	h.accesses, h.first, h.last = 1, now, now
	h.deadline = now.Add(h.lease)
	b.put(h)
	b.changed(h)
	b.event(h, lease.Granted, now, nil)
}

func (b *Book) renew(h *handle, now time.Time) {
	h.last = now
	// A timer that Claim set further away stays.
	if d := now.Add(h.lease); d.After(h.deadline) {
		h.deadline = d
		heap.Fix(&b.pool(h.product).due, h.index)
	}
}

// end ends a living handle. Its seat lingers from now on, or is free.
func (b *Book) end(h *handle, kind lease.EventKind, linger time.Duration, by string, now time.Time) {
	b.take(h)
	b.remember(h.id, ended{kind: kind, product: h.product, content: h.content, n: h.n, deadline: h.deadline})
	if linger > 0 && h.seat != 0 {
		h.linger, h.deadline, h.notice = linger, now.Add(linger), nil
		b.keep(h)
	} else {
		b.pool(h.product).clear(h.seat)
	}
	b.changed(h)
	b.event(h, kind, now, func(e *lease.Event) { e.By = by })
}

// free ends a linger, and its seat is free then.
func (b *Book) free(h *handle) {
	b.unlinger(h)
	b.pool(h.product).clear(h.seat)
	b.changed(h)
}

// expireOne ends one handle of the pool whose lease has run out, or one linger.
func (b *Book) expireOne(p *pool, now time.Time) bool {
	if len(p.due) == 0 || now.Before(p.due[0].deadline) {
		return false
	}
	if h := p.due[0]; h.linger > 0 {
		b.free(h)
	} else {
		b.end(h, lease.Expired, 0, "", now)
	}
	return true
}
