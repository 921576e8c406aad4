package journal

import (
	"context"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// thirdTime is how long Above waits for a third journal, which may know that one of
// two others is not what it was.
const thirdTime = 100 * time.Millisecond

// Above says whether a seat has got something newer than a record that was made
// or confirmed under an epoch: for who doesn't lead, or is in doubt. Two journals
// that have all they ever confirmed must show none; with fewer there is no answer
// (license.CodeUnavailable). A journal counts by the newest roster and the latest
// marks that any of them tells of, or that known has: one that has lost its disk,
// or was put back to an earlier state, does not. For the third's word it waits a
// little. What is of an older epoch than the record's is not newer.
func Above(ctx context.Context, backends [license.Backends]Backend, known Known, k Key, epoch, n uint64) (bool, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan sight, license.Backends)
	for _, b := range backends {
		go func() { answers <- look(ctx, b, k) }()
	}
	c := core{known: known.Roster, marks: known.Marks}
	var failed error
	var records [license.Backends]Record
	decided, newer := false, false
	var late <-chan time.Time
	for i := range license.Backends {
		var a sight
		select {
		case a = <-answers:
		case <-late:
			return newer, nil
		}
		if a.err != nil {
			failed = a.err
			continue
		}
		c.opt.names[i] = a.name
		c.slots[i] = slot{claimed: true, state: a.state, first: a.state.Version}
		records[i] = a.record
		c.note(a.state.Marks)
		if a.state.Roster.Newer(c.known) {
			c.known = a.state.Roster
		}
		intact := 0
		newer = false
		for j := range c.slots {
			if c.intact(j) {
				intact++
				newer = newer || records[j].Epoch >= epoch && records[j].N > n
			}
		}
		if decided = intact >= license.Majority; decided && late == nil {
			late = time.After(thirdTime)
		} else if !decided {
			late = nil // the two were not what they seemed
		}
	}
	if decided {
		return newer, nil
	}
	if failed == nil {
		failed = ErrUnpromised
	}
	return false, noMajority(failed)
}

// sight is what a journal shows of one seat.
type sight struct {
	name   string
	state  State
	record Record
	err    error
}

// look asks for the state before and after, so that the seat is of that
// incarnation.
func look(ctx context.Context, b Backend, k Key) (a sight) {
	a.name = b.Name
	before, err := b.Journal.State(ctx)
	if err == nil && !before.Voting {
		err = ErrUnpromised
	}
	if err == nil {
		a.record, err = b.Journal.Seat(ctx, k)
	}
	if err == nil {
		a.state, err = b.Journal.State(ctx)
	}
	if err == nil && (a.state.Incarnation != before.Incarnation || a.state.Version < before.Version || !slices.Equal(a.state.Roster.Peers, before.Roster.Peers)) {
		err = ErrUnpromised
	}
	a.err = err
	return a
}
