package live_test

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/live"
)

// watched is a source that notes what its readings and renderings are given.
type watched struct {
	table
	mu    sync.Mutex
	heard []live.Heard
	rows  []any
}

func (w *watched) source(topics ...string) live.Source {
	src := live.Source{Key: "s", Every: byNoClock, Read: func(ctx context.Context, heard live.Heard) (live.Reading, error) {
		w.mu.Lock()
		w.heard = append(w.heard, heard)
		w.mu.Unlock()
		return w.read(ctx, heard)
	}}
	for _, t := range topics {
		src.Topics = append(src.Topics, event.Signal{Topic: t, Key: "k"})
	}
	return src
}

func (w *watched) renders(ctx context.Context, c live.Change) ([]byte, live.Items, error) {
	w.mu.Lock()
	w.rows = append(w.rows, c.Rows)
	w.mu.Unlock()
	return w.render(ctx, c)
}

// last gives what the newest reading was told, and the newest rendering given.
func (w *watched) last() (live.Heard, any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.heard[len(w.heard)-1], w.rows[len(w.rows)-1]
}

func join(t *testing.T, h *live.Hub, src live.Source, render live.Render) *live.Subscription {
	t.Helper()
	sub, err := h.Subscribe(src, "x", render, live.Position{}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	drain(t, sub)
	return sub
}

// TestWhatAReadingIsTold: the topics of the signals since the one before, those
// that come while the stream waits included, and nothing where anything may have
// changed.
func TestWhatAReadingIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, w := event.NewLocal(), &watched{table: table{rows: live.Items{"a": 1}}}
		defer bus.Close()
		h := newHub(t, bus, live.NewMemLog())
		sub := join(t, h, w.source("t", "u"), w.renders)
		defer sub.Close()
		if got, _ := w.last(); got != nil {
			t.Errorf("the first reading was told %v", got)
		}
		tell := func(wait time.Duration, topics ...string) live.Heard {
			t.Helper()
			for i, topic := range topics {
				w.set("a", uint64(time.Now().UnixNano())+uint64(i))
				if err := bus.Publish(t.Context(), topic, "k"); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
			}
			time.Sleep(wait)
			synctest.Wait()
			drain(t, sub)
			got, _ := w.last()
			return got
		}
		if got := tell(time.Second, "t"); !slices.Equal(got, live.Heard{"t"}) || !got.Only("t", "v") || got.Only("u") {
			t.Errorf("one signal: %v", got)
		}
		if got := tell(0, "u"); !slices.Equal(got, live.Heard{"u"}) {
			t.Errorf("another one: %v", got)
		}
		// The stream waits for its gap now: what comes meanwhile is told together.
		if got := tell(time.Second, "t", "u", "t"); !slices.Equal(got, live.Heard{"t", "u"}) || got.Only("t") || !got.Only("u", "t") {
			t.Errorf("several signals: %v", got)
		}
		// By the clock alone anything may have changed.
		time.Sleep(byNoClock)
		synctest.Wait()
		if got, _ := w.last(); got != nil || got.Only("t", "u") {
			t.Errorf("by the clock: %v", got)
		}
	})
}

// slowLog takes an entry only after it was let go on.
type slowLog struct {
	live.Log
	asked, goOn chan struct{}
}

func (l *slowLog) Append(ctx context.Context, stream string, at live.Position, entries []live.Entry) (live.Position, error) {
	if at != (live.Position{}) {
		l.asked <- struct{}{}
		<-l.goOn
	}
	return l.Log.Append(ctx, stream, at, entries)
}

