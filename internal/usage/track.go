package usage

import (
	"slices"
	"time"
)

// Resolution is how long the buckets of a series are. They begin at whole ones
// of UTC.
type Resolution time.Duration

// The resolutions.
const (
	Minute = Resolution(time.Minute)
	Hour   = Resolution(time.Hour)
	Day    = Resolution(24 * time.Hour)
)

// Resolutions lists them, the finest first.
func Resolutions() []Resolution { return []Resolution{Minute, Hour, Day} }

// Seconds is how long a bucket is.
func (r Resolution) Seconds() int { return int(time.Duration(r) / time.Second) }

// Start is the beginning of the bucket that has the moment t.
func (r Resolution) Start(t time.Time) time.Time { return t.UTC().Truncate(time.Duration(r)) }

// mostLevel bounds what is counted at one moment, so that the sums of a day stay
// within an int64 whatever a server tells.
const mostLevel = 1 << 36

// Level is what is so at one moment.
type Level struct {
	Taken    int64 // licenses
	Quantity int64 // in force
	Users    int64 // different ones, with a handle
	Stations int64
}

func (l Level) full() bool { return l.Quantity > 0 && l.Taken >= l.Quantity }

func (l Level) bounded() Level {
	for _, n := range []*int64{&l.Taken, &l.Quantity, &l.Users, &l.Stations} {
		*n = min(max(*n, 0), mostLevel)
	}
	return l
}

// Kind is what happened to a handle.
type Kind string

// The kinds, as lease events name them.
const (
	Granted  Kind = "GRANTED"
	Released Kind = "RELEASED"
	Expired  Kind = "EXPIRED"
	Removed  Kind = "REMOVED"
	Denied   Kind = "DENIED"
)

// Counts are how often what happened.
type Counts struct{ Granted, Released, Expired, Removed, Denied int64 }

func (c *Counts) add(k Kind) {
	switch k {
	case Granted:
		c.Granted++
	case Released:
		c.Released++
	case Expired:
		c.Expired++
	case Removed:
		c.Removed++
	case Denied:
		c.Denied++
	}
}

// Bucket is a minute, an hour or a day in which something happened.
type Bucket struct {
	// Key is the owner's name of it; empty: it is new.
	Key         string
	Start       time.Time
	Until       time.Time // the sums reach to here; from here on it is as in Close
	Open, Close Level

	MostTaken, MostQuantity int64
	TakenMs                 int64 // licenses times milliseconds
	FullMs                  int64 // milliseconds in which nothing was free
	Users, Stations         int64 // different ones that were there at any time
	Counts
}

// advance adds up to a moment that is not before Until.
func (b *Bucket) advance(to time.Time) {
	ms := max(to.Sub(b.Until).Milliseconds(), 0)
	b.TakenMs += b.Close.Taken * ms
	if b.Close.full() {
		b.FullMs += ms
	}
	b.Until = to
}

func (b *Bucket) set(l Level) {
	b.Close = l
	b.MostTaken, b.MostQuantity = max(b.MostTaken, l.Taken), max(b.MostQuantity, l.Quantity)
}

// Change is one of the quantity in force.
type Change struct {
	At       time.Time
	Quantity int64
}

// Series is the use of one product in one container: what was so at its last
// event, and how much there was in all.
type Series struct {
	Since time.Time // nothing is known of before; zero: of nothing at all
	At    time.Time // of the last event; it never goes back
	Level
	Counts
	// Pending are changes of the quantity that are later than At: events from
	// between may still come.
	Pending []Change
}

// mostPending is how many changes of the quantity wait for late events.
const mostPending = 16

// Latest is the quantity that was told last.
func (s Series) Latest() int64 {
	if n := len(s.Pending); n > 0 {
		return s.Pending[n-1].Quantity
	}
	return s.Quantity
}

// Track is a series that grows. The owner gives it the newest bucket of each
// resolution, and keeps what Touched gives.
type Track struct {
	Series
	newest  map[Resolution]*Bucket
	touched map[Resolution][]*Bucket
}

