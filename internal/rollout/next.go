package rollout

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// Event is something that happened. At is stored in the steps it begins or
// ends. Key names the effect that the event answers; events
// that answer none have no key.
type Event interface{ event() }

// Started: it is this rollout's turn, and these are the terms to bring.
type Started struct {
	At    time.Time
	Terms []license.License
	// Removes are products to take away; of a single container only.
	Removes []license.Product
	// Offline: fingerprints, updates and receipts travel in files.
	Offline bool
}

// Collected: the fingerprints, checked, by position. Installed are those that
// show the rollout's own update, as it was issued before they were collected
// again: what was found in them first stays.
type Collected struct {
	At        time.Time
	Key       string
	Found     [license.Backends]Found
	Installed [license.Backends]bool
}

// Issued: the updates are stored; their digests by position.
type Issued struct {
	At      time.Time
	Key     string
	Updates [license.Backends]Digest
}

// Staged: all backends have their update beside their licenses.
type Staged struct {
	At  time.Time
	Key string
}

// Guarded: what the other two backends stated just now, verified, by position;
// the entry of the backend whose turn it is has no meaning.
type Guarded struct {
	At     time.Time
	Key    string
	Others [license.Backends][]license.Held
}

// Activated: a verified receipt for an update with this digest.
type Activated struct {
	At     time.Time
	Key    string
	Update Digest
}

// Verified: the backend serves the new license steadily.
type Verified struct {
	At  time.Time
	Key string
}

// Delivered: the updates with these digests are installed, by position, as
// verified receipts or fingerprints say; the zero digest where nothing is known.
type Delivered struct {
	At      time.Time
	Key     string
	Updates [license.Backends]Digest
}

// Viewed: the licenses in force that all three backends show in the group's
// latest view.
type Viewed struct {
	At        time.Time
	Unanimous []license.License
}

// Replaced: a new container stands in for a backend of the group. What was
// issued to the others names the old one, so the fingerprints are collected
// again, and updates issued anew where they aren't installed.
type Replaced struct {
	At      time.Time
	Backend int
}

// Configured: the backend that the group's TMR servers still have the replaced
// container of; 0: none. It only changes what people are told.
type Configured struct{ Outdated int }

// Linked: whether the server that carries out what is due is heard of. It only
// changes what people are told.
type Linked struct{ Up bool }

// Failed: the effect could not be caused, or came to nothing.
type Failed struct {
	At      time.Time
	Key     string
	Code    license.Code
	Message string
}

// Retried: a person wants the failed step tried again.
type Retried struct{ At time.Time }

// GivenUp: a person gives the rollout up.
type GivenUp struct{ At time.Time }

// Blocked: the single container was blocked. Whatever it holds, it gets nothing
// any more, so the rollout ends in any phase.
type Blocked struct{ At time.Time }

func (Started) event()    {}
func (Collected) event()  {}
func (Issued) event()     {}
func (Staged) event()     {}
func (Guarded) event()    {}
func (Activated) event()  {}
func (Verified) event()   {}
func (Delivered) event()  {}
func (Viewed) event()     {}
func (Replaced) event()   {}
func (Configured) event() {}
func (Linked) event()     {}
func (Failed) event()     {}
func (Retried) event()    {}
func (GivenUp) event()    {}
func (Blocked) event()    {}

// Next gives the state after an event. An event that answers something else
// than the effect now due gives the same state. Only a person's wish can be
// refused, with license.CodeRolloutState and the state as it was: a retry of a
// rollout that is not held, and giving up after an activation was asked for or
// after the end; giving up twice changes nothing.
func Next(s State, e Event) (State, error) {
	n := s
	var err error
	switch e := e.(type) {
	case Started:
		if s.Phase == Queued && len(e.Terms)+len(e.Removes) > 0 && (s.Single || len(e.Removes) == 0) {
			n.Terms, n.Removes = slices.Clone(e.Terms), slices.Clone(e.Removes)
			n.Phase, n.Offline = Collecting, e.Offline
		}
	case Collected:
		if s.answers(Collect, e.Key) {
			n.collected(e)
		}
	case Issued:
		if s.answers(Issue, e.Key) {
			for i := range n.steps() {
				n.Steps[i].Update = e.Updates[i]
				n.Steps[i].note("update signed and sealed")
			}
			n.Phase = Staging
			if n.Offline {
				n.handOut(e.At)
			}
		}
	case Staged:
		if s.answers(Stage, e.Key) {
			for i := range n.steps() {
				n.Steps[i].note("update staged")
			}
			n.goOn(e.At)
		}
	case Guarded:
		if s.answers(AskOthers, e.Key) {
			n.guarded(e)
		}
	case Activated:
		if s.answers(Activate, e.Key) {
			n.activated(e)
		}
	case Verified:
		if s.answers(Verify, e.Key) {
			n.verified(e.At)
		}
	case Delivered:
		if s.answers(AwaitFile, e.Key) {
			n.delivered(e)
		}
	case Viewed:
		if s.awaitsView() && s.complete(e.Unanimous) {
			n.Phase, n.Backend = Done, 0
			n.EndedAt = &e.At
		}
	case Replaced:
		if !s.Single && s.Phase != Queued && !s.Phase.Ended() {
			n.Steps[e.Backend-1] = Step{}
			n.collectAgain()
		}
	case Configured:
		if s.Phase == Collecting && !s.Single && !s.Offline {
			n.Outdated = e.Outdated
		}
	case Linked:
		if a, ok := Pending(s); ok && a.Kind != Issue && !s.Offline {
			n.Unlinked = !e.Up
		}
	case Failed:
		if a, ok := Pending(s); ok && a.Key == e.Key && a.Kind != AwaitView && a.Kind != AwaitFile {
			n.hold(e.Code, e.Message)
		}
	case Retried:
		err = n.retry()
	case GivenUp:
		err = n.giveUp(e.At)
	case Blocked:
		if s.Single && !s.Phase.Ended() {
			n.end(e.At, "the container was blocked")
		}
	}
	if err != nil {
		return s, err
	}
	if n.moved(s) {
		n.Unlinked, n.Outdated = false, 0
	}
	if n.moved(s) || n.Unlinked != s.Unlinked || n.Outdated != s.Outdated {
		n.Sequence++
	}
	return n, nil
}

