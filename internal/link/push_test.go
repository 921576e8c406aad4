package link_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

func TestHeartbeat(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.start()
		time.Sleep(10500 * time.Millisecond)
		l.platform.mu.Lock()
		n := len(l.platform.pushes)
		l.platform.mu.Unlock()
		if n < 10 || n > 14 {
			t.Errorf("%d pushes in 10 s", n)
		}
		p := l.platform.lastPush()
		if !p.GetLeading() || p.GetEpoch() != 7 || p.GetClients() != 12 || len(p.GetHealth()) != 3 || p.GetHealth()[1].GetPresence() != "PRESENT" {
			t.Errorf("pushed %v", p)
		}
		if err := consecutive(l.platform.viewsOf(7), 5, 5); err != nil {
			t.Errorf("views: %v", err)
		}
	})
}

func TestChangesGoUpAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.start()
		time.Sleep(1200 * time.Millisecond)
		began := time.Now()
		l.history.view()
		eventually(t, 50*time.Millisecond, "the view", func() bool { return slices.Contains(l.platform.viewsOf(7), 6) })
		l.history.event()
		eventually(t, 50*time.Millisecond, "the event", func() bool { return len(l.platform.allEvents()) == 1 })
		if took := time.Since(began); took > 50*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}

// Events of a busy time go up together, four times a second.
func TestEventsGather(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.start()
		time.Sleep(1200 * time.Millisecond)
		l.platform.mu.Lock()
		before := len(l.platform.pushes)
		l.platform.mu.Unlock()
		for range 200 {
			l.history.event()
			time.Sleep(5 * time.Millisecond)
		}
		eventually(t, 300*time.Millisecond, "all events", func() bool { return len(l.platform.allEvents()) == 200 })
		l.platform.mu.Lock()
		defer l.platform.mu.Unlock()
		if n := len(l.platform.pushes) - before; n > 8 {
			t.Errorf("%d pushes in a second", n)
		}
	})
}

// Views and events in order, none left out, none twice, through all that a
// platform may do.
func TestNothingIsLost(t *testing.T) {
	unavailable := license.Errorf(license.CodeUnavailable, "x", "told to fail")
	every := func(n int, done bool) func(*lab) {
		return func(l *lab) {
			var calls atomic.Int64
			l.platform.setFault(func(call string, d bool) error {
				if call == "Push" && d == done {
					if calls.Add(1)%int64(n) == 0 {
						return unavailable
					}
				}
				return nil
			})
		}
	}
	for name, trouble := range map[string]func(*lab){
		"no trouble":                    func(*lab) {},
		"every other push fails":        every(2, false),
		"every other answer is lost":    every(2, true),
		"every third answer is lost":    every(3, true),
		"the platform is down at first": func(l *lab) { l.platform.kill(); time.AfterFunc(time.Minute, l.platform.start) },
		"the network is silent at first": func(l *lab) {
			l.platform.network.Cut("platform:80")
			time.AfterFunc(time.Minute, func() { l.platform.network.Heal("platform:80") })
		},
		"the platform goes down and up": func(l *lab) {
			go func() {
				for range 2 {
					time.Sleep(7 * time.Second)
					l.platform.kill()
					time.Sleep(3 * time.Second)
					l.platform.start()
				}
			}()
		},
		"the network goes silent and heals": func(l *lab) {
			go func() {
				for range 2 {
					time.Sleep(7 * time.Second)
					l.platform.network.Cut("platform:80")
					time.Sleep(3 * time.Second)
					l.platform.network.Heal("platform:80")
				}
			}()
		},
		"the event store fails at times": func(l *lab) {
			var calls atomic.Int64
			events := l.conf.Events
			l.conf.Events = func(ctx context.Context, after uint64, most int) ([]lease.Event, error) {
				if calls.Add(1)%2 == 0 {
					return nil, unavailable
				}
				return events(ctx, after, most)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *lab) {
				trouble(l)
				l.start()
				const changes = 300
				for range changes {
					l.history.view()
					l.history.event()
					time.Sleep(100 * time.Millisecond)
				}
				var err error
				eventually(t, 2*time.Minute, "everything", func() bool {
					views := l.platform.viewsOf(7)
					return len(views) > 0 && views[len(views)-1] == 5+changes && len(l.platform.allEvents()) == changes
				})
				views := l.platform.viewsOf(7)
				if err = consecutive(views, views[0], 5+changes); err != nil || views[0] > 6 {
					t.Errorf("views from %d: %v", views[0], err)
				}
				if err = consecutive(l.platform.allEvents(), 1, changes); err != nil {
					t.Errorf("events: %v", err)
				}
			})
		})
	}
}

func TestPlatformThatWasRestoredGetsItAgain(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.start()
		time.Sleep(time.Second)
		for range 20 {
			l.history.view()
			l.history.event()
			time.Sleep(100 * time.Millisecond)
		}
		l.platform.mu.Lock()
		l.platform.views[7] = l.platform.views[7][:10]
		l.platform.events = l.platform.events[:5]
		l.platform.mu.Unlock()
		eventually(t, 5*time.Second, "all of it again", func() bool {
			return consecutive(l.platform.viewsOf(7), 5, 25) == nil && consecutive(l.platform.allEvents(), 1, 20) == nil
		})
	})
}

// The platform takes no gap, so the numbers that it sees go on.
func TestLostViewsAreLoggedAndPassedOver(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.start()
		time.Sleep(time.Second)
		for i := range uint64(3) {
			l.platform.kill()
			l.history.view()
			time.Sleep(time.Second)
			version := 5000 * (i + 1)
			l.history.change(func() { l.history.version, l.history.oldest = version, version-1000 })
			time.Sleep(time.Second)
			l.platform.start()
			for j := range uint64(3) {
				want := fmt.Sprint("view ", version+j)
				eventually(t, 10*time.Second, want, func() bool { return l.platform.newestView() == want })
				l.history.view()
			}
		}
		views := l.platform.viewsOf(7)
		if err := consecutive(views, 5, views[len(views)-1]); err != nil {
			t.Errorf("views: %v", err)
		}
		if n := strings.Count(l.log.String(), "views were lost"); n < 1 || n > 3 {
			t.Errorf("the loss is logged %d times:\n%s", n, l.log.String())
		}
		// A platform restored to before the loss gets what there is.
		l.platform.mu.Lock()
		l.platform.views[7] = l.platform.views[7][:2]
		l.platform.mu.Unlock()
		eventually(t, 5*time.Second, "the present view again", func() bool { return len(l.platform.viewsOf(7)) > 2 })
		l.history.view()
		want := fmt.Sprint("view ", l.history.View().Version)
		eventually(t, 5*time.Second, want, func() bool { return l.platform.newestView() == want })
	})
}

// Views of large licenses go up in as many messages as they need.
func TestLargeViewsFitTheMessages(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.history.large, l.history.text = 500, strings.Repeat("x", license.MostText)
		l.platform.kill()
		for range 30 {
			l.history.view()
		}
		l.start()
		time.Sleep(time.Second)
		l.platform.start()
		for range 30 {
			l.history.view()
		}
		eventually(t, time.Minute, "all views", func() bool {
			views := l.platform.viewsOf(7)
			return len(views) > 0 && views[len(views)-1] == l.history.View().Version
		})
		if views := l.platform.viewsOf(7); len(views) < 30 {
			t.Errorf("%d views", len(views))
		}
	})
}
