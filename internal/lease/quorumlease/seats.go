package quorumlease

import (
	"context"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/book"
	"github.com/quorate/quorate/internal/license"
)

// seats is a lead, as lease.Seats. Each method lets the book decide under the
// lock, while two journals have lately confirmed the term, then waits outside it
// until two have what the answer rests on.
type seats struct {
	store *Store
	group license.Serial
	q     *journal.Quorum

	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	book    *book.Book
	ended   error             // why the lead is over
	last    uint64            // index of what was decided last
	written map[string]uint64 // handles whose record two may not have: its index
	order   []pending         // of written and of events, by index
	shown   uint64            // position up to which events are shown
	changed chan struct{}     // closed when shown grows, or the lead ends
	more    chan struct{}     // order is not empty
}

// pending is something that waits for two journals.
type pending struct {
	index    uint64
	handle   string // or
	position uint64
}

var (
	_ lease.Seats  = (*seats)(nil)
	_ lease.Denier = (*seats)(nil)
)

// Epoch implements lease.Seats.
func (t *seats) Epoch() uint64 { return t.q.Epoch() }

// decide lets f decide; f gives the id of the handle that a good answer rests
// on, or "" for everything that was decided.
func (t *seats) decide(ctx context.Context, f func(now time.Time) (string, error)) error {
	for {
		if err := t.q.Confirm(ctx); err != nil {
			return t.why(err)
		}
		t.mu.Lock()
		if err := t.ended; err != nil {
			t.mu.Unlock()
			return err
		}
		if t.q.Fresh() {
			break
		}
		t.mu.Unlock()
	}
	t.book.Grace(t.q.Grace())
	id, err := f(time.Now())
	failed := t.write(t.book.Drain())
	if failed != nil && t.ended == nil {
		// The book is ahead of the journals, and repeats would be answered by it.
		t.ended = lease.Fenced(t.group, t.Epoch())
		close(t.changed)
		t.cancel()
	}
	index := t.last
	if id != "" && err == nil {
		index = t.written[id] // zero: two have it
	}
	t.mu.Unlock()
	if failed == nil {
		failed = t.q.Wait(ctx, index)
	}
	if failed != nil {
		// Also where the lead is over: the next leader may find what was decided.
		return lease.Unavailable(failed)
	}
	return err
}

// prolong has a grace period last until no token of such a lease can come any
// more: a server whose lease was lowered has given longer ones before.
func (t *seats) prolong(longest time.Duration) {
	t.q.Prolong(lease.AfterClaim(longest) + t.store.opt.Skew)
}

// why gives the contract's error.
func (t *seats) why(err error) error {
	t.mu.Lock()
	ended := t.ended
	t.mu.Unlock()
	switch code := license.CodeOf(err); {
	case ended != nil:
		return ended
	case code == license.CodeFenced:
		return lease.Fenced(t.group, t.Epoch())
	case code == license.CodeUnavailable:
		return lease.Unavailable(err)
	}
	return err
}

// end ends the lead: every call fails with err from then on.
func (t *seats) end(err error) {
	t.mu.Lock()
	if t.ended == nil {
		t.ended = err
		close(t.changed)
	}
	t.mu.Unlock()
	t.cancel()
	t.q.Close()
	t.running.Wait()
}

const (
	// mostPart is how many records and events go into one change, and mostBytes
	// from how many bytes on it takes no more.
	mostPart  = 256
	mostBytes = journal.MostBatchBytes / 4
	// mostBehind is how many changes may wait for two journals before accesses
	// have to: fewer than a journal.Quorum takes, so that it takes all.
	mostBehind = 1 << 13
)

// room refuses what would let the journals fall behind still more. mu is held.
func (t *seats) room() error {
	if done := t.q.Committed(); t.last > done && t.last-done >= mostBehind {
		return license.Errorf(license.CodeThrottled, "wait a little, then try again", "%d changes wait for two journals of seats", t.last-done)
	}
	return nil
}

// write hands what was decided to the journals, each record with its event. mu
// is held.
func (t *seats) write(e book.Effects) error {
	var records []journal.Record
	var events []journal.Event
	size := 0
	flush := func() error {
		if len(records)+len(events) == 0 {
			return nil
		}
		index, err := t.q.Append(records, events)
		if err != nil {
			return err
		}
		t.last, records, events, size = index, nil, nil, 0
		return nil
	}
	for firm, seq := range e.Seqs {
		records = append(records, counterRecord(firm, seq))
	}
	at := 0
	var marks []pending
	event := func() {
		events = append(events, eventOf(e.Events[at]))
		size += len(events[len(events)-1].Data)
		marks = append(marks, pending{index: t.last, position: e.Events[at].Position})
		at++
	}
	for _, r := range e.Records {
		records = append(records, recordOf(r))
		size += len(records[len(records)-1].Holder)
		if r.Handle != nil {
			marks = append(marks, pending{index: t.last, handle: r.Handle.ID})
		}
		for at < len(e.Events) && (e.Events[at].Seat == 0 || e.Events[at].Seat == r.Seat && e.Events[at].Pool.Product == r.Product) {
			event()
		}
		if len(records) >= mostPart || len(events) >= mostPart || size >= mostBytes {
			if err := t.mark(&marks, flush); err != nil {
				return err
			}
		}
	}
	for at < len(e.Events) {
		event()
		if len(events) >= mostPart || size >= mostBytes {
			if err := t.mark(&marks, flush); err != nil {
				return err
			}
		}
	}
	return t.mark(&marks, flush)
}

