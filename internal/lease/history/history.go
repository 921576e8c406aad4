// Package history checks what concurrent callers of a store of seats saw
// against what a correct store can answer: at every instant the handles that are
// certainly held against the quantity in force, by the cost of their modes, and
// each refusal against what may have been taken.
package history

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// Kind is what a program, an administrator or a server asked for.
type Kind string

// The kinds of recorded calls. Confirm stands for renewals and for checks that
// take a handle in; checks that renew nothing are recorded with Lease zero.
const (
	Access  Kind = "access"
	Confirm Kind = "confirm"
	Release Kind = "release"
	Remove  Kind = "remove"
	Leave   Kind = "leave"
	Claim   Kind = "claim"
)

// Op is one call, as its caller saw it.
type Op struct {
	Kind   Kind
	Pool   lease.Pool // for Claim its container only
	Handle string
	// Seat and N are as answered; zero where the caller can't see them.
	Seat uint32
	N    uint64
	// Quantity is what the request said; zero where the server knows it, see
	// History.SetQuantity.
	Quantity uint32
	// Lease is what the answer gave, counted from Start: the program's own
	// deadline. For a call that wasn't answered, what it would have given.
	Lease time.Duration
	// Holder is who asked, for Access; Linger is for how long the seat was to
	// linger, for Release.
	Holder lease.Holder
	Linger time.Duration
	// Request is what was asked for, for Access: its mode, station, licenses,
	// limits and wait. The zero Request stands for one license with user limit.
	Request lease.Request
	// Start is before the call was sent, End after its answer was there.
	Start, End time.Time
	// Code is the error's, empty for success. License.CodeUnavailable stands
	// for any call whose outcome is open.
	Code license.Code

	overtaken bool // fenced by a claim that was made meanwhile
}

// open says whether the call may have been made.
func (o Op) open() bool {
	return o.Code == license.CodeUnavailable || o.Code == license.CodeInternal || o.overtaken
}

// History is what concurrent callers saw. Safe for concurrent use.
type History struct {
	// Margin is the most by which a takeover extends a full lease.
	Margin time.Duration

	mu         sync.Mutex
	ops        []Op
	quantities map[lease.Pool][]change
}

type change struct {
	quantity   uint32
	start, end time.Time // came into force between these
}

// Record adds a call.
func (h *History) Record(o Op) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, o)
}

// SetQuantity says that a pool's quantity in force changed at some instant
// between start and end, both included. Changes are told in their order.
func (h *History) SetQuantity(p lease.Pool, quantity uint32, start, end time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.quantities == nil {
		h.quantities = map[lease.Pool][]change{}
	}
	h.quantities[p] = append(h.quantities[p], change{quantity, start, end})
}

// Violation is something that a correct store can't have answered.
type Violation struct {
	Rule string
	What string
	At   time.Time
	// Calls are those of the handles in question, where two contradict each other.
	Calls []Op
}

func (v Violation) Error() string {
	return fmt.Sprintf("%s: %s (%s)", v.Rule, v.What, v.At.Format("15:04:05.000000"))
}

// The rules that Check looks after.
const (
	RuleQuantity = "more handles than the quantity"       // I1
	RuleSeat     = "a seat given twice"                   // I1, by seats
	RuleN        = "an n used twice or out of order"      // each n names one handle
	RuleRevived  = "a late renewal revived"               // after the deadline it is over
	RuleDropped  = "a renewal in time refused"            // I2
	RuleRefused  = "refused though seats were free"       // no seat is lost
	RuleAnswer   = "one handle with two seats or two n's" // repeats give the same
	RuleLinger   = "a lingering seat given to another client"
	RuleReturn   = "refused though a seat lingered for it"
	RuleStation  = "an exclusive handle and another on one station"
	RuleCap      = "more licenses with a tag than its cap"
	RuleHold     = "licenses given that are kept back for others"
	RuleQueue    = "a license given past who waits for it"
)

// life is all that is known of one handle.
type life struct {
	pool    lease.Pool
	handle  string
	holder  lease.Holder
	seat    uint32
	n       uint64
	ops     []Op
	granted bool // an access was answered
	maybe   bool // an access may have been granted
	first   Op   // the answered access that was back first
	asked   time.Time
	// until is when it ended by a release or removal: the earliest start, and
	// the earliest end of one that was answered.
	given, gone time.Time
	// bound is the most that the quantity can have been by which it was granted,
	// or, with station share, the station's cost raised to what it is.
	bound uint32
	// raised is when it was asked for what it takes: by itself, or, with station
	// share, by those that it joined.
	raised  time.Time
	request lease.Request
}

