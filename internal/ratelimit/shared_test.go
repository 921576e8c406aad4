package ratelimit

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/testenv"
)

func charge(cost int) Charge {
	return Charge{Scope: "org_1", Cost: cost, Buckets: []Bucket{{"all", Rate{10, time.Hour}}}}
}

// take asks and wants an answer.
func take(t *testing.T, l Limiter, cost int) bool {
	t.Helper()
	q, err := l.Take(t.Context(), charge(cost))
	if err != nil {
		t.Fatal(err)
	}
	return q.OK
}

// TestReplicasCountTogether: buckets, tries and slots are those of all replicas.
func TestReplicasCountTogether(t *testing.T) {
	server := testenv.Redis(t)
	log := slog.New(slog.DiscardHandler)
	a, b := NewShared(connect(t, server), log), NewShared(connect(t, server), log)
	if !take(t, a, 6) || take(t, b, 5) || !take(t, b, 4) {
		t.Error("the buckets are not the same")
	}
	for _, r := range []*Shared{a, b, a} {
		if wait, err := r.Try(t.Context(), "k", pauses()); err != nil || wait != 0 {
			t.Fatal(wait, err)
		}
	}
	if wait, _ := b.Try(t.Context(), "k", pauses()); wait == 0 {
		t.Error("tries are counted apart")
	}
	release, held, err := a.Hold(t.Context(), "k", 1)
	if err != nil || !held {
		t.Fatal(held, err)
	}
	if _, held, _ := b.Hold(t.Context(), "k", 1); held {
		t.Error("slots are counted apart")
	}
	release()
	if release, held, _ := b.Hold(t.Context(), "k", 1); !held {
		t.Error("a slot that was given back is not free for another")
	} else {
		release()
	}
}

// TestSlotsOfTheDead: a process that died holds its slots no longer than
// SlotTime; one that lives holds them as long as it needs them.
func TestSlotsOfTheDead(t *testing.T) {
	client := connect(t, testenv.Redis(t))
	s := NewShared(client, slog.New(slog.DiscardHandler))
	s.every = 5 * time.Millisecond
	dead := newCounted(client)
	if _, ok, err := dead.hold(t.Context(), "dead", 1); !ok || err != nil {
		t.Fatal(ok, err)
	}
	release, held, err := s.Hold(t.Context(), "living", 1)
	if !held || err != nil {
		t.Fatal(held, err)
	}
	defer release()
	later := func(d time.Duration, key string) bool {
		other := newCounted(client)
		other.shift = func() time.Duration { return d }
		got, ok, err := other.hold(t.Context(), key, 1)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			_ = other.release(t.Context(), got)
		}
		return ok
	}
	if later(SlotTime-time.Second, "dead") {
		t.Error("a slot ended early")
	}
	if !later(SlotTime+time.Second, "dead") {
		t.Error("the slot of a dead process is held for ever")
	}
	// What was put back after everything was forgotten is a slot that is told of.
	if err := client.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the slot is told of", func() bool { return !later(0, "living") })
	release()
	if !later(0, "living") {
		t.Error("a slot that was given back is told of")
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	testenv.Eventually(t, 10*time.Second, func() error {
		if is() {
			return nil
		}
		return errors.New(what)
	})
}

// TestRedisIsAway: each replica counts for itself, without waiting for Redis each
// time, and together again when it is back.
func TestRedisIsAway(t *testing.T) {
	server := testenv.Redis(t)
	var log strings.Builder
	s := NewShared(connect(t, server), slog.New(slog.NewTextHandler(&log, nil)))
	if !take(t, s, 10) || take(t, s, 1) {
		t.Fatal("it doesn't count")
	}
	release, held, err := s.Hold(t.Context(), "slot", 1)
	if !held || err != nil {
		t.Fatal(held, err)
	}
	server.Pause() // connections are open, and nothing answers
	start := time.Now()
	if !take(t, s, 10) || take(t, s, 1) {
		t.Error("away: not the limit of one replica")
	}
	for range 20 {
		_, _ = s.Try(t.Context(), "k", pauses())
	}
	if wait, _ := s.Try(t.Context(), "k", pauses()); wait == 0 {
		t.Error("away: tries aren't counted")
	}
	local, held, err := s.Hold(t.Context(), "slot", 1)
	if !held || err != nil {
		t.Error("away: a slot of this replica's own", held, err)
	}
	if _, held, _ := s.Hold(t.Context(), "slot", 1); held {
		t.Error("away: slots aren't counted")
	}
	if took := time.Since(start); took > 10*answerTime {
		t.Errorf("away: 30 calls took %s", took)
	}
	local()
	server.Resume()
	eventually(t, "Redis counts again", func() bool {
		_ = take(t, s, 0)
		return strings.Contains(log.String(), "Redis is back")
	})
	if take(t, s, 1) {
		t.Error("the bucket in Redis was forgotten")
	}
	release()
	if got := log.String(); strings.Count(got, "Redis is away") != 1 || strings.Count(got, "Redis is back") != 1 {
		t.Errorf("log: %s", got)
	}
	server.Kill()
	if take(t, s, 1) { // the local bucket is still empty
		t.Error("killed: the limit of one replica begins anew")
	}
}

// TestKeysInRedis: all of them end, and those of one call are in one slot of a
// cluster.
func TestKeysInRedis(t *testing.T) {
	client := connect(t, testenv.Redis(t))
	s := NewShared(client, slog.New(slog.DiscardHandler))
	c := charge(1)
	c.Buckets = append(c.Buckets, Bucket{"token:tok_1", Rate{5, time.Minute}})
	if _, err := s.Take(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Try(t.Context(), "k", pauses()); err != nil {
		t.Fatal(err)
	}
	release, _, err := s.Hold(t.Context(), "k", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	want := map[string]time.Duration{
		"quorate:limit:{org_1}:all": 6 * time.Minute, "quorate:limit:{org_1}:token:tok_1": 12 * time.Second,
		"quorate:limit:tries:{k}": 50 * time.Minute, "quorate:limit:slots:{k}": SlotTime,
	}
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) != len(want) {
		t.Errorf("%q %v", keys, err)
	}
	for key, most := range want {
		if left := client.PTTL(t.Context(), key).Val(); left <= most-slack || left > most {
			t.Errorf("%s ends in %s, want %s", key, left, most)
		}
	}
}

// A caller that gives up tells nothing about Redis.
func TestGivingUpIsNoFailure(t *testing.T) {
	server := testenv.Redis(t)
	s := NewShared(connect(t, server), slog.New(slog.DiscardHandler))
	server.Pause()
	defer server.Resume()
	ctx, cancel := context.WithTimeout(t.Context(), answerTime/10)
	defer cancel()
	if _, err := s.Take(ctx, charge(1)); err == nil {
		t.Error("it was answered")
	}
	if s.lost {
		t.Error("Redis counts as away")
	}
}
