package container

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/seal"
)

// TestUsageWhileClockRanAhead: who first uses a license while the clock runs
// ahead, and has the time certified then, has as much of the usage period left as
// before, not all the years between as well.
func TestUsageWhileClockRanAhead(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"days": 6 * 24 * time.Hour, "years": 3650 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			k := newClocked(t)
			g := k.grant(chart, 5, 0, nil)
			g.License.Options.UsagePeriod = 72 * time.Hour
			install(t, k.Container, k.next(t, k.to, seal.Payload{Set: []seal.Grant{g}}))
			left := func() time.Duration {
				_, held := k.Licenses()
				m := k.Moment()
				return held[0].Standing(k.Use(chart), m).Until.Sub(m.At)
			}
			k.set(ahead)
			ok(t, k.Started(chart))
			k.pass(10 * time.Hour)
			if d := left(); d != 62*time.Hour {
				t.Fatalf("%s are left", d)
			}
			nonce := k.fingerprint(t).TimeNonce
			k.set(-ahead)
			ok(t, k.Certify(k.certificate(t, nonce, k.shows())))
			if d := left(); d != 62*time.Hour {
				t.Fatalf("%s are left once the clock is right", d)
			}
			k.crash(t)
			k.pass(time.Hour)
			if d := left(); d != 61*time.Hour {
				t.Fatalf("%s are left an hour later", d)
			}
			// One that is right stays as it is.
			first := k.Use(chart).First
			k.set(ahead)
			k.Moment()
			nonce = k.fingerprint(t).TimeNonce
			k.set(-ahead)
			ok(t, k.Certify(k.certificate(t, nonce, k.shows())))
			if u := k.Use(chart); !u.First.Equal(first) {
				t.Fatalf("the first use moved from %s to %s", first, u.First)
			}
		})
	}
}

// TestManySessions: who ends the server time and again, and sets the clock back
// to the time that it remembers, has most of it counted all the same.
func TestManySessions(t *testing.T) {
	for name, end := range map[string]func(*clocked, *testing.T){
		"closed": func(k *clocked, t *testing.T) { ok(t, k.Close()) },
		"killed": func(k *clocked, t *testing.T) { k.crash(t); ok(t, k.Close()) },
	} {
		for _, session := range []time.Duration{2 * time.Second, 5 * time.Second, 59 * time.Second, 7 * time.Minute} {
			t.Run(name+" "+session.String(), func(t *testing.T) {
				k := newClocked(t)
				k.noSync, k.db.NoSync = true, true
				start, used := k.Moment().At, time.Duration(0)
				for range 20 {
					for range session / (100 * time.Millisecond) {
						k.pass(100 * time.Millisecond)
						if k.Moment().SetBack {
							t.Fatal("the clock is set back")
						}
					}
					used += session
					end(k, t)
					k.set(start.Sub(k.shows()))
					k.open(t)
					k.set(k.Moment().At.Sub(k.shows()))
				}
				if counted := k.Moment().At.Sub(start); counted < used*7/10 {
					t.Fatalf("%s were used, and %s counted", used, counted)
				}
			})
		}
	}
}
