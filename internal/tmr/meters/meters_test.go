package meters_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/tmr/meters"
)

func id(s string) string { return "request-" + s }

// take takes for issue 1 under epoch 5, with 100 units granted.
func take(t *testing.T, m *meters.Meters, request string, n, left uint64) {
	t.Helper()
	if got, err := m.Take(t.Context(), 5, product, 1, 100, id(request), n); err != nil || got != left {
		t.Errorf("%s of %d: %d left, %v, instead of %d", request, n, got, err, left)
	}
	synctest.Wait() // the third backend's, too
}

func used(t *testing.T, m *meters.Meters, epoch uint64, issue uint32, want uint64) {
	t.Helper()
	if got, err := m.Use(t.Context(), epoch, product, issue); err != nil || got != want {
		t.Errorf("%d used, %v, instead of %d", got, err, want)
	}
	synctest.Wait()
}

func TestTaking(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		m := k.meters()
		used(t, m, 5, 1, 0)
		take(t, m, "a", 30, 70)
		take(t, m, "b", 50, 20)
		take(t, m, "a", 30, 70) // the same answer, and nothing taken
		used(t, m, 5, 1, 80)
		_, err := m.Take(t.Context(), 5, product, 1, 100, id("a"), 31)
		coded(t, "another number", err, license.CodeRequestMismatch)
		_, err = m.Take(t.Context(), 5, product, 1, 100, id("c"), 21)
		coded(t, "too many", err, license.CodeNoUnits)
		if !strings.Contains(err.Error(), "20 units left") {
			t.Errorf("it doesn't tell what is left: %v", err)
		}
		used(t, m, 5, 1, 80)
		take(t, m, "c", 20, 0) // a refused request is free
		_, err = m.Take(t.Context(), 5, product, 1, 100, id("d"), 1)
		coded(t, "all used up", err, license.CodeNoUnits)
		if got, err := m.Take(t.Context(), 5, product, 1, 110, id("d"), 1); err != nil || got != 9 {
			t.Errorf("with more granted: %d, %v", got, err)
		}
		_, err = m.Take(t.Context(), 5, product, 1, 50, id("e"), 1)
		coded(t, "with fewer granted than taken", err, license.CodeNoUnits)
		if got, err := m.Take(t.Context(), 5, product, 1, 50, id("a"), 30); err != nil || got != 20 {
			t.Errorf("repeated with fewer granted: %d, %v", got, err)
		}
		used(t, m, 5, 2, 0) // a higher issue starts at zero
		if got, err := m.Take(t.Context(), 5, product, 2, 7, id("a"), 3); err != nil || got != 4 {
			t.Errorf("under another issue: %d, %v", got, err)
		}
		synctest.Wait()
		for i, s := range k.stores {
			if s.units(1) != 101 || s.units(2) != 3 {
				t.Errorf("backend %d has %d and %d", i+1, s.units(1), s.units(2))
			}
		}
	})
}

func TestInput(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		m := k.meters()
		for name, c := range map[string]struct {
			epoch   uint64
			request string
			n       uint64
		}{
			"no id":        {5, "", 1},
			"a short id":   {5, "1234567", 1},
			"a blank":      {5, "1234 5678", 1},
			"no ASCII":     {5, "12345678é", 1},
			"a long id":    {5, strings.Repeat("x", meters.MostRequest+1), 1},
			"no UTF-8":     {5, "\xff", 1},
			"nothing":      {5, id("a"), 0},
			"out of range": {5, id("a"), license.MostUnits + 1},
			"no epoch":     {0, id("a"), 1},
			"all epochs":   {1<<64 - 1, id("a"), 1},
		} {
			_, err := m.Take(t.Context(), c.epoch, product, 1, 100, c.request, c.n)
			coded(t, name, err, license.CodeInvalidInput)
		}
		if got, err := m.Take(t.Context(), 5, product, 1, 1<<64-1, strings.Repeat("x", meters.MostRequest), license.MostUnits); err != nil || got != 0 {
			t.Errorf("the most there can be: %d, %v", got, err)
		}
		if promises, _ := k.stores[0].counts(); promises != 1 {
			t.Errorf("asked %d times", promises)
		}
	})
}

