package meters_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/tmr/meters"
)

// client takes units, and repeats what got no answer for a while.
func (w *world) client(c int) {
	for k := range each {
		id, n := fmt.Sprintf("request-%d/%d", c, k), uint64(1+w.number(5))
		tries := 1 + w.number(8)
		for try := range tries {
			l := w.anyone()
			w.mu.Lock()
			w.asked[asking{id, 0}], w.asked[asking{id, l.epoch}] = n, n
			w.mu.Unlock()
			ctx, cancel := context.WithTimeout(l.life, time.Duration(100+w.number(6000))*time.Millisecond)
			left, err := l.meters.Take(ctx, l.epoch, product, 1, granted, id, n)
			cancel()
			if l.life.Err() != nil {
				err = errLost // nobody heard the answer of a killed leader
			}
			switch license.CodeOf(err) {
			case "":
				w.answered(id, ack{n, left, time.Now()})
			case license.CodeNoUnits:
				w.refused(n)
			case license.CodeFenced:
				w.count(&w.seen.fenced)
			default:
				w.count(&w.seen.unsure)
			}
			if code := license.CodeOf(err); code == license.CodeNoUnits || (code == "" && !w.chance(30)) {
				break
			}
			if try < tries-1 {
				time.Sleep(time.Duration(w.number(800)) * time.Millisecond)
			}
		}
	}
}

func (w *world) answered(id string, a ack) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before, again := w.acked[id]
	if again {
		w.seen.repeats++
		a.at = before.at
		if before != a && w.wrong == "" {
			w.wrong = fmt.Sprintf("%s was answered %+v and again %+v", id, before, a)
		}
	}
	w.acked[id] = a
	w.seen.acked++
}

// refused looks whether so many can have been asked for that nothing is left.
func (w *world) refused(n uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen.noUnits++
	var most uint64
	for a, n := range w.asked {
		if a.epoch == 0 {
			most += n
		}
	}
	if most <= granted && w.wrong == "" {
		w.wrong = fmt.Sprintf("%d units were refused, and only %d of %d were ever asked for", n, most, granted)
	}
}

// reader asks for what was taken: it never shows less than was answered for
// when the answer was last confirmed.
func (w *world) reader(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(1+w.number(700)) * time.Millisecond):
		}
		l, since := w.anyone(), time.Now().Add(-meters.Freshness)
		w.mu.Lock()
		var sum uint64
		for _, a := range w.acked {
			if a.at.Before(since) {
				sum += a.n
			}
		}
		w.mu.Unlock()
		ctx, cancel := context.WithTimeout(l.life, 5*time.Second)
		units, err := l.meters.Use(ctx, l.epoch, product, 1)
		cancel()
		if err == nil {
			w.count(&w.seen.reads)
			if units < sum {
				w.contradiction("a leader says %d units are taken, and %d were answered for before", units, sum)
			}
		}
	}
}

// trouble changes leaders, backends and the network.
func (w *world) trouble(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(100+w.number(1500)) * time.Millisecond):
		}
		i := w.number(license.Backends)
		switch w.number(8) {
		case 0, 1: // a new leader beside the old one
			w.lead()
		case 2: // the leader is killed between any two of its writes
			w.anyone().kill()
			w.lead()
		case 3, 4:
			w.mu.Lock()
			w.down = [license.Backends]bool{}
			w.down[i] = true
			w.mu.Unlock()
		case 5:
			w.mu.Lock()
			w.down = [license.Backends]bool{}
			w.mu.Unlock()
			for _, l := range w.all() {
				for i := range license.Backends {
					l.meters.Back(i)
				}
			}
		case 6:
			l := w.anyone()
			w.mu.Lock()
			l.cut[i] = !l.cut[i]
			w.mu.Unlock()
		case 7:
			w.anyone().meters.Back(i)
		}
	}
}

func (w *world) all() []*leader {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]*leader(nil), w.leaders...)
}

func (l *leader) kill() {
	l.world.mu.Lock()
	l.dead = true
	l.world.mu.Unlock()
	l.end()
}

