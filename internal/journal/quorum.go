package journal

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/license"
)

const (
	// Freshness is how old a confirmation by two journals may be, strictly:
	// counted from before they were asked.
	Freshness = 2 * time.Second
	// thirdLag is how long the slowest journal may lag behind two quick ones.
	thirdLag = 50 * time.Millisecond
	// mostPending is how many changes may wait for two journals.
	mostPending = 1 << 14
)

// Backend is one of a group's journals, and what it is called.
type Backend struct {
	Name    string // its container's serial
	Journal Journal
}

// Options are a leader's settings; zero values stand for the defaults.
type Options struct {
	// Owner is for people: who leads.
	Owner string
	// NewGroup: three journals that know of nothing are those of a new group,
	// and not of one that has lost everything. Without, such a group begins with
	// a grace period.
	NewGroup bool
	// Grace is how long a grace period takes at least (5 min): the longest lease
	// of a handle, and 2 s, and what clocks may differ by. See Quorum.Prolong.
	Grace time.Duration
	// MostEvents is how many events are kept (10,000), and MostEventBytes of how
	// many bytes together (16 MiB); an eighth more may be there.
	MostEvents, MostEventBytes int
	// CallTime bounds one call to one journal (2 s), ClaimTime a whole claim
	// (30 s).
	CallTime, ClaimTime time.Duration
	// Known is what this server has seen before (Quorum.Known), so that a claim
	// doesn't go by two journals of which a third has told better.
	Known Known
	// Patience is how long a claim waits for a third journal (300 ms), and
	// Despair for a second that knows the seats where others are there (10 s).
	Patience, Despair time.Duration
	Logger            *slog.Logger
}

func (o Options) withDefaults() Options {
	o.Grace = cmp.Or(o.Grace, 5*time.Minute)
	o.MostEvents = cmp.Or(o.MostEvents, 10_000)
	o.MostEventBytes = cmp.Or(o.MostEventBytes, 16<<20)
	o.CallTime = cmp.Or(o.CallTime, 2*time.Second)
	o.ClaimTime = cmp.Or(o.ClaimTime, 30*time.Second)
	o.Patience = cmp.Or(o.Patience, 300*time.Millisecond)
	o.Despair = cmp.Or(o.Despair, 10*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Quorum is the right to decide about a group's seats under one term: the
// leader's side of three journals. It ends when two journals have promised a
// newer term, when it can't go on by what it knows, or with Close. Safe for
// concurrent use; no lock is held while a journal is asked.
type Quorum struct {
	opt      Options
	backends [license.Backends]Backend
	ctx      context.Context
	cancel   context.CancelFunc
	start    time.Time
	running  sync.WaitGroup

	mu     sync.Mutex
	core   *core
	waits  waits
	timer  *time.Timer
	closed bool
	ended  chan struct{} // closed when the term is over
}

// Claim takes the lead: it claims a fresh term on the journals, reads two,
// writes back what was decided, and returns when two have it all. Whatever was
// ever answered for by a leader before is in it. Errors: license.CodeFenced
// where others claim at the same time, CodeNoMajority where fewer than two
// journals answer.
func Claim(ctx context.Context, backends [license.Backends]Backend, o Options) (*Quorum, error) {
	o = o.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, o.ClaimTime)
	defer cancel()
	known, above := o.Known, uint64(0)
	for try := 0; ; try++ {
		epoch := max(above+1, uint64(max(time.Now().UnixMicro(), 1)))
		q := begin(backends, o, Term{epoch, owner(o.Owner)}, known)
		err := q.await(ctx, wait{serving: true})
		if err == nil {
			return q, nil
		}
		q.mu.Lock()
		known, above = q.core.memory(), max(epoch, q.core.above)
		q.mu.Unlock()
		q.Close()
		if again := license.CodeOf(err) == license.CodeFenced; !again || try >= 8 || ctx.Err() != nil {
			return nil, err
		}
		o.Logger.Info("the epoch was not promised, a higher one is claimed", "epoch", epoch, "promised", above)
	}
}

// owner makes the name of one claim, never used for another.
func owner(who string) string {
	who = strings.Map(func(c rune) rune {
		if c <= ' ' || c > '~' {
			return '_'
		}
		return c
	}, who)
	return who[:min(len(who), 64)] + "/" + rand.Text()
}

func begin(backends [license.Backends]Backend, o Options, t Term, known Known) *Quorum {
	q := &Quorum{opt: o, backends: backends, start: time.Now(), ended: make(chan struct{})}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	opt := settings{
		newGroup: o.NewGroup, graceTime: o.Grace, patience: o.Patience, despair: o.Despair,
		markTime: time.Second, reclaim: time.Minute, mostEvents: o.MostEvents, mostBytes: o.MostEventBytes, mostBehind: 1 << 16, lag: thirdLag,
	}
	for i, b := range backends {
		opt.names[i] = b.Name
	}
	q.core = newCore(opt, t, known, q.now())
	q.timer = time.AfterFunc(time.Hour, q.tick)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pump()
	return q
}

func (q *Quorum) now() moment {
	now := time.Now()
	return moment{now.Sub(q.start), now.Round(0).Sub(q.start.Round(0))}
}

func (q *Quorum) tick() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pump()
}

