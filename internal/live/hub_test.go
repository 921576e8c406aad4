package live_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/live"
)

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

func (d *table) read(context.Context) (live.Items, bool, error) {
	if d.before != nil {
		d.before()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads++
	return maps.Clone(d.rows), d.ended, d.err
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

func TestResuming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, d, log := event.NewLocal(), &table{rows: live.Items{"a": 1, "b": 1}}, live.NewMemLog()
		defer bus.Close()
		h := newHub(t, bus, log)
		stays := newClient(t).join(h, d, "x")
		c := newClient(t).join(h, d, "x")
		if err := c.take(); err != nil {
			t.Fatal(err)
		}
		c.sub.Close()
		for i := range 20 {
			change(t, bus, d, fmt.Sprint("c", i), 1)
			change(t, bus, d, "a", uint64(i%3)) // it comes and goes
			time.Sleep(time.Second)
		}
		if err := c.join(h, d, "x").take(); err != nil || len(c.seen) != 2 || c.seen[1].Snapshot || !maps.Equal(c.state, d.all()) {
			t.Fatalf("resumed: %d messages, %v: %v", len(c.seen), err, c.state)
		}
		// Nothing has happened since: that is told too.
		c.sub.Close()
		if err := c.join(h, d, "x").take(); err != nil || len(c.seen) != 3 || c.seen[2].Snapshot || len(c.seen[2].Upserted)+len(c.seen[2].Removed) != 0 {
			t.Errorf("resumed at the end: %+v, %v", c.seen[2:], err)
		}
		// At another replica, which nobody has watched at yet, and after everybody left here.
		stays.sub.Close()
		c.sub.Close()
		d.set("b", 0)
		other := newHub(t, bus, log)
		if err := c.join(other, d, "x").take(); err != nil || c.seen[3].Snapshot || fmt.Sprint(c.seen[3].Removed) != "[b]" || !maps.Equal(c.state, d.all()) {
			t.Errorf("resumed elsewhere: %+v, %v", c.seen[3:], err)
		}
		c.sub.Close()
		for what, p := range map[string]live.Position{"another log's": {Epoch: "other", Number: 1}, "of later": {Epoch: c.at.Epoch, Number: 1 << 40}, "forgotten": {Epoch: c.at.Epoch, Number: 0}} {
			lost := newClient(t)
			lost.at = p
			for i := range live.KeptEntries + 1 {
				if what != "forgotten" {
					break
				}
				at, err := log.Load(t.Context(), "s")
				if err == nil {
					_, err = log.Append(t.Context(), "s", at.At, []live.Entry{{Upserted: live.Items{"z": uint64(i)}}})
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := lost.join(other, d, "x").take(); err != nil || !lost.seen[0].Snapshot || !maps.Equal(lost.state, d.all()) {
				t.Errorf("%s: %+v, %v", what, lost.seen, err)
			}
			lost.sub.Close()
		}
	})
}

// Two replicas, changes at random, clients that move between them: whoever
// replays what he was told comes to what is so.
func TestReplicasTellTheSame(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			d, log, bus := &table{rows: live.Items{}}, live.NewMemLog(), event.NewLocal()
			defer bus.Close()
			hubs := []*live.Hub{newHub(t, bus, log), newHub(t, bus, log)}
			clients := make([]*client, 4)
			for i := range clients {
				clients[i] = newClient(t).join(hubs[i%2], d, fmt.Sprint("shape", i/2))
			}
			numbers := map[live.Position]string{}
			for range 300 {
				id := fmt.Sprint("r", random.IntN(12))
				switch i := random.IntN(len(clients)); random.IntN(8) {
				case 0:
					clients[i].sub.Close()
					clients[i].join(hubs[random.IntN(2)], d, fmt.Sprint("shape", i/2))
				case 1, 2:
					if err := clients[i].take(); err != nil {
						t.Fatal(err)
					}
				case 3:
					time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
				case 4:
					d.set(id, random.Uint64N(3)) // nobody tells of it
				default:
					change(t, bus, d, id, random.Uint64N(4))
				}
			}
			time.Sleep(20 * time.Second) // what nobody told of is found
			for i, c := range clients {
				if err := c.take(); err != nil {
					t.Fatal(err)
				}
				if !maps.Equal(c.state, d.all()) {
					t.Errorf("seed %d: client %d has %v, there is %v", seed, i, c.state, d.all())
				}
				for _, m := range c.seen {
					if m.Snapshot || m.Since != m.At.Number-1 {
						continue
					}
					told := fmt.Sprint(m.Ids(), m.Removed)
					if was, ok := numbers[m.At]; ok && was != told {
						t.Errorf("seed %d: %v was %s and is %s", seed, m.At, was, told)
					}
					numbers[m.At] = told
				}
				c.sub.Close()
			}
		})
	}
}

