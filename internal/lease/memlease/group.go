package memlease

import (
	"cmp"
	"container/heap"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// group is the memory of one container's seats. Guarded by Store.mu.
type group struct {
	serial   license.Serial
	epoch    uint64
	position uint64 // of the newest event
	timed    bool   // timers run: Claim or Join has started them
	pools    map[license.Product]*pool
	handles  map[string]*handle
	lingers  map[string]*handle // released, their seats not free yet
	ended    map[string]ended
	order    []string // of ended, oldest first

	events  []lease.Event
	visible uint64        // events up to here are durable
	changed chan struct{} // closed when there is more to see
	last    *batch        // the batch with the newest change
}

// pool is one product's seats. due orders the handles by deadline, lingering
// ones among them.
type pool struct {
	n         map[uint32]uint64  // last n of each seat that was ever given
	held      map[uint32]*handle // by seat
	free      seatHeap           // free seats up to high; stale entries are skipped
	high      uint32             // seats above were never given, but for those in held
	due       dueHeap
	modes     map[license.AccessMode]uint32
	own       map[lease.Holder][]*handle // lingering, by seat
	lingering uint32
}

type handle struct {
	id       string
	product  license.Product
	mode     license.AccessMode
	seat     uint32
	n        uint64
	lease    time.Duration
	linger   time.Duration // set at the release: the handle is over, its seat lingers
	station  string
	client   lease.Client
	content  string
	accesses uint32
	first    time.Time
	last     time.Time
	deadline time.Time
	index    int    // in pool.due
	written  *batch // the batch that has the grant
}

type ended struct {
	kind    lease.EventKind
	product license.Product
	content string
	n       uint64
	// deadline is known of those that ended in this process, and that of the
	// linger once it is over.
	deadline, linger time.Time
}

func newGroup(serial license.Serial) *group {
	return &group{
		serial:  serial,
		pools:   map[license.Product]*pool{},
		handles: map[string]*handle{},
		lingers: map[string]*handle{},
		ended:   map[string]ended{},
		changed: make(chan struct{}),
	}
}

func (g *group) pool(p license.Product) *pool {
	q := g.pools[p]
	if q == nil {
		q = &pool{
			n: map[uint32]uint64{}, held: map[uint32]*handle{}, modes: map[license.AccessMode]uint32{},
			own: map[lease.Holder][]*handle{},
		}
		g.pools[p] = q
	}
	return q
}

// tell wakes whoever waits for events.
func (g *group) tell() {
	close(g.changed)
	g.changed = make(chan struct{})
}

func (g *group) eventsAfter(position uint64, most int) []lease.Event {
	find := func(p uint64) int {
		i, _ := slices.BinarySearchFunc(g.events, p, func(e lease.Event, p uint64) int {
			return cmp.Compare(e.Position, p)
		})
		return i
	}
	from, to := find(position+1), find(g.visible+1)
	if position+1 == 0 || from >= to {
		return nil
	}
	return slices.Clone(g.events[from:min(to, from+max(most, 0))])
}

// restartTimers gives every handle at least a full lease and the margin, and
// every lingering seat its full time and the margin.
func (g *group) restartTimers(now time.Time) {
	g.timed = true
	for _, p := range g.pools {
		for _, h := range p.due {
			full := h.lease
			if h.linger > 0 {
				full = h.linger
			}
			if d := now.Add(full + lease.Margin); d.After(h.deadline) {
				h.deadline = d
			}
		}
		heap.Init(&p.due)
	}
}

// keepTimers takes over what an earlier memory of the group knew about when
// handles run out, also of those whose end was not written.
func (g *group) keepTimers(old *group) {
	for id, h := range g.handles {
		if o := old.handles[id]; o != nil && o.n == h.n {
			h.deadline, h.last = o.deadline, o.last
		} else if e, ok := old.ended[id]; ok && e.n == h.n && !e.deadline.IsZero() {
			h.deadline = e.deadline
		}
		heap.Fix(&g.pool(h.product).due, h.index)
	}
	for id, h := range g.lingers {
		if o := old.lingers[id]; o != nil && o.n == h.n {
			h.deadline = o.deadline
		} else if e, ok := old.ended[id]; ok && e.n == h.n && !e.linger.IsZero() {
			h.deadline = e.linger
		}
		heap.Fix(&g.pool(h.product).due, h.index)
	}
}

// lowest gives the lowest free seat.
func (p *pool) lowest() uint32 {
	for len(p.free) > 0 {
		if s := p.free[0]; p.held[s] == nil {
			return s
		}
		heap.Pop(&p.free)
	}
	for p.held[p.high+1] != nil {
		p.high++
	}
	return p.high + 1
}

// put enters a handle into the memory; its seat must be free, or have lingered
// until now.
func (g *group) put(h *handle) {
	p := g.pool(h.product)
	p.n[h.seat] = max(p.n[h.seat], h.n)
	if h.seat != 0 {
		switch {
		case p.held[h.seat] != nil: // lingered: it is none of the free seats
		case len(p.free) > 0 && p.free[0] == h.seat:
			heap.Pop(&p.free)
		case h.seat == p.high+1:
			p.high++
		}
		p.held[h.seat] = h
	}
	p.modes[h.mode]++
	g.handles[h.id] = h
	heap.Push(&p.due, h)
}

// take removes a handle from the memory; its seat is free then, but where it
// lingers.
func (g *group) take(h *handle) {
	p := g.pool(h.product)
	if h.linger == 0 {
		p.clear(h.seat)
	}
	if p.modes[h.mode]--; p.modes[h.mode] == 0 {
		delete(p.modes, h.mode)
	}
	heap.Remove(&p.due, h.index)
	delete(g.handles, h.id)
}

// clear makes a seat free.
func (p *pool) clear(seat uint32) {
	if seat == 0 {
		return
	}
	delete(p.held, seat)
	if seat <= p.high {
		heap.Push(&p.free, seat)
	}
}

// keep enters a handle that was released as lingering.
func (g *group) keep(h *handle) {
	p := g.pool(h.product)
	p.held[h.seat] = h
	p.lingering++
	g.lingers[h.id] = h
	holder := h.request(g.serial).Holder()
	at, _ := p.find(holder, h.seat)
	p.own[holder] = slices.Insert(p.own[holder], at, h)
	heap.Push(&p.due, h)
}

// drop ends a linger; the seat is still held, for whoever comes next.
func (g *group) drop(h *handle) {
	p := g.pool(h.product)
	p.lingering--
	delete(g.lingers, h.id)
	holder := h.request(g.serial).Holder()
	if at, ok := p.find(holder, h.seat); ok {
		p.own[holder] = slices.Delete(p.own[holder], at, at+1)
	}
	if len(p.own[holder]) == 0 {
		delete(p.own, holder)
	}
	heap.Remove(&p.due, h.index)
	if e, ok := g.ended[h.id]; ok && e.n == h.n {
		e.linger = h.deadline
		g.ended[h.id] = e
	}
}

func (p *pool) find(holder lease.Holder, seat uint32) (int, bool) {
	return slices.BinarySearchFunc(p.own[holder], seat, func(h *handle, seat uint32) int {
		return cmp.Compare(h.seat, seat)
	})
}

// lingersFor gives the lowest seat that lingers for a holder, or nil.
func (p *pool) lingersFor(holder lease.Holder, now time.Time) *handle {
	for _, h := range p.own[holder] {
		if now.Before(h.deadline) {
			return h
		}
	}
	return nil
}

// remember keeps an ended handle for late repeats, and forgets the oldest.
func (g *group) remember(id string, e ended, most int) {
	if _, again := g.ended[id]; !again {
		g.order = append(g.order, id)
	}
	g.ended[id] = e
	for len(g.ended) > most {
		delete(g.ended, g.order[0])
		g.order = g.order[1:]
	}
}

// request is what the event tells of the handle's request.
func request(e lease.Event) lease.Request {
	return lease.Request{ID: e.Handle, Pool: e.Pool, Mode: e.Mode, Station: e.Station, Client: e.Client}
}

type seatHeap []uint32

func (h seatHeap) Len() int           { return len(h) }
func (h seatHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h seatHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *seatHeap) Push(x any)        { *h = append(*h, x.(uint32)) }
func (h *seatHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

type dueHeap []*handle

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].deadline.Before(h[j].deadline) }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *dueHeap) Push(x any) {
	e := x.(*handle)
	e.index = len(*h)
	*h = append(*h, e)
}
func (h *dueHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return x
}
