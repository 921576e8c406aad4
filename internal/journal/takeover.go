package journal

import (
	"bytes"
	"iter"
	"maps"
	"slices"

	"github.com/quorate/quorate/internal/license"
)

// claimed takes a journal's promise, with what it has.
func (c *core) claimed(i int, a answer) {
	s := &c.slots[i]
	if a.state.Incarnation == s.state.Incarnation && a.state.Version < s.state.Version {
		s.back = a.state.Incarnation
	}
	s.forget()
	s.claimed, s.hears, s.state, s.first = true, true, a.state, a.state.Version
	s.records, s.events = a.records, a.events
	c.note(a.state.Marks)
	if a.state.Roster.Newer(c.known) {
		c.known = a.state.Roster
	}
	if c.phase == claiming {
		return
	}
	// What others said before counts only where they are who they were. And a
	// group isn't founded anew where one more knows the seats.
	for j := range c.slots {
		if c.slots[j].voter && !c.intact(j) {
			c.end(errDoubt)
			return
		}
	}
	if s.voter = c.intact(i); s.voter && c.unlisted() {
		c.end(errDoubt)
	}
}

// errDoubt drops a claim that was judged by less than is known now.
var errDoubt error = &license.Error{
	Code: license.CodeUnavailable, Message: "a journal of seats answered that tells more than those before",
	Fix: "nothing to do: the server claims anew",
}

// errLost ends a lead that can't come to two journals any more.
var errLost error = &license.Error{
	Code: license.CodeUnavailable, Message: "two of the three journals of seats have lost what they had",
	Fix: "nothing to do: the server claims anew, and programs that hold a license keep it by their tokens",
}

// errRefused ends a lead that one journal keeps refusing.
var errRefused error = &license.Error{
	Code: license.CodeUnavailable, Message: "a journal of seats has promised a newer epoch to somebody who doesn't lead",
	Fix: "nothing to do: the server claims anew",
}

// reclaims says whether it is time to claim anew for the sake of a journal that
// refuses: whoever claimed there has been quiet for long, and the two that are
// left bear no other fault. Sooner where they don't confirm any more.
func (c *core) reclaims(now moment) bool {
	after := c.opt.reclaim
	if !c.fresh(now) {
		after /= 12
	}
	return after > 0 && !c.grace && slices.ContainsFunc(c.slots[:], func(s slot) bool {
		return s.refused && s.since.age(now) >= after
	})
}

// lost says whether two journals are there that have lost what they had: neither
// may vote again under this term, since the other would have to vote before.
func (c *core) lost() bool {
	n := 0
	for i := range c.slots {
		if s := &c.slots[i]; s.claimed && !s.voter {
			n++
		}
	}
	return n >= license.Majority && c.founded == c.founding
}

// unlisted: the journals that found the group anew are not enrolled yet, and
// whoever comes now waits until they are.
func (c *core) unlisted() bool { return c.founding && c.known.Epoch != c.term.Epoch }

// intact says whether a journal has all that it ever confirmed: it is the
// incarnation that the newest roster names, and not behind what any journal has
// noted of it.
func (c *core) intact(i int) bool {
	s := &c.slots[i]
	if !s.claimed || !s.state.Voting || s.back == s.state.Incarnation || c.known.Of(c.opt.names[i]) != s.state.Incarnation {
		return false
	}
	return !slices.ContainsFunc(c.marks, func(m Mark) bool {
		return m.Incarnation == s.state.Incarnation && m.Version > s.first
	})
}

// blank says whether a journal never had to do with seats.
func (s *slot) blank() bool {
	for _, r := range s.records {
		if len(r.Holder) > 0 {
			return false
		}
	}
	return s.claimed && !s.state.Voting && len(s.state.Roster.Peers) == 0
}

// take takes over where enough journals have promised.
func (c *core) take(now moment) {
	promised, intact, blank, open := 0, 0, 0, 0
	for i := range c.slots {
		s := &c.slots[i]
		switch {
		case !s.claimed && s.failed == 0:
			open++
		case s.claimed:
			promised++
		}
		if s.blank() {
			blank++
		}
		if c.intact(i) {
			intact++
		}
	}
	waited := now.mono - c.began.mono
	if intact >= license.Majority && c.enough == 0 {
		c.enough = waited
	}
	switch {
	// A third that reads as slowly as the two did is waited for: to compare it
	// later costs more.
	case intact >= license.Majority && (open == 0 || waited >= max(c.opt.patience, 2*c.enough)):
		c.merge(now)
	case intact < license.Majority && promised >= license.Majority && (promised == license.Backends || waited >= c.opt.despair):
		c.founding = true
		c.grace = !c.opt.newGroup || blank < license.Backends
		c.merge(now)
	}
}

