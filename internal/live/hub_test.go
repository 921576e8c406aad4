package live_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/live"
)

// byNoClock is for streams that are read for signals alone: when the first reading
// by the clock is, is left to chance.
const byNoClock = 100_000 * time.Hour

// table is what streams show in these tests, as a database is.
type table struct {
	mu     sync.Mutex
	rows   live.Items
	reads  int
	err    error
	ended  bool
	before func() // called by each read before it looks
}

func (d *table) set(id string, stamp uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if stamp == 0 {
		delete(d.rows, id)
		return
	}
	d.rows[id] = stamp
}

func (d *table) all() live.Items {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.rows)
}

func (d *table) read(_ context.Context, heard live.Heard) (live.Reading, error) {
	if d.before != nil {
		d.before()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads++
	return live.Reading{Items: maps.Clone(d.rows), Ended: d.ended, Rows: maps.Clone(d.rows)}, d.err
}

// shown is a message as its client reads it: with the stamps as they are when it is rendered.
type shown struct {
	live.Change
	Stamps live.Items
}

func (d *table) source(key string) live.Source {
	return live.Source{Key: key, Topics: []event.Signal{{Topic: "t", Key: "k"}}, Read: d.read}
}

func (d *table) render(_ context.Context, c live.Change) ([]byte, live.Items, error) {
	now, m := d.all(), shown{c, live.Items{}}
	for id := range c.Upserted {
		if stamp, ok := now[id]; ok {
			m.Stamps[id] = stamp
		}
	}
	b, err := json.Marshal(m)
	return b, m.Stamps, err
}

// client is a subscriber that keeps what it is told.
type client struct {
	t         *testing.T
	sub       *live.Subscription
	awake     chan struct{}
	state     live.Items
	known     map[string]bool // what was told and not removed
	returning bool            // what came and went in between is removed, too
	at        live.Position
	seen      []shown
}

func newClient(t *testing.T) *client {
	return &client{t: t, state: live.Items{}, known: map[string]bool{}}
}

func (c *client) join(h *live.Hub, d *table, shape string) *client {
	c.t.Helper()
	awake := make(chan struct{}, 1)
	c.awake, c.returning = awake, true
	var err error
	c.sub, err = h.Subscribe(d.source("s"), shape, d.render, c.at, func() {
		select {
		case awake <- struct{}{}:
		default:
		}
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return c
}

// take takes all that is there.
func (c *client) take() error {
	for {
		b, err := c.sub.Next(c.t.Context())
		if err != nil || b == nil {
			return err
		}
		var m shown
		if err := json.Unmarshal(b, &m); err != nil {
			c.t.Fatal(err)
		}
		switch {
		case m.Snapshot:
			c.state, c.known = live.Items{}, map[string]bool{}
		case m.Since != c.at.Number || m.At.Epoch != c.at.Epoch:
			c.t.Fatalf("at %v: a message that follows on %d: %+v", c.at, m.Since, m)
		}
		for id := range m.Upserted {
			c.known[id] = true
			if c.state[id] = m.Stamps[id]; m.Stamps[id] == 0 {
				delete(c.state, id) // it ended before it was rendered, as the next message says too
			}
		}
		for _, id := range m.Removed {
			if !c.known[id] && m.Since == m.At.Number-1 && !c.returning {
				c.t.Errorf("%s was removed twice", id)
			}
			delete(c.state, id)
			delete(c.known, id)
		}
		c.returning = false
		c.at, c.seen = m.At, append(c.seen, m)
	}
}

// follow takes what comes until the subscription is closed or ends.
func (c *client) follow() error {
	for {
		if err := c.take(); err != nil {
			return err
		}
		select {
		case <-c.awake:
		case <-c.t.Context().Done():
			return nil
		}
	}
}

func newHub(t *testing.T, bus event.Bus, log live.Log) *live.Hub {
	t.Helper()
	return live.NewHub(live.Config{Bus: bus, Log: log})
}

func change(t *testing.T, bus event.Bus, d *table, id string, stamp uint64) {
	t.Helper()
	d.set(id, stamp)
	if err := bus.Publish(t.Context(), "t", "k"); err != nil {
		t.Fatal(err)
	}
}

func TestSnapshotThenNumberedDeltas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, d := event.NewLocal(), &table{rows: live.Items{"a": 1}}
		defer bus.Close()
		h := newHub(t, bus, live.NewMemLog())
		c := newClient(t).join(h, d, "x")
		if err := c.take(); err != nil || len(c.seen) != 1 || !c.seen[0].Snapshot || c.at.Number != 1 {
			t.Fatalf("first: %+v, %v", c.seen, err)
		}
		// A burst of a second becomes four messages, without gaps.
		began := time.Now()
		go func() { _ = c.follow() }()
		for i := range 100 {
			change(t, bus, d, fmt.Sprint("b", i), 1)
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(250 * time.Millisecond)
		synctest.Wait()
		if n := len(c.seen) - 1; n < 4 || n > int(time.Since(began)/(250*time.Millisecond))+1 {
			t.Errorf("%d messages in %v", n, time.Since(began))
		}
		for i, m := range c.seen[1:] {
			if m.Snapshot || m.At.Number != int64(i+2) || m.Since != int64(i+1) {
				t.Errorf("message %d: %+v", i, m.Change)
			}
		}
		if !maps.Equal(c.state, d.all()) {
			t.Errorf("replayed %v", c.state)
		}
		change(t, bus, d, "a", 0)
		time.Sleep(time.Second)
		synctest.Wait()
		if last := c.seen[len(c.seen)-1]; fmt.Sprint(last.Removed) != "[a]" || len(last.Upserted) != 0 {
			t.Errorf("a removal: %+v", last)
		}
		// A signal without a change tells nothing.
		n := len(c.seen)
		change(t, bus, d, "nothing", 0)
		time.Sleep(time.Second)
		synctest.Wait()
		if len(c.seen) != n {
			t.Error("told of nothing")
		}
		c.sub.Close()
		c.sub.Close()
		if h.Streams() != 0 {
			t.Error("a stream is left behind")
		}
	})
}

// One look at the database and one rendering a change, whatever the number of
// subscribers.
func TestSubscribersShareTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		work := func(subscribers int) (reads, renders int) {
			bus, d := event.NewLocal(), &table{rows: live.Items{"a": 1}}
			defer bus.Close()
			h := newHub(t, bus, live.NewMemLog())
			rendered := 0
			render := func(ctx context.Context, c live.Change) ([]byte, live.Items, error) {
				rendered++
				return d.render(ctx, c)
			}
			awake := make(chan *live.Subscription, subscribers)
			for range subscribers {
				var sub *live.Subscription
				sub, err := h.Subscribe(d.source("s"), "x", render, live.Position{}, func() { awake <- sub })
				if err != nil {
					t.Fatal(err)
				}
				drain(t, sub)
				defer sub.Close()
			}
			got := 0
			for i := range 10 {
				change(t, bus, d, "a", uint64(i+2))
				time.Sleep(time.Second)
				synctest.Wait()
				for len(awake) > 0 {
					got += drain(t, <-awake)
				}
			}
			if got != 10*subscribers {
				t.Errorf("%d subscribers got %d messages", subscribers, got)
			}
			return d.reads, rendered
		}
		r1, w1 := work(1)
		r200, w200 := work(200)
		if r1 != r200 || w1 != w200 {
			t.Errorf("one: %d reads, %d renderings; 200: %d, %d", r1, w1, r200, w200)
		}
	})
}