func (s State) answers(k Kind, key string) bool {
	a, ok := Pending(s)
	return ok && a.Kind == k && a.Key == key
}

func (s State) moved(before State) bool {
	for i := range s.Steps {
		if s.Offline && s.Steps[i].Receipt != before.Steps[i].Receipt {
			return true
		}
	}
	return s.Phase != before.Phase || s.Backend != before.Backend || s.Attempt != before.Attempt ||
		(s.Backend > 0 && s.Steps[s.Backend-1].State != before.Steps[s.Backend-1].State)
}

func (s *State) step() *Step { return &s.Steps[s.Backend-1] }

// note says what is going on with a step that isn't done.
func (s *Step) note(text string) {
	if s.State != StepDone {
		s.Note = text
	}
}

const waits = "waits for its turn"

// collectAgain begins anew with what the containers are found to hold. What is
// done stays done if they say so too.
func (s *State) collectAgain() {
	s.Phase, s.Backend, s.Hold = Collecting, 0, nil
	s.Attempt++
	for i := range s.steps() {
		if step := &s.Steps[i]; step.State != StepDone {
			step.State, step.Note = StepWaiting, waits
		}
	}
}

func (s *State) collected(e Collected) {
	s.Phase = Issuing
	for i := range s.steps() {
		step := &s.Steps[i]
		if e.Installed[i] {
			step.Repaired = len(step.Found.Missing) // these went first
			// One that isn't done has its turn, and gives its receipt again.
			step.Receipt = step.State == StepDone
			continue
		}
		*step = Step{State: StepWaiting, Note: waits, StartedAt: step.StartedAt, Found: e.Found[i], Asked: step.Asked}
	}
}

// goOn begins the turn of the next backend that hasn't got the update; where
// all have it, the view is waited for.
func (s *State) goOn(at time.Time) {
	for i := range s.steps() {
		if s.Steps[i].State != StepDone {
			s.begin(s.turn(i+1), at)
			return
		}
	}
	s.Phase, s.Backend = Confirming, license.Backends
}

// turn is the backend that misses most updates, since the other two carry the
// licenses then; where none does, next.
func (s *State) turn(next int) int {
	most := 0
	for i := range s.steps() {
		if n := s.behind(i + 1); n > most {
			next, most = i+1, n
		}
	}
	return next
}

const asksOthers = "asks the other two whether they carry the license"

// begin starts a backend's turn: with the guard where there are others.
func (s *State) begin(backend int, at time.Time) {
	s.Phase, s.Backend = Guarding, backend
	step := s.step()
	step.State, step.Note = StepRunning, asksOthers
	if step.StartedAt == nil {
		step.StartedAt = &at
	}
	if s.Single {
		s.activate()
	}
}

func (s *State) activate() {
	s.Phase = Activating
	step := s.step()
	step.State = StepRunning
	if behind := s.behind(s.Backend); behind > 0 {
		step.Note = fmt.Sprintf("gets an update that it lost: %d missing", behind)
		return
	}
	step.Asked = true
	step.Note = "swaps the update in"
}

func (s *State) guarded(e Guarded) {
	held := e.Others
	held[s.Backend-1] = s.recorded(s.Backend)
	if err := Guard(held, s.Backend); err != nil {
		var refused *license.Error
		errors.As(err, &refused)
		s.hold(refused.Code, refused.Error())
		return
	}
	s.activate()
}

