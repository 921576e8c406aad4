package journal

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// gate is a journal that can be shut, and lets a test see each call.
type gate struct {
	Journal
	mu   sync.Mutex
	shut bool
}

func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
}

func (g *gate) pass() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return errLostCall
	}
	return nil
}

func (g *gate) Claim(ctx context.Context, t Term) (State, error) {
	if err := g.pass(); err != nil {
		return State{}, err
	}
	return g.Journal.Claim(ctx, t)
}

func (g *gate) Confirm(ctx context.Context, p Promise) (Pulse, error) {
	if err := g.pass(); err != nil {
		return Pulse{}, err
	}
	return g.Journal.Confirm(ctx, p)
}

func (g *gate) Write(ctx context.Context, p Promise, b Batch) (Pulse, error) {
	if err := g.pass(); err != nil {
		return Pulse{}, err
	}
	return g.Journal.Write(ctx, p, b)
}

func (g *gate) State(ctx context.Context) (State, error) {
	if err := g.pass(); err != nil {
		return State{}, err
	}
	return g.Journal.State(ctx)
}

type trio struct {
	disks    [license.Backends]*Memory
	gates    [license.Backends]*gate
	backends [license.Backends]Backend
}

func newTrio() *trio {
	w := &trio{}
	for i := range w.disks {
		w.disks[i] = NewMemory()
		w.gates[i] = &gate{Journal: w.disks[i]}
		w.backends[i] = Backend{names[i], w.gates[i]}
	}
	return w
}

// bounded ends after an hour of the bubble's time: while anything ticks there,
// who waits in vain would wait for ever.
func bounded(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), time.Hour)
}

func (w *trio) claim(t *testing.T, o Options) *Quorum {
	t.Helper()
	ctx, cancel := bounded(t)
	defer cancel()
	q, err := Claim(ctx, w.backends, o)
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	t.Cleanup(q.Close)
	synctest.Wait() // the third has come along
	return q
}

func (w *trio) put(t *testing.T, q *Quorum, seat uint32, n uint64, holder string) {
	t.Helper()
	ctx, cancel := bounded(t)
	defer cancel()
	index, err := q.Append([]Record{{Key: Key{anyProduct, seat}, N: n, Holder: []byte(holder)}}, []Event{{Position: n, Data: []byte(holder)}})
	if err == nil {
		err = q.Wait(ctx, index)
	}
	if err != nil {
		t.Fatalf("Append, Wait: %v", err)
	}
}

func content(q *Quorum) string {
	records, events := q.Content()
	s := ""
	for _, r := range records {
		s += fmt.Sprintf("%d:%d=%s ", r.Seat, r.N, r.Holder)
	}
	for _, e := range events {
		s += fmt.Sprintf("@%d=%s ", e.Position, e.Data)
	}
	return s
}

func bubble(t *testing.T, name string, f func(t *testing.T, w *trio)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { f(t, newTrio()) }) })
}

var isNew = Options{NewGroup: true}

