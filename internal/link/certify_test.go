package link_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// blocked is a container that the platform has blocked.
const blocked = "130-99"

// Certify is the platform's: a certificate is the nonce again.
func (p *platform) Certify(_ context.Context, req *connect.Request[quoratev1.CertifyRequest]) (*connect.Response[quoratev1.CertifyResponse], error) {
	if err := authorized(req.Header()); err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.asked = append(p.asked, req.Msg)
	p.mu.Unlock()
	if err := p.failing("Certify", false); err != nil {
		return nil, err
	}
	res := &quoratev1.CertifyResponse{}
	for _, q := range req.Msg.GetQuestions() {
		if q.GetSerial() == blocked {
			res.Certificates = append(res.Certificates, nil)
			continue
		}
		res.Certificates = append(res.Certificates, append([]byte(q.GetSerial()+" "), q.GetNonce()...))
	}
	return connect.NewResponse(res), nil
}

func (p *platform) questions() []*quoratev1.CertifyRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// clock is the time of three containers: a certificate over a container's nonce
// sets it right, and draws another nonce.
type clock struct {
	mu      sync.Mutex
	moment  license.Moment
	nonces  map[license.Serial][16]byte
	taken   int
	refused error
	heals   bool // a certificate sets the clock right
}

func newClock() *clock {
	c := &clock{moment: license.Moment{At: time.Now()}, nonces: map[license.Serial][16]byte{}, heals: true}
	for i := range byte(3) {
		c.nonces[license.Serial{Mask: 130, Number: uint64(i) + 1}] = [16]byte{i + 1}
	}
	return c
}

func (c *clock) Moment() license.Moment {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.moment
}

func (c *clock) TimeNonces() map[license.Serial][16]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[license.Serial][16]byte{}
	for s, n := range c.nonces {
		all[s] = n
	}
	return all
}

func (c *clock) Certify(_ context.Context, s license.Serial, certificate []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.nonces[s]
	if string(certificate) != s.String()+" "+string(n[:]) {
		return license.Errorf(license.CodeTimeStale, "x", "%s has another nonce", s)
	}
	if c.refused != nil {
		return c.refused
	}
	c.taken++
	n[15]++
	c.nonces[s] = n
	if c.heals {
		c.moment.SetBack = false
	}
	return nil
}

func (c *clock) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *clock) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.taken
}

func timed(t *testing.T, f func(t *testing.T, l *lab, c *clock)) {
	t.Helper()
	bubble(t, func(t *testing.T, l *lab) {
		c := newClock()
		l.conf.Clock = c
		// Hours pass here: nothing else shall happen often.
		l.conf.Views, l.conf.Events, l.conf.Heartbeat = nil, nil, time.Minute
		f(t, l, c)
	})
}

func TestTimeIsCertifiedAtStartAndEveryHour(t *testing.T) {
	timed(t, func(t *testing.T, l *lab, c *clock) {
		l.start()
		eventually(t, time.Second, "three certificates at the start", func() bool { return c.count() == 3 })
		asked := l.platform.questions()
		if len(asked) != 1 || len(asked[0].GetQuestions()) != 3 {
			t.Fatalf("asked %v", asked)
		}
		for i, q := range asked[0].GetQuestions() {
			if q.GetSerial() != (license.Serial{Mask: 130, Number: uint64(i) + 1}).String() || q.GetNonce()[0] != byte(i+1) || //nolint:gosec // G115: small
				q.GetClockMs() != c.Moment().At.UnixMilli() || q.GetSetBack() {
				t.Errorf("question %d: %v", i+1, q)
			}
		}
		time.Sleep(59 * time.Minute)
		if n := c.count(); n != 3 {
			t.Errorf("%d certificates within an hour", n)
		}
		time.Sleep(2 * time.Minute)
		if n := c.count(); n != 6 {
			t.Errorf("%d certificates after an hour", n)
		}
	})
}

