// Package eventtest is the suite that every event bus passes.
package eventtest

import (
	"context"
	"slices"
	"strconv"
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
	t.Run("a listener hears every key of its topics, each once until it is taken", func(t *testing.T) {
		open := connect(t)
		bus := open()
		ear, err := bus.Listen(t.Context(), "x", "y")
		if err != nil {
			t.Fatal(err)
		}
		marker := sub(t, bus, "z", "end")
		for range 100 {
			publish(t, bus, "x", "1")
			publish(t, bus, "x", "2")
			publish(t, bus, "y", "1")
			publish(t, bus, "z", "1")
		}
		publish(t, bus, "z", "end")
		expect(t, marker)
		expect(t, ear.C())
		got, all := ear.Take()
		if len(got) != 3 || all || slices.ContainsFunc(got, func(s event.Signal) bool { return s.Topic == "z" }) {
			t.Errorf("took %v, %v", got, all)
		}
		if got, all := ear.Take(); len(got) != 0 || all {
			t.Errorf("took twice: %v, %v", got, all)
		}
	})
	t.Run("a listener that is told too much is told that anything may have changed", func(t *testing.T) {
		open := connect(t)
		bus := open()
		ear, err := bus.Listen(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		marker := sub(t, bus, "z", "end")
		for i := range 6000 {
			publish(t, bus, "x", strconv.Itoa(i))
		}
		publish(t, bus, "z", "end")
		expect(t, marker)
		if got, all := ear.Take(); !all || len(got) > 4096 {
			t.Errorf("took %d, %v", len(got), all)
		}
		// A driver may tell its own process twice, so what was published before may
		// still come.
		var got []event.Signal
		all := true
		for tries := 0; tries < 1000 && (all || len(got) != 1); tries++ {
			publish(t, bus, "x", "1")
			publish(t, bus, "z", "end")
			expect(t, marker)
			got, all = ear.Take()
		}
		if all || len(got) != 1 || got[0].Key != "1" {
			t.Errorf("later: %v, %v", got, all)
		}
	})
	t.Run("a listener ends with its context and with the bus", func(t *testing.T) {
		open := connect(t)
		bus := open()
		ctx, cancel := context.WithCancel(t.Context())
		a, err := bus.Listen(ctx, "x")
		if err != nil {
			t.Fatal(err)
		}
		b, err := bus.Listen(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		expectClosed(t, a.C())
		_ = bus.Close()
		expectClosed(t, b.C())
		if _, err := bus.Listen(t.Context(), "x"); err == nil {
			t.Error("listens at a closed bus")
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
