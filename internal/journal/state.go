package journal

import "slices"

// What drivers make of a state; each gives the new one, and shares nothing with
// the old.

// Begin is the state of an empty journal of a new incarnation; t is zero but
// after Reset.
func Begin(t Term) State {
	return State{Incarnation: NewIncarnation(), Version: 1, Promised: t}
}

// Clone gives a copy.
func (s State) Clone() State { return s.clone() }

// Claimed is the state after a claim that Admit let in.
func (s State) Claimed(t Term) (now State, changed bool) {
	now = s.clone()
	if s.Promised == t {
		return now, false
	}
	now.Promised = t
	return now, true
}

// Written is the state after a Write whose records replace what is there.
func (s State) Written(b Batch) State {
	now := s.clone()
	now.Base = max(s.Base, b.Base)
	now.Marks = s.Roster.Merge(s.Marks, b.Marks)
	now.Version++
	return now
}

// Enrolled is the state after an Enrol under a term; ErrLower where the roster
// is older than the one that is in force, or the same with other peers.
func (s State) Enrolled(t Term, r Roster, vote bool) (now State, changed bool, err error) {
	now = s.clone()
	r.Epoch, r.Peers = t.Epoch, slices.Clone(r.Peers)
	same := r.Equal(s.Roster)
	if !same && !r.Newer(s.Roster) {
		return State{}, false, ErrLower
	}
	if same && (s.Voting || !vote) {
		return now, false, nil
	}
	now.Roster, now.Marks = r, r.Merge(s.Marks, nil)
	now.Voting = s.Voting || vote
	now.Version++
	return now, true, nil
}
