package journal

import (
	"testing"
	"time"
)

func TestRefused(t *testing.T) {
	// rival claims on one journal alone, and leads nothing.
	rival := func(t *testing.T, w *trio, q *Quorum, above uint64) {
		t.Helper()
		if _, err := w.disks[2].Claim(t.Context(), Term{q.Epoch() + above, "rival"}); err != nil {
			t.Fatal(err)
		}
	}
	// live has the leader ask its journals for a time.
	live := func(t *testing.T, q *Quorum, d time.Duration) (leads bool) {
		t.Helper()
		for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
			if err := q.Confirm(t.Context()); err != nil {
				return false
			}
		}
		return true
	}
	bubble(t, "a lead that one journal has refused for a minute ends, and the next one has it back", func(t *testing.T, w *trio) {
		q := w.claim(t, isNew)
		w.put(t, q, 1, 1, "ada")
		time.Sleep(2 * time.Second)
		rival(t, w, q, 1)
		w.put(t, q, 2, 2, "bob")
		if !live(t, q, 55*time.Second) {
			t.Fatal("one refusal ends the lead at once")
		}
		if !q.Status()[2].Refuses {
			t.Errorf("%+v", q.Status())
		}
		if live(t, q, 10*time.Second) {
			t.Fatalf("the lead goes on without the third journal: %+v", q.Status())
		}
		next := w.claim(t, Options{Known: q.Known()})
		time.Sleep(2 * time.Second)
		for _, s := range next.Status() {
			if !s.Counts || s.Refuses {
				t.Errorf("%+v", s)
			}
		}
		if next.Grace() || content(next) != "1:1=ada 2:2=bob @1=ada @2=bob " {
			t.Error(content(next))
		}
	})
	bubble(t, "while somebody goes on claiming there, nothing is claimed anew", func(t *testing.T, w *trio) {
		q := w.claim(t, isNew)
		w.put(t, q, 1, 1, "ada")
		time.Sleep(2 * time.Second)
		for i := range uint64(6) {
			rival(t, w, q, 1+i)
			if !live(t, q, 30*time.Second) {
				t.Fatal("two rivals chase each other")
			}
		}
	})
}