// verdict has a last leader count up, with all backends there.
func (w *world) verdict() {
	w.mu.Lock()
	w.calm, w.down = true, [license.Backends]bool{}
	w.mu.Unlock()
	l := w.lead()
	if w.v.sameEpoch {
		l.epoch = 1 << 20
	}
	units, err := l.meters.Use(context.Background(), l.epoch, product, 1)
	if err != nil {
		w.contradiction("the last leader can't read: %v", err)
		return
	}
	time.Sleep(10 * time.Second) // of the bubble: what is late has come
	var sum uint64
	for id, a := range w.acked {
		sum += a.n
		left, err := l.meters.Take(context.Background(), l.epoch, product, 1, granted, id, a.n)
		if err != nil || left != a.left {
			w.contradiction("%s took %d with %d left, and is answered %d, %v now", id, a.n, a.left, left, err)
		}
	}
	switch again, err := l.meters.Use(context.Background(), l.epoch, product, 1); {
	case err != nil || again != units:
		w.contradiction("%d units became %d by repeating, %v", units, again, err)
	case sum > granted || units > granted:
		w.contradiction("%d units were answered for, %d counted, of %d", sum, units, granted)
	case sum > units:
		w.contradiction("%d units were answered for, and %d are counted", sum, units)
	}
	// Each taking is in the meter once, since there are fewer than it keeps.
	for _, d := range w.disks {
		d.mu.Lock()
		m := d.meter
		d.mu.Unlock()
		if m.Epoch != l.epoch {
			continue
		}
		once, total := map[string]bool{}, uint64(0)
		for _, t := range m.Recent {
			if once[t.Request] || w.asked[asking{t.Request, 0}] != t.Units {
				w.contradiction("%s is counted twice, or with other units", t.Request)
			}
			once[t.Request] = true
			total += t.Units
		}
		if total != m.Units {
			w.contradiction("the takings make %d units, and the meter says %d", total, m.Units)
		}
	}
}

// play runs one world to its end and gives the first contradiction.
func play(t *testing.T, v variant, seed uint64) (wrong string, seen counters) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			v: v, rand: rand.New(rand.NewPCG(seed, 1)),
			acked: make(map[string]ack), asked: make(map[asking]uint64),
		}
		for i := range w.disks {
			w.disks[i] = &disk{}
		}
		w.lead()
		stop := make(chan struct{})
		var actors, others sync.WaitGroup
		for c := range clients {
			actors.Go(func() { w.client(c) })
		}
		others.Go(func() { w.trouble(stop) })
		others.Go(func() { w.reader(stop) })
		actors.Wait()
		close(stop)
		others.Wait()
		w.verdict()
		for _, l := range w.all() {
			l.meters.Close()
			l.end()
		}
		w.network.Wait()
		wrong, seen = w.wrong, w.seen
	})
	return wrong, seen
}

// runs is how many worlds are tried; QUORATE_RUNS asks for more.
func runs(t *testing.T, n int) uint64 {
	if s := os.Getenv("QUORATE_RUNS"); s != "" {
		v, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		n *= v
	}
	if testing.Short() {
		n /= 10
	}
	return uint64(n)
}

func TestUnitsAreCountedOnce(t *testing.T) {
	var all counters
	for seed := range runs(t, 300) {
		wrong, seen := play(t, variant{}, seed)
		all.add(seen)
		if wrong != "" {
			t.Fatalf("seed %d: %s", seed, wrong)
		}
	}
	t.Logf("%+v", all)
	for name, n := range map[string]int{
		"acked": all.acked, "late": all.late, "rivals": all.rivals, "fenced": all.fenced,
		"repeats": all.repeats, "no units": all.noUnits, "unsure": all.unsure, "reads": all.reads,
	} {
		if n < int(all.runs)/2 {
			t.Errorf("%s: seen %d times in %d runs: the worlds don't show it", name, n, all.runs)
		}
	}
}

// Each rule is needed: without it units are counted wrong.
func TestBrokenVariantsAreCaught(t *testing.T) {
	for name, v := range map[string]variant{
		"no promise":        {noPromise: true},
		"answer after one":  {oneWrite: true},
		"no write-back":     {noWriteBack: true},
		"one is read":       {staleRead: true},
		"an epoch twice":    {sameEpoch: true},
		"no recent takings": {forgetful: true},
		"fewer units taken": {lowered: true},
		"not confirmed":     {unconfirmed: true},
	} {
		t.Run(name, func(t *testing.T) {
			const most = 20_000
			for seed := range uint64(most) {
				if wrong, _ := play(t, v, seed); wrong != "" {
					t.Logf("run %d: %s", seed+1, wrong)
					return
				}
			}
			t.Errorf("not caught in %d runs", most)
		})
	}
}
