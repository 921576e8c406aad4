package licenseserver

import (
	"context"

	"github.com/quorate/quorate/internal/license"
)

// Source is where the licenses come from. Safe for concurrent use; every answer
// is of this instant.
type Source interface {
	// Serial names the container, real or virtual, whose seats are handed out.
	Serial() license.Serial

	// Find gives the license of a product if it may be used now. Errors:
	// CodeNoLicense, CodeNoMajority, CodeTMROnly, CodeExpired.
	Find(p license.Product) (license.License, error)

	// Licenses gives everything that is here, ordered by product, with the
	// reason where it can't be used.
	Licenses() []Offer

	// OpenKey opens a key that was wrapped for a product. token is the handle's,
	// already checked, for those behind the source who check its signature
	// themselves.
	OpenKey(ctx context.Context, p license.Product, wrapped, token []byte) ([]byte, error)
}

// Offer is one license of a source.
type Offer struct {
	license.License
	// Status is the TMR status line; empty for a single container.
	Status string
	// Refusal says why the license can't be used; nil when it can.
	Refusal error
}

func noLicense(p license.Product, serial license.Serial) error {
	return license.Errorf(license.CodeNoLicense,
		"check the product code (`quorate ls` shows what this server has), or order the license from the vendor",
		"there is no license for %s in container %s", p, serial)
}