// hold is a stretch of time in which a program certainly had a handle.
type hold struct {
	*life
	from, to time.Time
}

var (
	never   = time.Unix(math.MaxInt32*4, 0)
	forever = 100 * 365 * 24 * time.Hour
)

// Check gives everything that could not have happened, by time.
func (h *History) Check() []Violation {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := checker{history: h, lives: map[lease.Pool]map[string]*life{}}
	for _, o := range h.ops {
		if o.Kind == Claim {
			c.claims = append(c.claims, o)
		}
	}
	for _, o := range h.ops {
		if o.Kind != Claim {
			c.add(o)
		}
	}
	for _, lives := range c.lives {
		var holds []hold
		for _, l := range lives {
			slices.SortStableFunc(l.ops, func(a, b Op) int { return a.Start.Compare(b.Start) })
			c.settle(l)
			l.raised = l.asked
		}
		for _, l := range lives {
			holds = append(holds, c.holds(l)...)
		}
		spans, bySeat := c.spans(lives)
		c.chain(spans)
		c.sweep(holds)
		c.stations(holds)
		c.limits(lives, holds)
		c.seats(holds)
		c.order(lives)
		c.refusals(lives, spans, bySeat)
		c.queue(lives, holds, spans)
	}
	slices.SortStableFunc(c.found, func(a, b Violation) int { return a.At.Compare(b.At) })
	return c.found
}

type checker struct {
	history *History
	lives   map[lease.Pool]map[string]*life
	claims  []Op
	found   []Violation
}

func (c *checker) fault(rule string, at time.Time, format string, args ...any) {
	c.found = append(c.found, Violation{Rule: rule, What: fmt.Sprintf(format, args...), At: at})
}

func (c *checker) add(o Op) {
	o.overtaken = o.Code == license.CodeFenced && slices.ContainsFunc(c.claims, func(claim Op) bool {
		return !claim.Start.After(o.End) && (claim.open() || !claim.End.Before(o.Start))
	})
	lives := c.lives[o.Pool]
	if lives == nil {
		lives = map[string]*life{}
		c.lives[o.Pool] = lives
	}
	l := lives[o.Handle]
	if l == nil {
		l = &life{pool: o.Pool, handle: o.Handle, given: never, gone: never}
		lives[o.Handle] = l
	}
	l.ops = append(l.ops, o)
}

// settle finds a handle's grant and its end.
func (c *checker) settle(l *life) {
	for _, o := range l.ops {
		switch {
		case o.Kind == Access && (o.Code == "" || o.open()):
			l.holder, l.request = o.Holder, o.Request
			if l.request.Mode == "" {
				l.request.Mode = license.UserLimit
			}
			if !l.maybe || o.Start.Before(l.asked) {
				l.asked = o.Start
			}
			l.maybe = true
			if o.Code == "" && (!l.granted || o.End.Before(l.first.End)) {
				l.granted, l.first = true, o
			}
		case (o.Kind == Release || o.Kind == Remove) && (o.Code == "" || o.open()):
			if o.Start.Before(l.given) {
				l.given = o.Start
			}
			if o.Code == "" && o.End.Before(l.gone) {
				l.gone = o.End
			}
		}
		if (o.Kind == Access || o.Kind == Confirm) && o.Code == "" && (o.N != 0 || o.Seat != 0) {
			if (l.n != 0 || l.seat != 0) && (l.seat != o.Seat || l.n != o.N) {
				c.fault(RuleAnswer, o.End, "%s has seat %d n %d, then seat %d n %d", l.handle, l.seat, l.n, o.Seat, o.N)
			}
			l.seat, l.n = o.Seat, o.N
		}
	}
	if l.granted {
		_, l.bound = c.quantity(l.first, l.asked)
		// It may have been granted by an earlier asking that was answered later,
		// or not at all.
		for _, o := range l.ops {
			if o.Kind == Access && (o.Code == "" || o.open()) && !o.Start.After(l.first.End) {
				_, most := c.quantity(o, o.Start)
				l.bound = max(l.bound, most)
			}
		}
		return
	}
	for _, o := range l.ops {
		if o.Kind == Access {
			_, most := c.quantity(o, o.Start)
			l.bound = max(l.bound, most)
		}
	}
}

// quantity gives the lowest and highest quantity that an access may have been
// judged by.
func (c *checker) quantity(o Op, from time.Time) (least, most uint32) {
	if o.Quantity != 0 {
		return o.Quantity, o.Quantity
	}
	changes := c.history.quantities[o.Pool]
	least = math.MaxUint32
	for i, q := range changes {
		until := never
		if i+1 < len(changes) {
			until = changes[i+1].end
		}
		if q.start.After(o.End) || until.Before(from) {
			continue
		}
		least, most = min(least, q.quantity), max(most, q.quantity)
	}
	if most == 0 {
		least = 0
	}
	return least, most
}