func drain(t *testing.T, sub *live.Subscription) (n int) {
	t.Helper()
	for {
		switch b, err := sub.Next(t.Context()); {
		case err != nil:
			t.Fatal(err)
		case b == nil:
			return n
		}
		n++
	}
}

func TestSlowSubscribersGetASnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, d := event.NewLocal(), &table{rows: live.Items{"a": 1}}
		defer bus.Close()
		h := newHub(t, bus, live.NewMemLog())
		slow := newClient(t).join(h, d, "x")
		if err := slow.take(); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			change(t, bus, d, fmt.Sprint("b", i), 1)
			time.Sleep(time.Second)
		}
		if err := slow.take(); err != nil || len(slow.seen) != 4 || slow.seen[3].Snapshot {
			t.Fatalf("a little behind: %d messages, %v", len(slow.seen), err)
		}
		for i := range 100 {
			change(t, bus, d, fmt.Sprint("c", i), 1)
			time.Sleep(time.Second)
		}
		if err := slow.take(); err != nil || len(slow.seen) != 5 || !slow.seen[4].Snapshot || !maps.Equal(slow.state, d.all()) {
			t.Errorf("far behind: %d messages, %v", len(slow.seen), err)
		}
	})
}

func TestEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := func() (*event.Local, *table, *client) {
			bus, d := event.NewLocal(), &table{rows: live.Items{"a": 1}}
			c := newClient(t).join(newHub(t, bus, live.NewMemLog()), d, "x")
			if err := c.take(); err != nil {
				t.Fatal(err)
			}
			return bus, d, c
		}
		bus, d, c := start()
		d.ended = true
		change(t, bus, d, "a", 2)
		if err := c.follow(); err != io.EOF || c.state["a"] != 2 {
			t.Errorf("the proper end: %v, %v", err, c.state)
		}
		bus.Close()

		bus, d, c = start()
		d.err = errors.New("gone")
		change(t, bus, d, "a", 2)
		if err := c.follow(); err != d.err {
			t.Errorf("a failure: %v", err)
		}
		c.sub.Close()
		bus.Close()

		bus, _, c = start()
		bus.Close()
		if err := c.follow(); license.CodeOf(err) != license.CodeUnavailable {
			t.Errorf("the bus was closed: %v", err)
		}
		if _, err := newHub(t, bus, live.NewMemLog()).Subscribe(d.source("s"), "x", d.render, live.Position{}, func() {}); license.CodeOf(err) != license.CodeUnavailable {
			t.Errorf("at a closed bus: %v", err)
		}

		// One that has ended already is shown, then ends.
		bus = event.NewLocal()
		defer bus.Close()
		d = &table{rows: live.Items{"a": 1}, ended: true}
		c = newClient(t).join(newHub(t, bus, live.NewMemLog()), d, "x")
		if err := c.follow(); err != io.EOF || len(c.seen) != 1 || !c.seen[0].Snapshot {
			t.Errorf("over from the beginning: %v, %+v", err, c.seen)
		}
	})
}

