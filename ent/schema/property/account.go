package property

import (
	"io"
	"time"
)

// Environment says what an organization's licenses are for.
type Environment string

// The environments.
const (
	EnvironmentLive Environment = "LIVE"
	EnvironmentTest Environment = "TEST"
)

// UserVisibility is what a vendor sees of a customer's users.
type UserVisibility string

// The choices of a customer.
const (
	VisibilityTotals     UserVisibility = "TOTALS"     // numbers only
	VisibilityPseudonyms UserVisibility = "PSEUDONYMS" // each user under a name that tells nothing
	VisibilityAll        UserVisibility = "ALL"
)

// DeliveryState is where a webhook's delivery stands.
type DeliveryState string

// The states of a delivery.
const (
	DeliveryPending   DeliveryState = "PENDING"
	DeliveryDelivered DeliveryState = "DELIVERED"
	DeliveryFailed    DeliveryState = "FAILED" // no further attempt is made
)

// DeliveryAttempt is one call of a webhook's endpoint.
type DeliveryAttempt struct {
	At       time.Time `json:"at"`
	Status   int       `json:"status,omitempty"`   // of the HTTP answer; 0: there was none
	Millis   int       `json:"millis"`             // how long it took
	Response string    `json:"response,omitempty"` // how the answer begins
	Error    string    `json:"error,omitempty"`
}

// PlanState is where a rollout plan stands.
type PlanState string

// The states of a plan.
const (
	PlanScheduled PlanState = "SCHEDULED"
	PlanRunning   PlanState = "RUNNING"
	PlanPaused    PlanState = "PAUSED"
	PlanStopped   PlanState = "STOPPED" // by failures
	PlanDone      PlanState = "DONE"
	PlanAborted   PlanState = "ABORTED"
)

// PlanEntryState is where a plan stands at one place.
type PlanEntryState string

// The states of a plan's entry.
const (
	EntryWaiting PlanEntryState = "WAITING"
	EntryRunning PlanEntryState = "RUNNING"
	EntryDone    PlanEntryState = "DONE"
	EntryFailed  PlanEntryState = "FAILED"
	EntrySkipped PlanEntryState = "SKIPPED"
)

// Window is when in a week something may begin.
type Window struct {
	Days []int  `json:"days"` // 0 Sunday to 6 Saturday; none: every day
	From int    `json:"from"` // minutes after midnight
	To   int    `json:"to"`   // minutes after midnight; before From: on the next day
	Zone string `json:"zone"` // "Europe/Berlin"; empty: UTC
}

// Term is one option of an item, as text for people.
type Term struct {
	Name  string `json:"name"`
	Value string `json:"value"` // empty: not set
	// Was: what it was at the revision before, where that differs.
	Was *string `json:"was,omitempty"`
}

// Values lists the environments.
func (Environment) Values() []string { return list(EnvironmentLive, EnvironmentTest) }

// Values lists the choices.
func (UserVisibility) Values() []string {
	return list(VisibilityTotals, VisibilityPseudonyms, VisibilityAll)
}

// Values lists the states.
func (DeliveryState) Values() []string {
	return list(DeliveryPending, DeliveryDelivered, DeliveryFailed)
}

// Values lists the states.
func (PlanState) Values() []string {
	return list(PlanScheduled, PlanRunning, PlanPaused, PlanStopped, PlanDone, PlanAborted)
}

// Values lists the states.
func (PlanEntryState) Values() []string {
	return list(EntryWaiting, EntryRunning, EntryDone, EntryFailed, EntrySkipped)
}

// MarshalGQL writes the value as a GraphQL enum.
func (v Environment) MarshalGQL(w io.Writer) { write(w, v) }

// UnmarshalGQL reads the value and refuses one that is not listed.
func (v *Environment) UnmarshalGQL(val any) error { return read(v, val) }

// MarshalGQL writes the value as a GraphQL enum.
func (v UserVisibility) MarshalGQL(w io.Writer) { write(w, v) }

// UnmarshalGQL reads the value and refuses one that is not listed.
func (v *UserVisibility) UnmarshalGQL(val any) error { return read(v, val) }

// MarshalGQL writes the value as a GraphQL enum.
func (v DeliveryState) MarshalGQL(w io.Writer) { write(w, v) }

// UnmarshalGQL reads the value and refuses one that is not listed.
func (v *DeliveryState) UnmarshalGQL(val any) error { return read(v, val) }

// MarshalGQL writes the value as a GraphQL enum.
func (v PlanState) MarshalGQL(w io.Writer) { write(w, v) }

// UnmarshalGQL reads the value and refuses one that is not listed.
func (v *PlanState) UnmarshalGQL(val any) error { return read(v, val) }

// MarshalGQL writes the value as a GraphQL enum.
func (v PlanEntryState) MarshalGQL(w io.Writer) { write(w, v) }

// UnmarshalGQL reads the value and refuses one that is not listed.
func (v *PlanEntryState) UnmarshalGQL(val any) error { return read(v, val) }