// holds gives when the program certainly had the handle, and faults what it
// was told against its own deadlines.
func (c *checker) holds(l *life) []hold {
	if !l.granted {
		return nil
	}
	var holds []hold
	var current *hold
	latest := time.Time{} // no server's timer runs longer
	openEnded := false
	for _, o := range l.ops {
		confirms := o.Kind == Access || o.Kind == Confirm
		if !confirms {
			continue
		}
		switch {
		case o.Code == "":
			if !latest.IsZero() && !openEnded && o.Start.After(c.extended(latest, o, c.lease(o))) {
				c.fault(RuleRevived, o.End, "%s was confirmed %v after its lease", l.handle, o.Start.Sub(latest))
			}
			if o.Lease == 0 {
				continue
			}
			deadline := o.Start.Add(o.Lease)
			if end := o.End.Add(o.Lease); end.After(latest) {
				latest = end
			}
			if o.End.Before(l.first.End) {
				continue
			}
			if current == nil || o.Start.After(current.to) {
				holds = append(holds, hold{l, o.End, deadline})
				current = &holds[len(holds)-1]
			} else if deadline.After(current.to) {
				current.to = deadline
			}
		case o.open():
			openEnded = true
		case o.Code == license.CodeHandleExpired || o.Code == license.CodeHandleUnknown || o.Code == license.CodeHandleRemoved:
			if current != nil && o.End.Before(current.to) && o.Start.After(current.from) && l.given.After(o.End) {
				c.fault(RuleDropped, o.End, "%s got %s %v before its deadline", l.handle, o.Code, current.to.Sub(o.End))
			}
		}
	}
	kept := holds[:0]
	for _, h := range holds {
		if l.given.Before(h.to) {
			h.to = l.given
		}
		if h.from.Before(h.to) {
			kept = append(kept, h)
		}
	}
	return kept
}

// extended is the latest instant at which a handle with a timer to latest may
// still be confirmed by o, given the takeovers in between, which start timers of
// full anew.
func (c *checker) extended(latest time.Time, o Op, full time.Duration) time.Time {
	for _, claim := range c.claims {
		switch {
		case claim.Pool.Container != o.Pool.Container || claim.Start.After(o.End):
		case claim.open():
			return never
		default:
			// What had run out but was not noticed yet is held by a takeover too.
			if t := claim.End.Add(full + c.history.Margin); t.After(latest) {
				latest = t
			}
		}
	}
	return latest
}

func (c *checker) lease(o Op) time.Duration {
	if l := c.lives[o.Pool][o.Handle]; l != nil {
		return l.first.Lease
	}
	return forever
}

// seats looks for two handles that certainly have one seat at one time.
func (c *checker) seats(holds []hold) {
	bySeat := map[uint32][]hold{}
	for _, h := range holds {
		if h.seat != 0 {
			bySeat[h.seat] = append(bySeat[h.seat], h)
		}
	}
	for seat, all := range bySeat {
		slices.SortFunc(all, func(a, b hold) int { return a.from.Compare(b.from) })
		var last *hold
		for i := range all {
			h := &all[i]
			if last != nil && h.handle != last.handle && h.from.Before(last.to) {
				c.fault(RuleSeat, h.from, "seat %d is %s's for another %v and was given to %s", seat, last.handle, last.to.Sub(h.from), h.handle)
				c.found[len(c.found)-1].Calls = slices.Concat(last.ops, h.ops)
			}
			if last == nil || h.to.After(last.to) {
				last = h
			}
		}
	}
}

// order looks after the n's of each seat.
func (c *checker) order(lives map[string]*life) {
	bySeat := map[uint32][]*life{}
	for _, l := range lives {
		if l.granted && l.seat != 0 && l.n != 0 {
			bySeat[l.seat] = append(bySeat[l.seat], l)
		}
	}
	for seat, all := range bySeat {
		slices.SortFunc(all, func(a, b *life) int {
			return cmp.Or(cmp.Compare(a.n, b.n), a.asked.Compare(b.asked))
		})
		for i, l := range all[1:] {
			before := all[i]
			if l.n == before.n {
				c.fault(RuleN, l.first.End, "seat %d: %s and %s both have n %d", seat, before.handle, l.handle, l.n)
			} else if l.first.End.Before(before.asked) {
				c.fault(RuleN, before.first.End, "seat %d: n %d was given to %s after n %d", seat, before.n, before.handle, l.n)
			}
		}
	}
}
