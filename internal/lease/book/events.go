package book

import (
	"cmp"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// Effects are what must become durable, in the order of the operations: of
// several records of one seat the last holds.
type Effects struct {
	Records []Record
	Events  []lease.Event
	// Dropped are events that are kept no longer, and Seqs the counters of their
	// firms, which may have no other event left to tell them.
	Dropped []lease.Event
	Seqs    map[license.FirmCode]uint64
}

// Empty says whether nothing must become durable.
func (e Effects) Empty() bool { return len(e.Records)+len(e.Events)+len(e.Dropped) == 0 }

// Drain gives what must become durable since it was last called.
func (b *Book) Drain() Effects {
	out := b.out
	b.out = Effects{}
	return out
}

// After gives the number that follows last, for epochs and positions: the time
// in microseconds where that is later, so that numbers don't come again even
// where last was lost.
func After(last uint64, now time.Time) uint64 {
	return max(last+1, uint64(max(now.UnixMicro(), 0)))
}

// Position is that of the newest event.
func (b *Book) Position() uint64 { return b.position }

// SetPosition says that positions up to p are used.
func (b *Book) SetPosition(p uint64) { b.position = max(b.position, p) }

// LoadSeq says how many events of a firm were counted.
func (b *Book) LoadSeq(firm license.FirmCode, seq uint64) { b.seqs[firm] = max(b.seqs[firm], seq) }

// LoadEvent enters an event of before; the oldest comes first. How handles
// ended is remembered from these.
func (b *Book) LoadEvent(e lease.Event) {
	b.events = append(b.events, e)
	b.bytes += texts(e)
	b.SetPosition(e.Position)
	b.LoadSeq(e.Pool.Product.Firm, e.Seq)
	switch e.Kind {
	case lease.Released, lease.Expired, lease.Removed:
		content := lease.Request{
			ID: e.Handle, Pool: e.Pool, Mode: e.Mode, Station: e.Station, Client: e.Client,
			Licenses: e.Licenses, Borrowed: e.Borrowed,
		}.Content()
		b.remember(e.Handle, ended{kind: e.Kind, product: e.Pool.Product, content: content, n: e.N})
	}
}

// Events gives up to most events with positions above after and up to last.
func (b *Book) Events(after, last uint64, most int) []lease.Event {
	find := func(p uint64) int {
		i, _ := slices.BinarySearchFunc(b.events, p, func(e lease.Event, p uint64) int {
			return cmp.Compare(e.Position, p)
		})
		return i
	}
	if after >= last {
		return nil
	}
	from, to := find(after+1), len(b.events)
	if last+1 != 0 {
		to = find(last + 1)
	}
	if from >= to {
		return nil
	}
	return slices.Clone(b.events[from:min(to, from+max(most, 0))])
}

func (b *Book) event(h *handle, kind lease.EventKind, now time.Time, more func(*lease.Event)) {
	b.position = After(b.position, now)
	firm := h.product.Firm
	b.seqs[firm]++
	e := lease.Event{
		Position: b.position, Kind: kind, At: now.UTC(), Handle: h.id,
		Pool: lease.Pool{Container: b.group, Product: h.product}, Mode: h.mode,
		Station: h.station, Client: h.client, Seat: h.seat, N: h.n,
		Licenses: h.licenses, Borrowed: h.borrowed, Seq: b.seqs[firm],
	}
	if more != nil {
		more(&e)
	}
	b.events = append(b.events, e)
	b.bytes += texts(e)
	b.out.Events = append(b.out.Events, e)
	if n, most := len(b.events), b.opt.MostEventBytes; n-b.opt.MostEvents > b.opt.MostEvents/8 || b.bytes > most+most/8 {
		b.drop(b.excess())
	}
}

// texts is how many bytes an event's texts have.
func texts(e lease.Event) int {
	return len(e.Handle) + len(e.Station) + len(e.Client.Address) + len(e.Client.User) + len(e.Client.Application) + len(e.By) + len(e.Rule)
}

// excess is how many of the oldest events are too many; the newest never is.
func (b *Book) excess() int {
	n := max(len(b.events)-b.opt.MostEvents, 0)
	left := b.bytes
	for _, e := range b.events[:n] {
		left -= texts(e)
	}
	for ; left > b.opt.MostEventBytes && n < len(b.events)-1; n++ {
		left -= texts(b.events[n])
	}
	return n
}

func (b *Book) drop(count int) {
	if count == 0 {
		return
	}
	old := slices.Clone(b.events[:count])
	for _, e := range old {
		b.bytes -= texts(e)
	}
	b.events = slices.Delete(b.events, 0, count) // in place: no garbage
	b.out.Dropped = append(b.out.Dropped, old...)
	if b.out.Seqs == nil {
		b.out.Seqs = map[license.FirmCode]uint64{}
	}
	for _, e := range old {
		b.out.Seqs[e.Pool.Product.Firm] = b.seqs[e.Pool.Product.Firm]
	}
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

// remember keeps an ended handle for late repeats, and forgets the oldest.
func (b *Book) remember(id string, e ended) {
	if _, again := b.ended[id]; !again {
		b.order = append(b.order, id)
	}
	b.ended[id] = e
	for len(b.ended) > b.opt.MostEnded {
		delete(b.ended, b.order[0])
		b.order = b.order[1:]
	}
}