// NewTrack goes on with a series. newest has the bucket that Series.At is in,
// where it has one; others are left alone.
func NewTrack(s Series, newest map[Resolution]Bucket) *Track {
	t := &Track{Series: s, newest: map[Resolution]*Bucket{}, touched: map[Resolution][]*Bucket{}}
	t.Pending = slices.Clone(s.Pending)
	for r, b := range newest {
		if b.Start.Equal(r.Start(s.At)) {
			t.newest[r] = &b
		}
	}
	return t
}

// Touched gives the buckets of a resolution that are new or changed, in order.
func (t *Track) Touched(r Resolution) []*Bucket { return t.touched[r] }

// Presence is whether somebody is there, or was last.
type Presence struct {
	Living int // handles
	Last   time.Time
}

func (p Presence) in(b *Bucket) bool {
	return p.Living > 0 || (!p.Last.IsZero() && !p.Last.Before(b.Start))
}

// Event is what happened, and what it changed.
type Event struct {
	At   time.Time // as Time gave it
	Kind Kind
	Effect
}

// Time gives the time that an event counts with: never before the one before
// it, never later than now, in milliseconds. Servers that lead one after the
// other have clocks of their own, and the order of their events is that of the
// stream.
func (t *Track) Time(at, now time.Time) time.Time {
	at = at.UTC().Truncate(time.Millisecond)
	if at.After(now) {
		at = now.UTC().Truncate(time.Millisecond)
	}
	if at.Before(t.At) {
		at = t.At
	}
	return at
}

// Event counts one.
func (t *Track) Event(e Event) {
	t.settle(e.At)
	t.Counts.add(e.Kind)
	after := Level{Taken: t.Taken + e.Taken, Quantity: t.Quantity, Users: t.Users + e.Users, Stations: t.Stations + e.Stations}
	t.move(e.At, after, func(b *Bucket) {
		b.Counts.add(e.Kind)
		if e.User != nil && !e.User.in(b) {
			b.Users++
		}
		if e.Station != nil && !e.Station.in(b) {
			b.Stations++
		}
	})
}

// SetQuantity notes a change of the quantity in force. It waits for events from
// before it, which a server without a link tells late.
func (t *Track) SetQuantity(at time.Time, quantity int64) {
	quantity = min(max(quantity, 0), mostLevel)
	if quantity == t.Latest() {
		return
	}
	if n := len(t.Pending); n > 0 && at.Before(t.Pending[n-1].At) {
		at = t.Pending[n-1].At
	}
	if at.Before(t.At) {
		at = t.At
	}
	if t.Since.IsZero() {
		t.Since = at
	}
	t.Pending = append(t.Pending, Change{at, quantity})
	if len(t.Pending) > mostPending {
		t.settle(t.Pending[0].At)
	}
}

// Settle applies the changes of the quantity up to now: for who reads.
func (t *Track) Settle(now time.Time) { t.settle(now) }

func (t *Track) settle(to time.Time) {
	for len(t.Pending) > 0 && !t.Pending[0].At.After(to) {
		l := t.Level
		l.Quantity = t.Pending[0].Quantity
		t.move(t.Pending[0].At, l, nil)
		t.Pending = t.Pending[1:]
	}
}

// move goes on to a moment, from which on a level holds.
func (t *Track) move(at time.Time, l Level, count func(*Bucket)) {
	l = l.bounded()
	if t.Since.IsZero() || at.Before(t.Since) {
		t.Since = at
	}
	for _, r := range Resolutions() {
		b := t.newest[r]
		if start := r.Start(at); b == nil || !b.Start.Equal(start) {
			b = &Bucket{Start: start, Until: start, Open: t.Level, Users: t.Users, Stations: t.Stations}
			b.set(t.Level)
			t.newest[r] = b
		}
		if all := t.touched[r]; len(all) == 0 || all[len(all)-1] != b {
			t.touched[r] = append(all, b)
		}
		b.advance(at)
		if count != nil {
			count(b)
		}
		b.set(l)
	}
	t.At, t.Level = at, l
}
