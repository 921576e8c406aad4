package property

import (
	"fmt"
	"io"
	"slices"
	"strconv"
)

// Role is what a member or a token may do in its organization.
type Role string

// The roles, from most to least.
const (
	RoleOwner         Role = "OWNER"
	RoleAdministrator Role = "ADMINISTRATOR"
	RoleOperator      Role = "OPERATOR"
	RoleViewer        Role = "VIEWER"
)

// ContainerKind is what sort a container is of.
type ContainerKind string

// The kinds of containers.
const (
	ContainerDongle    ContainerKind = "DONGLE"
	ContainerComputer  ContainerKind = "COMPUTER"
	ContainerUniversal ContainerKind = "UNIVERSAL"
	ContainerVirtual   ContainerKind = "VIRTUAL"
	ContainerCloud     ContainerKind = "CLOUD"
)

// AllocationState says whether an allocation lives, or how it ended.
type AllocationState string

// The states of an allocation.
const (
	AllocationActive   AllocationState = "ACTIVE"
	AllocationReleased AllocationState = "RELEASED"
	AllocationExpired  AllocationState = "EXPIRED"
	AllocationRemoved  AllocationState = "REMOVED"
)

// RolloutState is where a rollout stands.
type RolloutState string

// The states of a rollout.
const (
	RolloutQueued     RolloutState = "QUEUED"
	RolloutCollecting RolloutState = "COLLECTING"
	RolloutIssuing    RolloutState = "ISSUING"
	RolloutStaging    RolloutState = "STAGING"
	RolloutGuarding   RolloutState = "GUARDING"
	RolloutActivating RolloutState = "ACTIVATING"
	RolloutConfirming RolloutState = "CONFIRMING"
	RolloutDone       RolloutState = "DONE"
	RolloutHeld       RolloutState = "HELD"
	RolloutAborted    RolloutState = "ABORTED"
)

// RolloutStepState is where a rollout stands on one backend.
type RolloutStepState string

// The states of a rollout's step.
const (
	StepWaiting   RolloutStepState = "WAITING"
	StepRunning   RolloutStepState = "RUNNING"
	StepVerifying RolloutStepState = "VERIFYING"
	StepDone      RolloutStepState = "DONE"
	StepFailed    RolloutStepState = "FAILED"
	StepHeld      RolloutStepState = "HELD"
)

// TmrHealth is the verdict on a TMR group.
type TmrHealth string

// The verdicts.
const (
	HealthFullyRedundant TmrHealth = "FULLY_REDUNDANT"
	HealthNoSpare        TmrHealth = "NO_SPARE"
	HealthNoMajority     TmrHealth = "NO_MAJORITY"
	HealthEmpty          TmrHealth = "EMPTY"
	HealthUnknown        TmrHealth = "UNKNOWN"
)

// BackendState says whether a backend is there.
type BackendState string

// The states of a backend.
const (
	BackendPresent    BackendState = "PRESENT"
	BackendActivating BackendState = "ACTIVATING"
	BackendAbsent     BackendState = "ABSENT"
)

// TmrServerRole is what a TMR server does now.
type TmrServerRole string

// The roles of a TMR server.
const (
	ServerActive  TmrServerRole = "ACTIVE"
	ServerStandby TmrServerRole = "STANDBY"
	ServerDown    TmrServerRole = "DOWN"
)

// WorkState is where a work item of the link stands.
type WorkState string

// The states of a work item.
const (
	WorkPending WorkState = "PENDING"
	WorkDone    WorkState = "DONE"
	WorkFailed  WorkState = "FAILED"
)

// WorkKind is what a work item asks for.
type WorkKind string

// The kinds of work items.
const (
	WorkCollect  WorkKind = "COLLECT"
	WorkStage    WorkKind = "STAGE"
	WorkGuard    WorkKind = "GUARD"
	WorkActivate WorkKind = "ACTIVATE"
	WorkVerify   WorkKind = "VERIFY"
	WorkRemove   WorkKind = "REMOVE"
	WorkAsk      WorkKind = "ASK"
)

// Values lists the roles.
func (Role) Values() []string {
	return list(RoleOwner, RoleAdministrator, RoleOperator, RoleViewer)
}

// Values lists the kinds.
func (ContainerKind) Values() []string {
	return list(ContainerDongle, ContainerComputer, ContainerUniversal, ContainerVirtual, ContainerCloud)
}

// Values lists the states.
func (AllocationState) Values() []string {
	return list(AllocationActive, AllocationReleased, AllocationExpired, AllocationRemoved)
}