// pump draws conclusions, asks what is to be asked, and lets go who waited. mu
// is held.
func (q *Quorum) pump() {
	if q.closed {
		return
	}
	now := q.now()
	q.core.step(now)
	for i := range q.backends {
		if k, ok := q.core.next(i, now); ok {
			q.running.Go(func() { q.ask(k) })
		}
	}
	if q.core.phase == over {
		select {
		case <-q.ended:
		default:
			q.opt.Logger.Info("the lead is over", "epoch", q.core.term.Epoch, "err", q.core.cause)
			close(q.ended)
		}
	}
	q.release(now)
	if d, ok := q.core.wake(now); ok {
		q.timer.Reset(d)
	} else {
		q.timer.Stop()
	}
}

// ask makes one call, and takes its answer.
func (q *Quorum) ask(k call) {
	a := q.call(k)
	q.mu.Lock()
	defer q.mu.Unlock()
	before := q.core.slots[k.slot]
	q.core.done(k, a, q.now())
	q.tell(k, a, before)
	q.pump()
}

// tell logs what a person may want to know of a call.
func (q *Quorum) tell(k call, a answer, before slot) {
	log := q.opt.Logger.With("backend", q.backends[k.slot].Name, "epoch", k.promise.Epoch)
	after := &q.core.slots[k.slot]
	switch {
	case a.err != nil && before.failed == 0 && q.ctx.Err() == nil:
		log.Warn("a journal of seats fails", "err", a.err)
	case a.err == nil && before.failed > 0:
		log.Info("the journal of seats is there again")
	case k.kind == askReset:
		log.Warn("a journal of seats is filled anew: it had lost what others know of it")
	case after.voter && !before.voter:
		log.Info("the journal of seats counts")
	}
}

func (q *Quorum) call(k call) answer {
	j := q.backends[k.slot].Journal
	limit := func() (context.Context, context.CancelFunc) { return context.WithTimeout(q.ctx, q.opt.CallTime) }
	if k.kind == askClaim {
		return readAll(j, k.promise.Term, limit)
	}
	ctx, cancel := limit()
	defer cancel()
	var p Pulse
	var s State
	var err error
	switch k.kind {
	case askReset:
		s, err = j.Reset(ctx, k.promise)
	case askWrite:
		p, err = j.Write(ctx, k.promise, k.batch)
	case askEnrol:
		p, err = j.Enrol(ctx, k.promise, k.roster, k.vote)
	case askConfirm:
		p, err = j.Confirm(ctx, k.promise)
	}
	return answer{err: err, version: p.Version, state: s}
}

// errOrder keeps a backend that gives the same pages again and again from being
// read for ever.
var errOrder error = &license.Error{
	Code: license.CodeUnavailable, Message: "the pages of a journal of seats are out of order", Fix: "use the same version of Quorate on both sides",
}

// readAll claims a journal and reads what it has.
func readAll(j Journal, t Term, limit func() (context.Context, context.CancelFunc)) (a answer) {
	ctx, cancel := limit()
	defer cancel()
	if a.state, a.err = j.Claim(ctx, t); a.err != nil {
		return a
	}
	p := Promise{t, a.state.Incarnation}
	for after := (Key{}); ; {
		ctx, cancel := limit()
		page, err := j.Records(ctx, p, after, MostPage)
		cancel()
		if err != nil {
			return answer{err: err}
		}
		if len(page) == 0 {
			break
		}
		for _, r := range page {
			if r.Key.Compare(after) <= 0 {
				return answer{err: errOrder}
			}
			after = r.Key
		}
		a.records = append(a.records, page...)
	}
	for after := uint64(0); ; {
		ctx, cancel := limit()
		page, err := j.Events(ctx, p, after, MostPage)
		cancel()
		if err != nil {
			return answer{err: err}
		}
		if len(page) == 0 {
			return a
		}
		for _, e := range page {
			if e.Position <= after {
				return answer{err: errOrder}
			}
			after = e.Position
		}
		a.events = append(a.events, page...)
	}
}