// merge finds what was decided before, out of the intact journals, and begins to
// write it back.
//
// The latest base among them is a takeover that was complete: whoever has it
// lacks nothing from before. Of the others counts only what was written since.
// The rest never came about, though it may look like a seat that is held.
func (c *core) merge(now moment) {
	var base uint64
	for i := range c.slots {
		if c.intact(i) {
			base = max(base, c.slots[i].state.Base)
		}
	}
	var intact, whole [license.Backends]bool
	events := make(map[uint64]Event)
	for i := range c.slots {
		s := &c.slots[i]
		if intact[i] = c.intact(i); !intact[i] {
			continue
		}
		whole[i] = s.state.Base == base
		for _, e := range s.events {
			if old, has := events[e.Position]; (whole[i] || e.Epoch >= base) && (!has || e.Epoch > old.Epoch) {
				events[e.Position] = e
			}
		}
	}
	var back change
	for k, has := range c.read() {
		var r Record
		var n uint64
		for i, other := range has {
			n = max(n, other.N)
			if other.N > 0 && (whole[i] || other.Epoch >= base) && (r.N == 0 || later(other, r)) {
				r = other
			}
		}
		r.Key = k
		if len(r.Holder) == 0 {
			r.N = n
		}
		c.found = append(c.found, r)
		if len(r.Holder) > 0 || !agreed(r, has, intact) {
			back.records = append(back.records, r)
		}
	}
	c.seats = make(map[Key]Record, len(c.found))
	for _, r := range c.found {
		c.seats[r.Key] = r
	}
	for _, at := range slices.Sorted(maps.Keys(events)) {
		c.events = append(c.events, events[at])
		c.bytes += len(events[at].Data)
	}
	c.shed()
	back.events, back.drop = c.stray(events)
	back.trim, back.base = c.trim, c.term.Epoch
	if c.back = back; !c.founding {
		c.grace = c.known.Grace
		c.writeBack()
	}
	for i := range c.slots {
		s := &c.slots[i]
		if !c.intact(i) {
			continue
		}
		s.follows, s.records, s.events = true, nil, nil
		s.voter = !c.founding
	}
	c.phase = writing
}

// writeBack begins to write what was found under the own epoch. Where a group is
// founded this waits until two know the roster: up to then a journal that is away
// may know better, and what is written would look newer.
func (c *core) writeBack() {
	c.log = split(c.back)
	c.base, c.back = c.last(), change{}
}

// complete is the base of who has everything that was decided.
func (c *core) complete() uint64 {
	if c.founding && !c.enrolled() {
		return 0
	}
	return c.term.Epoch
}

// later says whether r is the newer record of a seat.
func later(r, old Record) bool {
	return r.Epoch > old.Epoch || (r.Epoch == old.Epoch && r.N > old.N)
}

// read gives each seat that an intact journal was read to have, in the order of
// keys, with the record of each; a journal that isn't intact, or lacks it, has
// the zero record.
func (c *core) read() iter.Seq2[Key, *[license.Backends]Record] {
	return func(yield func(Key, *[license.Backends]Record) bool) {
		var left [license.Backends][]Record
		for i := range left {
			if c.intact(i) {
				left[i] = c.slots[i].records
			}
		}
		for {
			var k Key
			for _, l := range left {
				if len(l) > 0 && (k == (Key{}) || l[0].Key.Compare(k) < 0) {
					k = l[0].Key
				}
			}
			if k == (Key{}) {
				return
			}
			var has [license.Backends]Record
			for i, l := range left {
				if len(l) > 0 && l[0].Key == k {
					has[i], left[i] = l[0], l[1:]
				}
			}
			if !yield(k, &has) {
				return
			}
		}
	}
}

// agreed says whether every intact journal that was read has the record.
func agreed(r Record, has *[license.Backends]Record, intact [license.Backends]bool) bool {
	for i := range has {
		if intact[i] && !same(has[i], r) {
			return false
		}
	}
	return true
}

func same(r, q Record) bool { return r.N == q.N && bytes.Equal(r.Holder, q.Holder) }

// stray gives the events that some intact journal lacks, and those that never
// came about.
func (c *core) stray(all map[uint64]Event) (lacked []Event, drop []uint64) {
	intact, has := 0, make(map[uint64]int)
	for i := range c.slots {
		if !c.intact(i) {
			continue
		}
		intact++
		for _, e := range c.slots[i].events {
			good, known := all[e.Position]
			if known && bytes.Equal(good.Data, e.Data) {
				has[e.Position]++
			} else if !known {
				drop = append(drop, e.Position)
			}
		}
	}
	for _, e := range c.events {
		if has[e.Position] < intact {
			lacked = append(lacked, e)
		}
	}
	slices.Sort(drop)
	return lacked, slices.Compact(drop)
}