// A new leader goes on where the last one was, and knows its requests.
func TestTakeover(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		old, young := k.meters(), k.meters()
		take(t, old, "a", 30, 70)
		k.stores[0].fail(absent)
		take(t, old, "b", 10, 60)
		k.stores[0].fail(nil)
		k.stores[1].fail(absent)
		if got, err := young.Take(t.Context(), 6, product, 1, 100, id("b"), 10); err != nil || got != 60 {
			t.Errorf("repeated at the new leader: %d, %v", got, err)
		}
		if k.stores[0].units(1) != 40 {
			t.Errorf("what was read is not written back: %d", k.stores[0].units(1))
		}
		k.stores[1].fail(nil)
		_, err := old.Take(t.Context(), 5, product, 1, 100, id("c"), 1)
		coded(t, "the old leader", err, license.CodeFenced)
		_, err = old.Use(t.Context(), 5, product, 1)
		coded(t, "the old leader, asked", err, license.CodeFenced)
		_, err = old.Use(t.Context(), 5, product, 2)
		coded(t, "it is deposed for every meter", err, license.CodeFenced)
		if got, err := old.Take(t.Context(), 7, product, 1, 100, id("c"), 1); err != nil || got != 59 {
			t.Errorf("leading again: %d, %v", got, err)
		}
		_, err = old.Take(t.Context(), 5, product, 1, 100, id("d"), 1)
		coded(t, "under an epoch of before", err, license.CodeFenced)
	})
}

// An epoch that somebody else wrote under is nobody's.
func TestEpochOfAnother(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		take(t, k.meters(), "a", 30, 70)
		_, err := k.meters().Use(t.Context(), 5, product, 1)
		coded(t, "the same epoch", err, license.CodeFenced)
	})
}

func TestOneRefusalDeposesNobodyThatTwoConfirm(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		m := k.meters()
		take(t, m, "a", 1, 99)
		if _, _, err := k.stores[2].Promise(t.Context(), 9, product, 1); err != nil {
			t.Fatal(err)
		}
		take(t, m, "b", 1, 98)
		k.stores[0].fail(absent)
		_, err := m.Take(t.Context(), 5, product, 1, 100, id("c"), 1)
		coded(t, "one confirms, one refuses", err, license.CodeFenced)
		k.stores[0].fail(nil)
		_, err = m.Take(t.Context(), 5, product, 1, 100, id("d"), 1)
		coded(t, "for good", err, license.CodeFenced)
	})
}

func TestMajority(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		m := k.meters()
		k.stores[0].fail(absent)
		k.stores[1].fail(absent)
		_, err := m.Take(t.Context(), 5, product, 1, 100, id("a"), 1)
		coded(t, "one is there", err, license.CodeNoMajority)
		if k.stores[2].units(1) != 0 {
			t.Error("it was written before two had promised")
		}
		k.stores[1].fail(nil)
		take(t, m, "a", 1, 99)
		// In doubt: it is counted, and repeated it is answered without taking again.
		k.stores[1].fail(absent)
		_, err = m.Take(t.Context(), 5, product, 1, 100, id("b"), 10)
		coded(t, "one has it", err, license.CodeNoMajority)
		_, err = m.Take(t.Context(), 5, product, 1, 100, id("c"), 20)
		coded(t, "one is there still", err, license.CodeNoMajority)
		k.stores[1].fail(nil)
		take(t, m, "b", 10, 89)
		take(t, m, "c", 20, 69)
		used(t, m, 5, 1, 31)
		if k.stores[1].units(1) != 31 {
			t.Errorf("backend 2 has %d", k.stores[1].units(1))
		}
	})
}

// Two answers are enough; the slow one holds up nobody and gets the newest in
// the end.
func TestSlowBackend(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		m := k.meters()
		used(t, m, 5, 1, 0)
		k.stores[1].fail(silent)
		began := time.Now()
		for i := range 20 {
			take(t, m, fmt.Sprint(i), 1, uint64(99-i))
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
		k.stores[1].fail(nil)
		time.Sleep(2 * meters.CallTime) // of the bubble
		synctest.Wait()
		if _, writes := k.stores[1].counts(); writes != 2 || k.stores[1].units(1) != 20 {
			t.Errorf("%d writes brought %d", writes, k.stores[1].units(1))
		}
	})
}

