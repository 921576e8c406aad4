package options

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// certify has the platform vouch for the time of all containers.
func (l *lab) certify(at time.Time) {
	l.t.Helper()
	sign := func(serial license.Serial, nonce [16]byte) []byte {
		c, err := seal.SignTime(l.root, seal.TimeCertificate{Serial: serial, Nonce: nonce, At: at})
		ok(l.t, err)
		return c
	}
	if !l.tmr {
		c := l.containers[0]
		ok(l.t, c.Certify(sign(c.Serial(), c.TimeNonce())))
		return
	}
	var all [][]byte
	for _, n := range l.group.TimeNonces() {
		all = append(all, sign(n.Serial, n.Nonce))
	}
	ok(l.t, l.group.Certify(l.t.Context(), all))
	time.Sleep(time.Minute) // the backends tell of it
}

// Each bubble begins with the year 2000: the second one is the machine, or all
// of them, with the clock set back.
func TestClockSetBack(t *testing.T) {
	for name, tt := range map[string]struct {
		tmr bool
		set func(*terms)
		ok  bool
	}{
		"single, unlimited":        {false, nil, true},
		"single, expiration":       {false, func(o *terms) { o.Expiration = time.Now().Add(1000 * time.Hour).Truncate(time.Second) }, false},
		"single, activation":       {false, func(o *terms) { o.Activation = time.Now().Add(-time.Hour).Truncate(time.Second) }, false},
		"single, usage period":     {false, func(o *terms) { o.UsagePeriod = 1000 * time.Hour }, false},
		"single, counted by units": {false, func(o *terms) { o.Units = new(uint64(5)) }, true},
		"tmr, unlimited":           {true, nil, true},
		"tmr, expiration":          {true, func(o *terms) { o.Expiration = time.Now().Add(1000 * time.Hour).Truncate(time.Second) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, tt.tmr)
			s.operate(t, func(t *testing.T, l *lab) {
				time.Sleep(time.Hour)
				l.update(tt.set)
				l.passes("the clock is right")
			})
			s.operate(t, func(t *testing.T, l *lab) {
				if tt.ok {
					p := l.gets("not limited in time")
					wantCode(t, "renewal", p.renew(), "")
					if !p.why.GetClockSetBack() {
						t.Error("why doesn't tell that the clock was set back")
					}
					return
				}
				l.refused("set back", license.CodeClockSetBack)
				l.update(tt.set)
				l.refused("set back, and updated", license.CodeClockSetBack)
				l.certify(time.Now())
				if s.held.Activation.IsZero() {
					p := l.gets("certified")
					if p.why.GetClockSetBack() || p.why.GetCertifiedMs() == 0 {
						t.Errorf("why says %v", p.why)
					}
					return
				}
				// The certified time is the earlier one.
				l.passes("certified, and activated by then")
			})
		})
	}
}

// A clock that comes back to the time that it showed before needs no certificate.
func TestClockIsRightAgain(t *testing.T) {
	s := newSite(t, false)
	set := func(o *terms) { o.Expiration = time.Date(2000, 1, 10, 0, 0, 0, 0, time.UTC) }
	s.operate(t, func(t *testing.T, l *lab) {
		time.Sleep(time.Hour)
		l.update(set)
	})
	s.operate(t, func(t *testing.T, l *lab) {
		l.refused("set back", license.CodeClockSetBack)
	})
	s.operateFrom(t, 2*time.Hour, func(t *testing.T, l *lab) {
		l.passes("right again")
	})
	s.operateFrom(t, 9*24*time.Hour, func(t *testing.T, l *lab) {
		l.refused("expired", license.CodeExpired)
	})
	s.operate(t, func(t *testing.T, l *lab) {
		if p, code := l.access("expired and set back"); p != nil || code != license.CodeClockSetBack {
			t.Errorf("%q", code)
		}
	})
}

// A handle that is alive when the clock is set back is refused at its renewal,
// if its license is limited in time.
func TestRenewalOnAClockSetBack(t *testing.T) {
	s := newSite(t, false)
	s.operate(t, func(t *testing.T, l *lab) {
		time.Sleep(time.Hour)
		l.update(nil)
	})
	s.operate(t, func(t *testing.T, l *lab) {
		p := l.gets("not limited")
		l.update(func(o *terms) { o.Expiration = time.Now().Add(1000 * time.Hour).Truncate(time.Second) })
		wantCode(t, "renewal", p.renew(), license.CodeClockSetBack)
		wantCode(t, "a key", p.openKey(), license.CodeClockSetBack)
		l.certify(time.Now())
		wantCode(t, "renewal, certified", p.renew(), "")
	})
}
