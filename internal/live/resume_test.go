package live_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
		stale := live.Source{Key: "s", Topics: d.source("s").Topics, Read: func(ctx context.Context, heard live.Heard) (live.Reading, error) {
			now, err := d.read(ctx, heard)
			if now.Items["a"] == 2 && once {
				once = false
				d.set("a", 3) // the other replica reads and writes while this one holds what it has read
				time.Sleep(5 * time.Second)
			}
			return now, err
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

// A stream whose log stays away ends, so that nobody takes what he has for new,
// and none begins without it.
func TestALogThatStaysAwayEndsTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, d, log := event.NewLocal(), &table{rows: live.Items{"a": 1}}, &shaky{Log: live.NewMemLog(), down: true}
		defer bus.Close()
		h := newHub(t, bus, log)
		first, err := h.Subscribe(d.source("s"), "x", d.render, live.Position{}, func() {})
		if err == nil {
			_, err = first.Next(t.Context())
			first.Close()
		}
		if license.CodeOf(err) != license.CodeUnavailable {
			t.Errorf("begun without it: %v", err)
		}
		log.mu.Lock()
		log.down = false
		log.mu.Unlock()
		sub := join(t, h, d.source("s"), d.render)
		defer sub.Close()
		away := func(is bool, wait time.Duration) (frame []byte, err error) {
			log.mu.Lock()
			log.down = is
			log.mu.Unlock()
			change(t, bus, d, "a", uint64(time.Now().UnixNano()))
			time.Sleep(wait)
			synctest.Wait()
			return sub.Next(t.Context())
		}
		for range 2 { // each time anew
			if frame, err := away(true, 13*time.Second); frame != nil || err != nil {
				t.Errorf("for a moment: %s %v", frame, err)
			}
			if frame, err := away(false, 3*time.Second); frame == nil || err != nil {
				t.Errorf("it is back: %s %v", frame, err)
			}
		}
		if _, err := away(true, 20*time.Second); license.CodeOf(err) != license.CodeUnavailable {
			t.Errorf("it stays away: %v", err)
		}
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
