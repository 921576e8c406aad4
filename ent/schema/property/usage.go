package property

import (
	"io"
	"time"
)

// QuantityChange is a change of the quantity in force.
type QuantityChange struct {
	At       time.Time `json:"at"`
	Quantity int64     `json:"quantity"`
}

// UsageResolution is how long a point of a usage series is.
type UsageResolution string

// The resolutions.
const (
	UsageMinute UsageResolution = "MINUTE"
	UsageHour   UsageResolution = "HOUR"
	UsageDay    UsageResolution = "DAY"
)

// Values lists the resolutions.
func (UsageResolution) Values() []string { return list(UsageMinute, UsageHour, UsageDay) }

// MarshalGQL writes the value as a GraphQL enum.
func (v UsageResolution) MarshalGQL(w io.Writer) { write(w, v) }

// UnmarshalGQL reads the value and refuses one that is not listed.
func (v *UsageResolution) UnmarshalGQL(val any) error { return read(v, val) }
