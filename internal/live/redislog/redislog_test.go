package redislog_test

import (
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/internal/live"
	"github.com/quorate/quorate/internal/live/livetest"
	"github.com/quorate/quorate/internal/live/redislog"
	"github.com/quorate/quorate/internal/testenv"
)

func client(t *testing.T, addr string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestRedisLog(t *testing.T) {
	server := testenv.Redis(t)
	livetest.RunLog(t, func(t *testing.T) func() live.Log {
		c := client(t, server.Addr)
		if err := c.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		return func() live.Log { return redislog.New(c) }
	})
}

// TestEvictedPartsAreALostLog: what Redis has evicted a part of is no log any
// more, and what is written for it begins another one.
func TestEvictedPartsAreALostLog(t *testing.T) {
	c := client(t, testenv.Redis(t).Addr)
	l := redislog.New(c)
	at, err := l.Append(t.Context(), "x", live.Position{}, []live.Entry{{Upserted: live.Items{"a": 1, "b": 1}}})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := c.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) != 3 {
		t.Fatalf("keys %v, %v", keys, err)
	}
	for _, k := range keys {
		if left := c.TTL(t.Context(), k).Val(); left <= 0 || left > live.KeptFor {
			t.Errorf("%s is kept for %v", k, left)
		}
	}
	if err := c.Del(t.Context(), "quorate:live:1:{x}:items").Err(); err != nil {
		t.Fatal(err)
	}
	if s, err := l.Load(t.Context(), "x"); err != nil || s.At != (live.Position{}) {
		t.Errorf("loaded %+v, %v", s, err)
	}
	if _, err := l.Since(t.Context(), "x", at); !errors.Is(err, live.ErrForgotten) {
		t.Errorf("since: %v", err)
	}
	if _, err := l.Append(t.Context(), "x", at, []live.Entry{{Upserted: live.Items{"c": 1}}}); !errors.Is(err, live.ErrMoved) {
		t.Errorf("continued: %v", err)
	}
	anew, err := l.Append(t.Context(), "x", live.Position{}, []live.Entry{{Upserted: live.Items{"c": 1}}})
	if err != nil || anew.Epoch == at.Epoch || anew.Number != 1 {
		t.Errorf("begun anew: %v, %v", anew, err)
	}
	if s, err := l.Load(t.Context(), "x"); err != nil || len(s.Items) != 1 {
		t.Errorf("loaded %+v, %v", s, err)
	}
}
