package book

import (
	"fmt"
	"iter"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// Record is all that must be durable about one seat. Its Handle and Linger
// belong to whom it was given.
type Record struct {
	Product license.Product
	// Seat is 0 for handles with no user limit that older versions granted, of
	// which there may be many: each has a record of its own, named by its N too.
	Seat uint32
	// N is the last that was used of the seat.
	N uint64
	// Handle is who has the seat, and Linger for whom it lingers; at most one of
	// both is there. Without any the seat is free.
	Handle *HandleRecord
	Linger *LingerRecord
}

// HandleRecord is a handle as it was granted.
type HandleRecord struct {
	ID       string
	N        uint64 // not above the record's
	Mode     license.AccessMode
	Station  string
	Client   lease.Client
	Licenses uint32
	Tags     []string
	Borrowed bool
	Lease    time.Duration
	Accesses uint32
	First    time.Time
}

// LingerRecord is what is left of a released handle whose seat lingers.
type LingerRecord struct {
	ID       string
	N        uint64 // not above the record's
	Mode     license.AccessMode
	Station  string
	Client   lease.Client
	Licenses uint32
	Tags     []string
	Borrowed bool
	Linger   time.Duration
}

// Load enters a seat's record. An error means that the records contradict each
// other.
func (b *Book) Load(r Record) error {
	p := b.pool(r.Product)
	h := &handle{product: r.Product, seat: r.Seat}
	switch {
	case r.Handle != nil && r.Linger != nil:
		return fmt.Errorf("the seat %d of %s is both taken and lingering", r.Seat, r.Product)
	case r.Handle != nil:
		x := r.Handle
		h.id, h.n, h.mode, h.station, h.client = x.ID, x.N, x.Mode, x.Station, x.Client
		h.licenses, h.tags, h.borrowed = max(x.Licenses, 1), x.Tags, x.Borrowed
		h.lease, h.accesses, h.first, h.last = x.Lease, x.Accesses, x.First, x.First
	case r.Linger != nil:
		x := r.Linger
		h.id, h.n, h.mode, h.station, h.client = x.ID, x.N, x.Mode, x.Station, x.Client
		h.licenses, h.tags, h.borrowed = max(x.Licenses, 1), x.Tags, x.Borrowed
		h.linger = x.Linger
	default:
		h = nil
	}
	if _, twice := p.n[r.Seat]; twice && r.Seat != 0 {
		return fmt.Errorf("the seat %d of %s has two records", r.Seat, r.Product)
	}
	p.n[r.Seat], p.stale = max(p.n[r.Seat], r.N), true
	if h == nil {
		return nil
	}
	h.content = b.request(h).Content()
	switch {
	case h.n > r.N || r.Seat == 0 && (h.mode != license.NoUserLimit || r.Linger != nil) || b.handles[h.id] != nil || b.lingers[h.id] != nil:
		return fmt.Errorf("the seat %d of %s contradicts its handle", r.Seat, r.Product)
	case r.Linger != nil && h.linger <= 0:
		return fmt.Errorf("the seat %d of %s lingers for no time", r.Seat, r.Product)
	case r.Linger != nil:
		b.keep(h)
	default:
		b.put(h)
	}
	return nil
}

// Record gives a seat's record as it is now; false where the seat was never
// given.
func (b *Book) Record(product license.Product, seat uint32) (Record, bool) {
	p := b.pools[product]
	if p == nil || seat == 0 || p.n[seat] == 0 {
		return Record{}, false
	}
	return p.record(product, seat), true
}

// Records gives the records of all seats that were ever given.
func (b *Book) Records() iter.Seq[Record] {
	return func(yield func(Record) bool) {
		for product, p := range b.pools {
			for seat := range p.n {
				if seat != 0 && !yield(p.record(product, seat)) {
					return
				}
			}
			for _, h := range p.due {
				if h.seat == 0 && !yield(recordOf(h, h.n)) {
					return
				}
			}
		}
	}
}

func (p *pool) record(product license.Product, seat uint32) Record {
	if h := p.held[seat]; h != nil {
		return recordOf(h, p.n[seat])
	}
	return Record{Product: product, Seat: seat, N: p.n[seat]}
}

func recordOf(h *handle, n uint64) Record {
	r := Record{Product: h.product, Seat: h.seat, N: n}
	if h.linger > 0 {
		r.Linger = &LingerRecord{
			ID: h.id, N: h.n, Mode: h.mode, Station: h.station, Client: h.client,
			Licenses: h.licenses, Tags: h.tags, Borrowed: h.borrowed, Linger: h.linger,
		}
		return r
	}
	r.Handle = &HandleRecord{
		ID: h.id, N: h.n, Mode: h.mode, Station: h.station, Client: h.client,
		Licenses: h.licenses, Tags: h.tags, Borrowed: h.borrowed,
		Lease: h.lease, Accesses: h.accesses, First: h.first,
	}
	return r
}

// changed adds the seat of h, as it is now, to what must become durable.
func (b *Book) changed(h *handle) {
	if h.seat == 0 {
		r := Record{Product: h.product, N: h.n}
		if b.handles[h.id] == h {
			r = recordOf(h, h.n)
		}
		b.out.Records = append(b.out.Records, r)
		return
	}
	b.out.Records = append(b.out.Records, b.pool(h.product).record(h.product, h.seat))
}
