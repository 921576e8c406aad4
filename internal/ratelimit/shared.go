package ratelimit

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// answerTime is how long Redis may take: what waits for it is a request.
	answerTime = 250 * time.Millisecond
	// awayTime is how long Redis isn't asked after it failed, so that requests
	// don't wait one after the other for a Redis that is away.
	awayTime = time.Second
	// releaseTime is how long the end of what held a slot may wait for Redis.
	releaseTime = time.Second
)

// Shared counts in Redis, for all replicas; while Redis is away, in this process.
type Shared struct {
	redis *counted
	local *Memory
	log   *slog.Logger
	every time.Duration // after which slots that are held are told of

	mu   sync.Mutex
	away time.Time // Redis isn't asked before
	lost bool      // it failed the last time it was asked
}

var _ Limiter = (*Shared)(nil)

// NewShared counts in the Redis of client, which stays the caller's to close. The
// client has to heed the deadlines of contexts (ContextTimeoutEnabled).
func NewShared(client redis.UniversalClient, log *slog.Logger) *Shared {
	return &Shared{redis: newCounted(client), local: NewMemory(), log: log, every: SlotTime / 3}
}

// ask runs f on Redis and says whether it answered. An error is that of ctx.
func (s *Shared) ask(ctx context.Context, f func(context.Context) error) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	s.mu.Lock()
	away := time.Now().Before(s.away)
	s.mu.Unlock()
	if away {
		return false, nil
	}
	bounded, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	err := f(bounded)
	if err != nil && ctx.Err() != nil { // the caller gave up, and says nothing of Redis
		return false, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.away = time.Now().Add(awayTime)
	}
	if lost := err != nil; lost != s.lost {
		s.lost = lost
		if lost {
			s.log.WarnContext(ctx, "Redis is away: each replica counts what callers do for itself", "err", err)
		} else {
			s.log.InfoContext(ctx, "Redis is back: replicas count together again")
		}
	}
	return err == nil, nil
}

// Take implements Limiter.
func (s *Shared) Take(ctx context.Context, c Charge) (q Quota, err error) {
	ok, err := s.ask(ctx, func(ctx context.Context) error {
		q, err = s.redis.take(ctx, c)
		return err
	})
	if ok || err != nil {
		return q, err
	}
	return s.local.Take(ctx, c)
}

// Try implements Limiter.
func (s *Shared) Try(ctx context.Context, key string, p Pauses) (wait time.Duration, err error) {
	ok, err := s.ask(ctx, func(ctx context.Context) error {
		wait, err = s.redis.try(ctx, key, p)
		return err
	})
	if ok || err != nil {
		return wait, err
	}
	return s.local.Try(ctx, key, p)
}

// Forget implements Limiter.
func (s *Shared) Forget(ctx context.Context, key string) error {
	if err := s.local.Forget(ctx, key); err != nil {
		return err
	}
	_, err := s.ask(ctx, func(ctx context.Context) error { return s.redis.forget(ctx, key) })
	return err
}

// Hold implements Limiter.
func (s *Shared) Hold(ctx context.Context, key string, most int) (func(), bool, error) {
	var held slot
	var got bool
	ok, err := s.ask(ctx, func(ctx context.Context) (err error) {
		held, got, err = s.redis.hold(ctx, key, most)
		return err
	})
	switch {
	case err != nil:
		if held.name != "" { // it may have been taken before ctx ended
			s.free(ctx, held)
		}
		return nil, false, err
	case !ok:
		return s.local.Hold(ctx, key, most)
	case !got:
		return nil, false, nil
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.keep(ctx, held)
	}()
	return sync.OnceFunc(func() {
		cancel()
		<-ended
		s.free(ctx, held)
	}), true, nil
}

// keep tells of a held slot now and then, until ctx ends.
func (s *Shared) keep(ctx context.Context, held slot) {
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			// It isn't broken off: overtaken by the release it would bring the slot back.
			_, _ = s.ask(context.WithoutCancel(ctx), func(ctx context.Context) error { return s.redis.keep(ctx, held) })
		}
	}
}

// free gives a slot back. One that Redis doesn't hear of is free after SlotTime.
func (s *Shared) free(ctx context.Context, held slot) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
	defer cancel()
	_, _ = s.ask(ctx, func(ctx context.Context) error { return s.redis.release(ctx, held) })
}