// over says why the term is over, or nil. mu is held.
func (q *Quorum) over() error {
	switch {
	case q.closed:
		return noMajority(context.Canceled)
	case q.core.phase == over:
		return &license.Error{
			Code: license.CodeFenced, Err: q.core.cause,
			Message: "another TMR server leads the group, or this one has to claim the lead anew",
			Fix:     "ask the active server",
		}
	}
	return nil
}

func noMajority(cause error) error {
	return &license.Error{
		Code: license.CodeUnavailable, Err: cause,
		Message: "fewer than two of three journals of seats confirm",
		Fix:     "start the missing backends, then try again: repeating is safe",
	}
}

// Epoch is the term's.
func (q *Quorum) Epoch() uint64 { return q.core.term.Epoch }

// Known is what was seen of the journals, for the next claim; also when the term
// is over.
func (q *Quorum) Known() Known {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.core.memory()
}

// Ended is closed when the term is over.
func (q *Quorum) Ended() <-chan struct{} { return q.ended }

// Content gives what was decided before: the record of every seat, and the kept
// events, oldest first. For once, before the first Append.
func (q *Quorum) Content() ([]Record, []Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	records := q.core.found
	q.core.found = nil
	return records, slices.Clone(q.core.events)
}

// Confirm returns nil when two journals have confirmed the term by calls that
// were begun less than Freshness ago; it has them asked where that is needed.
func (q *Quorum) Confirm(ctx context.Context) error {
	q.mu.Lock()
	now := q.now()
	at, ok := q.core.confirmed()
	fresh := ok && at.age(now) < Freshness
	if !fresh || at.age(now) > Freshness/4 {
		q.core.want(now)
		q.pump()
	}
	err := q.over()
	q.mu.Unlock()
	if fresh || err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*q.opt.CallTime)
	defer cancel()
	return q.await(ctx, wait{})
}

// Fresh says whether Confirm would return nil at once.
func (q *Quorum) Fresh() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.core.phase == serving && q.core.fresh(q.now())
}

// Append decides a change: records and events that each journal writes together
// and in order. It gives the index to Wait for. What goes in must not be changed
// afterwards. At most MostBatch/2 records and events, each with an N above its
// seat's last, and half of MostBatchBytes.
func (q *Quorum) Append(records []Record, events []Event) (uint64, error) {
	ch := change{records: records, events: events}
	if n, size := ch.size(); n > mostPart || size > MostBatchBytes/2 {
		return 0, invalid("a change has up to %d records and events, and %d bytes", mostPart, MostBatchBytes/2)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.over(); err != nil {
		return 0, err
	}
	if q.core.last()-q.core.committed >= mostPending {
		return 0, license.Errorf(license.CodeThrottled, "wait a little, then try again", "%d changes wait for two journals of seats", mostPending)
	}
	index := q.core.append(ch)
	q.pump()
	return index, nil
}

// Wait returns nil when two journals have the log up to index on disk.
func (q *Quorum) Wait(ctx context.Context, index uint64) error {
	q.mu.Lock()
	done := q.core.committed >= index
	q.mu.Unlock()
	if done {
		return nil
	}
	return q.await(ctx, wait{index: index})
}

// Committed is up to where two journals have the log.
func (q *Quorum) Committed() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.core.committed
}

// Status is how a journal stands with the leader.
type Status struct {
	Name string
	// Counts: it is one of those of which two must confirm.
	Counts bool
	// Refuses: it has promised a newer epoch to somebody who doesn't lead. A new
	// claim gets it back: after a minute in which nobody claimed there the lead ends
	// for that.
	Refuses bool
	// Behind is how many changes it has still to write.
	Behind uint64
}

// Status tells of all three journals.
func (q *Quorum) Status() (all [license.Backends]Status) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range all {
		s := &q.core.slots[i]
		all[i] = Status{Name: q.backends[i].Name, Counts: s.voter, Refuses: s.refused, Behind: q.core.last() - s.acked}
	}
	return all
}

// Close ends the lead. Closing twice is safe.
func (q *Quorum) Close() {
	q.mu.Lock()
	if !q.closed {
		q.core.end(context.Canceled)
		q.pump()
		q.closed = true
		q.timer.Stop()
	}
	q.mu.Unlock()
	q.cancel()
	q.running.Wait()
}
