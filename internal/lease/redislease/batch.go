package redislease

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/internal/license"
)

// Calls of a group that come while others are under way are sent together: Redis
// reads and answers them at once, and waits for its disk once for all of them.
const (
	mostBatches = 2  // of a group that are under way: while one is answered, Redis has another
	mostCalls   = 64 // of a batch: about what Redis reads at once
)

// batches are the calls of one group.
type batches struct {
	store *Store

	mu      sync.Mutex
	waiting []*call
	running int
}

// call is a script's call. Once done is closed, result and err are set.
type call struct {
	ctx    context.Context
	script *redis.Script
	keys   []string
	argv   []any
	done   chan struct{}
	result []any
	err    error
}

// left says whether nobody waits for a call any more.
func (c *call) left() bool {
	c.err = c.ctx.Err()
	return c.err != nil
}

// do makes a call. It returns when ctx ends, and the call is made or not then.
func (b *batches) do(ctx context.Context, script *redis.Script, keys []string, argv []any) ([]any, error) {
	c := &call{ctx: ctx, script: script, keys: keys, argv: argv, done: make(chan struct{})}
	b.mu.Lock()
	b.waiting = append(b.waiting, c)
	more := b.running < mostBatches
	if more {
		b.running++
	}
	b.mu.Unlock()
	if more {
		go b.run()
	}
	select {
	case <-c.done:
		return c.result, c.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// run sends batches until nothing waits.
func (b *batches) run() {
	for {
		b.mu.Lock()
		n := min(len(b.waiting), mostCalls)
		batch := slices.Clone(b.waiting[:n])
		b.waiting = slices.Delete(b.waiting, 0, n)
		if n == 0 {
			b.running--
			b.mu.Unlock()
			return
		}
		b.mu.Unlock()
		b.store.send(slices.DeleteFunc(slices.Clone(batch), (*call).left))
		for _, c := range batch {
			close(c.done)
		}
	}
}

// send makes the calls of a batch, as long as somebody waits for one of them.
func (s *Store) send(batch []*call) {
	if len(batch) == 0 {
		return
	}
	ctx := context.Background()
	if last := latest(batch); !last.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, last)
		defer cancel()
	}
	s.exec(ctx, batch, (*redis.Script).EvalSha)
	unknown := slices.DeleteFunc(slices.Clone(batch), func(c *call) bool { return !redis.HasErrorPrefix(c.err, "NOSCRIPT") })
	if len(unknown) > 0 {
		s.exec(ctx, unknown, (*redis.Script).Eval)
	}
}

type evaluate func(s *redis.Script, ctx context.Context, c redis.Scripter, keys []string, args ...any) *redis.Cmd

// exec sends a batch over one connection, which WAIT speaks about.
func (s *Store) exec(ctx context.Context, batch []*call, how evaluate) {
	fail := func(err error) {
		for _, c := range batch {
			c.err = err
		}
	}
	pipe := s.client.Pipeline
	if c, ok := s.client.(*redis.ClusterClient); ok && s.opt.Replicas > 0 {
		// WAIT has no key: it must go where the changes went.
		master, err := c.MasterForKey(ctx, batch[0].keys[0])
		if err != nil {
			fail(err)
			return
		}
		pipe = master.Pipeline
	}
	p := pipe()
	cmds := make([]*redis.Cmd, len(batch))
	for i, c := range batch {
		cmds[i] = how(c.script, ctx, p, c.keys, c.argv...)
	}
	var copied *redis.Cmd
	if s.opt.Replicas > 0 {
		copied = p.Do(ctx, "WAIT", s.opt.Replicas, s.opt.ReplicaWait.Milliseconds())
	}
	_, _ = p.Exec(ctx) // each command has its error
	for i, c := range batch {
		c.result, c.err = cmds[i].Slice()
	}
	if copied == nil {
		return
	}
	n, err := copied.Int64()
	if err == nil && n >= int64(s.opt.Replicas) {
		return
	}
	for _, c := range batch {
		if c.err == nil {
			c.err = uncopied(n, s.opt.Replicas, err)
		}
	}
}

// uncopied: the change is in Redis, and on too few replicas. cause may be nil.
func uncopied(have int64, want int, cause error) error {
	return &license.Error{
		Code:    license.CodeUnavailable,
		Message: fmt.Sprintf("%d of the %d replicas of Redis that must have the seats answered", have, want),
		Fix:     "try again; have the operator bring the replicas of Redis back, or lower --redis-replicas",
		Err:     cause,
	}
}

// latest is when nobody waits for a batch any more; zero: somebody always does.
func latest(batch []*call) (last time.Time) {
	for _, c := range batch {
		at, ok := c.ctx.Deadline()
		if !ok {
			return time.Time{}
		}
		if at.After(last) {
			last = at
		}
	}
	return last
}
