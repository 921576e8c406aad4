package licenseserver

import (
	"context"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// Container is what ContainerSource needs of a container.
type Container interface {
	Serial() license.Serial
	Licenses() (version uint64, held []license.Held)
	OpenKey(p license.Product, wrapped []byte) ([]byte, error)
}

// ContainerSource offers the licenses of one container, for a plain license
// server. Licenses with a TMR-ID are refused with CodeTMROnly: one container of
// a group alone gives nothing.
type ContainerSource struct{ container Container }

// NewContainerSource makes the source of a container.
func NewContainerSource(c Container) *ContainerSource { return &ContainerSource{c} }

// Serial is the container's.
func (s *ContainerSource) Serial() license.Serial { return s.container.Serial() }

// Find implements Source.
func (s *ContainerSource) Find(p license.Product) (license.License, error) {
	_, held := s.container.Licenses()
	for _, h := range held {
		if h.Product == p {
			return h.License, s.refusal(h.License)
		}
	}
	return license.License{}, noLicense(p, s.Serial())
}

func (s *ContainerSource) refusal(l license.License) error {
	if l.Options.TMRID != 0 {
		return license.Errorf(license.CodeTMROnly,
			"ask the TMR server of the group (its virtual IP) instead",
			"the license for %s belongs to a TMR group, and this is a single license server", l.Product)
	}
	return l.Standing(license.Use{}, license.Moment{At: time.Now()}).Err()
}

// Licenses implements Source.
func (s *ContainerSource) Licenses() []Offer {
	_, held := s.container.Licenses()
	offers := make([]Offer, len(held))
	for i, h := range held {
		offers[i] = Offer{License: h.License, Refusal: s.refusal(h.License)}
	}
	slices.SortFunc(offers, func(a, b Offer) int { return a.Product.Compare(b.Product) })
	return offers
}

// OpenKey implements Source.
func (s *ContainerSource) OpenKey(ctx context.Context, p license.Product, wrapped, _ []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, err := s.Find(p); err != nil {
		return nil, err
	}
	return s.container.OpenKey(p, wrapped)
}
