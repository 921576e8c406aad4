package journal

import (
	"slices"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// core is the leader's side of one term, as a pure step function: next says what
// to ask a journal, done takes its answer. It has no clock, no lock and no I/O;
// Quorum drives it, and so does the checker.
type core struct {
	opt   settings
	term  Term
	phase phase
	cause error  // why it is over
	above uint64 // the highest epoch that a refusal told of

	slots [license.Backends]slot
	// known is the newest roster that was seen, or made here; marks are the
	// latest that any journal told of.
	known Roster
	marks []Mark
	// founding: fewer than two journals knew the seats, so those that are there
	// become the group's, all at once.
	founding bool
	founded  bool // and are
	grace    bool
	served   moment // when serving began

	seats  map[Key]Record // as decided
	found  []Record       // the same when the lead began, in the order of keys, until they are asked for
	events []Event        // kept, by position
	bytes  int            // of their data
	trim   uint64         // events up to here are not kept

	back      change // to be written back
	log       []change
	dropped   uint64 // entries of the log before log[0]
	base      uint64 // index that ends the takeover
	committed uint64 // two voters have the log up to here
	wanted    moment // a confirmation that was asked for later than this will do
	began     moment
	enough    time.Duration // after which two had told what they have
}

type settings struct {
	names      [license.Backends]string
	newGroup   bool // blank journals are a new group's
	graceTime  time.Duration
	patience   time.Duration // for a third journal, where two are enough
	despair    time.Duration // for a second that knows the seats, where two others are there
	reclaim    time.Duration // after which a journal that refuses is claimed anew; 0: never
	markTime   time.Duration // after which marks go without a change; 0: never
	mostEvents int
	mostBytes  int           // of the events' data; 0: any
	mostBehind int           // entries of the log that are kept for a journal that is away
	lag        time.Duration // of a third journal, where two are quick; 0: none
}

// moment is one instant by two clocks: the monotonic one may stop while the
// machine sleeps, the wall clock may be set. Ages are the larger of both.
type moment struct{ mono, wall time.Duration }

func (m moment) age(now moment) time.Duration {
	return max(now.mono-m.mono, now.wall-m.wall)
}

type phase uint8

const (
	claiming phase = iota // asks for promises, and reads
	writing               // writes back
	serving
	over
)

// slot is one journal as the leader sees it.
type slot struct {
	busy   bool
	failed int    // calls in a row
	retry  moment // not before
	// refused: it has promised a newer term, of the epoch by, since when.
	refused bool
	by      uint64
	since   moment

	claimed bool // the term is promised by state.Incarnation
	state   State
	first   uint64 // its version then
	back    string // an incarnation that went back to an earlier state
	// What it had when it was claimed, until it is compared with what was decided.
	records []Record // in the order of keys
	events  []Event

	// voter: it counts. Its confirmations do so at once, its log when it follows.
	voter bool
	heard moment // when the last call that succeeded was begun
	hears bool

	follows  bool
	ready    bool    // private and from are set
	private  []Batch // what brings it to where the log was at from
	from     uint64
	acked    uint64
	tried    uint64 // up to here it may have the log
	mark     uint64 // its version after the last real change
	told     [license.Backends]uint64
	lastTold moment

	// What decides which journal may lag, and whether this one does, until when.
	asked, took, due time.Duration
	spared           bool
	goal             uint64 // the log up to here it gets without a rest
}

type kind uint8

const (
	askClaim kind = iota // promise and read all
	askReset
	askWrite
	askEnrol
	askConfirm
)

// call is one thing to ask of one journal; one at a time.
type call struct {
	kind    kind
	slot    int
	sent    moment
	promise Promise
	batch   Batch
	upto    uint64 // the log up to here is in batch
	private bool   // the batch is the slot's own
	roster  Roster
	vote    bool
}

// answer is what came of a call.
type answer struct {
	err     error
	version uint64
	state   State
	records []Record // in the order of keys
	events  []Event
}

// Known is what a server has seen of a group's journals.
type Known struct {
	Roster Roster // the newest
	Marks  []Mark // the latest
}

func newCore(opt settings, t Term, k Known, now moment) *core {
	return &core{opt: opt, term: t, known: k.Roster, marks: k.Marks, seats: make(map[Key]Record), began: now}
}

// memory is what the next claim of this server should know.
func (c *core) memory() Known { return Known{c.known, c.marks} }

// note keeps marks that are later than what is kept.
func (c *core) note(marks []Mark) {
	for _, m := range marks {
		i := slices.IndexFunc(c.marks, func(k Mark) bool { return k.Incarnation == m.Incarnation })
		switch {
		case i < 0:
			c.marks = append(slices.Clone(c.marks), m)
		case m.Version > c.marks[i].Version:
			c.marks = slices.Clone(c.marks)
			c.marks[i] = m
		}
	}
	// Few incarnations come and go; the oldest are forgotten.
	c.marks = c.marks[max(0, len(c.marks)-4*license.Backends):]
}

// end ends the term for good.
func (c *core) end(cause error) {
	if c.phase != over {
		c.phase, c.cause = over, cause
	}
}

// next gives what is to be asked of a journal now, if anything.
func (c *core) next(i int, now moment) (call, bool) {
	s := &c.slots[i]
	if c.phase == over || s.busy || (s.failed > 0 || s.refused) && now.mono < s.retry.mono {
		return call{}, false
	}
	k := call{slot: i, sent: now, promise: Promise{c.term, s.state.Incarnation}}
	if !c.ask(&k, s, now) {
		return call{}, false
	}
	s.busy, s.asked = true, now.mono
	return k, true
}

func (c *core) ask(k *call, s *slot, now moment) bool {
	switch {
	case !s.claimed:
		k.kind = askClaim
		return true
	case c.phase == claiming:
		return false
	case !s.follows && !s.voter && s.state.Voting:
		// Its incarnation has been heard of: what it said may be on its way still.
		k.kind = askReset
		return true
	case !s.follows:
		if !s.ready {
			c.compare(s)
		}
		k.kind, k.private, k.batch, k.upto = askWrite, true, s.private[0], s.from
	case c.enrol(k, s):
		k.kind = askEnrol
		return true
	case s.acked < c.last() && !c.spare(k.slot, now):
		s.spared = false
		k.kind = askWrite
		k.batch, k.upto = c.collect(s)
		s.tried = max(s.tried, k.upto)
	case s.voter && (!s.hears || s.heard.mono < c.wanted.mono):
		k.kind = askConfirm
		return true
	case c.markDue(k.slot, now):
		k.kind, k.upto = askWrite, s.acked
	default:
		return false
	}
	k.batch.Marks = c.tells(k.slot)
	return true
}

// done takes the answer to a call.
func (c *core) done(k call, a answer, now moment) {
	s := &c.slots[k.slot]
	s.busy = false
	if c.phase == over {
		return
	}
	if a.err != nil {
		c.failed(s, a.err, now)
		c.step(now)
		return
	}
	s.failed, s.refused = 0, false
	if !s.hears || s.heard.mono < k.sent.mono {
		s.heard, s.hears = k.sent, true
	}
	switch k.kind {
	case askClaim:
		c.claimed(k.slot, a)
	case askReset:
		s.forget()
		s.claimed, s.state, s.first = true, a.state, a.state.Version
	default:
		if a.version < s.state.Version {
			s.back = s.state.Incarnation
			s.forget()
			break
		}
		s.state.Version = a.version
		c.timed(s, k, now)
		c.wrote(k, s)
	}
	c.step(now)
}

func (c *core) wrote(k call, s *slot) {
	switch k.kind {
	case askEnrol:
		s.state.Roster = k.roster
		s.state.Voting = s.state.Voting || k.vote
		s.voter = s.voter || k.vote
		s.mark = s.state.Version
	case askWrite:
		if k.private {
			if s.private = s.private[1:]; len(s.private) == 0 {
				s.follows, s.records, s.events = true, nil, nil
			}
		}
		if s.follows && k.upto > s.acked {
			s.acked = k.upto
		}
		if len(k.batch.Records)+len(k.batch.Events) > 0 || k.batch.Base > 0 {
			s.mark = s.state.Version
		}
		for _, m := range k.batch.Marks {
			for j := range c.slots {
				if c.slots[j].state.Incarnation == m.Incarnation {
					s.told[j] = max(s.told[j], m.Version)
				}
			}
		}
		s.lastTold = k.sent
	}
}

// failed takes a call that was refused or got no answer.
func (c *core) failed(s *slot, err error, now moment) {
	s.failed++
	s.retry = moment{mono: now.mono + min(time.Second, 25*time.Millisecond<<min(s.failed, 6))}
	switch license.CodeOf(err) {
	case license.CodeFenced:
		by := PromisedBy(err)
		if !s.refused || s.by != by {
			s.by, s.since = by, now
		}
		s.refused = true
		s.retry = moment{mono: now.mono + time.Second}
		c.above = max(c.above, by)
		refused := 0
		for i := range c.slots {
			if c.slots[i].refused {
				refused++
			}
		}
		// One refusal doesn't depose a leader that two confirm. Who doesn't lead
		// yet begins again, above.
		if refused >= license.Majority || c.phase == claiming {
			c.end(err)
		}
	case license.CodeConflict:
		s.forget()
		if s.failed == 1 {
			s.retry = now
		}
	}
}

// forget has a journal claimed again, as if it had never been asked.
func (s *slot) forget() {
	s.claimed, s.voter, s.hears, s.follows, s.ready = false, false, false, false, false
	s.records, s.events, s.private = nil, nil, nil
	s.acked, s.tried, s.goal, s.told = 0, 0, 0, [license.Backends]uint64{}
}

// step draws the conclusions.
func (c *core) step(now moment) {
	if c.phase == claiming {
		c.take(now)
	}
	if c.phase != writing && c.phase != serving {
		return
	}
	if c.lost() {
		c.end(errLost)
		return
	}
	if c.phase == serving && c.reclaims(now) {
		c.end(errRefused)
		return
	}
	c.enlist()
	c.count()
	if c.phase == writing && c.founding && !c.founded && c.enrolled() {
		c.founded = true
		c.writeBack()
	}
	if c.phase == writing && c.committed >= c.base && c.voters() >= license.Majority && c.founded == c.founding {
		c.phase, c.served = serving, now
	}
	if c.phase == serving && c.grace && now.mono-c.served.mono >= c.opt.graceTime {
		c.grace = false
		c.known = c.renewed(c.known.Peers)
	}
	c.compact()
}

func (c *core) voters() (n int) {
	for i := range c.slots {
		if c.slots[i].voter {
			n++
		}
	}
	return n
}

// fresh says whether two voters have confirmed the term by calls that were begun
// less than Freshness ago.
func (c *core) fresh(now moment) bool {
	at, ok := c.confirmed()
	return ok && at.age(now) < Freshness
}

// confirmed gives when the last round that two voters confirmed began.
func (c *core) confirmed() (at moment, ok bool) {
	n := 0
	for i := range c.slots {
		s := &c.slots[i]
		if !s.voter || !s.hears {
			continue
		}
		later := 0
		for j := range c.slots {
			o := &c.slots[j]
			if j != i && o.voter && o.hears && (o.heard.mono > s.heard.mono || (o.heard == s.heard && j < i)) {
				later++
			}
		}
		if later == license.Majority-1 {
			at = s.heard
		}
		n++
	}
	return at, n >= license.Majority
}

// want asks for a confirmation that is begun now or later.
func (c *core) want(now moment) {
	if c.wanted.mono < now.mono {
		c.wanted = now
	}
}

// wake is how long until something is to be asked, or to be concluded, though
// no answer comes.
func (c *core) wake(now moment) (time.Duration, bool) {
	if c.phase == over {
		return 0, false
	}
	var first time.Duration
	any := false
	at := func(t time.Duration) {
		if !any || t < first {
			first, any = t, true
		}
	}
	for i := range c.slots {
		s := &c.slots[i]
		switch {
		case s.busy:
		case s.failed > 0 || s.refused:
			at(s.retry.mono)
		case s.spared && s.acked < c.last():
			at(s.due)
		case c.opt.markTime > 0 && s.voter && c.phase == serving && c.lacksMarks(i):
			at(s.lastTold.mono + c.opt.markTime)
		}
	}
	if c.phase == claiming {
		for _, d := range []time.Duration{c.opt.patience, 2 * c.enough, c.opt.despair} {
			if now.mono < c.began.mono+d {
				at(c.began.mono + d)
			}
		}
	}
	if c.phase == serving && c.grace {
		at(c.served.mono + c.opt.graceTime)
	}
	return max(first-now.mono, time.Millisecond), any
}
