package rollout

import "fmt"

// Kind is what sort of effect is due.
type Kind string

// The kinds of effects, each answered by the event of the same sense.
const (
	Collect   Kind = "COLLECT"    // fingerprints of all three → Collected
	Issue     Kind = "ISSUE"      // sign and seal three updates → Issued
	Stage     Kind = "STAGE"      // write them beside the licenses → Staged
	AskOthers Kind = "GUARD"      // statements of the other two → Guarded
	Activate  Kind = "ACTIVATE"   // swap the update in on one backend → Activated
	Verify    Kind = "VERIFY"     // the backend serves the new license steadily → Verified
	AwaitView Kind = "AWAIT_VIEW" // the group's view shows it on all three → Viewed
	// AwaitFile is of offline rollouts: the update file is with the customer,
	// whose receipt file or later request shows what came of it → Delivered
	AwaitFile Kind = "AWAIT_FILE"
)

// Action is an effect that is due.
type Action struct {
	Kind Kind
	// Backend is 1, 2 or 3 for AskOthers, Activate and Verify.
	Backend int
	// Key is unique within the rollout. Whoever causes the effect under the
	// same key twice must have the effect of once.
	Key string
}

// Pending gives the effect that is due in a state: none when the rollout
// waits for its turn, for a person, or has ended. It depends on the state
// alone, and two states in a row never have the same action due unless the
// event between them changed nothing about it.
func Pending(s State) (Action, bool) {
	kind, ok := map[Phase]Kind{
		Collecting: Collect, Issuing: Issue, Staging: Stage,
		Guarding: AskOthers, Activating: Activate, Confirming: Verify,
	}[s.Phase]
	if !ok {
		return Action{}, false
	}
	switch {
	case s.awaitsView():
		kind = AwaitView
	case s.awaitsFile():
		kind = AwaitFile
	}
	key := fmt.Sprintf("%s/%d/%d", kind, s.Backend, s.Attempt)
	if s.Backend != 0 && s.behind(s.Backend) > 0 {
		key += fmt.Sprintf("/missing%d", s.Steps[s.Backend-1].Repaired+1)
	}
	return Action{Kind: kind, Backend: s.Backend, Key: key}, true
}
