package journal

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/license"
)

func TestAbove(t *testing.T) {
	k := Key{anyProduct, 1}
	ask := func(t *testing.T, w *trio, known Known, epoch, n uint64, want bool, code license.Code) {
		t.Helper()
		above, err := Above(t.Context(), w.backends, known, k, epoch, n)
		if above != want || license.CodeOf(err) != code {
			t.Errorf("above %d: %t, %v; want %t, %q", n, above, err, want, code)
		}
	}
	bubble(t, "two that vote must show nothing newer", func(t *testing.T, w *trio) {
		ask(t, w, Known{}, 1, 2, false, license.CodeUnavailable) // none votes
		q := w.claim(t, isNew)
		w.put(t, q, 1, 2, "a")
		time.Sleep(2 * time.Second)
		ask(t, w, Known{}, q.Epoch(), 2, false, "")
		ask(t, w, Known{}, q.Epoch(), 1, true, "")
		w.gates[0].set(true)
		ask(t, w, Known{}, q.Epoch(), 2, false, "")
		w.gates[1].set(true)
		ask(t, w, Known{}, q.Epoch(), 2, false, license.CodeUnavailable)
	})
	bubble(t, "a lost disk does not count, before and after it is filled anew by another leader", func(t *testing.T, w *trio) {
		q := w.claim(t, isNew)
		w.put(t, q, 1, 1, "a")
		time.Sleep(2 * time.Second)
		w.gates[2].set(true) // it misses what follows
		w.put(t, q, 1, 2, "b")
		q.Close()
		w.disks[1].Lose()
		w.gates[2].set(false)
		// 0 has b, 1 nothing, 2 has a still: 0 and 2 decide.
		ask(t, w, Known{}, 1, 1, true, "")
		w.gates[0].set(true)
		ask(t, w, Known{}, 1, 1, false, license.CodeUnavailable)
	})
	bubble(t, "an incarnation that the roster no longer names does not count", func(t *testing.T, w *trio) {
		q := w.claim(t, isNew)
		w.put(t, q, 1, 1, "a")
		time.Sleep(2 * time.Second)
		old := w.disks[1].Copy()
		w.disks[1].Lose()
		_ = q.Confirm(t.Context())
		time.Sleep(10 * time.Second) // it is filled anew, and votes as another incarnation
		w.gates[2].set(true)
		w.put(t, q, 1, 2, "b") // on 0 and 1
		time.Sleep(2 * time.Second)
		w.backends[1].Journal = old
		w.gates[2].set(false)
		w.gates[0].set(true)
		// 2 has not heard of b, and the old disk of 1 is back.
		ask(t, w, Known{}, 1, 1, false, license.CodeUnavailable)
	})
	bubble(t, "a disk that was put back does not count", func(t *testing.T, w *trio) {
		q := w.claim(t, isNew)
		w.put(t, q, 1, 1, "a")
		time.Sleep(2 * time.Second)
		old := w.disks[1].Copy()
		w.gates[2].set(true)
		w.put(t, q, 1, 2, "b") // on 0 and 1
		time.Sleep(2 * time.Second)
		w.backends[1].Journal = old
		w.gates[2].set(false)
		for range 20 { // whoever answers first
			ask(t, w, Known{}, 1, 1, true, "") // 0 tells of 1
		}
		w.gates[0].set(true)
		// And so does who has seen it.
		state, err := w.disks[1].State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ask(t, w, Known{Marks: []Mark{{state.Incarnation, state.Version}}}, 1, 1, false, license.CodeUnavailable)
	})
}
