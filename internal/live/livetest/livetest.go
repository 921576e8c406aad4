// Package livetest is the suite that every log of streams passes.
package livetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quorate/quorate/internal/live"
)

// RunLog checks the contract of live.Log. The logs that one connect gives are
// the same, as of several processes.
func RunLog(t *testing.T, connect func(t *testing.T) (open func() live.Log)) {
	t.Run("a log is begun, continued and read by anyone", func(t *testing.T) {
		open := connect(t)
		a, b := open(), open()
		if s, err := a.Load(t.Context(), "x"); err != nil || s.At != (live.Position{}) || len(s.Items) != 0 {
			t.Fatalf("nothing yet: %+v, %v", s, err)
		}
		first := add(t, a, "x", live.Position{}, up("one", 1, "two", uint64(1<<63+5)))
		if first.Number != 1 || first.Epoch == "" {
			t.Fatalf("the first position is %v", first)
		}
		at := add(t, b, "x", first, up("two", 2), live.Entry{Upserted: live.Items{"three": 3}, Removed: []string{"one"}})
		if at != (live.Position{Epoch: first.Epoch, Number: 3}) {
			t.Fatalf("then %v", at)
		}
		s, err := a.Load(t.Context(), "x")
		if err != nil || s.At != at || !maps.Equal(s.Items, live.Items{"two": 2, "three": 3}) {
			t.Errorf("state %+v, %v", s, err)
		}
		entries, err := b.Since(t.Context(), "x", first)
		if err != nil || len(entries) != 2 || entries[0].Upserted["two"] != 2 || !slices.Equal(entries[1].Removed, []string{"one"}) {
			t.Errorf("since the first: %+v, %v", entries, err)
		}
		if entries, err := a.Since(t.Context(), "x", at); err != nil || len(entries) != 0 {
			t.Errorf("since the last: %+v, %v", entries, err)
		}
		if s, err := a.Load(t.Context(), "y"); err != nil || s.At != (live.Position{}) {
			t.Errorf("another stream: %+v, %v", s, err)
		}
	})
	t.Run("an entry follows on the last one only", func(t *testing.T) {
		open := connect(t)
		l := open()
		first := add(t, l, "x", live.Position{}, up("a", 1))
		add(t, l, "x", first, up("a", 2))
		for _, at := range []live.Position{first, {}, {Epoch: "other", Number: 2}, {Epoch: first.Epoch, Number: 3}} {
			if _, err := l.Append(t.Context(), "x", at, []live.Entry{up("a", 9)}); !errors.Is(err, live.ErrMoved) {
				t.Errorf("after %v: %v", at, err)
			}
		}
		if _, err := l.Append(t.Context(), "y", first, []live.Entry{up("a", 9)}); !errors.Is(err, live.ErrMoved) {
			t.Errorf("where there is no log: %v", err)
		}
		if s, _ := l.Load(t.Context(), "x"); s.Items["a"] != 2 || s.At.Number != 2 {
			t.Errorf("what was refused left %+v", s)
		}
	})
	t.Run("old entries and other logs are forgotten", func(t *testing.T) {
		open := connect(t)
		l := open()
		at := add(t, l, "x", live.Position{}, up("a", 0))
		first := at
		for i := range live.KeptEntries {
			at = add(t, l, "x", at, up("a", uint64(i+1)))
		}
		if _, err := l.Since(t.Context(), "x", live.Position{Epoch: at.Epoch}); !errors.Is(err, live.ErrForgotten) {
			t.Errorf("the oldest: %v", err)
		}
		if entries, err := l.Since(t.Context(), "x", first); err != nil || len(entries) != live.KeptEntries {
			t.Errorf("the oldest that is kept: %d, %v", len(entries), err)
		}
		for _, p := range []live.Position{{}, {Epoch: "other", Number: 3}, {Epoch: at.Epoch, Number: at.Number + 1}, {Epoch: at.Epoch, Number: -1}} {
			if _, err := l.Since(t.Context(), "x", p); !errors.Is(err, live.ErrForgotten) {
				t.Errorf("%v: %v", p, err)
			}
		}
		if s, err := l.Load(t.Context(), "x"); err != nil || s.Items["a"] != live.KeptEntries {
			t.Errorf("state %+v, %v", s, err)
		}
	})
	t.Run("many items", func(t *testing.T) {
		open := connect(t)
		l := open()
		e := live.Entry{Upserted: live.Items{}}
		for i := range 10_000 {
			e.Upserted[fmt.Sprintf("alc_%05d", i)] = uint64(i)
		}
		add(t, l, "x", live.Position{}, e)
		if s, err := l.Load(t.Context(), "x"); err != nil || !maps.Equal(s.Items, e.Upserted) {
			t.Errorf("%d items, %v", len(s.Items), err)
		}
	})
	t.Run("of several writers one wins", func(t *testing.T) {
		open := connect(t)
		const writers, each = 4, 25
		var all sync.WaitGroup
		var moved atomic.Int64
		for w := range writers {
			l := open()
			all.Go(func() {
				for n := 0; n < each; {
					s, err := l.Load(t.Context(), "x")
					if err != nil {
						t.Error(err)
						return
					}
					switch _, err := l.Append(t.Context(), "x", s.At, []live.Entry{up(fmt.Sprint(w, n), 1)}); {
					case err == nil:
						n++
					case errors.Is(err, live.ErrMoved):
						moved.Add(1)
					default:
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		if s, err := open().Load(t.Context(), "x"); err != nil || s.At.Number != writers*each || len(s.Items) != writers*each {
			t.Errorf("%v with %d items, %v; %d times moved", s.At, len(s.Items), err, moved.Load())
		}
	})
}

func add(t *testing.T, l live.Log, stream string, at live.Position, entries ...live.Entry) live.Position {
	t.Helper()
	now, err := l.Append(t.Context(), stream, at, entries)
	if err != nil {
		t.Fatal(err)
	}
	return now
}

func up(pairs ...any) live.Entry {
	e := live.Entry{Upserted: live.Items{}}
	for i := 0; i < len(pairs); i += 2 {
		switch n := pairs[i+1].(type) {
		case int:
			e.Upserted[pairs[i].(string)] = uint64(n)
		case uint64:
			e.Upserted[pairs[i].(string)] = n
		}
	}
	return e
}
