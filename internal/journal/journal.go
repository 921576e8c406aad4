package journal

import (
	"cmp"
	"context"
	"slices"

	"github.com/quorate/quorate/internal/license"
)

// Term is one claim to lead: an epoch, and who claimed it. Two hosts may come
// upon the same epoch; a journal promises it to one of them alone.
type Term struct {
	Epoch uint64
	// Owner is unique per claim and host, never used for a second claim.
	Owner string
}

// Promise is the promise of a Term by one incarnation of a journal: what every
// call after Claim is made under, so that none reaches a journal that has lost
// its disk since.
type Promise struct {
	Term
	Incarnation string
}

// Key names a seat.
type Key struct {
	Product license.Product
	Seat    uint32
}

// Compare orders keys by firm code, product code and seat.
func (k Key) Compare(l Key) int {
	return cmp.Or(k.Product.Compare(l.Product), cmp.Compare(k.Seat, l.Seat))
}

// Record is what a seat has. Of two records of a seat the one with the higher
// (Epoch, N) wins. A seat's record is never removed, only replaced: so n is
// known as long as the journal lives.
type Record struct {
	Key
	// Epoch is that of the term it was written under: the journal sets it.
	Epoch uint64
	// N counts up per seat and is never used again for something else.
	N uint64
	// Holder is opaque; empty: nobody has the seat.
	Holder []byte
}

// Event is one entry of the group's stream.
type Event struct {
	Position uint64
	// Epoch is that of the term it was written under: the journal sets it.
	Epoch uint64
	Data  []byte // opaque
}

// Mark says that an incarnation of a journal has had a Version.
type Mark struct {
	Incarnation string
	Version     uint64
}

// Peer is one of the group's journals.
type Peer struct {
	Name        string // of the backend: its container's serial
	Incarnation string
}

// Roster says which incarnations of the journals may vote. Of two the one with
// the higher (Epoch, N) is in force.
type Roster struct {
	Epoch uint64 // of the term it was written under: the journal sets it
	N     uint64
	Peers []Peer // at most license.Backends, by name, each name once
	// Grace: the journals were enrolled with fewer than two that knew the seats;
	// whoever leads takes handles in by their tokens and gives no new ones for a
	// full lease, before a roster without it.
	Grace bool
}

// Newer says whether the roster is of a higher (Epoch, N).
func (r Roster) Newer(q Roster) bool {
	return cmp.Or(cmp.Compare(r.Epoch, q.Epoch), cmp.Compare(r.N, q.N)) > 0
}

// Equal says whether two rosters are the same in everything.
func (r Roster) Equal(q Roster) bool {
	return r.Epoch == q.Epoch && r.N == q.N && r.Grace == q.Grace && slices.Equal(r.Peers, q.Peers)
}

// Of gives the incarnation of a peer, "" where it is not in the roster.
func (r Roster) Of(name string) string {
	for _, p := range r.Peers {
		if p.Name == name {
			return p.Incarnation
		}
	}
	return ""
}

// State is what a journal says of itself.
type State struct {
	// Incarnation is made anew, at random, whenever the journal begins empty:
	// when it is made and by Reset. A restart keeps it.
	Incarnation string
	// Version is 1 when the incarnation begins, and each Write and each Enrol that
	// changes something counts it up by one; a promise does not, since whoever
	// claims hasn't judged the journal yet. One that is lower than a Mark of the
	// same incarnation shows a disk that was put back to an earlier state.
	Version uint64
	// Voting: a leader has said so since this incarnation began (Enrol).
	Voting   bool
	Promised Term // zero: none yet
	// Base is the latest takeover that this journal is complete for: it has all
	// that was decided up to then, and nothing else from before.
	Base   uint64
	Roster Roster
	// Marks are the latest known of the incarnations in the roster.
	Marks []Mark
}

// Pulse is a journal's short answer.
type Pulse struct {
	Version uint64
}

// Batch is what one Write changes, all of it or nothing.
type Batch struct {
	Records []Record // each seat at most once; Epoch is not looked at
	// Drop are positions of events that never came about. They go first, then
	// Trim, then Events come.
	Drop []uint64
	// Trim: the events up to this position are not kept any longer.
	Trim uint64
	// Events may stand in any order; one whose position is taken replaces what
	// is there. Epoch is not looked at.
	Events []Event
	// Base, where it is not zero, becomes the journal's where it is higher.
	Base uint64
	// Marks of incarnations in the journal's roster are kept where they are
	// higher than what is kept; others are passed over.
	Marks []Mark
}

// Journal is one backend's durable side of one group's seats. It knows nothing
// of what it holds: which of two journals is right, and who may vote, is the
// leader's matter (Quorum).
//
// Whatever a method changes is on disk before it returns nil; after
// license.CodeUnavailable (or another error without meaning here) the change
// may or may not have happened, and repeating the call is safe. Calls take
// effect one at a time, each at once and whole. Safe for concurrent use. What
// goes in and comes out is never shared: the caller may change it afterwards.
//
// Every method but Claim, State and Seat is made under a Promise and fails,
// changing nothing, with
//
//   - license.CodeFenced where another term was promised here whose epoch is not
//     lower (details: see Fenced, PromisedBy);
//   - license.CodeConflict where the term was not promised here, or by another
//     incarnation (ErrUnpromised): claim again.
//
// Input beyond the bounds (Check of each type) is license.CodeInvalidInput.
type Journal interface {
	// State says how the journal stands, to anyone.
	State(ctx context.Context) (State, error)

	// Claim promises the term and answers with the state, the promise included.
	// From then on nothing changes here under an older one. Claiming the
	// promised term again changes nothing. Error: CodeFenced where the promised
	// epoch is higher, or the same with another owner.
	Claim(ctx context.Context, t Term) (State, error)

	// Confirm says that the promise is still in force: no other term was
	// promised here up to some moment of the call.
	Confirm(ctx context.Context, p Promise) (Pulse, error)

	// Records gives up to max records after a key, in the order of keys; the
	// first page comes after the zero Key (seats count from 1). Pages are also
	// bounded by MostPage and MostPageBytes; none: that was all. As only the
	// promised term can change anything, the pages fit together while it
	// doesn't.
	Records(ctx context.Context, p Promise, after Key, max int) ([]Record, error)

	// Events gives up to max events after a position, oldest first; bounded as
	// Records.
	Events(ctx context.Context, p Promise, after uint64, max int) ([]Event, error)

	// Write makes the batch, under the term's epoch. Error: CodeConflict where a
	// record has a lower (epoch, n) than its seat has here, or the same with
	// another holder (ErrLower); nothing of the batch is made then. The same
	// batch again is no error.
	Write(ctx context.Context, p Promise, b Batch) (Pulse, error)

	// Enrol records the roster under the term's epoch, where it is newer than the
	// one here (an equal one again is no error; else CodeConflict, ErrLower), and
	// drops the marks of who isn't in it. With vote, this incarnation may vote from now
	// on; without, what was said before stands.
	Enrol(ctx context.Context, p Promise, r Roster, vote bool) (Pulse, error)

	// Reset empties the journal and begins a new incarnation, which has promised
	// the term and doesn't vote. Anyone else's answer to the old one is
	// CodeConflict, also a repeat of this call's.
	Reset(ctx context.Context, p Promise) (State, error)

	// Seat gives a seat's record, to anyone; with N zero where it never had one.
	Seat(ctx context.Context, k Key) (Record, error)
}
