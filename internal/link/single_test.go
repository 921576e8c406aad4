package link_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/link"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// holding is what a license server over one container serves.
type holding struct {
	mu  sync.Mutex
	all []link.Served
}

func (h *holding) set(all ...link.Served) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = all
}

func (h *holding) get() []link.Served {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all
}

// single makes the lab's server one over a single container.
func (l *lab) single() *holding {
	h := new(holding)
	h.set(link.Served{Product: product, Name: "Chart", Quantity: 20})
	l.conf.Views, l.conf.Leading, l.conf.Served = nil, nil, h.get
	return h
}

// told are the pushes that tell what is served.
func (p *platform) told() (all []*quoratev1.PushRequest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.pushes {
		if m.GetServed() != nil {
			all = append(all, m)
		}
	}
	return all
}

func TestServedGoesUpWhenItChanges(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		h := l.single()
		l.start()
		time.Sleep(10500 * time.Millisecond)
		told := l.platform.told()
		if len(told) != 1 || !told[0].GetLeading() || told[0].GetClients() != 12 || len(told[0].GetServed().GetLicenses()) != 1 {
			t.Fatalf("told %v", told)
		}
		if m := told[0].GetServed().GetLicenses()[0]; m.GetProduct().GetFirm() != 6000010 || m.GetProduct().GetCode() != 14 ||
			m.GetName() != "Chart" || m.GetQuantity() != 20 || m.GetReason() != "" {
			t.Errorf("told %v", m)
		}
		h.set(link.Served{Product: product, Name: "Chart", Quantity: 20, Reason: license.CodeExpired})
		eventually(t, 1100*time.Millisecond, "the change", func() bool { return len(l.platform.told()) == 2 })
		if m := l.platform.told()[1].GetServed().GetLicenses()[0]; m.GetReason() != "LICENSE_EXPIRED" {
			t.Errorf("told %v", m)
		}
		// None at all is told as well, and what fails is told again.
		var failing atomic.Bool
		failing.Store(true)
		l.platform.setFault(func(call string, done bool) error {
			if call == "Push" && !done && failing.Load() {
				return license.Errorf(license.CodeUnavailable, "x", "told to fail")
			}
			return nil
		})
		h.set()
		time.Sleep(10 * time.Second)
		failing.Store(false)
		eventually(t, 6*time.Second, "the end", func() bool { return len(l.platform.told()) == 3 })
		if n := len(l.platform.told()[2].GetServed().GetLicenses()); n != 0 {
			t.Errorf("%d licenses are told", n)
		}
		// A platform that has forgotten it hears it again.
		time.Sleep(61 * time.Second)
		if n := len(l.platform.told()); n != 4 {
			t.Errorf("told %d times", n)
		}
	})
}

// TestStandbyTellsNothingOfWhatIsServed: it may see less.
func TestStandbyTellsNothingOfWhatIsServed(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.single()
		l.conf.Leading = func() (bool, uint64) { return false, 0 }
		l.start()
		time.Sleep(5 * time.Second)
		if told := l.platform.told(); len(told) != 0 || l.platform.lastPush().GetServer() != "tmr-a" {
			t.Errorf("told %v", told)
		}
	})
}

// TestBlockedContainerIsTold: at once, and not taken back by a platform that is
// away.
func TestBlockedContainerIsTold(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.single()
		var why atomic.Pointer[error]
		l.conf.Refused = func(err error) { why.Store(&err) }
		is := func(code license.Code) func() bool {
			return func() bool { e := why.Load(); return e != nil && license.CodeOf(*e) == code }
		}
		l.start()
		eventually(t, 10*time.Second, "all is well", is(""))
		var answer atomic.Pointer[license.Error]
		answer.Store(license.Errorf(license.CodeContainerBlocked, "use its replacement", "the container was blocked"))
		l.platform.setFault(func(call string, done bool) error {
			if e := answer.Load(); call == "Push" && !done && e != nil {
				return e
			}
			return nil
		})
		eventually(t, 2*time.Second, "the block", is(license.CodeContainerBlocked))
		if e := *why.Load(); e.Error() != "the container was blocked: use its replacement" {
			t.Errorf("told %v", e)
		}
		answer.Store(license.Errorf(license.CodeUnavailable, "x", "away"))
		time.Sleep(time.Minute)
		if !is(license.CodeContainerBlocked)() {
			t.Errorf("taken back by a platform that is away: %v", *why.Load())
		}
		answer.Store(nil)
		eventually(t, 10*time.Second, "the end", is(""))
	})
}

// TestServersOverTheSameSeats: two of them push the same stream, while the
// platform fails, goes and loses what it had; it has each event once, in order,
// whichever of them lives.
func TestServersOverTheSameSeats(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.single()
		var calls atomic.Int64
		l.platform.setFault(func(call string, done bool) error {
			if call == "Push" && calls.Add(1)%5 == 0 {
				return license.Errorf(license.CodeUnavailable, "x", "told to fail")
			}
			return nil
		})
		other, err := link.New(l.conf)
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer other.Stop()
		l.start()
		const changes = 300
		for i := range changes {
			switch i {
			case 60:
				l.platform.kill()
			case 90:
				l.platform.start()
			case 150:
				l.platform.mu.Lock()
				l.platform.events = l.platform.events[:50]
				l.platform.mu.Unlock()
			case 200:
				other.Stop()
			}
			l.history.event()
			time.Sleep(100 * time.Millisecond)
		}
		eventually(t, time.Minute, "everything", func() bool { return len(l.platform.allEvents()) >= changes })
		if err := consecutive(l.platform.allEvents(), 1, changes); err != nil {
			t.Error(err)
		}
	})
}
