package license

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
