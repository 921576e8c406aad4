package property

import "time"

// Backend is one of the three backends of a TMR group, as last seen.
type Backend struct {
	Position int          `json:"position"`
	Serial   string       `json:"serial"`
	TmrID    *int         `json:"tmrId,omitempty"`    // nil: not counted now
	Quantity *int         `json:"quantity,omitempty"` // nil: not counted now
	InForce  bool         `json:"inForce,omitempty"`
	State    BackendState `json:"state"`
	Address  string       `json:"address,omitempty"`
	SeenAt   *time.Time   `json:"seenAt,omitempty"`
}

// TmrLicense is one license of a TMR group's virtual container, as last seen.
type TmrLicense struct {
	Product    string     `json:"product"` // "6000010:14"
	Name       string     `json:"name"`
	InForce    bool       `json:"inForce,omitempty"`
	Conflict   bool       `json:"conflict,omitempty"`
	Unanimous  bool       `json:"unanimous,omitempty"` // all three backends show the TMR-ID in force
	Status     string     `json:"status"`
	Quantity   int        `json:"quantity"`        // in force; 0 when none is
	TmrID      *int       `json:"tmrId,omitempty"` // in force; nil when none is
	Expiration *time.Time `json:"expiration,omitempty"`
	FeatureMap uint32     `json:"featureMap,omitempty"`
}

// ServedLicense is one license of a container outside of TMR groups, as its
// license server last told.
type ServedLicense struct {
	Product    string `json:"product"` // "6000010:14"
	Name       string `json:"name"`
	Quantity   int    `json:"quantity"`
	Reason     string `json:"reason,omitempty"` // why nobody can have it now; empty: it is in force
	FeatureMap uint32 `json:"featureMap,omitempty"`
}

// Carried is what was left of licenses when their container was replaced. It
// counts while their item has the issue: a renewal starts everything anew.
type Carried struct {
	Issue int        `json:"issue"`
	Units *uint64    `json:"units,omitempty"` // that are left in all; nil: not counted
	End   *time.Time `json:"end,omitempty"`   // of the usage period; nil: it has not begun
}

// Meter is what was used of a license under one issue.
type Meter struct {
	Product string     `json:"product"` // "6000010:14"
	Issue   uint32     `json:"issue"`
	First   *time.Time `json:"first,omitempty"` // use; nil: none
	Units   uint64     `json:"units,omitempty"` // taken
}

// GroupView is the whole of what one view of a TMR group shows.
type GroupView struct {
	Status   string       `json:"status"`
	Quantity int          `json:"quantity"`
	TmrID    *int         `json:"tmrId,omitempty"`
	Backends []Backend    `json:"backends"`
	Licenses []TmrLicense `json:"licenses"`
}

// RolloutStep is a rollout on one backend.
type RolloutStep struct {
	Position   int              `json:"position"`
	State      RolloutStepState `json:"state"`
	Note       string           `json:"note,omitempty"`
	StartedAt  *time.Time       `json:"startedAt,omitempty"`
	FinishedAt *time.Time       `json:"finishedAt,omitempty"`
}