// Values lists the states.
func (RolloutState) Values() []string {
	return list(RolloutQueued, RolloutCollecting, RolloutIssuing, RolloutStaging, RolloutGuarding,
		RolloutActivating, RolloutConfirming, RolloutDone, RolloutHeld, RolloutAborted)
}

// Values lists the states.
func (RolloutStepState) Values() []string {
	return list(StepWaiting, StepRunning, StepVerifying, StepDone, StepFailed, StepHeld)
}

// Values lists the verdicts.
func (TmrHealth) Values() []string {
	return list(HealthFullyRedundant, HealthNoSpare, HealthNoMajority, HealthEmpty, HealthUnknown)
}

// Values lists the states.
func (BackendState) Values() []string {
	return list(BackendPresent, BackendActivating, BackendAbsent)
}

// Values lists the roles.
func (TmrServerRole) Values() []string { return list(ServerActive, ServerStandby, ServerDown) }

// Values lists the states.
func (WorkState) Values() []string { return list(WorkPending, WorkDone, WorkFailed) }

// Values lists the kinds.
func (WorkKind) Values() []string {
	return list(WorkCollect, WorkStage, WorkGuard, WorkActivate, WorkVerify, WorkRemove, WorkAsk)
}

func list[T ~string](all ...T) []string {
	out := make([]string, len(all))
	for i, v := range all {
		out[i] = string(v)
	}
	return out
}

// MarshalGQL writes the value as a GraphQL enum.
func (v Role) MarshalGQL(w io.Writer) { write(w, v) }

// UnmarshalGQL reads the value and refuses one that is not listed.
func (v *Role) UnmarshalGQL(val any) error { return read(v, val) }

// MarshalGQL writes the value as a GraphQL enum.
func (v ContainerKind) MarshalGQL(w io.Writer) { write(w, v) }

// UnmarshalGQL reads the value and refuses one that is not listed.
func (v *ContainerKind) UnmarshalGQL(val any) error { return read(v, val) }

// MarshalGQL writes the value as a GraphQL enum.
func (v AllocationState) MarshalGQL(w io.Writer) { write(w, v) }

// UnmarshalGQL reads the value and refuses one that is not listed.
func (v *AllocationState) UnmarshalGQL(val any) error { return read(v, val) }

// MarshalGQL writes the value as a GraphQL enum.
func (v RolloutState) MarshalGQL(w io.Writer) { write(w, v) }

// UnmarshalGQL reads the value and refuses one that is not listed.
func (v *RolloutState) UnmarshalGQL(val any) error { return read(v, val) }

// MarshalGQL writes the value as a GraphQL enum.
func (v RolloutStepState) MarshalGQL(w io.Writer) { write(w, v) }

// UnmarshalGQL reads the value and refuses one that is not listed.
func (v *RolloutStepState) UnmarshalGQL(val any) error { return read(v, val) }

// MarshalGQL writes the value as a GraphQL enum.
func (v TmrHealth) MarshalGQL(w io.Writer) { write(w, v) }

// UnmarshalGQL reads the value and refuses one that is not listed.
func (v *TmrHealth) UnmarshalGQL(val any) error { return read(v, val) }

// MarshalGQL writes the value as a GraphQL enum.
func (v BackendState) MarshalGQL(w io.Writer) { write(w, v) }

// UnmarshalGQL reads the value and refuses one that is not listed.
func (v *BackendState) UnmarshalGQL(val any) error { return read(v, val) }

// MarshalGQL writes the value as a GraphQL enum.
func (v TmrServerRole) MarshalGQL(w io.Writer) { write(w, v) }

// UnmarshalGQL reads the value and refuses one that is not listed.
func (v *TmrServerRole) UnmarshalGQL(val any) error { return read(v, val) }

// MarshalGQL writes the value as a GraphQL enum.
func (v WorkState) MarshalGQL(w io.Writer) { write(w, v) }

// UnmarshalGQL reads the value and refuses one that is not listed.
func (v *WorkState) UnmarshalGQL(val any) error { return read(v, val) }

// MarshalGQL writes the value as a GraphQL enum.
func (v WorkKind) MarshalGQL(w io.Writer) { write(w, v) }

// UnmarshalGQL reads the value and refuses one that is not listed.
func (v *WorkKind) UnmarshalGQL(val any) error { return read(v, val) }

func write[T ~string](w io.Writer, v T) { _, _ = io.WriteString(w, strconv.Quote(string(v))) }

func read[T interface {
	~string
	Values() []string
}](v *T, val any) error {
	s, ok := val.(string)
	if !ok || !slices.Contains((*v).Values(), s) {
		return fmt.Errorf("%T has no value %q", *v, fmt.Sprint(val))
	}
	*v = T(s)
	return nil
}