// A backend that is there but slow to promise is waited for at the first read of
// an epoch alone: confirmations and reads after a doubt go on without it.
func TestBackendSlowToPromise(t *testing.T) {
	for slow := range license.Backends {
		bubble(t, func(t *testing.T, k *kit) {
			m := k.meters()
			take(t, m, "a", 1, 99)
			k.stores[slow].fail(silent)
			for range 5 {
				time.Sleep(meters.Freshness) // of the bubble
				began := time.Now()
				used(t, m, 5, 1, 1)
				used(t, m, 5, 1, 1)
				if took := time.Since(began); took != 0 {
					t.Errorf("backend %d slow: Use took %v", slow+1, took)
				}
			}
			other := (slow + 1) % license.Backends
			k.stores[other].fail(func(_ context.Context, call string) error {
				if call == "write" {
					return absent(t.Context(), call)
				}
				return nil
			})
			_, err := m.Take(t.Context(), 5, product, 1, 100, id("b"), 1)
			coded(t, "in doubt", err, license.CodeNoMajority)
			k.stores[other].fail(nil)
			began := time.Now()
			take(t, m, "b", 1, 98)
			if took := time.Since(began); took != 0 {
				t.Errorf("backend %d slow: a taking after a doubt took %v", slow+1, took)
			}
			began = time.Now()
			if units, err := k.meters().Use(t.Context(), 6, product, 1); err != nil || units != 2 {
				t.Errorf("the next leader: %d, %v", units, err)
			}
			if took := time.Since(began); took != meters.CallTime {
				t.Errorf("the next leader has waited %v for what it reads first", took)
			}
		})
	}
}

func TestBackendThatComesBackIsBroughtUpToDate(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		m := k.meters()
		k.stores[2].fail(absent)
		take(t, m, "a", 1, 99)
		take(t, m, "b", 1, 98)
		m.Back(2)
		synctest.Wait()
		k.stores[2].fail(nil)
		m.Back(2)
		synctest.Wait()
		if k.stores[2].units(1) != 2 {
			t.Errorf("it has %d", k.stores[2].units(1))
		}
		_, before := k.stores[2].counts()
		m.Back(2)
		synctest.Wait()
		if _, writes := k.stores[2].counts(); writes != before {
			t.Error("it had it already")
		}
		// What is in doubt is not spread.
		k.stores[0].fail(absent)
		k.stores[1].fail(absent)
		_, err := m.Take(t.Context(), 5, product, 1, 100, id("c"), 1)
		coded(t, "one is there", err, license.CodeNoMajority)
		k.stores[0].fail(nil)
		m.Back(0)
		synctest.Wait()
		if k.stores[0].units(1) != 2 {
			t.Errorf("backend 1 has %d", k.stores[0].units(1))
		}
	})
}

// Use answers from memory, but not for longer than Freshness.
func TestUseIsConfirmed(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		m := k.meters()
		take(t, m, "a", 1, 99)
		promises, writes := k.stores[0].counts()
		time.Sleep(meters.Freshness - 1) // of the bubble
		used(t, m, 5, 1, 1)
		if p, _ := k.stores[0].counts(); p != promises {
			t.Error("it was asked for in time")
		}
		time.Sleep(time.Nanosecond)
		used(t, m, 5, 1, 1)
		if p, w := k.stores[0].counts(); p != promises+1 || w != writes {
			t.Errorf("%d promises, %d writes more", p-promises, w-writes)
		}
		time.Sleep(meters.Freshness)
		k.stores[0].fail(absent)
		k.stores[1].fail(absent)
		_, err := m.Use(t.Context(), 5, product, 1)
		coded(t, "not confirmed", err, license.CodeNoMajority)
		k.stores[0].fail(nil)
		k.stores[1].fail(nil)
		if _, err := k.meters().Take(t.Context(), 6, product, 1, 100, id("b"), 1); err != nil {
			t.Fatal(err)
		}
		_, err = m.Use(t.Context(), 5, product, 1)
		coded(t, "deposed", err, license.CodeFenced)
	})
}

