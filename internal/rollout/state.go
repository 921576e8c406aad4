package rollout

import (
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// Phase is where a rollout stands.
type Phase string

// The phases. Guarding, Activating and Confirming go with a backend.
const (
	Queued     Phase = "QUEUED"     // another rollout of the group or container is running
	Collecting Phase = "COLLECTING" // the fingerprints are being collected
	Issuing    Phase = "ISSUING"    // the updates are being signed and sealed
	Staging    Phase = "STAGING"    // the updates are being written beside the licenses
	Guarding   Phase = "GUARDING"   // the other two are asked whether they carry the license
	Activating Phase = "ACTIVATING" // one backend swaps the update in
	Confirming Phase = "CONFIRMING" // it is checked that the backend serves the new license
	Done       Phase = "DONE"       // all receipts, and the group's view shows it
	Held       Phase = "HELD"       // something failed; a person decides
	Aborted    Phase = "ABORTED"    // given up before the first activation, or its container was blocked
)

// Phases are all phases, in the order in which a rollout goes through them.
func Phases() []Phase {
	return []Phase{Queued, Collecting, Issuing, Staging, Guarding, Activating, Confirming, Done, Held, Aborted}
}

// Ended says whether nothing can happen any more.
func (p Phase) Ended() bool { return p == Done || p == Aborted }

// StepState is where a rollout stands on one backend.
type StepState string

// The states of a step.
const (
	StepWaiting   StepState = "WAITING"   // its turn has not come
	StepRunning   StepState = "RUNNING"   // the update is being activated
	StepVerifying StepState = "VERIFYING" // the new license is being verified
	StepDone      StepState = "DONE"      // it has the update, with a receipt
	StepFailed    StepState = "FAILED"    // it failed; the rollout is held
	StepHeld      StepState = "HELD"      // an earlier step failed
)

// Digest is the digest of an update file. The zero digest stands for none.
type Digest [32]byte

// MarshalText writes d in hexadecimal.
func (d Digest) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(d[:])), nil }

// UnmarshalText reads 64 hexadecimal digits.
func (d *Digest) UnmarshalText(text []byte) error {
	if len(text) != 2*len(d) {
		return fmt.Errorf("rollout: a digest has %d hexadecimal digits, not %d", 2*len(d), len(text))
	}
	_, err := hex.Decode(d[:], text)
	return err
}

// Found is what the fingerprint of one container says, after its signature and
// identity were checked.
type Found struct {
	// Serial is the container's.
	Serial license.Serial `json:"serial"`
	// Number and Previous are the firm's update counter in the container, and
	// the digest of the update that brought it there: once it has the missing
	// ones.
	Number   uint64 `json:"number"`
	Previous Digest `json:"previous"`
	// Licenses are all licenses in the container, once it has the missing
	// updates.
	Licenses []license.Held `json:"licenses,omitempty"`
	// Missing are the updates that a group's container gets first, in order.
	Missing []Missing `json:"missing,omitempty"`
}

// Missing is an update that was issued by an earlier rollout, and that the
// container doesn't have: it was restored from a backup.
type Missing struct {
	Firm   license.FirmCode `json:"firm"`
	Number uint64           `json:"number"`
	Update Digest           `json:"update"`
	// Held are all licenses in the container until it is installed.
	Held []license.Held `json:"held,omitempty"`
}

// Step is the rollout on one backend.
type Step struct {
	State StepState `json:"state"`
	// Note says what is going on, in a few words.
	Note       string     `json:"note"`
	StartedAt  *time.Time `json:"startedAt,omitempty"`
	FinishedAt *time.Time `json:"finishedAt,omitempty"`
	// Found is what the container held before; zero until collected.
	Found Found `json:"found"`
	// Update is the digest of this container's update; zero until issued.
	Update Digest `json:"update"`
	// Repaired is how many of Found.Missing are installed, with receipts.
	Repaired int `json:"repaired,omitempty"`
	// Asked: activation was asked for. From here on the container may hold the
	// update, whatever was answered.
	Asked bool `json:"asked,omitempty"`
	// Receipt: the container's receipt for Update was verified.
	Receipt bool `json:"receipt,omitempty"`
}

// Hold is why a rollout is held and where it goes on.
type Hold struct {
	Phase   Phase        `json:"phase"`
	Backend int          `json:"backend,omitempty"`
	Code    license.Code `json:"code"`
	Message string       `json:"message"`
}

// State is everything that a rollout's future depends on. It is a value: Next
// never changes the one that it is given. It is stored as JSON.
type State struct {
	Phase Phase `json:"phase"`
	// Single: it is of one container alone, as backend 1. No other backend
	// carries the license meanwhile, and there is no view to wait for.
	Single bool `json:"single,omitempty"`
	// Backend is 1, 2 or 3 in Guarding, Activating and Confirming, else 0.
	Backend int `json:"backend,omitempty"`
	// Attempt counts the retries, so that each try has keys of its own.
	Attempt uint32 `json:"attempt"`
	// Terms are the licenses that the rollout brings, with their TMR-ID. Set
	// when the rollout starts.
	Terms []license.License `json:"terms,omitempty"`
	// Removes are the products that the rollout takes away; of a single
	// container only.
	Removes []license.Product `json:"removes,omitempty"`
	// Steps has one per backend; of a single container the first one counts.
	Steps [license.Backends]Step `json:"steps"`
	// Offline: fingerprints, updates and receipts travel in files. Such a
	// rollout stays in Staging from when its updates are issued until it is done.
	Offline bool `json:"offline,omitempty"`
	// Unlinked: the effect that is due needs a server that is not heard of.
	Unlinked bool `json:"unlinked,omitempty"`
	// Outdated is the backend that the TMR servers have the replaced container
	// of still; 0: none.
	Outdated int `json:"outdated,omitempty"`
	// Hold is set exactly in Held.
	Hold *Hold `json:"hold,omitempty"`
	// Sequence counts the changes.
	Sequence uint64 `json:"sequence"`
	// EndedAt is set in Done and Aborted.
	EndedAt *time.Time `json:"endedAt,omitempty"`
}