// A replica that read before another one wrote doesn't tell the old state again.
func TestALateReaderReadsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, d, log := event.NewLocal(), &table{rows: live.Items{"a": 1}}, live.NewMemLog()
		defer bus.Close()
		h := newHub(t, bus, log)
		c := newClient(t).join(h, d, "x")
		if err := c.take(); err != nil {
			t.Fatal(err)
		}
		once := true
		stale := live.Source{Key: "s", Topics: d.source("s").Topics, Read: func(ctx context.Context) (live.Items, bool, error) {
			items, ended, err := d.read(ctx)
			if items["a"] == 2 && once {
				once = false
				d.set("a", 3) // the other replica reads and writes while this one holds what it has read
				time.Sleep(5 * time.Second)
			}
			return items, ended, err
		}}
		other, err := newHub(t, bus, log).Subscribe(stale, "x", d.render, live.Position{}, func() {})
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		drain(t, other)
		change(t, bus, d, "a", 2)
		time.Sleep(time.Second)
		change(t, bus, d, "a", 3)
		time.Sleep(30 * time.Second)
		if err := c.take(); err != nil || c.state["a"] != 3 {
			t.Errorf("ends with %v, %v", c.state, err)
		}
		if s, _ := log.Load(t.Context(), "s"); s.Items["a"] != 3 {
			t.Errorf("the log ends with %v", s.Items)
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

// shaky is a log that can't be reached for a while, and may have lost everything.
type shaky struct {
	live.Log
	mu   sync.Mutex
	down bool
}

func (s *shaky) Append(ctx context.Context, stream string, at live.Position, e []live.Entry) (live.Position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return live.Position{}, errors.New("no connection")
	}
	return s.Log.Append(ctx, stream, at, e)
}

func (s *shaky) Since(ctx context.Context, stream string, after live.Position) ([]live.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Log.Since(ctx, stream, after)
}

func (s *shaky) Load(ctx context.Context, stream string) (live.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Log.Load(ctx, stream)
}

func TestALostLogIsBegunAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, d, log := event.NewLocal(), &table{rows: live.Items{"a": 1}}, &shaky{Log: live.NewMemLog()}
		defer bus.Close()
		c := newClient(t).join(newHub(t, bus, log), d, "x")
		go func() { _ = c.follow() }()
		synctest.Wait()
		was := c.at
		log.mu.Lock()
		log.down = true
		log.mu.Unlock()
		change(t, bus, d, "a", 2)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if c.at != was {
			t.Error("told without a log")
		}
		log.mu.Lock()
		log.down, log.Log = false, live.NewMemLog()
		log.mu.Unlock()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if c.at.Epoch == was.Epoch || c.state["a"] != 2 || !c.seen[len(c.seen)-1].Snapshot {
			t.Errorf("after the loss: %+v", c.seen)
		}
		change(t, bus, d, "a", 3)
		time.Sleep(time.Second)
		synctest.Wait()
		if last := c.seen[len(c.seen)-1]; last.Snapshot || c.state["a"] != 3 {
			t.Errorf("and on: %+v", last)
		}
		c.sub.Close()
	})
}

// What is told one by one is resumed one by one, and where more was new than was
// read a snapshot tells so.
func TestResumedByStepsAndWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, d, log := event.NewLocal(), &table{rows: live.Items{"a": 1}}, live.NewMemLog()
		defer bus.Close()
		src := d.source("s")
		src.Window = 4
		src.Split = func(e live.Entry) []live.Entry {
			var all []live.Entry
			for _, id := range slices.Sorted(maps.Keys(e.Upserted)) {
				all = append(all, live.Entry{Upserted: live.Items{id: e.Upserted[id]}})
			}
			return append(all, live.Entry{Upserted: live.Items{}, Removed: e.Removed})
		}
		h := newHub(t, bus, log)
		open := func(after live.Position) (next func() shown) {
			sub, err := h.Subscribe(src, "x", d.render, after, func() {})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(sub.Close)
			return func() (m shown) {
				b, err := sub.Next(t.Context())
				if b != nil {
					err = json.Unmarshal(b, &m)
				}
				if err != nil {
					t.Fatal(err)
				}
				return m
			}
		}
		stays := open(live.Position{})
		from := stays().At
		for _, id := range []string{"b", "c"} {
			change(t, bus, d, id, 1)
			time.Sleep(time.Second)
		}
		next := open(from)
		since := from.Number
		for i, want := range []string{"[b]", "[c]", "[]"} {
			m := next()
			if m.Snapshot || m.Since != since || fmt.Sprint(m.Ids()) != want {
				t.Errorf("step %d: %+v", i, m)
			}
			since = m.At.Number
		}
		for range 4 {
			stays()
		}
		for i := range 5 {
			d.set(fmt.Sprint("e", i), 1)
		}
		change(t, bus, d, "f", 1)
		time.Sleep(time.Second)
		if m := stays(); !m.Snapshot || len(m.Upserted) != 6 || m.At.Number != since+1 {
			t.Errorf("more than was read: %+v", m)
		}
		if m := open(from)(); !m.Snapshot {
			t.Errorf("resumed over it: %+v", m)
		}
	})
}

func TestSplitEntriesAndForeignSignals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, d := event.NewLocal(), &table{rows: live.Items{"a": 1}}
		defer bus.Close()
		src := d.source("s")
		src.Topics = []event.Signal{{Topic: "t"}}
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
