package link_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// programs are the living handles of a server, renewed by tests.
type programs struct {
	mu     sync.Mutex
	all    []lease.Handle
	listed int
	err    error
}

func (p *programs) list(context.Context) ([]lease.Handle, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listed++
	all := slices.Clone(p.all)
	for i, h := range all {
		all[i].Remaining = h.Lease - time.Since(h.LastAccess)
	}
	return all, p.err
}

func (p *programs) begin(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range n {
		now := time.Now()
		p.all = append(p.all, lease.Handle{Grant: lease.Grant{Handle: fmt.Sprint("h", len(p.all)), Lease: time.Hour}, Accesses: 1, FirstAccess: now, LastAccess: now})
	}
}

func (p *programs) change(f func(all []lease.Handle)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p.all)
}

// uses are the pushes that tell how handles are used.
func (p *platform) uses() (all []*quoratev1.PushRequest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.pushes {
		if len(m.GetActivity()) > 0 {
			all = append(all, m)
		}
	}
	return all
}

func (l *lab) programs(n int) *programs {
	p := new(programs)
	p.begin(n)
	l.conf.Handles = p.list
	return p
}

func TestUseGoesUp(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		p := l.programs(3)
		time.Sleep(time.Minute)
		l.start()
		time.Sleep(14 * time.Second)
		if told := l.platform.uses(); len(told) != 1 || len(told[0].GetActivity()) != 3 {
			t.Fatalf("told %v", told)
		}
		if m := l.platform.uses()[0].GetActivity()[1]; m.GetHandle() != "h1" || m.GetAccesses() != 1 || m.GetLastAccessMs() != 60_000 || m.GetIdleMs() != 0 || m.GetExpiresMs() != 59*60_000 {
			t.Errorf("told %v", m)
		}
		time.Sleep(time.Minute)
		if n := len(l.platform.uses()); n != 1 {
			t.Errorf("told %d times of what hasn't changed", n)
		}
		// Of those that are used or fall idle, and of no other.
		p.change(func(all []lease.Handle) {
			all[2].LastAccess, all[2].Idle = time.Now().Add(-time.Second), 10*time.Minute
		})
		eventually(t, 15*time.Second, "the change", func() bool { return len(l.platform.uses()) == 2 })
		if told := l.platform.uses()[1].GetActivity(); len(told) != 1 || told[0].GetHandle() != "h2" || told[0].GetIdleMs() < 601_000 || told[0].GetIdleMs() > 617_000 {
			t.Errorf("told %v", told)
		}
		p.change(func(all []lease.Handle) { all[0].Lease = 2 * time.Hour }) // a new leader gives more
		eventually(t, 15*time.Second, "a longer lease", func() bool { return len(l.platform.uses()) == 3 })
		// A platform that didn't know them hears of them again.
		time.Sleep(6 * time.Minute)
		seen := map[string]int{}
		for _, m := range l.platform.uses() {
			for _, a := range m.GetActivity() {
				seen[a.GetHandle()]++
			}
		}
		if seen["h0"] < 3 || seen["h1"] < 2 || seen["h2"] < 3 {
			t.Errorf("told %v", seen)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.listed > 40 {
			t.Errorf("listed %d times", p.listed)
		}
	})
}

// TestUseIsToldFromNow: a push that is late tells the times from when it goes.
func TestUseIsToldFromNow(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.programs(1)
		var down atomic.Bool
		l.platform.setFault(func(call string, done bool) error {
			if call == "Push" && !done && down.Load() {
				return license.Errorf(license.CodeUnavailable, "x", "told to fail")
			}
			return nil
		})
		l.start()
		time.Sleep(time.Second)
		began := time.Now()
		down.Store(true)
		l.agent.Stop() // and starts anew while the platform is away
		l.start()
		time.Sleep(3 * time.Minute)
		down.Store(false)
		eventually(t, 10*time.Second, "the use", func() bool { return len(l.platform.uses()) == 2 })
		ago := time.Since(began) + time.Second
		m := l.platform.uses()[1].GetActivity()[0]
		if got := time.Duration(m.GetLastAccessMs()) * time.Millisecond; (got - ago).Abs() > 20*time.Millisecond {
			t.Errorf("last access %v ago, want %v", got, ago)
		}
		if got := time.Duration(m.GetExpiresMs()) * time.Millisecond; (got - (time.Hour - ago)).Abs() > 20*time.Millisecond {
			t.Errorf("expires in %v, want %v", got, time.Hour-ago)
		}
	})
}

// TestMuchUseGoesUpInTurns: no push has more than 2,000, and everyone has his turn.
func TestMuchUseGoesUpInTurns(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		p := l.programs(5000)
		l.start()
		time.Sleep(7 * time.Second)
		for range 8 {
			time.Sleep(15 * time.Second)
			p.change(func(all []lease.Handle) {
				for i := range all {
					all[i].LastAccess = time.Now()
				}
			})
		}
		seen := map[string]int{}
		for _, m := range l.platform.uses() {
			if n := len(m.GetActivity()); n > 2000 {
				t.Errorf("%d handles in one push", n)
			}
			for _, a := range m.GetActivity() {
				seen[a.GetHandle()]++
			}
		}
		pushes := len(l.platform.uses())
		least := pushes
		for _, n := range seen {
			least = min(least, n)
		}
		if len(seen) != 5000 || least < pushes/3 { // 5,000 are three pushes
			t.Errorf("%d handles were told in %d pushes, one of them %d times", len(seen), pushes, least)
		}
	})
}

// TestStandbyTellsNoUse, and neither does a server whose store fails.
func TestStandbyTellsNoUse(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		p := l.programs(1)
		l.leads.leading.Store(0)
		l.start()
		time.Sleep(time.Minute)
		if told := l.platform.uses(); len(told) != 0 || p.listed != 0 {
			t.Errorf("told %v", told)
		}
		p.err = license.Errorf(license.CodeUnavailable, "x", "told to fail")
		l.leads.leading.Store(1)
		time.Sleep(time.Minute)
		if told := l.platform.uses(); len(told) != 0 {
			t.Errorf("told %v", told)
		}
		p.mu.Lock()
		p.err = nil
		p.mu.Unlock()
		eventually(t, 16*time.Second, "the use", func() bool { return len(l.platform.uses()) == 1 })
	})
}
