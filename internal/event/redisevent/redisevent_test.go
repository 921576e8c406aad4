package redisevent_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/event/eventtest"
	"github.com/quorate/quorate/internal/event/redisevent"
	"github.com/quorate/quorate/internal/testenv"
)

func open(t *testing.T, addr string) event.Bus {
	t.Helper()
	b, err := redisevent.New(t.Context(), redis.NewClient(&redis.Options{Addr: addr}), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func connect(t *testing.T) func() event.Bus {
	server := testenv.Redis(t)
	return func() event.Bus { return open(t, server.Addr) }
}

func TestRedis(t *testing.T) {
	eventtest.Run(t, connect)
	eventtest.RunShared(t, connect)
}

// TestAfterALostConnectionEverySubscriberIsToldOnce: what was published while
// Redis was away may have been missed.
func TestAfterALostConnectionEverySubscriberIsToldOnce(t *testing.T) {
	server := testenv.Redis(t)
	b := open(t, server.Addr)
	c, err := b.Subscribe(t.Context(), "x", "1")
	if err != nil {
		t.Fatal(err)
	}
	server.Restart()
	select {
	case _, ok := <-c:
		if !ok {
			t.Fatal("the channel is closed")
		}
	case <-time.After(30 * time.Second):
		t.Fatal("nobody told that something may have been missed")
	}
	// And it works as before.
	testenv.Eventually(t, 30*time.Second, func() error { return b.Publish(t.Context(), "x", "1") })
	select {
	case <-c:
	case <-time.After(30 * time.Second):
		t.Fatal("no signal after the restart")
	}
}

func TestWithoutRedisThereIsNoBus(t *testing.T) {
	server := testenv.Redis(t)
	addr := server.Addr
	server.Kill()
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	if _, err := redisevent.New(t.Context(), client, slog.New(slog.DiscardHandler)); err == nil {
		t.Fatal("made without Redis")
	}
	_ = client.Close()
}
