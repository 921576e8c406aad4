package memlease

import (
	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/book"
	"github.com/quorate/quorate/internal/license"
)

// group is one container's seats. Guarded by Store.mu.
type group struct {
	serial  license.Serial
	book    *book.Book
	visible uint64        // events up to here are durable
	changed chan struct{} // closed when there is more to see
	last    *batch        // the batch with the newest change
	// written has the batches that grants rest on, until they are written.
	written map[string]*batch
}

func newGroup(serial license.Serial, o Options) *group {
	return &group{
		serial:  serial,
		book:    book.New(serial, book.Options{MostEvents: o.MostEvents, MostEnded: o.MostEnded}),
		changed: make(chan struct{}),
		written: map[string]*batch{},
	}
}

// tell wakes whoever waits for events.
func (g *group) tell() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// keep makes what the book has just decided durable, or in memory alone shows
// it at once.
func (s *Store) keep(g *group) {
	effects := g.book.Drain()
	if effects.Empty() {
		return
	}
	if s.journal == nil {
		g.visible = g.book.Position()
		g.tell()
		return
	}
	s.write(g, effectWrites(g.serial, effects)...)
	for _, r := range effects.Records {
		if r.Handle != nil {
			g.written[r.Handle.ID] = g.last
			g.last.grants = append(g.last.grants, grant{g, r.Handle.ID})
		}
	}
}

func (g *group) eventsAfter(position uint64, most int) []lease.Event {
	return g.book.Events(position, g.visible, most)
}
