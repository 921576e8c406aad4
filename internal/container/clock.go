package container

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// ClockTolerance is how far the machine's clock may be behind the highest time
// seen: clocks that are put right by the network step back by seconds, and who
// wants to gain by it needs days.
const ClockTolerance = 2 * time.Minute

// CertificateLife is how far the container's time may have moved on since the
// nonce was made, for a certificate to lower it. Files travel for days; and this
// is what somebody could gain who holds a certificate back.
const CertificateLife = 7 * 24 * time.Hour

const (
	// clockInterval is the least time between two writes for readers' sake: so
	// much may be forgotten in a crash.
	clockInterval = time.Minute
	// carrySlack: the highest time is carried on slower by one part of so many.
	// A clock that runs fast, and is stepped back each night by what it gained,
	// would else be further behind each day.
	carrySlack = 1000
)

// reading is one look at the machine's clocks.
type reading struct {
	wall time.Time // without a monotonic part
	// ticks is monotonic: setting the clock doesn't move it. It stops while the
	// machine sleeps.
	ticks time.Duration
}

func systemClock() func() reading {
	start := time.Now()
	return func() reading {
		now := time.Now()
		return reading{wall: now.Round(0), ticks: now.Sub(start)}
	}
}

// timekeeper carries the highest time seen on in memory. It needs
// Container.mu.
type timekeeper struct {
	look    func() reading
	highest time.Time     // seen,
	at      time.Duration // when the monotonic clock showed this
	tried   time.Duration // when it was last written for a reader
}

// now gives the time that counts: the machine's, or the highest seen, carried
// on, whichever is later.
func (k *timekeeper) now() (time.Time, reading) {
	r := k.look()
	r.wall = bounded(r.wall)
	passed := r.ticks - k.at
	carried := bounded(k.highest.Add(passed - passed/carrySlack))
	if r.wall.Before(carried) {
		return carried, r
	}
	k.highest, k.at = r.wall, r.ticks
	return r.wall, r
}

// bounded keeps a time among those that a message can carry.
func bounded(t time.Time) time.Time {
	if first := time.UnixMilli(1); t.Before(first) {
		return first
	}
	if last := time.UnixMilli(latestMilli); t.After(last) {
		return last
	}
	return t
}

// latestMilli is the last millisecond of the year 9999.
const latestMilli = 253402300799_999

func behind(clock, highest time.Time) bool { return highest.Sub(clock) > ClockTolerance }

func later(t, u time.Time) time.Time {
	if t.Before(u) {
		return u
	}
	return t
}

// clock is what the file knows of the time, in milliseconds.
type clock struct {
	highest   time.Time // ever seen
	certified time.Time // by the last certificate; zero: none
	nonce     [16]byte  // of the next certificate; zero: a file of an earlier version
	asked     time.Time // the highest time seen when the nonce was made
}

// tick notes that it is at.
func (k *clock) tick(at time.Time) error {
	k.highest = later(k.highest, at.Truncate(time.Millisecond))
	if k.nonce == [16]byte{} {
		return k.ask()
	}
	return nil
}

// ask makes another nonce, at the highest time seen.
func (k *clock) ask() error {
	if _, err := rand.Read(k.nonce[:]); err != nil {
		return unavailable("a nonce could not be made", err)
	}
	k.asked = k.highest
	return nil
}

// renew makes another nonce if it is worn.
func (k *clock) renew(at time.Time) error {
	if err := k.tick(at); err != nil || !k.worn(at) {
		return err
	}
	return k.ask()
}

// worn says whether the nonce should not be given to anybody any more, so that
// a certificate has at least half its life to come back.
func (k clock) worn(at time.Time) bool {
	return k.nonce == [16]byte{} || at.Sub(k.asked) > CertificateLife/2
}

// corrected gives the highest time after a certificate for the time t, where
// the container's time is at.
func (k clock) corrected(t, at, wall time.Time) (time.Time, error) {
	back, ahead := behind(wall, at), at.Sub(t) > ClockTolerance
	fresh := at.Sub(k.asked) <= CertificateLife
	switch {
	case t.Before(k.certified):
		return at, stale("the time certificate is for %s, and the time was certified at %s before", stamp(t), stamp(k.certified))
	case behind(wall, t):
		return at, license.Errorf(license.CodeClockSetBack, "set the clock right first, then have the time certified again",
			"this machine's clock shows %s, and the platform certified %s", stamp(wall), stamp(t))
	case fresh && (back || ahead):
		return later(t, wall), nil
	case back && ahead:
		return at, stale("the time certificate of %s came back too late to turn the highest time seen, %s, back", stamp(t), stamp(at))
	}
	return later(at, t), nil
}

