package license

import (
	"fmt"
	"time"
)

// Options are the properties of a license.
type Options struct {
	// Quantity is the license quantity (LQ): how many seats there are.
	Quantity uint32
	// TMRID marks three licenses as one; consecutive, new with each update.
	// Zero: not a TMR license.
	TMRID uint32
	// Expiration is the instant from which the license no longer counts, in
	// UTC with a precision of seconds. Zero: never.
	Expiration time.Time
	// FeatureMap is a mask of 32 switches that the program interprets.
	FeatureMap uint32
}

// Equal compares all options; expirations as instants.
func (o Options) Equal(p Options) bool {
	return o.Quantity == p.Quantity && o.TMRID == p.TMRID &&
		o.FeatureMap == p.FeatureMap && o.Expiration.Equal(p.Expiration)
}

// MostProductName bounds a product's name, in bytes.
const MostProductName = 200

// License is one license as a container holds it.
type License struct {
	Product Product
	Name    string // the product's name, for people
	Options Options
}

// Held is a license in a container together with the terms that it replaced,
// so that the container can vouch for its predecessor too.
type Held struct {
	License
	// Predecessor is nil for the first license of its product.
	Predecessor *Options
}

// ValidAt says whether the license may be used at an instant.
func (l License) ValidAt(now time.Time) error {
	if exp := l.Options.Expiration; !exp.IsZero() && !now.Before(exp) {
		return &Error{
			Code:    CodeExpired,
			Message: fmt.Sprintf("the license for %s expired at %s", l.Product, exp.UTC().Format(time.RFC3339)),
			Fix:     "order an extension from the vendor",
		}
	}
	return nil
}

// HasFeatures says whether every bit of wanted is set in the feature map.
func (l License) HasFeatures(wanted uint32) error {
	if missing := wanted &^ l.Options.FeatureMap; missing != 0 {
		return &Error{
			Code:    CodeFeatureMissing,
			Message: fmt.Sprintf("the license for %s lacks the features %#08x", l.Product, missing),
			Fix:     "order the features from the vendor, or run without them",
			Details: map[string]any{"missingFeatures": missing},
		}
	}
	return nil
}

// AccessMode says what a handle costs.
type AccessMode string

// The access modes. A server refuses a mode that it does not offer with
// CodeInvalidInput.
const (
	UserLimit    AccessMode = "USER_LIMIT"
	StationShare AccessMode = "STATION_SHARE"
	Exclusive    AccessMode = "EXCLUSIVE"
	NoUserLimit  AccessMode = "NO_USER_LIMIT"
)

// Valid says whether m is one of the four modes.
func (m AccessMode) Valid() bool {
	switch m {
	case UserLimit, StationShare, Exclusive, NoUserLimit:
		return true
	}
	return false
}