func TestQuorum(t *testing.T) {
	bubble(t, "what was answered comes back, with any one journal away", func(t *testing.T, w *trio) {
		q := w.claim(t, isNew)
		w.gates[2].set(true)
		w.put(t, q, 1, 2, "a")
		q.Close()
		for away := range w.gates {
			for i := range w.gates {
				w.gates[i].set(i == away)
			}
			next := w.claim(t, Options{})
			if got := content(next); got != "1:2=a @2=a " {
				t.Errorf("with %d away: %s", away, got)
			}
			if next.Epoch() <= q.Epoch() {
				t.Errorf("epoch %d after %d", next.Epoch(), q.Epoch())
			}
			next.Close()
		}
	})
	bubble(t, "a newer claim ends an older lead", func(t *testing.T, w *trio) {
		a := w.claim(t, isNew)
		b := w.claim(t, Options{})
		time.Sleep(Freshness)
		if err := a.Confirm(t.Context()); license.CodeOf(err) != license.CodeFenced {
			t.Errorf("Confirm of the older: %v", err)
		}
		select {
		case <-a.Ended():
		case <-time.After(time.Hour):
			t.Fatal("the older lead goes on")
		}
		if _, err := a.Append(nil, nil); license.CodeOf(err) != license.CodeFenced {
			t.Errorf("Append of the older: %v", err)
		}
		if err := b.Confirm(t.Context()); err != nil {
			t.Errorf("Confirm of the newer: %v", err)
		}
	})
	bubble(t, "a clock that is behind claims above", func(t *testing.T, w *trio) {
		future := Term{uint64(time.Now().Add(time.Hour).UnixMicro()), "x/1"}
		for _, d := range w.disks {
			if _, err := d.Claim(t.Context(), future); err != nil {
				t.Fatal(err)
			}
		}
		if q := w.claim(t, isNew); q.Epoch() != future.Epoch+1 {
			t.Errorf("epoch %d after %d", q.Epoch(), future.Epoch)
		}
	})
	bubble(t, "one that refuses does not depose", func(t *testing.T, w *trio) {
		q := w.claim(t, isNew)
		if _, err := w.disks[1].Claim(t.Context(), Term{q.Epoch() + 1e9, "x/1"}); err != nil {
			t.Fatal(err)
		}
		w.put(t, q, 1, 2, "a")
		time.Sleep(Freshness)
		if err := q.Confirm(t.Context()); err != nil {
			t.Errorf("Confirm: %v", err)
		}
		time.Sleep(time.Second)
		if s := q.Status(); !s[1].Refuses || s[0].Refuses {
			t.Errorf("status %+v", s)
		}
		q.Close()
		if next := w.claim(t, Options{}); content(next) != "1:2=a @2=a " || !next.Status()[1].Counts {
			t.Errorf("the next has %s, %+v", content(next), next.Status())
		}
	})
	bubble(t, "a confirmation is good for less than its freshness", func(t *testing.T, w *trio) {
		q := w.claim(t, isNew)
		w.gates[0].set(true)
		w.gates[1].set(true)
		time.Sleep(Freshness - time.Millisecond)
		if !q.Fresh() {
			t.Errorf("not fresh any more before %v", Freshness)
		}
		time.Sleep(time.Millisecond)
		if q.Fresh() {
			t.Errorf("still fresh after %v", Freshness)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := q.Confirm(ctx); license.CodeOf(err) != license.CodeUnavailable {
			t.Errorf("Confirm with one journal: %v", err)
		}
		w.gates[0].set(false)
		if err := q.Confirm(t.Context()); err != nil {
			t.Errorf("Confirm with two: %v", err)
		}
	})
	bubble(t, "all three restarted at once go on", func(t *testing.T, w *trio) {
		q := w.claim(t, isNew)
		for i := range w.gates {
			w.gates[i].set(true)
		}
		time.Sleep(10 * time.Second)
		for i := range w.gates {
			w.gates[i].set(false)
		}
		w.put(t, q, 1, 2, "a")
		if q.Grace() {
			t.Error("a grace period, and no disk was lost")
		}
	})
	bubble(t, "a lost disk is filled, then votes", func(t *testing.T, w *trio) {
		q := w.claim(t, isNew)
		w.put(t, q, 1, 2, "a")
		w.disks[0].Lose()
		w.put(t, q, 2, 3, "b")
		time.Sleep(2 * Freshness)
		if err := q.Confirm(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(Freshness)
		for i, s := range q.Status() {
			if !s.Counts || s.Behind > 0 {
				t.Errorf("journal %d: %+v", i, s)
			}
		}
		q.Close()
		w.gates[2].set(true)
		if next := w.claim(t, Options{}); content(next) != "1:2=a 2:3=b @2=a @3=b " {
			t.Errorf("the next has %s", content(next))
		}
	})
	bubble(t, "a lost disk alone with one that is behind does not vote", func(t *testing.T, w *trio) {
		q := w.claim(t, isNew)
		w.put(t, q, 1, 2, "a")
		q.Close()
		w.disks[0].Lose()
		w.gates[1].set(true)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := Claim(ctx, w.backends, Options{}); license.CodeOf(err) != license.CodeUnavailable {
			t.Fatalf("claimed on a lost disk and one more: %v", err)
		}
		w.gates[1].set(false)
		if next := w.claim(t, Options{}); next.Grace() || content(next) != "1:2=a @2=a " {
			t.Errorf("the next has %s, grace %t", content(next), next.Grace())
		}
	})
	bubble(t, "a disk that was put back is noticed", func(t *testing.T, w *trio) {
		q := w.claim(t, isNew)
		w.put(t, q, 1, 2, "a")
		old := w.disks[0].Copy()
		w.put(t, q, 1, 3, "b")
		time.Sleep(3 * time.Second) // the others note its version, though nothing changes
		w.gates[1].set(true)
		w.put(t, q, 1, 4, "c")
		q.Close()
		w.disks[0].Restore(old)
		w.gates[1].set(false)
		w.gates[2].set(true)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := Claim(ctx, w.backends, Options{}); license.CodeOf(err) != license.CodeUnavailable {
			t.Fatalf("claimed on a disk that was put back and one that is behind: %v", err)
		}
		w.gates[2].set(false)
		if next := w.claim(t, Options{}); content(next) != "1:4=c @2=a @3=b @4=c " {
			t.Errorf("the next has %s", content(next))
		}
	})
	bubble(t, "a grace period goes on with the next leader, until it was lived through", func(t *testing.T, w *trio) {
		o := Options{Grace: time.Minute}
		q := w.claim(t, o) // a new group, and nobody said so
		if !q.Grace() {
			t.Fatal("no grace period over three empty journals")
		}
		time.Sleep(50 * time.Second)
		q.Close()
		q = w.claim(t, o)
		time.Sleep(50 * time.Second)
		if !q.Grace() {
			t.Error("the grace period ended with the first leader")
		}
		time.Sleep(11 * time.Second)
		if q.Grace() {
			t.Error("the grace period doesn't end")
		}
		time.Sleep(time.Second)
		q.Close()
		if next := w.claim(t, o); next.Grace() {
			t.Error("it begins again after it was lived through")
		}
	})
	bubble(t, "an event that one journal alone has comes about, or is gone for good", func(t *testing.T, w *trio) {
		q := w.claim(t, isNew)
		w.gates[0].set(true)
		w.gates[1].set(true)
		if _, err := q.Append([]Record{{Key: Key{anyProduct, 1}, N: 2, Holder: []byte("x")}}, []Event{{Position: 2, Data: []byte("x")}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		q.Close()
		w.gates[0].set(false)
		w.gates[1].set(false)
		w.gates[2].set(true)
		q = w.claim(t, Options{})
		w.put(t, q, 5, 9, "y")
		q.Close()
		for away := range w.gates {
			for i := range w.gates {
				w.gates[i].set(i == away)
			}
			next := w.claim(t, Options{})
			if got := content(next); got != "5:9=y @9=y " && got != "1:2= 5:9=y @9=y " && got != "1:1= 5:9=y @9=y " {
				t.Errorf("with %d away: %s", away, got)
			}
			next.Close()
		}
	})
}
