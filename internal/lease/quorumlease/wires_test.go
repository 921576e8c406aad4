package quorumlease_test

import (
	"context"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/quorumlease"
	"github.com/quorate/quorate/internal/license"
)

// box is a backend: a journal that can be restarted, and lose its disk.
type box struct {
	mu   sync.Mutex
	path string
	runs uint64 // restarts
	j    journal.Journal
	end  func()
}

func (b *box) start(fresh func(path string) (journal.Journal, func(), error)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	j, end, err := fresh(b.path)
	if err != nil {
		return err
	}
	b.runs++
	b.j, b.end = j, end
	return nil
}

// stop ends the backend, with what it was about to answer.
func (b *box) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.end != nil {
		b.end()
	}
	b.j, b.end = nil, nil
}

func (b *box) journal() (journal.Journal, uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.j, b.runs
}

// site is a TMR server.
type site struct {
	w     *rivalry
	store *quorumlease.Store
	seats lease.Seats
	dead  bool
	cut   [license.Backends]bool
}

// wire is a server's way to a backend.
type wire struct {
	s *site
	i int
}

// send brings f to the backend and its answer back, or not.
func send[T any](ctx context.Context, x wire, f func(ctx context.Context, j journal.Journal) (T, error)) (T, error) {
	w := x.s.w
	var none T
	w.mu.Lock()
	calm, fate := w.calm, w.rand.IntN(100)
	way, back := time.Duration(1+w.rand.IntN(20))*time.Millisecond, time.Duration(1+w.rand.IntN(20))*time.Millisecond
	late := time.Duration(1+w.rand.IntN(4000)) * time.Millisecond
	w.mu.Unlock()
	box := w.boxes[x.i]
	if err := pause(ctx, way); err != nil {
		return none, err
	}
	j, run := box.journal()
	call := func(ctx context.Context) (T, error) {
		now, again := box.journal()
		if now == nil || j == nil || again != run {
			return none, errLost
		}
		return f(ctx, j)
	}
	switch {
	case calm:
	case !x.open(), fate < 3:
		if fate%2 == 0 {
			<-ctx.Done()
		}
		return none, errLost
	case fate < 6: // delivered when nobody waits any more
		w.network.Go(func() {
			time.Sleep(late)
			if _, err := call(context.Background()); err == nil {
				w.count("late calls done")
			}
		})
		return none, errLost
	}
	got, err := call(ctx)
	if perr := pause(ctx, back); perr != nil {
		return none, perr
	}
	if !calm && (fate < 9 || !x.open()) {
		return none, errLost
	}
	return got, err
}

func (x wire) open() bool {
	x.s.w.mu.Lock()
	defer x.s.w.mu.Unlock()
	return !x.s.dead && !x.s.cut[x.i]
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (x wire) State(ctx context.Context) (journal.State, error) {
	return send(ctx, x, func(ctx context.Context, j journal.Journal) (journal.State, error) { return j.State(ctx) })
}

func (x wire) Claim(ctx context.Context, t journal.Term) (journal.State, error) {
	return send(ctx, x, func(ctx context.Context, j journal.Journal) (journal.State, error) { return j.Claim(ctx, t) })
}

func (x wire) Confirm(ctx context.Context, p journal.Promise) (journal.Pulse, error) {
	return send(ctx, x, func(ctx context.Context, j journal.Journal) (journal.Pulse, error) { return j.Confirm(ctx, p) })
}

func (x wire) Records(ctx context.Context, p journal.Promise, after journal.Key, most int) ([]journal.Record, error) {
	return send(ctx, x, func(ctx context.Context, j journal.Journal) ([]journal.Record, error) {
		return j.Records(ctx, p, after, min(most, 3))
	})
}

func (x wire) Events(ctx context.Context, p journal.Promise, after uint64, most int) ([]journal.Event, error) {
	return send(ctx, x, func(ctx context.Context, j journal.Journal) ([]journal.Event, error) {
		return j.Events(ctx, p, after, most)
	})
}

func (x wire) Write(ctx context.Context, p journal.Promise, b journal.Batch) (journal.Pulse, error) {
	return send(ctx, x, func(ctx context.Context, j journal.Journal) (journal.Pulse, error) { return j.Write(ctx, p, b) })
}

func (x wire) Enrol(ctx context.Context, p journal.Promise, r journal.Roster, vote bool) (journal.Pulse, error) {
	return send(ctx, x, func(ctx context.Context, j journal.Journal) (journal.Pulse, error) { return j.Enrol(ctx, p, r, vote) })
}

func (x wire) Reset(ctx context.Context, p journal.Promise) (journal.State, error) {
	return send(ctx, x, func(ctx context.Context, j journal.Journal) (journal.State, error) { return j.Reset(ctx, p) })
}

func (x wire) Seat(ctx context.Context, k journal.Key) (journal.Record, error) {
	return send(ctx, x, func(ctx context.Context, j journal.Journal) (journal.Record, error) { return j.Seat(ctx, k) })
}
