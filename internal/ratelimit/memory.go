package ratelimit

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// mostKeys bounds what a Memory remembers of each kind. When it is full, what
// matters least is forgotten.
const mostKeys = 10_000

// Memory counts in this process.
type Memory struct {
	now func() time.Time

	mu      sync.Mutex
	buckets map[string]filling
	tries   map[string]failed
	slots   map[string]int
}

var _ Limiter = (*Memory)(nil)

// filling is when a bucket is full again, in microseconds since 1970.
type filling struct{ full int64 }

// failed are tries; they are forgotten at the end.
type failed struct {
	n         int
	last, end time.Time
}

// NewMemory has counted nothing.
func NewMemory() *Memory {
	return &Memory{now: time.Now, buckets: map[string]filling{}, tries: map[string]failed{}, slots: map[string]int{}}
}

// Take implements Limiter.
func (m *Memory) Take(ctx context.Context, c Charge) (Quota, error) {
	if err := ctx.Err(); err != nil {
		return Quota{}, err
	}
	buckets := c.limiting()
	m.mu.Lock()
	defer m.mu.Unlock()
	now, ok := m.now().UnixMicro(), true
	ahead := make([]int64, len(buckets))
	for i, b := range buckets {
		ahead[i] = b.Rate.ahead(m.buckets[c.key(b)].full, now)
		_, per := b.Rate.micros()
		ok = ok && ahead[i]+b.Rate.price(c.Cost) <= per
	}
	for i, b := range buckets {
		if !ok {
			break
		}
		if ahead[i] += b.Rate.price(c.Cost); ahead[i] > 0 {
			forget(m.buckets, func(f filling) int64 { return f.full }, now)
			m.buckets[c.key(b)] = filling{now + ahead[i]}
		}
	}
	return c.outcome(buckets, ahead, ok), nil
}

func (c Charge) key(b Bucket) string { return c.Scope + "\x00" + b.Name }

// Try implements Limiter.
func (m *Memory) Try(ctx context.Context, key string, p Pauses) (time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now, t := m.now(), m.tries[key]
	if !now.Before(t.end) {
		t = failed{}
	}
	pause := p.after(t.n)
	if wait := min(t.last.Add(pause).Sub(now), pause); wait > 0 {
		return wait, nil
	}
	forget(m.tries, func(f failed) int64 { return f.end.UnixMicro() }, now.UnixMicro())
	m.tries[key] = failed{t.n + 1, now, now.Add(10 * p.Most)}
	return 0, nil
}

// Forget implements Limiter.
func (m *Memory) Forget(ctx context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.tries, key)
	return ctx.Err()
}

// Hold implements Limiter.
func (m *Memory) Hold(ctx context.Context, key string, most int) (func(), bool, error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.slots[key] >= most {
		return nil, false, nil
	}
	m.slots[key]++
	return sync.OnceFunc(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.slots[key]--; m.slots[key] == 0 {
			delete(m.slots, key)
		}
	}), true, nil
}

// forget makes room in a map that is full: what ended before now goes, and if
// that is nothing, the tenth that ends first.
func forget[V any](all map[string]V, end func(V) int64, now int64) {
	if len(all) < mostKeys {
		return
	}
	maps.DeleteFunc(all, func(_ string, v V) bool { return end(v) <= now })
	if len(all) < mostKeys {
		return
	}
	keys := slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return int(max(min(end(all[a])-end(all[b]), 1), -1))
	})
	for _, k := range keys[:mostKeys/10] {
		delete(all, k)
	}
}
