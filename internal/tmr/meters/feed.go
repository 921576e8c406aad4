package meters

import (
	"context"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// feed is the way of one register's writes to one backend: one at a time, and
// of those that wait the newest alone, so that a slow backend holds up no one
// and piles up nothing. Guarded by register.mu.
type feed struct {
	busy bool
	next *write // nil: none waits
	has  uint64 // units that the backend is known to have under this epoch
	any  bool   // it is known to have something under this epoch
}

type write struct {
	meter   license.Meter
	results chan<- result // nil: nobody waits
}

// write writes head to all backends and returns when two have it.
func (r *register) write() error {
	results := make(chan result, license.Backends)
	began := time.Now()
	r.mu.Lock()
	head := r.head
	for i := range r.feeds {
		if !r.send(i, &write{head, results}) {
			r.mu.Unlock()
			return stopping()
		}
	}
	r.mu.Unlock()
	if _, err := r.count(results, license.Majority); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sure, r.units, r.fresh = true, head.Units, began
	return nil
}

// catchUp writes head to a backend that has missed it.
func (r *register) catchUp(backend int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := &r.feeds[backend]
	if !r.sure || f.next != nil || (f.any && f.has == r.head.Units) {
		return // an unsure head is written by the next call
	}
	r.send(backend, &write{meter: r.head})
}

// send has a backend written to, after what is under way; what waits there is
// dropped, since its round is over. mu is held. False: closed.
func (r *register) send(backend int, w *write) bool {
	f := &r.feeds[backend]
	if f.busy {
		f.next = w
		return true
	}
	f.busy = r.of.spawn(func() { r.feed(backend, w) })
	return f.busy
}

func (r *register) feed(backend int, w *write) {
	for w != nil {
		ctx, cancel := context.WithTimeout(r.of.ctx, CallTime)
		err := r.of.backends[backend].Write(ctx, w.meter)
		cancel()
		if w.results != nil {
			w.results <- result{backend, err}
		}
		r.mu.Lock()
		f := &r.feeds[backend]
		if err == nil {
			f.has, f.any = w.meter.Units, true
		}
		w, f.next = f.next, nil
		f.busy = w != nil
		r.mu.Unlock()
	}
}