func TestTimeIsCertifiedAtOnceWhenTheClockWasSetBack(t *testing.T) {
	timed(t, func(t *testing.T, l *lab, c *clock) {
		l.start()
		eventually(t, time.Second, "the first ones", func() bool { return c.count() == 3 })
		time.Sleep(10 * time.Minute)
		c.change(func() { c.moment.SetBack = true })
		eventually(t, 2*time.Second, "the next ones", func() bool { return c.count() == 6 })
		asked := l.platform.questions()
		if q := asked[len(asked)-1].GetQuestions()[0]; !q.GetSetBack() {
			t.Error("the platform is not told that the clock was set back")
		}
		if !strings.Contains(l.log.String(), "set back") {
			t.Errorf("the log tells nothing: %s", l.log)
		}
		// One that a certificate doesn't set right is tried again, more and more seldom.
		c.change(func() { c.moment.SetBack, c.heals = true, false })
		time.Sleep(time.Hour)
		if n := len(l.platform.questions()) - len(asked); n < 5 || n > 30 {
			t.Errorf("asked %d times within an hour", n)
		}
	})
}

func TestTimeIsAskedForAgainAfterErrors(t *testing.T) {
	timed(t, func(t *testing.T, l *lab, c *clock) {
		l.platform.setFault(func(call string, _ bool) error {
			if call == "Certify" {
				return license.Errorf(license.CodeThrottled, "wait", "too often")
			}
			return nil
		})
		l.start()
		time.Sleep(time.Hour)
		if n := len(l.platform.questions()); n < 5 || n > 30 || c.count() != 0 {
			t.Errorf("asked %d times in an hour in vain, %d certificates", n, c.count())
		}
		if strings.Count(l.log.String(), "having the time certified fails") != 1 {
			t.Errorf("the log:\n%s", l.log)
		}
		l.platform.setFault(nil)
		c.change(func() { c.refused = license.Errorf(license.CodeTimeForged, "x", "not that one") })
		time.Sleep(time.Hour)
		if c.count() != 0 || strings.Contains(l.log.String(), "works again") {
			t.Error("a refused certificate counts")
		}
		c.change(func() { c.refused = nil })
		time.Sleep(11 * time.Minute)
		if n := c.count(); n != 3 {
			t.Errorf("%d certificates at last", n)
		}
		eventually(t, time.Second, "a line in the log", func() bool { return strings.Contains(l.log.String(), "works again") })
	})
}

func TestOnlyTheLeaderHasTheTimeCertified(t *testing.T) {
	timed(t, func(t *testing.T, l *lab, c *clock) {
		l.leads.leading.Store(0)
		l.start()
		time.Sleep(time.Hour + time.Minute)
		if n := len(l.platform.questions()); n != 0 {
			t.Errorf("the standby asked %d times", n)
		}
		l.leads.leading.Store(1)
		eventually(t, 2*time.Second, "the new leader's", func() bool { return c.count() == 3 })
		l.leads.epoch.Store(8)
		eventually(t, 2*time.Second, "the next leader's", func() bool { return c.count() == 6 })
	})
}

func TestABlockedContainerHoldsNobodyUp(t *testing.T) {
	timed(t, func(t *testing.T, l *lab, c *clock) {
		c.nonces[license.Serial{Mask: 130, Number: 99}] = [16]byte{99}
		l.start()
		time.Sleep(10 * time.Minute)
		if n := len(l.platform.questions()); n != 1 || c.count() != 3 {
			t.Errorf("asked %d times, %d certificates", n, c.count())
		}
	})
}

func TestTimeWaitsForContainers(t *testing.T) {
	timed(t, func(t *testing.T, l *lab, c *clock) {
		all := c.nonces
		c.nonces = nil
		l.start()
		time.Sleep(time.Minute)
		if n := len(l.platform.questions()); n != 0 {
			t.Errorf("asked %d times for nothing", n)
		}
		c.change(func() { c.nonces = all })
		eventually(t, 2*time.Second, "certificates", func() bool { return c.count() == 3 })
	})
}

// TestNoTimeYetIsNoClockSetBack: a TMR server that has heard too few backends
// accuses nobody of setting a clock back, neither in its log nor at the platform.
func TestNoTimeYetIsNoClockSetBack(t *testing.T) {
	timed(t, func(t *testing.T, l *lab, c *clock) {
		known := c.moment
		c.moment = license.Moment{SetBack: true}
		l.start()
		time.Sleep(time.Minute)
		if n := len(l.platform.questions()); n != 0 {
			t.Errorf("asked %d times without a time", n)
		}
		c.change(func() { c.moment = known })
		eventually(t, 2*time.Second, "certificates", func() bool { return c.count() == 3 })
		if says := l.log.String(); strings.Contains(says, "set back") {
			t.Errorf("the log says: %s", says)
		}
	})
}