// mark notes what waits for the change that flush makes. mu is held.
func (t *seats) mark(marks *[]pending, flush func() error) error {
	if err := flush(); err != nil {
		return err
	}
	for _, p := range *marks {
		p.index = t.last
		t.order = append(t.order, p)
		if p.handle != "" {
			t.written[p.handle] = p.index
		}
	}
	*marks = nil
	if len(t.order) > 0 {
		select {
		case t.more <- struct{}{}:
		default:
		}
	}
	return nil
}

// show makes events visible once two journals have them.
func (t *seats) show() {
	for {
		select {
		case <-t.more:
		case <-t.ctx.Done():
			return
		}
		for {
			t.mu.Lock()
			t.settle()
			var first uint64
			if len(t.order) > 0 {
				first = t.order[0].index
			}
			t.mu.Unlock()
			if first == 0 {
				break
			}
			if err := t.q.Wait(t.ctx, first); license.CodeOf(err) == license.CodeFenced || t.ctx.Err() != nil {
				return
			}
		}
	}
}

// settle takes note of what two journals have by now. mu is held.
func (t *seats) settle() {
	committed := t.q.Committed()
	n, shown := 0, t.shown
	for ; n < len(t.order) && t.order[n].index <= committed; n++ {
		p := t.order[n]
		shown = max(shown, p.position)
		if p.handle != "" && t.written[p.handle] == p.index {
			delete(t.written, p.handle)
		}
	}
	t.order = t.order[n:]
	if shown > t.shown && t.ended == nil {
		t.shown = shown
		close(t.changed)
		t.changed = make(chan struct{})
	}
}

// events gives what is shown after a position, and a channel that is closed when
// there may be more.
func (t *seats) events(after uint64, most int) ([]lease.Event, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settle()
	next := t.changed
	if t.ended != nil {
		next = nil // a new lead tells
	}
	return t.book.Events(after, t.shown, most), next
}

// Access implements lease.Seats.
func (t *seats) Access(ctx context.Context, r lease.Request) (grant lease.Grant, err error) {
	err = t.decide(ctx, func(now time.Time) (string, error) {
		if err = t.room(); err == nil {
			grant, err = t.book.Access(now, r)
		}
		return r.ID, err
	})
	if err != nil {
		return lease.Grant{}, err
	}
	return grant, nil
}

// Renew implements lease.Seats.
func (t *seats) Renew(ctx context.Context, ref lease.Ref) (grant lease.Grant, err error) {
	err = t.decide(ctx, func(now time.Time) (string, error) {
		if grant, err = t.book.Renew(now, ref); err == nil && t.book.InGrace() {
			t.prolong(grant.Lease)
		}
		return ref.Handle, err
	})
	if err != nil {
		return lease.Grant{}, err
	}
	return grant, nil
}

// Check implements lease.Seats.
func (t *seats) Check(ctx context.Context, ref lease.Ref) error {
	return t.decide(ctx, func(now time.Time) (string, error) {
		_, err := t.book.Check(now, ref)
		return ref.Handle, err
	})
}

// Release implements lease.Seats.
func (t *seats) Release(ctx context.Context, ref lease.Ref) error {
	return t.decide(ctx, func(now time.Time) (string, error) { return "", t.book.Release(now, ref) })
}

// Remove implements lease.Seats.
func (t *seats) Remove(ctx context.Context, pool lease.Pool, r lease.Removal) error {
	return t.decide(ctx, func(now time.Time) (string, error) { return "", t.book.Remove(now, pool, r) })
}

// Deny implements lease.Denier.
func (t *seats) Deny(ctx context.Context, r lease.Request, reason license.Code, rule string) error {
	return t.decide(ctx, func(now time.Time) (string, error) {
		if err := t.room(); err != nil {
			return "", err
		}
		return "", t.book.Deny(now, r, reason, rule)
	})
}

// Ask implements lease.Seats.
func (t *seats) Ask(ctx context.Context, pool lease.Pool, handle string, n lease.Notice) error {
	return t.decide(ctx, func(now time.Time) (string, error) { return handle, t.book.Ask(now, pool, handle, n) })
}

// Leave implements lease.Seats.
func (t *seats) Leave(ctx context.Context, pool lease.Pool, id string) error {
	return t.decide(ctx, func(time.Time) (string, error) { return id, t.book.Leave(pool, id) })
}

// Waiting implements lease.Seats.
func (t *seats) Waiting(ctx context.Context, pool lease.Pool) (all []lease.Waiter, err error) {
	err = t.decide(ctx, func(now time.Time) (string, error) {
		all, err = t.book.Waiting(now, pool)
		return "", err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// Expire implements lease.Seats.
func (t *seats) Expire(ctx context.Context) (count int, err error) {
	err = t.decide(ctx, func(now time.Time) (string, error) {
		count = t.book.Expire(now)
		return "", nil
	})
	if err != nil {
		return 0, err
	}
	return count, nil
}

// Next implements lease.Seats.
func (t *seats) Next(ctx context.Context) (next time.Duration, any bool, err error) {
	err = t.decide(ctx, func(now time.Time) (string, error) {
		next, any = t.book.Next(now)
		return "", nil
	})
	if err != nil {
		return 0, false, err
	}
	return next, any, nil
}

// List implements lease.Seats.
func (t *seats) List(ctx context.Context, pool lease.Pool) (all []lease.Handle, err error) {
	err = t.decide(ctx, func(now time.Time) (string, error) {
		all, err = t.book.List(now, pool)
		return "", err
	})
	if err != nil {
		return nil, err
	}
	book.Arrange(all) // without holding up anybody
	return all, nil
}

// Usage implements lease.Seats.
func (t *seats) Usage(ctx context.Context, pool lease.Pool) (u lease.Usage, err error) {
	err = t.decide(ctx, func(now time.Time) (string, error) {
		u, err = t.book.Usage(now, pool)
		return "", err
	})
	if err != nil {
		return lease.Usage{}, err
	}
	return u, nil
}