// New gives a queued rollout of a TMR group.
func New() State { return queued(false) }

// NewSingle gives a queued rollout of a container outside a TMR group.
func NewSingle() State { return queued(true) }

func queued(single bool) State {
	s := State{Phase: Queued, Single: single}
	for i := range s.steps() {
		s.Steps[i] = Step{State: StepWaiting, Note: waits}
	}
	return s
}

// Backends is how many containers the rollout is of.
func (s State) Backends() int {
	if s.Single {
		return 1
	}
	return license.Backends
}

// steps are those that count.
func (s *State) steps() []Step { return s.Steps[:s.Backends()] }

// Asked says whether an activation was asked for on any backend: from then on
// there is no way back.
func (s State) Asked() bool {
	for _, step := range s.Steps {
		if step.Asked {
			return true
		}
	}
	return false
}

// Blocker says in a sentence what the rollout waits for or why it is held; ""
// when it moves.
func (s State) Blocker() string {
	switch {
	case s.Phase == Queued && s.Single:
		return "Another rollout of this container is running; this one starts when it ends."
	case s.Phase == Queued:
		return "Another rollout of this group is running; this one starts when it ends."
	case s.Phase == Held:
		return s.Hold.Message
	case s.AwaitsRequest():
		return "A backend was replaced: hand in a new request file of the group, which the TMR server writes."
	case s.Outdated != 0:
		return fmt.Sprintf("The group's TMR servers still have the replaced backend %d: give each the new one with --backend, one server after the other; the rollout goes on then.", s.Outdated)
	case s.Unlinked && s.Single:
		return "The platform does not hear from the container's license server; the rollout goes on when it does."
	case s.Unlinked:
		return "The platform does not hear from the group's TMR server; the rollout goes on when it does."
	case s.awaitsFile():
		return "The update file is with the customer; waits for the receipt file, or for a newer request file that shows the update installed."
	case s.awaitsView():
		return "All three receipts are here; waits until the group shows the new license on all three backends."
	}
	return ""
}

// Brings is what the update for a backend sets: the terms, each in a group with
// the one that it replaces in that container.
func (s State) Brings(backend int) []license.Held {
	set := make([]license.Held, 0, len(s.Terms))
	for _, l := range s.Terms {
		h := license.Held{License: l}
		for _, old := range s.Steps[backend-1].Found.Licenses {
			if old.Product == l.Product && !s.Single {
				before := old.Options
				h.Predecessor = &before
			}
		}
		set = append(set, h)
	}
	return set
}

// Number is the firm update counter that a backend's update brings.
func (s State) Number(backend int) uint64 { return s.Steps[backend-1].Found.Number + 1 }

// Due is the update that a backend gets next: a missing one, or the rollout's.
func (s State) Due(backend int) Digest {
	step := s.Steps[backend-1]
	if s.behind(backend) > 0 {
		return step.Found.Missing[step.Repaired].Update
	}
	return step.Update
}

// After is what a container holds once it has the update that is due.
func (s State) After(backend int) []license.Held {
	step := s.Steps[backend-1]
	switch s.behind(backend) {
	case 0:
		return s.Holds(backend)
	case 1:
		return step.Found.Licenses
	}
	return step.Found.Missing[step.Repaired+1].Held
}

// behind is how many of the missing updates a backend hasn't got yet.
func (s State) behind(backend int) int {
	step := s.Steps[backend-1]
	return len(step.Found.Missing) - step.Repaired
}

// recorded is what a container holds by the receipts.
func (s State) recorded(backend int) []license.Held {
	step := s.Steps[backend-1]
	switch {
	case step.Receipt:
		return s.Holds(backend)
	case s.behind(backend) > 0:
		return step.Found.Missing[step.Repaired].Held
	}
	return step.Found.Licenses
}

// Holds is what a container holds with the rollout's update.
func (s State) Holds(backend int) []license.Held {
	step := s.Steps[backend-1]
	held := s.Brings(backend)
	for _, old := range step.Found.Licenses {
		replaced := false
		for _, l := range s.Terms {
			replaced = replaced || l.Product == old.Product
		}
		replaced = replaced || slices.Contains(s.Removes, old.Product)
		if !replaced {
			held = append(held, old)
		}
	}
	return held
}

func (s State) awaitsView() bool {
	return !s.Single && s.Phase == Confirming && s.Backend == license.Backends &&
		s.Steps[license.Backends-1].State == StepDone
}

// AwaitsRequest says whether fingerprints have to come in a file: those of the
// start came with it.
func (s State) AwaitsRequest() bool { return s.Offline && s.Phase == Collecting }

// awaitsFile says whether the updates are out in a file.
func (s State) awaitsFile() bool { return s.Offline && s.Phase == Staging }
