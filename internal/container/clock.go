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
	// clockInterval is the longest time between two writes for readers' sake: so
	// much may be forgotten in a crash, but no more than one part of clockShare of
	// the time since the container was opened, in steps of firstInterval. Who kills
	// the server again and again, and sets the clock back, gains just this part.
	clockInterval = time.Minute
	firstInterval = time.Second
	clockShare    = 4
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
	opened  time.Duration // when the container was opened
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

// interval is how much may be forgotten in a crash now.
func (k *timekeeper) interval(now reading) time.Duration {
	return min(clockInterval, max(firstInterval, (now.ticks-k.opened)/clockShare))
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

// worn says whether the nonce should not go into a fingerprint any more, so that
// a certificate has at least half its life to come back.
func (k clock) worn(at time.Time) bool { return at.Sub(k.asked) > CertificateLife/2 }

// corrected gives the highest time after a certificate for the time t, where
// the container's time is at. late: the certificate holds, but answers too old a
// nonce for what it would do.
func (k clock) corrected(t, at, wall time.Time) (highest time.Time, late bool, err error) {
	back, ahead := behind(wall, at), at.Sub(t) > ClockTolerance
	fresh := at.Sub(k.asked) <= CertificateLife
	switch {
	case t.Before(k.certified):
		return at, false, stale("the time certificate is for %s, and the time was certified at %s before", stamp(t), stamp(k.certified))
	case behind(wall, t):
		return at, false, license.Errorf(license.CodeClockSetBack, "set the clock right first, then have the time certified again",
			"this machine's clock shows %s, and the platform certified %s", stamp(wall), stamp(t))
	case fresh && (back || ahead):
		return later(t, wall), false, nil
	case back && ahead:
		return at, true, nil
	}
	return later(at, t), false, nil
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
// Moment may write the file: at most once a minute, in the first minutes after
// Open once a second at most.
func (c *Container) Moment() license.Moment {
	c.mu.Lock()
	at, r := c.time.now()
	known := c.state.clock
	interval := c.time.interval(r)
	due := at.Sub(known.highest) >= interval && r.ticks-c.time.tried >= interval
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

// keepTime writes the highest time seen, where firstInterval or more would be
// forgotten. That it could not be written shows with the next change, which is
// refused then. It needs c.write.
func (c *Container) keepTime() {
	at, _ := c.now()
	if known := c.current().clock; known.nonce == [16]byte{} || at.Sub(known.highest) >= firstInterval {
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

// TimeNonce gives the nonce that a time certificate must answer: the one of the
// last Fingerprint, until a certificate is taken or comes too late.
func (c *Container) TimeNonce() [16]byte { return c.current().clock.nonce }

// Certify takes the platform's word for what time it is. A certificate serves
// once. It lowers the highest time seen, where the clock once ran ahead, if it
// answers a nonce that is not older than CertificateLife. Errors:
// license.CodeTimeForged, CodeTimeStale for a nonce that is not the open one or a
// time before the last certified one, CodeClockSetBack while the machine's clock
// is behind the certified time. They change nothing, but for one: CodeTimeStale
// for a certificate that came too late to forgive a clock that is set back makes
// another nonce, so that the next one can.
func (c *Container) Certify(certificate []byte) error {
	c.write.Lock()
	defer c.write.Unlock()
	var cert seal.TimeCertificate
	var at, set time.Time
	var r reading
	var late bool
	err := c.commit(func(s *state) (*state, error) {
		var err error
		if cert, err = s.openTime(certificate); err != nil {
			return nil, err
		}
		at, r = c.now()
		if set, late, err = s.clock.corrected(cert.At, at, r.wall); err != nil {
			return nil, err
		}
		next := s.clone()
		set = set.Truncate(time.Millisecond)
		next.clock.highest = set
		if !late {
			next.clock.certified = cert.At
			next.turnBack(at, set)
		}
		return next, next.clock.ask()
	})
	switch {
	case err != nil:
		return err
	case late:
		return stale("the time certificate of %s came back too late to turn back the highest time seen, %s", stamp(cert.At), stamp(at))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.time.highest, c.time.at = set, r.ticks
	return nil
}

// turnBack moves the first uses that were noted while the clock ran ahead, so
// that as much of their usage periods is over as was before.
func (n *notes) turnBack(from, to time.Time) {
	for id, m := range n.meters {
		if m.first.After(to) {
			m.first = bounded(to.Add(-from.Truncate(time.Millisecond).Sub(m.first)))
			n.meters[id] = m
		}
	}
}

// openTime verifies a certificate for this container and its open nonce.
func (s *state) openTime(certificate []byte) (seal.TimeCertificate, error) {
	cert, err := seal.OpenTime(certificate, s.root[:])
	switch {
	case err != nil:
		return cert, err
	case cert.Serial != s.serial:
		return cert, license.Errorf(license.CodeTimeForged, "give it to the container it is for", "the time certificate is for the container %s, this one is %s", cert.Serial, s.serial)
	case cert.Nonce != s.clock.nonce:
		return cert, stale("the time certificate of %s answers no open request of the container %s", stamp(cert.At), s.serial)
	}
	return cert, nil
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
