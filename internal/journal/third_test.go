package journal

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// paced is a journal that takes a while to write, and counts.
type paced struct {
	Journal
	takes  atomic.Int64
	writes atomic.Int64
}

func (p *paced) Write(ctx context.Context, q Promise, b Batch) (Pulse, error) {
	p.writes.Add(1)
	t := time.NewTimer(time.Duration(p.takes.Load()))
	defer t.Stop()
	select {
	case <-t.C:
		return p.Journal.Write(ctx, q, b)
	case <-ctx.Done():
		return Pulse{}, ended(ctx)
	}
}

func pace(w *trio, takes ...time.Duration) (all [3]*paced) {
	for i := range w.backends {
		all[i] = &paced{Journal: w.backends[i].Journal}
		all[i].takes.Store(int64(takes[i]))
		w.backends[i].Journal = all[i]
	}
	return all
}

// The slowest journal gets many changes with one call; changes wait for the two
// others alone.
func TestThirdJournalLags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTrio()
		all := pace(w, time.Millisecond, 5*time.Millisecond, time.Millisecond)
		q := w.claim(t, Options{NewGroup: true})
		w.put(t, q, 1, 2, "first")
		time.Sleep(100 * time.Millisecond)
		for i := range all {
			all[i].writes.Store(0)
		}
		began := time.Now()
		for n := range uint64(500) {
			w.put(t, q, 1, 3+n, "holder")
		}
		if took := time.Since(began); took > 600*time.Millisecond {
			t.Errorf("500 changes took %v", took)
		}
		if n := all[1].writes.Load(); n > 14 {
			t.Errorf("the slowest journal was asked %d times", n)
		}
		if a, b := all[0].writes.Load(), all[2].writes.Load(); a < 490 || b < 490 {
			t.Errorf("the others were asked %d and %d times", a, b)
		}
		time.Sleep(thirdLag + 10*time.Millisecond)
		for i, d := range w.disks {
			if r, err := d.Seat(t.Context(), Key{anyProduct, 1}); err != nil || r.N != 502 {
				t.Errorf("journal %d has n %d, %v", i, r.N, err)
			}
		}
	})
}

// Where one of the two others hangs, fails or gets slow the third is asked in its
// place.
func TestThirdJournalStandsIn(t *testing.T) {
	for name, break1 := range map[string]func(w *trio, p *paced){
		"hangs":     func(_ *trio, p *paced) { p.takes.Store(int64(time.Hour)) },
		"fails":     func(w *trio, _ *paced) { w.gates[0].set(true) },
		"gets slow": func(_ *trio, p *paced) { p.takes.Store(int64(20 * time.Millisecond)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTrio()
				all := pace(w, time.Millisecond, 5*time.Millisecond, time.Millisecond)
				q := w.claim(t, Options{NewGroup: true})
				for n := range uint64(50) {
					w.put(t, q, 1, 2+n, "holder")
				}
				break1(w, all[0])
				var took []time.Duration
				for n := range uint64(50) {
					began := time.Now()
					w.put(t, q, 1, 52+n, "holder")
					took = append(took, time.Since(began))
				}
				slices.Sort(took)
				if longest := took[len(took)-1]; longest > thirdLag+11*time.Millisecond {
					t.Errorf("a change took %v", longest)
				}
				if median := took[len(took)/2]; median > 6*time.Millisecond {
					t.Errorf("most changes took %v", median)
				}
			})
		})
	}
}

// A new leader serves when two have what it writes back; the third then gets it
// without a rest.
func TestThirdJournalLagsAtTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const seats = 20 * MostBatch
		w := newTrio()
		old := w.claim(t, Options{NewGroup: true})
		for first := uint32(1); first <= seats; first += MostBatch / 2 {
			var records []Record
			for i := range uint32(MostBatch / 2) {
				records = append(records, Record{Key: Key{anyProduct, first + i}, N: 2, Holder: []byte("holder")})
			}
			if _, err := old.Append(records, nil); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		old.Close()
		all := pace(w, 10*time.Millisecond, 20*time.Millisecond, 10*time.Millisecond)
		began := time.Now()
		q, err := Claim(t.Context(), w.backends, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		if took := time.Since(began); took > 300*time.Millisecond {
			t.Errorf("the claim took %v", took)
		}
		if n := all[1].writes.Load(); n > 2 {
			t.Errorf("the third was asked %d times meanwhile", n)
		}
		time.Sleep(patientWriting*thirdLag + 22*20*time.Millisecond)
		for i := range w.disks {
			s, err := w.disks[i].State(t.Context())
			if err != nil || s.Base != q.Epoch() {
				t.Errorf("journal %d is complete up to %d, %v", i, s.Base, err)
			}
		}
	})
}