// Takings of one product that wait are written together; another product's
// don't wait for them.
func TestBatches(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		m := k.meters()
		used(t, m, 5, 1, 0)
		_, before := k.stores[0].counts()
		gate := make(chan struct{})
		for _, s := range k.stores {
			s.fail(func(_ context.Context, call string) error {
				if call == "write" {
					<-gate
				}
				return nil
			})
		}
		var running sync.WaitGroup
		lefts := make([]uint64, 60)
		for i := range lefts {
			running.Go(func() {
				left, err := m.Take(t.Context(), 5, product, 1, 100, id(fmt.Sprint(i)), 1)
				if err != nil {
					t.Error(err)
				}
				lefts[i] = left
			})
		}
		synctest.Wait()
		// One that is given up before its turn takes nothing.
		ctx, cancel := context.WithCancel(t.Context())
		running.Go(func() {
			_, err := m.Take(ctx, 5, product, 1, 100, id("given-up"), 40)
			coded(t, "given up", err, license.CodeUnavailable)
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		for _, s := range k.stores {
			s.fail(nil)
		}
		another := license.Product{Firm: 6000010, Code: 15}
		if left, err := m.Take(t.Context(), 5, another, 1, 5, id("a"), 1); err != nil || left != 4 {
			t.Errorf("another product: %d, %v", left, err)
		}
		close(gate)
		running.Wait()
		seen := make(map[uint64]bool)
		for _, left := range lefts {
			seen[left] = true
		}
		if len(seen) != len(lefts) {
			t.Errorf("%d different answers of %d", len(seen), len(lefts))
		}
		used(t, m, 5, 1, 60)
		if _, writes := k.stores[0].counts(); writes-before > 2+2 { // two of the other product
			t.Errorf("%d writes", writes-before)
		}
	})
}

func TestWaitingIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		m := k.meters()
		for _, s := range k.stores {
			s.fail(silent)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		for i := range 4096 + 1 {
			running.Go(func() { _, _ = m.Take(ctx, 5, product, 1, 100, id(fmt.Sprint(i)), 1) })
			if i == 0 {
				synctest.Wait() // it is at work
			}
		}
		synctest.Wait()
		_, err := m.Use(t.Context(), 5, product, 1)
		coded(t, "one too many", err, license.CodeThrottled)
		cancel()
		running.Wait()
	})
}

// A repeat takes once at the same leader for long, and at the next one among the
// last takings.
func TestRepeats(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		m := k.meters()
		const all = 1000
		taking := func(m *meters.Meters, epoch uint64, i int) {
			t.Helper()
			if left, err := m.Take(t.Context(), epoch, product, 1, all, id(fmt.Sprint(i)), 1); err != nil || left != uint64(all-1-i) {
				t.Fatalf("%d: %d, %v", i, left, err)
			}
		}
		for i := range all {
			taking(m, 5, i)
		}
		for i := range all {
			taking(m, 5, i)
		}
		next := k.meters()
		for i := all - license.MostRecent; i < all; i++ {
			taking(next, 6, i)
		}
		used(t, next, 6, 1, all)
	})
}

func TestClose(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		m := k.meters()
		for _, s := range k.stores {
			s.fail(silent)
		}
		failed := make(chan error, 2)
		for i := range 2 {
			go func() {
				_, err := m.Take(t.Context(), 5, product, 1, 100, id(fmt.Sprint(i)), 1)
				failed <- err
			}()
		}
		synctest.Wait()
		m.Close()
		m.Close()
		coded(t, "one that waits", <-failed, license.CodeUnavailable)
		coded(t, "another one", <-failed, license.CodeUnavailable)
		_, err := m.Use(t.Context(), 5, product, 1)
		coded(t, "a later one", err, license.CodeUnavailable)
		m.Back(1)
	})
}

// A backend that gives another meter than was asked for doesn't count.
func TestAnotherMeter(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		for _, s := range k.stores[:2] {
			s.meters[product] = map[uint32]license.Meter{1: {Product: product, Issue: 2, Epoch: 1, Units: 5}}
		}
		_, err := k.meters().Use(t.Context(), 5, product, 1)
		coded(t, "two of them", err, license.CodeNoMajority)
	})
}
