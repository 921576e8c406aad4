package tmr_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/tmr"
)

const term = 2 * time.Second

// second runs another TMR server of the lab's group.
func (l *lab) second() *tmr.Group {
	l.t.Helper()
	conf := l.conf
	conf.Name = "tmr-b"
	g, err := tmr.NewGroup(conf)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := g.Start(context.Background()); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(g.Stop)
	synctest.Wait()
	for g.View().PresentCount() < 3 {
		<-time.After(10 * time.Millisecond)
	}
	return g
}

func leads(t *testing.T, e lease.Elector, owner, want string) {
	t.Helper()
	leader, err := e.Campaign(t.Context(), virtual, owner, term)
	if err != nil || leader != want {
		t.Errorf("%s asked: %q leads, %v (%v); want %q", owner, leader, err, chain(err), want)
	}
}

func TestElection(t *testing.T) {
	var _ lease.Elector = (*tmr.Group)(nil)

	t.Run("one server leads until it resigns or its term is over", func(t *testing.T) {
		bubble(t, func(t *testing.T, l *lab) {
			a, b := l.run(), l.second()
			leads(t, a, "a", "a")
			leads(t, b, "b", "a")
			<-time.After(term / 2)
			leads(t, a, "a", "a") // confirmed
			<-time.After(term / 2)
			leads(t, b, "b", "a")
			if err := a.Resign(t.Context(), virtual, "a"); err != nil {
				t.Fatal(err)
			}
			leads(t, b, "b", "b")
			if err := a.Resign(t.Context(), virtual, "a"); err != nil { // not the leader: changes nothing
				t.Fatal(err)
			}
			leads(t, a, "a", "b")
			<-time.After(term)
			leads(t, a, "a", "a")
		})
	})

	t.Run("two backends are enough, and one that starts anew changes nothing", func(t *testing.T) {
		bubble(t, func(t *testing.T, l *lab) {
			a, b := l.run(), l.second()
			leads(t, a, "a", "a")
			both := func(present int) {
				l.await(func(v license.View) bool { return v.PresentCount() == present })
				for b.View().PresentCount() != present {
					<-time.After(10 * time.Millisecond)
				}
			}
			l.kill(2)
			both(2)    // until they have noticed, they show the one that is gone
			l.start(2) // its vote is forgotten
			both(3)
			leads(t, b, "b", "a") // gets one vote, and gives it back
			l.kill(1)
			l.await(func(v license.View) bool { return v.PresentCount() == 2 })
			leads(t, a, "a", "a")
		})
	})

	t.Run("with one backend nobody can be elected", func(t *testing.T) {
		bubble(t, func(t *testing.T, l *lab) {
			a := l.run()
			l.kill(0)
			l.kill(1)
			l.await(func(v license.View) bool { return v.PresentCount() == 1 })
			if _, err := a.Campaign(t.Context(), virtual, "a", term); license.CodeOf(err) != license.CodeNoMajority {
				t.Errorf("error %v", err)
			}
			l.start(0)
			l.start(1)
			l.await(func(v license.View) bool { return v.PresentCount() == 3 })
			leads(t, a, "b", "b") // the lone vote was given back
		})
	})

	t.Run("a campaign is of its own group and has a bounded owner and term", func(t *testing.T) {
		bubble(t, func(t *testing.T, l *lab) {
			a := l.run()
			for name, f := range map[string]func() (string, error){
				"another group": func() (string, error) { return a.Campaign(t.Context(), serials[0], "a", term) },
				"no owner":      func() (string, error) { return a.Campaign(t.Context(), virtual, "", term) },
				"no term":       func() (string, error) { return a.Campaign(t.Context(), virtual, "a", 0) },
				"a long term":   func() (string, error) { return a.Campaign(t.Context(), virtual, "a", time.Hour) },
			} {
				if leader, err := f(); err == nil {
					t.Errorf("%s: %q leads", name, leader)
				}
			}
		})
	})
}

// chain is all that an error wraps.
func chain(err error) (all []string) {
	for ; err != nil; err = errors.Unwrap(err) {
		all = append(all, err.Error())
	}
	return all
}
