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
	ended    map[string]ended
	order    []string // of ended, oldest first

	events  []lease.Event
	visible uint64        // events up to here are durable
	changed chan struct{} // closed when there is more to see
	last    *batch        // the batch with the newest change
}

// pool is one product's seats. due orders the handles by deadline.
type pool struct {
	n     map[uint32]uint64  // last n of each seat that was ever given
	held  map[uint32]*handle // by seat
	free  seatHeap           // free seats up to high; stale entries are skipped
	high  uint32             // seats above were never given, but for those in held
	due   dueHeap
	modes map[license.AccessMode]uint32
}

type handle struct {
	id       string
	product  license.Product
	mode     license.AccessMode
	seat     uint32
	n        uint64
	lease    time.Duration
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
	// deadline is known of those that ended in this process.
	deadline time.Time
}

func newGroup(serial license.Serial) *group {
	return &group{
		serial:  serial,
		pools:   map[license.Product]*pool{},
		handles: map[string]*handle{},
		ended:   map[string]ended{},
		changed: make(chan struct{}),
	}
}

func (g *group) pool(p license.Product) *pool {
	q := g.pools[p]
	if q == nil {
		q = &pool{n: map[uint32]uint64{}, held: map[uint32]*handle{}, modes: map[license.AccessMode]uint32{}}
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

// restartTimers gives every handle at least a full lease and the margin.
func (g *group) restartTimers(now time.Time) {
	g.timed = true
	for _, h := range g.handles {
		if d := now.Add(h.lease + lease.Margin); d.After(h.deadline) {
			h.deadline = d
		}
	}
	for _, p := range g.pools {
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

// put enters a handle into the memory; its seat must be free.
func (g *group) put(h *handle) {
	p := g.pool(h.product)
	p.n[h.seat] = max(p.n[h.seat], h.n)
	if h.seat != 0 {
		p.held[h.seat] = h
		if len(p.free) > 0 && p.free[0] == h.seat {
			heap.Pop(&p.free)
		} else if h.seat == p.high+1 {
			p.high++
		}
	}
	p.modes[h.mode]++
	g.handles[h.id] = h
	heap.Push(&p.due, h)
}

// take removes a handle from the memory; its seat is free then.
func (g *group) take(h *handle) {
	p := g.pool(h.product)
	if h.seat != 0 {
		delete(p.held, h.seat)
		if h.seat <= p.high {
			heap.Push(&p.free, h.seat)
		}
	}
	if p.modes[h.mode]--; p.modes[h.mode] == 0 {
		delete(p.modes, h.mode)
	}
	heap.Remove(&p.due, h.index)
	delete(g.handles, h.id)
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