func stale(format string, args ...any) *license.Error {
	return license.Errorf(license.CodeTimeStale, "have the time certified again: a server with a link does so by itself, by files make a new request", format, args...)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Moment gives the time as the container knows it. Its highest time seen is
// durable: setting the machine's clock back makes it SetBack, while At goes on
// from where it was. Once the clock is right again, within ClockTolerance, it
// counts without a certificate, since nothing was gained; a certificate is
// needed where the clock once ran ahead.
//
// Moment may write the file, at most once a minute.
func (c *Container) Moment() license.Moment {
	c.mu.Lock()
	at, r := c.time.now()
	known := c.state.clock
	due := at.Sub(known.highest) >= clockInterval && r.ticks-c.time.tried >= clockInterval
	if due {
		c.time.tried = r.ticks
	}
	c.mu.Unlock()
	// A change that is under way keeps the time as well.
	if due && c.write.TryLock() {
		c.keepTime()
		c.write.Unlock()
	}
	return license.Moment{At: at, SetBack: behind(r.wall, at), Certified: known.certified}
}

func (c *Container) now() (time.Time, reading) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.time.now()
}

// keepTime writes the highest time seen, where more than clockInterval would be
// forgotten. That it could not be written shows with the next change, which is
// refused then. It needs c.write.
func (c *Container) keepTime() {
	at, _ := c.now()
	if known := c.current().clock; known.nonce == [16]byte{} || at.Sub(known.highest) >= clockInterval {
		_ = c.change(func(s *state) (*state, error) { return s.clone(), nil })
	}
}

// change is commit of a state that also keeps the highest time seen.
func (c *Container) change(f func(*state) (*state, error)) error {
	return c.commit(func(s *state) (*state, error) {
		next, err := f(s)
		if err != nil {
			return nil, err
		}
		at, _ := c.now()
		return next, next.clock.tick(at)
	})
}

// TimeNonce gives the nonce that the next time certificate must answer, the one
// of the last Fingerprint. It is another one after a certificate was taken, and
// when it has become too old.
func (c *Container) TimeNonce() [16]byte {
	c.write.Lock()
	defer c.write.Unlock()
	at, _ := c.now()
	if !c.current().clock.worn(at) {
		return c.current().clock.nonce
	}
	// Where this fails the old nonce stays the open one.
	_ = c.change(func(s *state) (*state, error) {
		next := s.clone()
		return next, next.clock.renew(at)
	})
	return c.current().clock.nonce
}

// Certify takes the platform's word for what time it is. A certificate serves
// once. It lowers the highest time seen, where the clock once ran ahead, if it
// answers a nonce that is not older than CertificateLife. Errors change nothing:
// license.CodeTimeForged, CodeTimeStale for a nonce that is not the open one, a
// time before the last certified one, or an answer that came too late,
// CodeClockSetBack while the machine's clock is behind the certified time.
func (c *Container) Certify(certificate []byte) error {
	c.write.Lock()
	defer c.write.Unlock()
	var set time.Time
	var r reading
	err := c.commit(func(s *state) (*state, error) {
		cert, err := seal.OpenTime(certificate, s.root[:])
		if err != nil {
			return nil, err
		}
		if cert.Serial != s.serial {
			return nil, license.Errorf(license.CodeTimeForged, "give it to the container it is for", "the time certificate is for the container %s, this one is %s", cert.Serial, s.serial)
		}
		if cert.Nonce != s.clock.nonce {
			return nil, stale("the time certificate of %s answers no open request of the container %s", stamp(cert.At), s.serial)
		}
		at, now := c.now()
		if set, err = s.clock.corrected(cert.At, at, now.wall); err != nil {
			return nil, err
		}
		r, set = now, set.Truncate(time.Millisecond)
		next := s.clone()
		next.clock.highest, next.clock.certified = set, cert.At
		return next, next.clock.ask()
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.time.highest, c.time.at = set, r.ticks
	return nil
}

func (k clock) marshal() []byte {
	b := appendTime(appendTime(nil, k.highest), k.certified)
	return appendTime(append(b, k.nonce[:]...), k.asked)
}

func parseClock(b []byte) (clock, error) {
	r := fields{b: b}
	k := clock{highest: r.time(), certified: r.time(), nonce: r.array16(), asked: r.time()}
	if !r.end() || k.nonce == [16]byte{} || k.highest.IsZero() || k.asked.IsZero() {
		return clock{}, fmt.Errorf("the record %q is not well formed", recordClock)
	}
	return k, nil
}
