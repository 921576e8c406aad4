package tmr_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/tmr"
)

const hour = time.Hour

// settled waits until each backend has told its clock.
func settled() {
	time.Sleep(150 * time.Millisecond) // of the bubble: a beat, and some
	synctest.Wait()
}

func (l *lab) clocks(skews ...time.Duration) {
	for i, s := range skews {
		l.containers[i].SetClock(s, false)
	}
}

func momentIs(t *testing.T, what string, g *tmr.Group, skew time.Duration, setBack bool) {
	t.Helper()
	m := g.Moment()
	if off := time.Until(m.At) - skew; off < -2*time.Millisecond || off > time.Millisecond || m.SetBack != setBack {
		t.Errorf("%s: %s off, set back %v, instead of %v, %v", what, time.Until(m.At), m.SetBack, skew, setBack)
	}
}

func TestMomentIsTheSecondHighest(t *testing.T) {
	for name, c := range map[string]struct {
		skews [3]time.Duration
		down  int
		want  time.Duration
	}{
		"all right":                 {[3]time.Duration{0, 0, 0}, -1, 0},
		"one ahead":                 {[3]time.Duration{0, 900 * hour, 0}, -1, 0},
		"one behind":                {[3]time.Duration{-900 * hour, 0, 0}, -1, 0},
		"one ahead, one behind":     {[3]time.Duration{-900 * hour, 0, 900 * hour}, -1, 0},
		"two ahead":                 {[3]time.Duration{5 * hour, 7 * hour, 0}, -1, 5 * hour},
		"one ahead, one missing":    {[3]time.Duration{0, 900 * hour, 0}, 0, 0},
		"the one behind is missing": {[3]time.Duration{-900 * hour, 1 * hour, 0}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *lab) {
				l.clocks(c.skews[:]...)
				if c.down >= 0 {
					g, err := tmr.NewGroup(l.conf)
					if err != nil {
						t.Fatal(err)
					}
					l.group = g
					l.kill(c.down)
					if err := g.Start(t.Context()); err != nil {
						t.Fatal(err)
					}
					l.await(func(v license.View) bool { return v.PresentCount() == 2 })
				} else {
					l.run()
				}
				synctest.Wait()
				momentIs(t, "at once", l.group, c.want, false)
				time.Sleep(70 * time.Millisecond) // of the bubble: between two beats
				momentIs(t, "carried on", l.group, c.want, false)
			})
		})
	}
}

func TestMomentSetBack(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		g := l.run()
		settled()
		// One that was set back counts no more: the other two do.
		l.containers[0].SetClock(500*hour, true)
		settled()
		momentIs(t, "one", g, 0, false)
		// With two of them nothing is sure; the second highest of what was seen is told.
		l.containers[1].SetClock(300*hour, true)
		settled()
		momentIs(t, "two", g, 300*hour, true)
		if at := g.Moment().Certified; !at.IsZero() {
			t.Errorf("certified at %v", at)
		}
		// Certificates set it right, although that lowers it.
		now := time.Now()
		if err := g.Certify(t.Context(), [][]byte{l.containers[0].Certificate(now), l.containers[1].Certificate(now)}); err != nil {
			t.Fatal(err)
		}
		settled()
		momentIs(t, "certified", g, 0, false)
		if at := g.Moment().Certified; !at.Equal(now) {
			t.Errorf("certified at %v instead of %v", at, now)
		}
	})
}

// The time never goes back as backends come and go, nor before the first and
// after the last one is there.
func TestMomentNeverGoesBack(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		idle, err := tmr.NewGroup(l.conf)
		if err != nil {
			t.Fatal(err)
		}
		if m := idle.Moment(); !m.At.IsZero() || !m.SetBack {
			t.Errorf("with nobody there: %+v", m)
		}
		idle.Stop()
		l.clocks(0, 5*hour, 7*hour)
		g := l.run()
		synctest.Wait()
		momentIs(t, "all", g, 5*hour, false)
		at := g.Moment().At
		l.kill(1)
		l.await(func(v license.View) bool { return v.PresentCount() == 2 })
		if m := g.Moment(); !m.At.Equal(at) || m.SetBack {
			t.Errorf("%v became %+v", at, m)
		}
		l.kill(2)
		l.await(func(v license.View) bool { return v.PresentCount() == 1 })
		if m := g.Moment(); !m.At.Equal(at) || !m.SetBack {
			t.Errorf("%v became %+v", at, m)
		}
		if all := g.TimeNonces(); len(all) != 1 || all[0].Serial != serials[0] {
			t.Errorf("nonces %v", all)
		}
		l.start(1)
		l.await(func(v license.View) bool { return v.PresentCount() == 2 })
		settled()
		if m := g.Moment(); !m.At.Equal(at) || m.SetBack {
			t.Errorf("%v became %+v", at, m)
		}
		// A certificate alone lowers it, also of one that was ahead.
		if err := g.Certify(t.Context(), [][]byte{l.containers[1].Certificate(time.Now())}); err != nil {
			t.Fatal(err)
		}
		settled()
		momentIs(t, "certified", g, 0, false)
	})
}

func TestTimeNoncesAndCertify(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		g := l.run()
		settled()
		all := g.TimeNonces()
		if len(all) != 3 {
			t.Fatalf("%d nonces", len(all))
		}
		for i, n := range all {
			if n.Serial != serials[i] || n.Nonce != l.containers[i].TimeNonce() {
				t.Errorf("nonce %d: %v", i+1, n)
			}
		}
		now := time.Now()
		one, two, three := l.containers[0].Certificate(now), l.containers[1].Certificate(now), l.containers[2].Certificate(now)
		// In any order, the foreign one beside them.
		err := g.Certify(t.Context(), [][]byte{three, []byte("130-9 of another group"), one})
		coded(t, "a foreign one", err, license.CodeTimeForged)
		err = g.Certify(t.Context(), [][]byte{three})
		coded(t, "used before", err, license.CodeTimeStale)
		for i, want := range []bool{true, false, true} {
			if at := l.containers[i].Moment().Certified; at.IsZero() == want {
				t.Errorf("backend %d is certified at %v", i+1, at)
			}
		}
		settled()
		if fresh := g.TimeNonces(); fresh[0].Nonce == all[0].Nonce || fresh[1].Nonce != all[1].Nonce {
			t.Error("the nonce after a certificate is told")
		}
		l.kill(1)
		l.await(func(v license.View) bool { return v.PresentCount() == 2 })
		coded(t, "of one that is absent", g.Certify(t.Context(), [][]byte{two}), license.CodeBackendAbsent)
		if err := g.Certify(t.Context(), nil); err != nil {
			t.Error(err)
		}
	})
}

// A backend whose container is slow beats on, and its clock goes on.
func TestMomentWhileAContainerIsSlow(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		g := l.run()
		settled()
		gate := make(chan struct{})
		for i := range l.containers {
			l.containers[i].Fault(func(call string, _ bool) error {
				if call == "TimeNonce" {
					<-gate
				}
				return nil
			})
		}
		time.Sleep(5 * time.Second) // of the bubble
		if n := g.View().PresentCount(); n != 3 {
			t.Errorf("%d present", n)
		}
		momentIs(t, "while it is slow", g, 0, false)
		close(gate)
		settled()
		momentIs(t, "after", g, 0, false)
	})
}

func coded(t *testing.T, what string, err error, want license.Code) {
	t.Helper()
	if license.CodeOf(err) != want {
		t.Errorf("%s: %v instead of %q", what, err, want)
	}
}
