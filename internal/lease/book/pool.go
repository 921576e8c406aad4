package book

import (
	"cmp"
	"container/heap"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// pool is one product's seats. due orders the handles by deadline, lingering
// ones among them.
type pool struct {
	n     map[uint32]uint64  // last n of each seat that was ever given
	held  map[uint32]*handle // by seat, living and lingering
	free  seatHeap           // free seats up to high; stale entries are skipped
	high  uint32             // seats above were never given, but for those in held
	stale bool               // free and high must be found anew
	due   dueHeap
	own   map[lease.Holder][]*handle // lingering, by seat
	queue []*waiter                  // in its order

	all, living account
	// borrowed and exclusive are parts of living.
	borrowed, exclusive account
	tags                map[string]*account
	stations            map[string]presence
	modes               map[license.AccessMode]uint32
}

// handle is a living handle, or with a linger a released one whose seat lingers.
type handle struct {
	id       string
	product  license.Product
	mode     license.AccessMode
	seat     uint32
	n        uint64
	lease    time.Duration
	linger   time.Duration
	station  string
	client   lease.Client
	content  string
	licenses uint32
	tags     []string
	borrowed bool
	accesses uint32
	idle     time.Duration
	notice   *lease.Notice
	first    time.Time
	last     time.Time
	deadline time.Time
	index    int // in pool.due
}

func (h *handle) cost() cost { return cost{h.mode, h.station, h.licenses} }

func (b *Book) pool(p license.Product) *pool {
	q := b.pools[p]
	if q == nil {
		q = &pool{
			n: map[uint32]uint64{}, held: map[uint32]*handle{}, own: map[lease.Holder][]*handle{},
			tags: map[string]*account{}, stations: map[string]presence{}, modes: map[license.AccessMode]uint32{},
		}
		b.pools[p] = q
	}
	return q
}

// lowest gives the lowest free seat.
func (p *pool) lowest() uint32 {
	if p.stale {
		p.findFree()
	}
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

func (p *pool) findFree() {
	p.high, p.free, p.stale = 0, nil, false
	for seat := range p.n {
		p.high = max(p.high, seat)
	}
	if int(p.high) > len(p.n) {
		// Lost handles were taken in above seats that were never given.
		p.high = 0
		for p.n[p.high+1] != 0 {
			p.high++
		}
	}
	for seat := uint32(1); seat <= p.high; seat++ {
		if p.held[seat] == nil {
			p.free = append(p.free, seat) // ascending: a heap already
		}
	}
}

// put enters a living handle into the memory; its seat must be free, or have
// lingered until now.
func (b *Book) put(h *handle) {
	p := b.pool(h.product)
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
	p.count(h, true)
	b.handles[h.id] = h
	heap.Push(&p.due, h)
}

// take removes a living handle from the memory; its seat is held still.
func (b *Book) take(h *handle) {
	p := b.pool(h.product)
	p.count(h, false)
	heap.Remove(&p.due, h.index)
	delete(b.handles, h.id)
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
func (b *Book) keep(h *handle) {
	p := b.pool(h.product)
	p.held[h.seat] = h
	p.count(h, true)
	b.lingers[h.id] = h
	holder := b.request(h).Holder()
	at, _ := p.find(holder, h.seat)
	p.own[holder] = slices.Insert(p.own[holder], at, h)
	heap.Push(&p.due, h)
}

// unlinger ends a linger; the seat is still held, for whoever comes next.
func (b *Book) unlinger(h *handle) {
	p := b.pool(h.product)
	p.count(h, false)
	delete(b.lingers, h.id)
	holder := b.request(h).Holder()
	if at, ok := p.find(holder, h.seat); ok {
		p.own[holder] = slices.Delete(p.own[holder], at, at+1)
	}
	if len(p.own[holder]) == 0 {
		delete(p.own, holder)
	}
	heap.Remove(&p.due, h.index)
	if e, ok := b.ended[h.id]; ok && e.n == h.n {
		e.linger = h.deadline
		b.ended[h.id] = e
	}
}

func (p *pool) find(holder lease.Holder, seat uint32) (int, bool) {
	return slices.BinarySearchFunc(p.own[holder], seat, func(h *handle, seat uint32) int {
		return cmp.Compare(h.seat, seat)
	})
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