// compare finds what brings a journal that comes late, or that has lost its
// disk, to where the log is now.
func (c *core) compare(s *slot) {
	had := make(map[Key]Record, len(s.records))
	keys := make([]Key, 0, len(c.seats))
	for _, r := range s.records {
		had[r.Key] = r
		if _, known := c.seats[r.Key]; !known {
			keys = append(keys, r.Key)
		}
	}
	keys = slices.AppendSeq(keys, maps.Keys(c.seats))
	slices.SortFunc(keys, Key.Compare)
	var lacks change
	for _, k := range keys {
		decided, known := c.seats[k]
		has := had[k]
		switch {
		case !known && len(has.Holder) > 0:
			// It never came about. An n that a grant may get under this epoch must
			// not stand for that.
			lacks.records = append(lacks.records, Record{Key: k, N: LeastN})
		case known && !same(has, decided):
			lacks.records = append(lacks.records, decided)
		}
	}
	old := make(map[uint64]Event, len(s.events))
	for _, e := range s.events {
		old[e.Position] = e
	}
	for _, e := range c.events {
		if h, has := old[e.Position]; !has || !bytes.Equal(h.Data, e.Data) {
			lacks.events = append(lacks.events, e)
		}
		delete(old, e.Position)
	}
	lacks.drop = slices.Sorted(maps.Keys(old))
	lacks.trim, lacks.base = c.trim, c.complete()
	s.private, s.ready, s.from = nil, true, c.last()
	for _, p := range split(lacks) {
		s.private = append(s.private, Batch{Records: p.records, Events: p.events, Drop: p.drop, Trim: p.trim, Base: p.base})
	}
}

// renewed gives the roster that follows under this term.
func (c *core) renewed(p []Peer) Roster {
	r := Roster{Epoch: c.term.Epoch, N: 1, Peers: p, Grace: c.grace}
	if c.known.Epoch == c.term.Epoch {
		r.N = c.known.N + 1
	}
	return r
}

// enlist makes a new roster where one is due: all that found the group have
// everything, or a journal that doesn't vote has.
func (c *core) enlist() {
	if c.known.Epoch != c.term.Epoch && !c.founding {
		for i := range c.slots {
			if s := &c.slots[i]; s.voter && !s.state.Roster.Equal(c.known) {
				c.known = c.renewed(c.known.Peers)
				return
			}
		}
	}
	if c.unlisted() {
		complete, behind := 0, 0
		for i := range c.slots {
			switch s := &c.slots[i]; {
			case s.claimed && s.follows && s.acked >= c.base:
				complete++
			case s.claimed && s.failed == 0:
				behind++
			}
		}
		if complete < license.Majority || behind > 0 {
			return
		}
		c.known = c.renewed(c.peers(func(i int) bool {
			s := &c.slots[i]
			return s.claimed && s.follows && s.acked >= c.base
		}))
		return
	}
	for i := range c.slots {
		s := &c.slots[i]
		listed := c.known.Of(c.opt.names[i]) == s.state.Incarnation && c.known.Epoch == c.term.Epoch
		if s.voter || !s.follows || listed {
			continue
		}
		if c.voters() < license.Majority {
			return
		}
		// Whose place another backend has taken is none of the group's any more.
		others := slices.DeleteFunc(slices.Clone(c.known.Peers), func(p Peer) bool {
			return p.Name == c.opt.names[i] || !slices.Contains(c.opt.names[:], p.Name)
		})
		others = append(others, Peer{c.opt.names[i], s.state.Incarnation})
		slices.SortFunc(others, byName)
		c.known = c.renewed(others)
		return
	}
}

func (c *core) peers(in func(i int) bool) (all []Peer) {
	for i := range c.slots {
		if in(i) {
			all = append(all, Peer{c.opt.names[i], c.slots[i].state.Incarnation})
		}
	}
	slices.SortFunc(all, byName)
	return all
}

func byName(p, q Peer) int {
	switch {
	case p.Name < q.Name:
		return -1
	case p.Name > q.Name:
		return 1
	}
	return 0
}

// enrol says whether a journal is to be told of the roster now, and whether it
// may vote from then on.
func (c *core) enrol(k *call, s *slot) bool {
	if c.known.Epoch != c.term.Epoch || s.voter && s.state.Roster.Equal(c.known) {
		return false
	}
	k.roster = c.known
	if s.voter {
		return true
	}
	if c.known.Of(c.opt.names[k.slot]) != s.state.Incarnation {
		return false
	}
	k.vote = true
	if c.founding && c.known.N == 1 {
		return true
	}
	// It votes when both others know it by its incarnation.
	for j := range c.slots {
		if o := &c.slots[j]; j != k.slot && !(o.voter && o.state.Roster.Equal(c.known)) {
			return false
		}
	}
	return true
}

// enrolled says whether two journals know the roster by which they found the
// group.
func (c *core) enrolled() bool {
	n := 0
	for i := range c.slots {
		if s := &c.slots[i]; s.voter && s.state.Roster.Epoch == c.term.Epoch {
			n++
		}
	}
	return n >= license.Majority
}
