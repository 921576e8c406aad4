// Package eventtest is the suite that every event bus passes.
package eventtest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/event"
)

// patience is how long a signal may take at most.
const patience = 10 * time.Second

// Run checks the contract of event.Bus. Each call of open gives a bus; the
// buses of one connect call reach each other.
func Run(t *testing.T, connect func(t *testing.T) (open func() event.Bus)) {
	t.Run("a publication reaches every subscriber of topic and key", func(t *testing.T) {
		open := connect(t)
		bus := open()
		a, b, other, topic := sub(t, bus, "x", "1"), sub(t, bus, "x", "1"), sub(t, bus, "x", "2"), sub(t, bus, "y", "1")
		publish(t, bus, "x", "1")
		expect(t, a)
		expect(t, b)
		if len(other) != 0 || len(topic) != 0 {
			t.Error("a subscriber was told of another topic or key")
		}
		publish(t, bus, "x", "2")
		expect(t, other)
		publish(t, bus, "y", "1")
		expect(t, topic)
	})
	t.Run("a slow subscriber gets one signal, never blocks, and misses nothing", func(t *testing.T) {
		open := connect(t)
		bus := open()
		slow, marker := sub(t, bus, "x", "1"), sub(t, bus, "x", "end")
		for range 1000 {
			publish(t, bus, "x", "1")
		}
		publish(t, bus, "x", "end")
		expect(t, marker)
		expect(t, slow)
		publish(t, bus, "x", "1")
		expect(t, slow)
	})
	t.Run("the channel closes when the subscriber's context ends", func(t *testing.T) {
		open := connect(t)
		bus := open()
		ctx, cancel := context.WithCancel(t.Context())
		c, err := bus.Subscribe(ctx, "x", "1")
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		expectClosed(t, c)
		publish(t, bus, "x", "1")
		if _, err := bus.Subscribe(ctx, "x", "1"); err == nil {
			t.Error("subscribed with an ended context")
		}
	})
	t.Run("closing closes all channels and can be repeated", func(t *testing.T) {
		open := connect(t)
		bus := open()
		a, b := sub(t, bus, "x", "1"), sub(t, bus, "y", "2")
		if err := bus.Close(); err != nil {
			t.Fatal(err)
		}
		expectClosed(t, a)
		expectClosed(t, b)
		if err := bus.Close(); err != nil {
			t.Errorf("the second close: %v", err)
		}
		if err := bus.Publish(t.Context(), "x", "1"); err == nil {
			t.Error("published on a closed bus")
		}
		if _, err := bus.Subscribe(t.Context(), "x", "1"); err == nil {
			t.Error("subscribed at a closed bus")
		}
	})
	t.Run("subscribing, publishing and closing run into each other", func(t *testing.T) {
		open := connect(t)
		bus := open()
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for range 50 {
					ctx, cancel := context.WithCancel(t.Context())
					c, err := bus.Subscribe(ctx, "x", "1")
					if err == nil && i%2 == 0 {
						_ = bus.Publish(ctx, "x", "1") // may be closed by now
						for range c {
							cancel()
						}
					}
					cancel()
				}
			})
		}
		all.Go(func() { _ = bus.Close() })
		all.Wait()
	})
}

// RunShared checks that a bus reaches the subscribers of another one.
func RunShared(t *testing.T, connect func(t *testing.T) (open func() event.Bus)) {
	t.Run("a publication reaches other processes", func(t *testing.T) {
		open := connect(t)
		a, b := open(), open()
		there, here := sub(t, b, "x", "1"), sub(t, a, "x", "1")
		publish(t, a, "x", "1")
		expect(t, there)
		expect(t, here)
	})
}

func sub(t *testing.T, bus event.Bus, topic, key string) <-chan struct{} {
	t.Helper()
	c, err := bus.Subscribe(t.Context(), topic, key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func publish(t *testing.T, bus event.Bus, topic, key string) {
	t.Helper()
	if err := bus.Publish(t.Context(), topic, key); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case _, open := <-c:
		if !open {
			t.Fatal("the channel is closed")
		}
	case <-time.After(patience):
		t.Fatal("no signal")
	}
}

func expectClosed(t *testing.T, c <-chan struct{}) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case _, open := <-c:
			if !open {
				return
			}
		case <-deadline:
			t.Fatal("the channel stays open")
		}
	}
}
