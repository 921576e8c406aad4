package journal

import (
	"context"
	"testing"
	"time"
)

func TestRosterOfReplacedBackends(t *testing.T) {
	bubble(t, "a new backend in the place of another one votes", func(t *testing.T, w *trio) {
		q := w.claim(t, isNew)
		w.put(t, q, 1, 1, "ada")
		time.Sleep(2 * time.Second)
		q.Close()
		w.backends[2] = Backend{"b9", NewMemory()}
		q = w.claim(t, Options{})
		w.put(t, q, 2, 2, "bob")
		time.Sleep(10 * time.Second)
		for _, s := range q.Status() {
			if !s.Counts || s.Behind != 0 {
				t.Errorf("%+v", s)
			}
		}
		w.put(t, q, 3, 3, "eve")
	})
	bubble(t, "who leads with two lost disks begins anew", func(t *testing.T, w *trio) {
		q := w.claim(t, isNew)
		w.put(t, q, 1, 1, "ada")
		time.Sleep(2 * time.Second)
		w.disks[1].Lose()
		w.disks[2].Lose()
		_ = q.Confirm(t.Context())
		time.Sleep(10 * time.Second)
		_ = q.Confirm(t.Context())
		select {
		case <-q.Ended():
		default:
			t.Fatalf("the lead hangs: %+v", q.Status())
		}
		again := w.claim(t, Options{})
		if !again.Grace() || content(again) != "1:1=ada @1=ada " {
			t.Errorf("grace %v, %s", again.Grace(), content(again))
		}
	})
}

// stuck gives its first page for ever.
type stuck struct{ Journal }

func (s stuck) Events(ctx context.Context, p Promise, _ uint64, most int) ([]Event, error) {
	return s.Journal.Events(ctx, p, 0, most)
}

func TestPagesForEver(t *testing.T) {
	bubble(t, "one backend that gives the same pages again does not hold up the others", func(t *testing.T, w *trio) {
		q := w.claim(t, isNew)
		w.put(t, q, 1, 1, "ada")
		q.Close()
		w.backends[0].Journal = stuck{w.disks[0]}
		q = w.claim(t, Options{})
		w.put(t, q, 2, 2, "bob")
		if s := q.Status()[0]; s.Counts {
			t.Errorf("%+v", s)
		}
	})
}
