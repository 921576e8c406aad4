package book

import (
	"slices"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// refusal is why a request is not granted now.
type refusal struct {
	code license.Code // CodeStationBusy, CodeLimitReached or CodeNoFreeSeat
	rule string       // the tag that refused
	most lease.Cap    // the cap, for CodeLimitReached
	held uint64       // kept back for others
}

// asker is a request, or somebody in the queue, as the rules see it.
type asker struct {
	cost
	tags  []string
	caps  []lease.Cap
	holds []lease.Hold
	own   *handle // the lowest seat that lingers for him
}

func (p *pool) asker(r lease.Request, now time.Time) asker {
	return asker{
		cost: cost{r.Mode, r.Station, r.Wants()}, tags: r.Limits.Tags, caps: r.Limits.Caps, holds: r.Limits.Holds,
		own: p.lingersFor(r.Holder(), now),
	}
}

// decide says why a request is refused, or nil. Those of the queue up to place
// stand before it. Whatever has run out must be ended.
func (p *pool) decide(a asker, quantity uint64, place int, now time.Time) *refusal {
	if a.mode == license.NoUserLimit {
		return nil
	}
	if r := p.barred(a); r != nil {
		return r
	}
	living, all := p.living.after(a.cost, nil), p.all.after(a.cost, a.own)
	full := living > p.living.total() && living > quantity
	if !full && all <= p.all.total() {
		return nil
	}
	held, rule := p.heldBack(a)
	ahead := uint64(0)
	for _, w := range p.queue[:place] {
		if full || all+ahead > quantity {
			break
		}
		if uint64(w.request.Wants()) <= quantity {
			ahead += p.before(w, a, all-p.all.total(), now)
		}
	}
	if !full && all+held+ahead <= quantity {
		return nil
	}
	r := &refusal{code: license.CodeNoFreeSeat, held: held}
	if !full && all+ahead <= quantity {
		r.rule = rule
	}
	return r
}

// barred says whether a station or a cap refuses.
func (p *pool) barred(a asker) *refusal {
	if at := p.stations[a.station]; at.exclusive > 0 || a.mode == license.Exclusive && at.taking > 0 {
		return &refusal{code: license.CodeStationBusy}
	}
	for _, c := range a.caps {
		if after := p.takenAfter(c.Tag, a.cost, a.tags, a.own); after > uint64(c.Most) && after > p.taken(c.Tag) {
			return &refusal{code: license.CodeLimitReached, rule: c.Tag, most: c}
		}
	}
	return nil
}

// heldBack is what is kept back from a request, and the first tag that it is
// kept for.
func (p *pool) heldBack(a asker) (held uint64, rule string) {
	for _, h := range a.holds {
		keeps := kept(h, p.takenAfter(h.Tag, a.cost, a.tags, a.own))
		if keeps > 0 && held == 0 {
			rule = h.Tag
		}
		held += uint64(keeps)
	}
	return held, rule
}

// before is what somebody who waits would add, and so has a right to before a
// request that adds so much; nothing where he could not have it now.
func (p *pool) before(w *waiter, a asker, adds uint64, now time.Time) uint64 {
	his := p.asker(w.request, now)
	if p.barred(his) != nil {
		return 0
	}
	freed := int64(0) // of what is kept back from him
	for _, h := range his.holds {
		freed += kept(h, p.taken(h.Tag)) - kept(h, p.takenAfter(h.Tag, a.cost, a.tags, a.own))
	}
	if freed >= int64(adds) {
		return 0
	}
	after, total := p.all.after(his.cost, his.own), p.all.total()
	return max(after, total) - total
}

// kept is what a hold keeps back while its tag takes so much.
func kept(h lease.Hold, taken uint64) int64 { return max(int64(h.Least)-int64(taken), 0) }

// lingersFor gives the lowest seat that lingers for a holder, or nil.
func (p *pool) lingersFor(holder lease.Holder, now time.Time) *handle {
	for _, h := range p.own[holder] {
		if now.Before(h.deadline) {
			return h
		}
	}
	return nil
}

// waiter is a request in the queue.
type waiter struct {
	request  lease.Request // as last asked
	content  string
	priority int32
	since    time.Time
	until    time.Time // refused when asked later
	place    time.Duration
	lapses   time.Time // when the place is lost
}

// behind is the place of who asks first with a priority: how many stand before.
func (p *pool) behind(priority int32) int {
	i := slices.IndexFunc(p.queue, func(w *waiter) bool { return w.priority < priority })
	if i < 0 {
		return len(p.queue)
	}
	return i
}

// wait gives a place to a request that was refused, or keeps its own, and says
// whether it waits.
func (b *Book) wait(p *pool, w *waiter, r lease.Request, content string, now time.Time) (int, bool) {
	switch {
	case r.Wait == nil || r.Wants() > r.Quantity:
		return 0, false
	case w != nil && !now.Before(w.until):
		return 0, false
	case w == nil && len(p.queue) >= lease.MostWaiting:
		return 0, false
	case w == nil:
		w = &waiter{
			content: content, priority: r.Wait.Priority, since: now, until: now.Add(r.Wait.Until), place: r.Wait.Place,
		}
		p.queue = slices.Insert(p.queue, p.behind(w.priority), w)
		b.waiters[r.ID] = w
	}
	w.request, w.lapses = r, now.Add(w.place)
	return slices.Index(p.queue, w), true
}

// leave takes somebody out of the queue.
func (b *Book) leave(w *waiter) {
	p := b.pool(w.request.Pool.Product)
	delete(b.waiters, w.request.ID)
	p.queue = slices.DeleteFunc(p.queue, func(x *waiter) bool { return x == w })
}

// lapse ends what has run out in a pool: leases, lingers, and places in its
// queue.
func (b *Book) lapse(p *pool, now time.Time) (ended int) {
	for b.expireOne(p, now) {
		ended++
	}
	b.lapsePlaces(p, now)
	return ended
}

func (b *Book) lapsePlaces(p *pool, now time.Time) {
	p.queue = slices.DeleteFunc(p.queue, func(w *waiter) bool {
		lost := !now.Before(w.lapses)
		if lost {
			delete(b.waiters, w.request.ID)
		}
		return lost
	})
}