// TestRenderedWhileTheLogTakesIt: what is to be told is rendered meanwhile, and
// told only once the log has it; what the log refuses is not told.
func TestRenderedWhileTheLogTakesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, d := event.NewLocal(), &table{rows: live.Items{"a": 1}}
		defer bus.Close()
		log := &slowLog{Log: live.NewMemLog(), asked: make(chan struct{}), goOn: make(chan struct{})}
		var mu sync.Mutex
		var rendered []live.Change
		render := func(ctx context.Context, c live.Change) ([]byte, live.Items, error) {
			mu.Lock()
			rendered = append(rendered, c)
			mu.Unlock()
			return d.render(ctx, c)
		}
		sub := join(t, newHub(t, bus, log), d.source("s"), render)
		defer sub.Close()
		next := func() (m shown, there bool) {
			t.Helper()
			b, err := sub.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if b == nil {
				return m, false
			}
			if err := json.Unmarshal(b, &m); err != nil {
				t.Fatal(err)
			}
			return m, true
		}
		change(t, bus, d, "a", 2)
		<-log.asked
		synctest.Wait()
		mu.Lock()
		if n := len(rendered); n != 2 || rendered[1].At.Number != 2 || rendered[1].Upserted["a"] != 2 {
			t.Errorf("rendered before the log has it: %+v", rendered)
		}
		mu.Unlock()
		if m, there := next(); there {
			t.Errorf("told before the log has it: %+v", m)
		}
		log.goOn <- struct{}{}
		synctest.Wait()
		if m, there := next(); !there || m.At.Number != 2 || m.Stamps["a"] != 2 {
			t.Errorf("told: %+v, %v", m, there)
		}
		if len(rendered) != 2 {
			t.Errorf("rendered %d times", len(rendered))
		}
		time.Sleep(time.Second)
		// Another replica is first: its entry has the number, ours the next.
		change(t, bus, d, "a", 3)
		<-log.asked
		now, err := log.Load(t.Context(), "s")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := log.Log.Append(t.Context(), "s", now.At, []live.Entry{{Upserted: live.Items{"b": 7}}}); err != nil {
			t.Fatal(err)
		}
		d.set("b", 7)
		log.goOn <- struct{}{} // refused
		synctest.Wait()
		first, _ := next()
		told := time.Now()
		<-log.asked
		if gap := time.Since(told); gap < 250*time.Millisecond {
			t.Errorf("our own follows %v after the other's", gap)
		}
		log.goOn <- struct{}{}
		synctest.Wait()
		second, there := next()
		if first.At.Number != 3 || first.Stamps["b"] != 7 || len(first.Upserted) != 1 || !there || second.At.Number != 4 || second.Stamps["a"] != 3 {
			t.Errorf("told %+v and %+v", first, second)
		}
		time.Sleep(time.Second)
		// Another replica has told the very same: it is rendered once all the same.
		before := len(rendered)
		d.set("b", 0)
		change(t, bus, d, "a", 4)
		<-log.asked
		if _, err := log.Log.Append(t.Context(), "s", second.At, []live.Entry{{Upserted: live.Items{"a": 4}, Removed: []string{"b"}}}); err != nil {
			t.Fatal(err)
		}
		log.goOn <- struct{}{} // refused
		synctest.Wait()
		m, there := next()
		if !there || m.At.Number != 5 || m.Stamps["a"] != 4 || len(m.Removed) != 1 || len(rendered) != before+1 {
			t.Errorf("told %+v, %v, rendered %d times", m, there, len(rendered)-before)
		}
	})
}

// TestRowsOfAReading: a change that follows from a reading has its rows; so does
// one that another replica told first where it shows the same, and else none has.
func TestRowsOfAReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, log, w := event.NewLocal(), live.NewMemLog(), &watched{table: table{rows: live.Items{"a": 1}}}
		defer bus.Close()
		sub := join(t, newHub(t, bus, log), w.source("t"), w.renders)
		defer sub.Close()
		if _, rows := w.last(); rows != nil {
			t.Errorf("a snapshot for one who comes has the rows %v", rows)
		}
		after := func(what string, want live.Items) {
			t.Helper()
			if err := bus.Publish(t.Context(), "t", "k"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			drain(t, sub)
			_, rows := w.last()
			got, _ := rows.(live.Items)
			if !maps.Equal(got, want) {
				t.Errorf("%s: the rows %v", what, rows)
			}
		}
		other := func(e live.Entry) {
			t.Helper()
			now, err := log.Load(t.Context(), "s")
			if err == nil {
				_, err = log.Append(t.Context(), "s", now.At, []live.Entry{e})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		w.set("a", 2)
		after("its own", live.Items{"a": 2})
		w.set("a", 3)
		other(live.Entry{Upserted: live.Items{"a": 3}})
		after("another's that is the same", live.Items{"a": 3})
		w.set("a", 5)
		other(live.Entry{Upserted: live.Items{"a": 4}})
		w.mu.Lock()
		before := len(w.rows)
		w.mu.Unlock()
		after("its own, after another's", live.Items{"a": 5})
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.rows[before+1] != nil { // the first was a draft that the log refused
			t.Errorf("another's, that shows something else, has the rows %v", w.rows[before+1])
		}
	})
}

