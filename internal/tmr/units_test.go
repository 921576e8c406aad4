package tmr_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/tmr"
)

// rival starts another TMR server's group on the same backends.
func (l *lab) rival() *tmr.Group {
	l.t.Helper()
	g, err := tmr.NewGroup(l.conf)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := g.Start(context.Background()); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(g.Stop)
	time.Sleep(time.Second) // of the bubble
	return g
}

func takes(t *testing.T, g *tmr.Group, epoch uint64, request string, n, left uint64) {
	t.Helper()
	if got, err := g.TakeUnits(t.Context(), epoch, product, 1, 100, request, n); err != nil || got != left {
		t.Errorf("%s: %d left, %v, instead of %d", request, got, err, left)
	}
	synctest.Wait()
}

func TestUnitsThroughALifetime(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		g := l.run()
		takes(t, g, 5, "request-1", 10, 90)
		if u, err := g.Use(t.Context(), 5, product, 1); err != nil || u.Units != 10 || !u.First.IsZero() {
			t.Errorf("use %+v, %v", u, err)
		}
		// A backend is away for two takings, and gets them when it is back.
		l.kill(2)
		takes(t, g, 5, "request-2", 10, 80)
		l.await(func(v license.View) bool { return v.PresentCount() == 2 })
		takes(t, g, 5, "request-3", 10, 70)
		l.start(2)
		l.await(func(v license.View) bool { return v.PresentCount() == 3 })
		synctest.Wait()
		if m := l.containers[2].Meter(product, 1); m.Units != 30 || m.Epoch != 5 || len(m.Recent) != 3 {
			t.Errorf("what it missed isn't there: %+v", m)
		}
		// Another server takes over, with another backend away.
		l.kill(0)
		l.await(func(v license.View) bool { return v.PresentCount() == 2 })
		young := l.rival()
		takes(t, young, 6, "request-3", 10, 70)
		takes(t, young, 6, "request-4", 10, 60)
		_, err := g.TakeUnits(t.Context(), 5, product, 1, 100, "request-5", 1)
		coded(t, "the old leader", err, license.CodeFenced)
		_, err = g.Use(t.Context(), 5, product, 1)
		coded(t, "the old leader", err, license.CodeFenced)
		// It leads again.
		l.start(0)
		l.await(func(v license.View) bool { return v.PresentCount() == 3 })
		takes(t, g, 7, "request-4", 10, 60)
		_, err = g.TakeUnits(t.Context(), 7, product, 1, 100, "request-6", 61)
		coded(t, "too many", err, license.CodeNoUnits)
		// An update grants units anew: the first backend that has it counts from zero.
		for i := range l.containers {
			if left, err := g.TakeUnits(t.Context(), 7, product, 2, 50, fmt.Sprintf("anew-request-%d", i), 10); err != nil || left != uint64(40-10*i) {
				t.Errorf("under the next issue: %d, %v", left, err)
			}
		}
	})
}

func TestUnitsNeedTwoBackends(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		g := l.run()
		takes(t, g, 5, "request-1", 10, 90)
		l.kill(0)
		l.kill(1)
		l.await(func(v license.View) bool { return v.PresentCount() == 1 })
		_, err := g.TakeUnits(t.Context(), 5, product, 1, 100, "request-2", 10)
		coded(t, "one is there", err, license.CodeNoMajority)
		l.start(0)
		l.await(func(v license.View) bool { return v.PresentCount() == 2 })
		takes(t, g, 5, "request-2", 10, 80)
		g.Stop()
		_, err = g.TakeUnits(t.Context(), 5, product, 1, 100, "request-3", 10)
		coded(t, "stopped", err, license.CodeUnavailable)
	})
}

// An answer that got lost, or that came from a disk that failed after the write.
func TestUnitsWithLostAnswers(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		g := l.run()
		takes(t, g, 5, "request-1", 10, 90)
		for _, c := range l.containers {
			c.Fault(func(call string, done bool) error {
				if call == "WriteMeter" && done {
					return errors.New("told to fail, but persisted")
				}
				return nil
			})
		}
		_, err := g.TakeUnits(t.Context(), 5, product, 1, 100, "request-2", 10)
		coded(t, "in doubt", err, license.CodeNoMajority)
		for _, c := range l.containers {
			c.Fault(nil)
		}
		takes(t, g, 5, "request-2", 10, 80)
		takes(t, l.rival(), 6, "request-2", 10, 80)
	})
}

// While a backend dies takings go on, with the other two.
func TestUnitsWhileABackendDies(t *testing.T) {
	for name, die := range map[string]func(l *lab){
		"silent":  func(l *lab) { l.network.Cut(addr(1)) },
		"crashed": func(l *lab) { l.kill(1) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *lab) {
				g := l.run()
				takes(t, g, 5, "request-0", 1, 99)
				die(l)
				began := time.Now()
				var running sync.WaitGroup
				for i := range 30 {
					running.Go(func() {
						if _, err := g.TakeUnits(t.Context(), 5, product, 1, 100, fmt.Sprintf("at-once-%d", i), 1); err != nil {
							t.Error(err)
						}
					})
				}
				running.Wait()
				if took := time.Since(began); took > 50*time.Millisecond {
					t.Errorf("it took %v", took)
				}
				// A new leader reads two while the third is silent.
				began = time.Now()
				if u, err := l.rival().Use(t.Context(), 6, product, 1); err != nil || u.Units != 31 {
					t.Errorf("%+v, %v", u, err)
				}
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("taking over took %v", took)
				}
			})
		})
	}
}
