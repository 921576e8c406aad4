// Package redisevent is the event bus that reaches every replica, through Redis
// publish and subscribe.
//
// One connection per process subscribes to all topics by one pattern and hands
// on to the process's own subscribers, so Redis sees as many subscriptions as
// there are processes, however many people watch. Redis forgets what it
// publishes: whenever the connection was away, every subscriber is signalled
// once, and reads what it may have missed.
package redisevent

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/internal/event"
)

// prefix keeps our channels apart from others' in a shared Redis.
const prefix = "quorate:event:"

// Pause between two tries to connect; the first one is short.
const (
	leastPause = 100 * time.Millisecond
	mostPause  = 5 * time.Second
)

// Bus is an event.Bus over Redis.
type Bus struct {
	client redis.UniversalClient
	local  *event.Local
	log    *slog.Logger
	cancel context.CancelFunc
	done   chan struct{}
	once   sync.Once
}

// New connects to Redis and subscribes. It takes client over and closes it
// with the bus. Error: Redis can't be reached within ctx.
func New(ctx context.Context, client redis.UniversalClient, log *slog.Logger) (*Bus, error) {
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	b := &Bus{client: client, local: event.NewLocal(), log: log, cancel: cancel, done: make(chan struct{})}
	sub, err := b.subscribe(ctx)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("subscribe at Redis: %w", err)
	}
	go b.receive(run, sub)
	return b, nil
}

func (b *Bus) subscribe(ctx context.Context) (*redis.PubSub, error) {
	sub := b.client.PSubscribe(ctx, prefix+"*")
	if _, err := sub.Receive(ctx); err != nil { // the confirmation
		_ = sub.Close()
		return nil, err
	}
	return sub, nil
}

func (b *Bus) receive(ctx context.Context, sub *redis.PubSub) {
	defer close(b.done)
	for {
		b.deliver(ctx, sub)
		_ = sub.Close()
		pause := leastPause
		for {
			if ctx.Err() != nil {
				return
			}
			var err error
			if sub, err = b.subscribe(ctx); err == nil {
				break
			}
			b.log.WarnContext(ctx, "no events from Redis", "err", err, "retry_in", pause)
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
			pause = min(2*pause, mostPause)
		}
		// Whatever was published in between was not heard.
		b.local.PublishAll()
	}
}

// deliver hands on until the connection fails or ctx ends. A connection that is
// silently dead is found by pinging it.
func (b *Bus) deliver(ctx context.Context, sub *redis.PubSub) {
	stop := context.AfterFunc(ctx, func() { _ = sub.Close() })
	defer stop()
	quiet := false
	for {
		got, err := sub.ReceiveTimeout(ctx, 3*time.Second)
		if err != nil {
			if ctx.Err() == nil && !quiet && isTimeout(err) {
				quiet = true
				if sub.Ping(ctx) == nil {
					continue
				}
			}
			return
		}
		quiet = false
		if m, ok := got.(*redis.Message); ok {
			if topic, key, ok := strings.Cut(strings.TrimPrefix(m.Channel, prefix), ":"); ok {
				_ = b.local.Publish(ctx, topic, key) // it fails only when closed
			}
		}
	}
}

func isTimeout(err error) bool {
	t, ok := err.(interface{ Timeout() bool })
	return ok && t.Timeout()
}

// Publish implements event.Bus. This process's subscribers are told in any
// case, those of others only if Redis is there.
func (b *Bus) Publish(ctx context.Context, topic, key string) error {
	if err := b.local.Publish(ctx, topic, key); err != nil {
		return err
	}
	return b.client.Publish(ctx, prefix+topic+":"+key, "").Err()
}

// Subscribe implements event.Bus.
func (b *Bus) Subscribe(ctx context.Context, topic, key string) (<-chan struct{}, error) {
	return b.local.Subscribe(ctx, topic, key)
}

// Listen implements event.Bus.
func (b *Bus) Listen(ctx context.Context, topics ...string) (*event.Listener, error) {
	return b.local.Listen(ctx, topics...)
}

// Close implements event.Bus.
func (b *Bus) Close() error {
	var err error
	b.once.Do(func() {
		b.cancel()
		<-b.done
		_ = b.local.Close() // it never fails
		err = b.client.Close()
	})
	return err
}