// TestWhoComesBetweenDrafts: a shape whose first subscriber comes while entries
// that belong together are rendered gets each of them as what it is.
func TestWhoComesBetweenDrafts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, d := event.NewLocal(), &table{rows: live.Items{"a": 1}}
		defer bus.Close()
		src := d.source("s")
		src.Split = func(e live.Entry) []live.Entry {
			var all []live.Entry
			for _, id := range slices.Sorted(maps.Keys(e.Upserted)) {
				all = append(all, live.Entry{Upserted: live.Items{id: e.Upserted[id]}})
			}
			return all
		}
		h := newHub(t, bus, live.NewMemLog())
		begun := func() {}
		sub, err := h.Subscribe(src, "x", func(ctx context.Context, c live.Change) ([]byte, live.Items, error) {
			if !c.Snapshot && c.At.Number == 3 {
				begun()
			}
			return d.render(ctx, c)
		}, live.Position{}, func() {})
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		drain(t, sub)
		late := newClient(t)
		if late.sub, err = h.Subscribe(src, "late", d.render, live.Position{}, func() {}); err != nil {
			t.Fatal(err)
		}
		defer late.sub.Close()
		begun = func() {
			if err := late.take(); err != nil {
				t.Error(err)
			}
		}
		d.set("b", 1)
		d.set("c", 1)
		change(t, bus, d, "d", 1)
		time.Sleep(time.Second)
		if n := drain(t, sub); n != 3 {
			t.Errorf("%d messages of three", n)
		}
		if err := late.take(); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(late.state, d.all()) {
			t.Errorf("who came meanwhile has %v", late.state)
		}
		for _, m := range late.seen[1:] {
			if want := string("abcd"[m.At.Number-1]); len(m.Upserted) != 1 || m.Ids()[0] != want {
				t.Errorf("number %d is %v, want %s", m.At.Number, m.Ids(), want)
			}
		}
	})
}

// TestWhatNobodyAskedForIsDoubted: figures that a message has beside what it tells
// are told anew where they were not what the stream shows.
func TestWhatNobodyAskedForIsDoubted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, d := event.NewLocal(), &table{rows: live.Items{"a": 1, "=": 1}}
		defer bus.Close()
		var figures uint64
		passing := uint64(7) // figures that are over before they are read
		src := d.source("s")
		src.Every = byNoClock
		sub := join(t, newHub(t, bus, live.NewMemLog()), src, func(ctx context.Context, c live.Change) ([]byte, live.Items, error) {
			frame, shows, err := d.render(ctx, c)
			if figures = d.all()["="]; !c.Snapshot && passing > 0 {
				figures, passing = passing, 0
			}
			shows["="] = figures
			return frame, shows, err
		})
		defer sub.Close()
		change(t, bus, d, "a", 2)
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := drain(t, sub); figures != 1 || n != 2 {
			t.Errorf("%d messages, the last with the figures %d", n, figures)
		}
	})
}

// panicking is a log that panics when something is added.
type panicking struct{ live.Log }

func (l panicking) Append(ctx context.Context, stream string, at live.Position, entries []live.Entry) (live.Position, error) {
	if at != (live.Position{}) {
		panic("broken")
	}
	return l.Log.Append(ctx, stream, at, entries)
}

// TestALogThatPanics ends the stream, and nothing else.
func TestALogThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, d := event.NewLocal(), &table{rows: live.Items{"a": 1}}
		defer bus.Close()
		sub := join(t, newHub(t, bus, panicking{live.NewMemLog()}), d.source("s"), d.render)
		defer sub.Close()
		change(t, bus, d, "a", 2)
		time.Sleep(time.Second)
		synctest.Wait()
		if _, err := sub.Next(t.Context()); err == nil || err.Error() != "panic: broken" {
			t.Errorf("ends with %v", err)
		}
	})
}

// TestAShapeThatPanicsEndsAlone: what can't be shown in one way is still shown in
// another.
func TestAShapeThatPanicsEndsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, d := event.NewLocal(), &table{rows: live.Items{"a": 1}}
		defer bus.Close()
		h := newHub(t, bus, live.NewMemLog())
		good := join(t, h, d.source("s"), d.render)
		defer good.Close()
		for _, first := range []bool{true, false} {
			bad, err := h.Subscribe(d.source("s"), "bad", func(ctx context.Context, c live.Change) ([]byte, live.Items, error) {
				if first || !c.Snapshot {
					panic("broken")
				}
				return d.render(ctx, c)
			}, live.Position{}, func() {})
			if err != nil {
				t.Fatal(err)
			}
			_, err = bad.Next(t.Context())
			if !first {
				d.set("a", uint64(time.Now().UnixNano()))
				if err := bus.Publish(t.Context(), "t", "k"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				_, err = bad.Next(t.Context())
			}
			if err == nil || err.Error() != "panic: broken" {
				t.Errorf("the first message %v: %v", first, err)
			}
			bad.Close()
		}
		if frame, err := good.Next(t.Context()); err != nil || frame == nil {
			t.Errorf("the other shape: %q, %v", frame, err)
		}
	})
}
