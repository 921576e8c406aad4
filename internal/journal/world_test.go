package journal

import (
	"fmt"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// A world of two rival servers, three journals behind a network that delays,
// loses and delivers late, and programs that ask, renew and release. The servers
// run the core itself; seats are decided by the rules of the lease contract in
// their shortest form. A variant breaks one rule, at the border where it shows,
// and has to be caught.
type variant struct {
	noExtra      bool // a takeover starts timers at the plain lease
	noWriteBack  bool // what was read is not written under the own epoch
	noConfirm    bool // renewals are answered without a confirmation
	lateConfirm  bool // a confirmation counts from its receipt
	sameEpoch    bool // all leaders have one term
	sameN        bool // a seat's n doesn't count up
	oldN         bool // a journal takes a lower n
	oldRelease   bool // a release of an older n ends the seat's handle
	lostVotes    bool // a lost disk is not noticed
	oneWrite     bool // a change that one journal has is answered
	noPromise    bool // a journal writes what an older term asks
	lateValidity bool // a program counts its lease from the receipt
	refusesNewer bool // a token of a newer epoch is refused
	noBase       bool // what never came about is adopted later
	oneRoster    bool // a journal votes again when one other knows it
	noGrace      bool // a leader over lost journals gives seats at once
	shortGrace   bool // the next leader doesn't go on with the grace period
	oldDisk      bool // a disk put back is not noticed

	guide int // where every second walk starts: near to what shows it
}

const (
	seatCount = 2
	quantity  = 1
	lifetime  = 3 * time.Second
	graceTime = lifetime + Freshness
	users     = 2
	mostLate  = 2
)

var (
	anyProduct = license.Product{Firm: 6000010, Code: 14}
	names      = [license.Backends]string{"b1", "b2", "b3"}
)

func seatKey(i int) Key { return Key{anyProduct, uint32(i + 1)} }

// disk is the durable side of a backend. What its slices hold is never changed.
type disk struct {
	state State
	recs  [seatCount]Record
}

type entry struct {
	handle byte // 0: free
	n      uint64
	until  time.Duration
	index  uint64
	first  uint64 // the attempt that it was granted for
}

// server is one TMR server's process.
type server struct {
	core  *core
	calls [license.Backends]flight
	cut   [license.Backends]bool
	known Known
	table [seatCount]entry
	ready bool // the table is loaded
	ended uint64
}

type flight struct {
	stage  byte // 0: none, 1: on its way, 2: answered
	call   call
	answer answer
}

type want byte

const (
	nothing want = iota
	access
	renew
	release
)

// program is one that asks for a seat, under a new handle each time.
type program struct {
	handle   byte
	used     byte // how many handles it had
	seat     int
	epoch, n uint64
	deadline time.Duration // it has the seat before this
	has      bool

	asks     want
	attempt  uint64
	to       int // server
	sent     time.Duration
	answered bool // the answer is on its way
	ok       bool
	gone     bool // the handle is over, it was told
	g        entry
	gEpoch   uint64
}

type lateCall struct {
	call call
	slot int
}

type budget struct{ claims, crashes, losses, rollbacks, lates, ticks, handles, lostCalls, cuts int }

type counters map[string]int

type world struct {
	v        variant
	b        budget
	many     bool // more than one disk may be lost at a time
	twice    bool // it has happened
	now      time.Duration
	disks    [license.Backends]disk
	servers  [2]server
	users    [users]program
	late     []lateCall
	copyOf   int // whose disk was copied, from 1
	copied   disk
	sick     [license.Backends]bool // put back, and not emptied since
	epochs   uint64
	attempts uint64
	born     uint64
	patience time.Duration
	lag      time.Duration // of a third journal
	answered uint64        // handles that were ever granted to their program
	lastLead int           // who served last, from 1
	seen     counters
	wrong    string
}

func newWorld(v variant, b budget) *world {
	w := &world{v: v, b: b, seen: counters{}}
	for i := range w.disks {
		w.blank(i)
	}
	return w
}

func (w *world) blank(i int) {
	w.born++
	w.sick[i] = false
	w.disks[i] = disk{state: State{Incarnation: incarnations[w.born], Version: 1}}
}

var holders = func() (h [64][]byte) {
	for i := range h {
		h[i] = []byte{byte(i)}
	}
	return h
}()

var incarnations = func() (s [256]string) {
	for i := range s {
		s[i] = fmt.Sprintf("i%d", i)
	}
	return s
}()

func (w *world) contradiction(format string, args ...any) {
	if w.wrong == "" {
		w.wrong = fmt.Sprintf(format, args...)
	}
}

func (w *world) moment() moment { return moment{w.now, w.now} }

// execute has a journal do what is asked.
func (w *world) execute(i int, k call) answer {
	d := &w.disks[i]
	if k.kind == askClaim {
		if w.v.sameEpoch && k.promise.Term == d.state.Promised {
			return w.read(d)
		}
		if err := d.state.Admit(k.promise.Term); err != nil {
			return answer{err: err}
		}
		d.state.Promised = k.promise.Term
		return w.read(d)
	}
	if err := d.state.Allow(k.promise); err != nil {
		stale := k.promise.Incarnation == d.state.Incarnation && license.CodeOf(err) == license.CodeFenced
		if !w.v.noPromise || k.kind != askWrite || !stale {
			return answer{err: err}
		}
	}
	switch k.kind {
	case askWrite:
		if err := w.write(d, k); err != nil {
			return answer{err: err}
		}
	case askEnrol:
		if w.v.oneRoster && !k.vote && i == int(k.roster.Epoch)%license.Backends {
			break
		}
		r := k.roster
		r.Epoch = k.promise.Epoch
		r.Grace = r.Grace && !w.v.shortGrace
		if !r.Equal(d.state.Roster) && !r.Newer(d.state.Roster) {
			return answer{err: ErrLower}
		}
		d.state.Roster, d.state.Marks = r, r.Merge(d.state.Marks, nil)
		if k.vote && !d.state.Voting {
			d.state.Voting = true
			w.seen["enrolled to vote"]++
		}
		d.state.Version++
	case askReset:
		t := d.state.Promised
		w.blank(i)
		w.disks[i].state.Promised = t
		w.seen["emptied to begin anew"]++
		return answer{state: w.disks[i].state}
	}
	return answer{version: d.state.Version}
}

func (w *world) read(d *disk) answer {
	a := answer{state: d.state}
	if w.v.noBase {
		a.state.Base = 0
	}
	if w.v.oldDisk {
		a.state.Marks = nil
	}
	for _, r := range d.recs {
		if r.N > 0 {
			a.records = append(a.records, r)
		}
	}
	return a
}

func (w *world) write(d *disk, k call) error {
	if w.v.noWriteBack && !k.private && k.batch.Base+uint64(len(k.batch.Records)) > 0 && k.upto <= w.baseOf(k.promise.Term) {
		return nil
	}
	for _, r := range k.batch.Records {
		r.Epoch = k.promise.Epoch
		if err := r.Replaces(d.recs[r.Seat-1]); err != nil && !w.v.oldN && !w.v.sameN && !w.v.noPromise {
			return err
		}
	}
	for _, r := range k.batch.Records {
		r.Epoch = k.promise.Epoch
		d.recs[r.Seat-1] = r
	}
	d.state.Base = max(d.state.Base, k.batch.Base)
	d.state.Marks = d.state.Roster.Merge(d.state.Marks, k.batch.Marks)
	d.state.Version++
	return nil
}

func (w *world) baseOf(t Term) uint64 {
	for i := range w.servers {
		if c := w.servers[i].core; c != nil && c.term == t {
			return c.base
		}
	}
	return 0
}

// pump begins whatever a server would ask now, as the engine does.
func (w *world) pump(s int) {
	v := &w.servers[s]
	if v.core == nil {
		return
	}
	v.core.step(w.moment())
	w.load(s)
	for i := range v.calls {
		if v.calls[i].stage == 0 {
			if k, ok := v.core.next(i, w.moment()); ok {
				v.calls[i] = flight{stage: 1, call: k}
			}
		}
		if v.core.slots[i].spared {
			w.seen["third journals that lag"]++
		}
	}
}

// load fills the table when a server begins to serve.
func (w *world) load(s int) {
	v := &w.servers[s]
	if v.ready || v.core.phase != serving {
		return
	}
	v.ready = true
	if w.lastLead != 0 {
		w.seen["takeovers"]++
	}
	extra := Freshness
	if w.v.noExtra {
		extra = 0
	}
	for i := range v.table {
		r := v.core.seats[seatKey(i)]
		v.table[i] = entry{n: max(r.N, LeastN)}
		if len(r.Holder) == 0 {
			continue
		}
		h := r.Holder[0]
		v.table[i] = entry{handle: h, n: r.N, until: w.now + lifetime + extra, index: v.core.base}
		w.seen["write-backs"]++
		if w.answered&(1<<h) == 0 {
			w.seen["in-flight grants adopted"]++
		}
	}
	if v.core.grace {
		w.seen["grace periods"]++
	}
	if w.v.noGrace {
		v.core.grace = false
	}
	w.lastLead = s + 1
}

func (w *world) has(v *server, index uint64) bool {
	if !w.v.oneWrite {
		return v.core.committed >= index
	}
	for i := range v.core.slots {
		if sl := &v.core.slots[i]; sl.voter && sl.acked >= index {
			return true
		}
	}
	return false
}

func (w *world) fresh(v *server) bool { return w.v.noConfirm || v.core.fresh(w.moment()) }

// change writes what became of a seat.
func (w *world) change(v *server, i int, handle byte, until time.Duration) {
	e := &v.table[i]
	e.n, e.first = e.n+1, 0
	if w.v.sameN {
		e.n = LeastN + 1
	}
	e.handle, e.until = handle, until
	r := Record{Key: seatKey(i), Epoch: v.core.term.Epoch, N: e.n}
	if handle != 0 {
		r.Holder = holders[handle]
	}
	e.index = v.core.append(change{records: []Record{r}})
}

// valid says whether a program believes to have a seat.
func (p *program) valid(now time.Duration) bool { return p.has && now < p.deadline }

// check looks for contradictions to what must hold at every moment.
func (w *world) check() {
	n := 0
	for i := range w.users {
		if w.users[i].valid(w.now) {
			n++
		}
	}
	if n > quantity {
		w.contradiction("%d programs have a seat, of %d", n, quantity)
	}
}