func (s *State) activated(e Activated) {
	step := s.step()
	if e.Update != s.Due(s.Backend) {
		s.hold(license.CodeUpdateConflict, fmt.Sprintf(
			"backend %d confirmed another update than the one that was issued: have a person look at it", s.Backend))
		return
	}
	s.Phase = Confirming
	step.Receipt = s.behind(s.Backend) == 0
	step.State, step.Note = StepVerifying, "receipt verified; checks that the new license is served"
}

func (s *State) verified(at time.Time) {
	step := s.step()
	if s.behind(s.Backend) > 0 {
		step.Repaired++
		step.State, step.Note = StepWaiting, waits
		s.goOn(at)
		return
	}
	step.State, step.Note = StepDone, "has the update, with a receipt"
	step.FinishedAt = &at
	if s.Single {
		s.Phase, s.Backend = Done, 0
		s.EndedAt = &at
		return
	}
	s.goOn(at)
}

// handOut marks that the customer may install the updates from now on, at any
// time and unseen.
func (s *State) handOut(at time.Time) {
	for i := range s.steps() {
		step := &s.Steps[i]
		step.Asked = true
		if step.State == StepDone {
			continue
		}
		step.StartedAt = &at
		step.Note = "its update is in the file; waits for the receipt"
	}
}

func (s *State) delivered(e Delivered) {
	all := true
	for i := range s.steps() {
		step := &s.Steps[i]
		if e.Updates[i] == step.Update && !step.Receipt {
			step.Receipt = true
			step.State, step.Note = StepDone, "has the update"
			step.FinishedAt = &e.At
		}
		all = all && step.Receipt
	}
	if all {
		s.Phase = Done
		s.EndedAt = &e.At
	}
}

// complete says whether the rollout has reached its end: three receipts, and
// each of the terms shown by all three backends.
func (s State) complete(shown []license.License) bool {
	for _, step := range s.Steps {
		if !step.Receipt || step.State != StepDone {
			return false
		}
	}
	for _, l := range s.Terms {
		if !slices.ContainsFunc(shown, func(seen license.License) bool {
			return seen.Product == l.Product && seen.Options.TMRID == l.Options.TMRID
		}) {
			return false
		}
	}
	return true
}

func (s *State) hold(code license.Code, message string) {
	s.Hold = &Hold{Phase: s.Phase, Backend: s.Backend, Code: code, Message: message}
	for i := range s.steps() {
		step := &s.Steps[i]
		switch {
		case i+1 == s.Backend:
			step.State, step.Note = StepFailed, message
		case step.State != StepDone:
			step.State, step.Note = StepHeld, "waits until the rollout goes on"
		}
	}
	s.Phase, s.Backend = Held, 0
}

func (s *State) retry() error {
	if s.Phase != Held {
		return license.Errorf(license.CodeRolloutState, "only a held rollout can be retried",
			"the rollout is %s, not held", s.Phase)
	}
	h := s.Hold
	if h.Code == license.CodeUpdateGap && !s.Single {
		// It lost updates after it was looked at: these go first.
		s.collectAgain()
		return nil
	}
	s.Hold = nil
	s.Attempt++
	s.Phase, s.Backend = h.Phase, h.Backend
	for i := range s.steps() {
		if step := &s.Steps[i]; step.State == StepHeld || step.State == StepFailed {
			step.State, step.Note = StepWaiting, waits
		}
	}
	switch {
	case s.Single && h.Phase == Activating: // nobody else states anything
		s.activate()
	case h.Phase == Guarding || h.Phase == Activating: // the old statements prove nothing now: ask again
		s.Phase = Guarding
		s.step().State, s.step().Note = StepRunning, asksOthers
	case h.Phase == Confirming:
		s.step().State, s.step().Note = StepVerifying, "checks again that the new license is served"
	}
	return nil
}

func (s *State) giveUp(at time.Time) error {
	switch {
	case s.Phase == Aborted:
		return nil
	case s.Phase == Done:
		return license.Errorf(license.CodeRolloutState, "order other terms and roll these out",
			"the rollout is done")
	case s.Offline && s.Asked():
		return license.Errorf(license.CodeRolloutState, "have the update installed and hand in the receipts, or a newer request; to go back, roll the old terms out as a new update",
			"the update file was handed out and may be installed at any time, so the rollout can't be given up")
	case s.Asked():
		return license.Errorf(license.CodeRolloutState, "retry it; to go back, roll the old terms out as a new update",
			"a backend was activated already, so the rollout can't be given up")
	}
	s.end(at, "given up")
	return nil
}

func (s *State) end(at time.Time, note string) {
	s.Phase, s.Backend, s.Hold = Aborted, 0, nil
	s.EndedAt = &at
	for i := range s.steps() {
		if step := &s.Steps[i]; step.State != StepDone {
			step.State, step.Note = StepWaiting, note
		}
	}
}
