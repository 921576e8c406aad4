package ratelimit

import (
	"context"
	"crypto/rand"
	"embed"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed lua
var files embed.FS

func script(name string) *redis.Script {
	b, err := files.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic(err) // it is not embedded
	}
	return redis.NewScript(string(b))
}

// prefix keeps our keys apart from others' in a shared Redis.
const prefix = "quorate:limit:"

// scripts are one for each thing to count; what one needs is in one slot of a
// cluster.
type scripts struct{ take, try, hold *redis.Script }

// counted counts in Redis, and fails when it can't.
type counted struct {
	client  redis.UniversalClient
	scripts scripts
	shift   func() time.Duration // added to the clock of Redis
}

func newCounted(client redis.UniversalClient) *counted {
	return &counted{client, scripts{script("take"), script("try"), script("hold")}, func() time.Duration { return 0 }}
}

func (r *counted) take(ctx context.Context, c Charge) (Quota, error) {
	buckets := c.limiting()
	if len(buckets) == 0 {
		return Quota{OK: true}, nil
	}
	keys, args := make([]string, len(buckets)), []any{r.shift().Microseconds()}
	for i, b := range buckets {
		keys[i] = prefix + "{" + c.Scope + "}:" + b.Name
		_, per := b.Rate.micros()
		args = append(args, b.Rate.price(c.Cost), per)
	}
	out, err := r.scripts.take.Run(ctx, r.client, keys, args...).Int64Slice()
	if err != nil {
		return Quota{}, err
	}
	return c.outcome(buckets, out[1:], out[0] == 1), nil
}

func triesKey(key string) string { return prefix + "tries:{" + key + "}" }

func (r *counted) try(ctx context.Context, key string, p Pauses) (time.Duration, error) {
	n, err := r.scripts.try.Run(ctx, r.client, []string{triesKey(key)},
		r.shift().Microseconds(), p.Free, p.First.Microseconds(), p.Most.Microseconds()).Int64()
	return time.Duration(n) * time.Microsecond, err
}

func (r *counted) forget(ctx context.Context, key string) error {
	return r.client.Del(ctx, triesKey(key)).Err()
}

// slot is one that is held.
type slot struct{ key, name string }

// hold takes a slot.
func (r *counted) hold(ctx context.Context, key string, most int) (slot, bool, error) {
	s := slot{prefix + "slots:{" + key + "}", rand.Text()}
	if most < 1 {
		return s, false, nil
	}
	ok, err := r.put(ctx, s, most)
	return s, ok, err
}

// keep says that a slot is still needed. One that Redis forgot is put back, since
// what it is for goes on.
func (r *counted) keep(ctx context.Context, s slot) error {
	_, err := r.put(ctx, s, 0)
	return err
}

func (r *counted) put(ctx context.Context, s slot, most int) (bool, error) {
	return r.scripts.hold.Run(ctx, r.client, []string{s.key},
		r.shift().Microseconds(), s.name, SlotTime.Microseconds(), most).Bool()
}

func (r *counted) release(ctx context.Context, s slot) error {
	return r.client.ZRem(ctx, s.key, s.name).Err()
}
