package journaltest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/license"
)

// walks makes random steps on the driver and on the journal in memory. What they
// answer and what they hold is the same, but for the names of incarnations.
func walks(t *testing.T, h Harness) {
	seed := rand.Uint64()
	w := &walk{t: t, h: h, j: h.Journal, model: journal.NewMemory(), rand: rand.New(rand.NewPCG(seed, 1))}
	for step := range 400 {
		what := w.step()
		if t.Failed() || step%20 == 0 {
			w.compare()
		}
		if t.Failed() {
			t.Fatalf("seed %d, step %d: %s", seed, step, what)
		}
	}
	w.compare()
}

type walk struct {
	t     *testing.T
	h     Harness
	j     journal.Journal
	model *journal.Memory
	rand  *rand.Rand
	epoch uint64
}

// promises gives a promise, mostly one that holds, for both sides.
func (w *walk) promises() (p, q journal.Promise) {
	s, m := state(w.t, w.j), state(w.t, w.model)
	p, q = journal.Promise{Term: m.Promised, Incarnation: s.Incarnation}, journal.Promise{Term: m.Promised, Incarnation: m.Incarnation}
	switch w.rand.IntN(20) {
	case 0:
		p.Epoch, q.Epoch = p.Epoch+1, q.Epoch+1
	case 1:
		if p.Epoch > 1 {
			p.Epoch, q.Epoch = p.Epoch-1, q.Epoch-1
		}
	case 2:
		p.Owner, q.Owner = "stranger", "stranger"
	case 3:
		p.Incarnation, q.Incarnation = "stranger", "stranger"
	}
	return p, q
}

func (w *walk) step() string {
	ctx := w.t.Context()
	switch n := w.rand.IntN(40); {
	case n < 3:
		if w.rand.IntN(4) > 0 {
			w.epoch += uint64(w.rand.IntN(3))
		}
		term := journal.Term{Epoch: max(w.epoch, 1), Owner: fmt.Sprint("o", w.rand.IntN(2))}
		_, err := w.j.Claim(ctx, term)
		_, want := w.model.Claim(ctx, term)
		w.agree(err, want)
		return fmt.Sprintf("Claim %v", term)
	case n < 25:
		p, q := w.promises()
		b := w.batch()
		pulse, err := w.j.Write(ctx, p, b)
		same, want := w.model.Write(ctx, q, b)
		w.agree(err, want)
		if pulse != same {
			w.t.Errorf("pulse %v, want %v", pulse, same)
		}
		return fmt.Sprintf("Write %v %v", p, b)
	case n < 29:
		p, q := w.promises()
		r := journal.Roster{N: w.rand.Uint64N(5) + 1, Peers: []journal.Peer{{Name: "a", Incarnation: fmt.Sprint("A", w.rand.IntN(2))}, {Name: "b", Incarnation: "B"}}}
		vote := w.rand.IntN(2) == 0
		pulse, err := w.j.Enrol(ctx, p, r, vote)
		same, want := w.model.Enrol(ctx, q, r, vote)
		w.agree(err, want)
		if pulse != same {
			w.t.Errorf("pulse %v, want %v", pulse, same)
		}
		return fmt.Sprintf("Enrol %v %v %v", p, r, vote)
	case n == 29 && w.rand.IntN(4) == 0:
		p, q := w.promises()
		_, err := w.j.Reset(ctx, p)
		_, want := w.model.Reset(ctx, q)
		w.agree(err, want)
		return fmt.Sprintf("Reset %v", p)
	case n == 30 && w.h.Restart != nil && w.rand.IntN(4) == 0:
		w.j = w.h.Restart()
		return "restart"
	default:
		p, q := w.promises()
		pulse, err := w.j.Confirm(ctx, p)
		same, want := w.model.Confirm(ctx, q)
		w.agree(err, want)
		if pulse != same {
			w.t.Errorf("pulse %v, want %v", pulse, same)
		}
		return fmt.Sprintf("Confirm %v", p)
	}
}

func (w *walk) batch() (b journal.Batch) {
	holders := []string{"", "ada", "bob"}
	for seat := range uint32(4) {
		if w.rand.IntN(3) == 0 {
			b.Records = append(b.Records, record(seat+1, w.rand.Uint64N(12)+1, holders[w.rand.IntN(3)]))
		}
	}
	for at := range uint64(6) {
		if w.rand.IntN(3) == 0 {
			b.Events = append(b.Events, journal.Event{Position: at + 1, Data: []byte(holders[w.rand.IntN(3)])})
		}
	}
	if w.rand.IntN(3) == 0 {
		b.Drop = append(b.Drop, w.rand.Uint64N(7))
	}
	if w.rand.IntN(5) == 0 {
		b.Trim = w.rand.Uint64N(7)
	}
	if w.rand.IntN(5) == 0 {
		b.Base = w.rand.Uint64N(w.epoch + 2)
	}
	if w.rand.IntN(3) == 0 {
		b.Marks = append(b.Marks, journal.Mark{Incarnation: fmt.Sprint("A", w.rand.IntN(3)), Version: w.rand.Uint64N(9)})
	}
	return b
}

func (w *walk) agree(got, want error) {
	w.t.Helper()
	if license.CodeOf(got) != license.CodeOf(want) || journal.PromisedBy(got) != journal.PromisedBy(want) {
		w.t.Errorf("%v, want %v", got, want)
	}
}

func (w *walk) compare() {
	w.t.Helper()
	s, m := state(w.t, w.j), state(w.t, w.model)
	if s.Promised.Epoch > 0 {
		p, q := journal.Promise{Term: s.Promised, Incarnation: s.Incarnation}, journal.Promise{Term: m.Promised, Incarnation: m.Incarnation}
		records, events := all(w.t, w.j, p, 3)
		wantRecords, wantEvents := all(w.t, w.model, q, 5)
		if !sameRecords(records, wantRecords) || !sameEvents(events, wantEvents) {
			w.t.Errorf("records %v, want %v; events %v, want %v", records, wantRecords, events, wantEvents)
		}
	}
	s.Incarnation = m.Incarnation
	if !same(s, m) {
		w.t.Errorf("state %+v, want %+v", s, m)
	}
}