func TestSplitEntriesAndForeignSignals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, d := event.NewLocal(), &table{rows: live.Items{"a": 1}}
		defer bus.Close()
		src := d.source("s")
		src.Topics, src.Every = []event.Signal{{Topic: "t"}}, byNoClock
		src.Concerns = func(_ context.Context, s event.Signal) (bool, error) { return s.Key == "ours", nil }
		src.Split = func(e live.Entry) []live.Entry {
			all := []live.Entry{}
			for id, stamp := range e.Upserted {
				all = append(all, live.Entry{Upserted: live.Items{id: stamp}})
			}
			return all
		}
		sub, err := newHub(t, bus, live.NewMemLog()).Subscribe(src, "x", d.render, live.Position{}, func() {})
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		drain(t, sub)
		d.set("b", 1)
		d.set("c", 1)
		reads := d.reads
		_ = bus.Publish(t.Context(), "t", "theirs")
		time.Sleep(time.Second)
		synctest.Wait()
		if d.reads != reads {
			t.Error("read for a signal that doesn't count")
		}
		_ = bus.Publish(t.Context(), "t", "ours")
		time.Sleep(time.Second)
		if n := drain(t, sub); n != 2 {
			t.Errorf("%d messages of two changes to be told one by one", n)
		}
	})
}
