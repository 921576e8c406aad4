package memlease

import (
	"context"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/book"
	"github.com/quorate/quorate/internal/license"
)

// seats is a lease.Seats. Each method lets the book decide under the store's
// lock, then waits outside it until what the answer rests on is written.
type seats struct {
	store *Store
	group license.Serial
	epoch uint64
}

// Epoch implements lease.Seats.
func (t *seats) Epoch() uint64 { return t.epoch }

// decide lets f decide; f gives the id of the handle that a good answer rests
// on, or "" for everything that was decided.
func (t *seats) decide(ctx context.Context, f func(g *group, now time.Time) (string, error)) error {
	if err := t.store.enter(ctx); err != nil {
		return err
	}
	g := t.store.group(t.group)
	if g.book.Epoch() != t.epoch {
		t.store.mu.Unlock()
		return lease.Fenced(t.group, t.epoch)
	}
	id, err := f(g, time.Now())
	t.store.keep(g)
	rests := g.last
	if id != "" && err == nil {
		rests = g.written[id]
	}
	t.store.mu.Unlock()
	if unwritten := rests.wait(ctx); unwritten != nil {
		return unwritten
	}
	return err
}

// Access implements lease.Seats.
func (t *seats) Access(ctx context.Context, r lease.Request) (grant lease.Grant, err error) {
	err = t.decide(ctx, func(g *group, now time.Time) (string, error) {
		grant, err = g.book.Access(now, r)
		return r.ID, err
	})
	if err != nil {
		return lease.Grant{}, err
	}
	return grant, nil
}

// Renew implements lease.Seats.
func (t *seats) Renew(ctx context.Context, ref lease.Ref) (grant lease.Grant, err error) {
	err = t.decide(ctx, func(g *group, now time.Time) (string, error) {
		grant, err = g.book.Renew(now, ref)
		return ref.Handle, err
	})
	if err != nil {
		return lease.Grant{}, err
	}
	return grant, nil
}

// Check implements lease.Seats.
func (t *seats) Check(ctx context.Context, ref lease.Ref) error {
	return t.decide(ctx, func(g *group, now time.Time) (string, error) {
		_, err := g.book.Check(now, ref)
		return ref.Handle, err
	})
}

// Release implements lease.Seats.
func (t *seats) Release(ctx context.Context, ref lease.Ref) error {
	return t.decide(ctx, func(g *group, now time.Time) (string, error) { return "", g.book.Release(now, ref) })
}

// Remove implements lease.Seats.
func (t *seats) Remove(ctx context.Context, pool lease.Pool, r lease.Removal) error {
	return t.decide(ctx, func(g *group, now time.Time) (string, error) { return "", g.book.Remove(now, pool, r) })
}

// Ask implements lease.Seats.
func (t *seats) Ask(ctx context.Context, pool lease.Pool, handle string, n lease.Notice) error {
	return t.decide(ctx, func(g *group, now time.Time) (string, error) {
		return handle, g.book.Ask(now, pool, handle, n)
	})
}

// Leave implements lease.Seats.
func (t *seats) Leave(ctx context.Context, pool lease.Pool, id string) error {
	return t.decide(ctx, func(g *group, _ time.Time) (string, error) { return id, g.book.Leave(pool, id) })
}

// Waiting implements lease.Seats.
func (t *seats) Waiting(ctx context.Context, pool lease.Pool) (all []lease.Waiter, err error) {
	err = t.decide(ctx, func(g *group, now time.Time) (string, error) {
		all, err = g.book.Waiting(now, pool)
		return "", err
	})
	return all, err
}

// Expire implements lease.Seats.
func (t *seats) Expire(ctx context.Context) (count int, err error) {
	err = t.decide(ctx, func(g *group, now time.Time) (string, error) {
		count = g.book.Expire(now)
		return "", nil
	})
	if err != nil {
		return 0, err
	}
	return count, nil
}

// Next implements lease.Seats.
func (t *seats) Next(ctx context.Context) (next time.Duration, any bool, err error) {
	err = t.decide(ctx, func(g *group, now time.Time) (string, error) {
		next, any = g.book.Next(now)
		return "", nil
	})
	if err != nil {
		return 0, false, err
	}
	return next, any, nil
}

// List implements lease.Seats.
func (t *seats) List(ctx context.Context, pool lease.Pool) (all []lease.Handle, err error) {
	err = t.decide(ctx, func(g *group, now time.Time) (string, error) {
		all, err = g.book.List(now, pool)
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
	err = t.decide(ctx, func(g *group, now time.Time) (string, error) {
		u, err = g.book.Usage(now, pool)
		return "", err
	})
	if err != nil {
		return lease.Usage{}, err
	}
	return u, nil
}
