package licenseserver

import (
	"context"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// Group is what GroupSource needs of a live TMR group.
type Group interface {
	// View is the virtual container as it is now.
	View() license.View
	// OpenKey has any backend that holds the license in force open the key.
	OpenKey(ctx context.Context, p license.Product, wrapped, token []byte) ([]byte, error)
}

// GroupSource offers the licenses in force of a TMR group.
type GroupSource struct {
	virtual license.Serial
	group   Group
}

// NewGroupSource makes the source of a group with the given virtual container.
func NewGroupSource(virtual license.Serial, g Group) *GroupSource {
	return &GroupSource{virtual, g}
}

// Serial is the virtual container's.
func (s *GroupSource) Serial() license.Serial { return s.virtual }

// Find implements Source. CodeNoLicense is certain only when two backends are
// there to say so; with fewer the answer is CodeNoMajority.
func (s *GroupSource) Find(p license.Product) (license.License, error) {
	view := s.group.View()
	if l, ok := view.Find(p); ok {
		return l.License, refusal(l)
	}
	if present := view.PresentCount(); present < license.Majority {
		return license.License{}, license.Errorf(license.CodeNoMajority, fixMajority,
			"only %d of the group's %d backends can be reached, and licenses need %d",
			present, license.Backends, license.Majority)
	}
	return license.License{}, noLicense(p, s.virtual)
}

const fixMajority = "have the operator bring the backends back (the TMR group's page and `quorate ls` show which are missing), then try again"

func refusal(l license.Viewed) error {
	switch {
	case l.InForce:
		return l.Standing(license.Use{}, license.Moment{At: time.Now()}).Err()
	case l.Conflict:
		return license.Errorf(license.CodeNoMajority,
			"have the operator roll the license out again: the same TMR-ID must mean the same terms on all backends",
			"the backends hold the license for %s with different terms (%s)", l.Product, l.Status())
	}
	return license.Errorf(license.CodeNoMajority, fixMajority,
		"fewer than %d of %d backends hold the license for %s (%s)",
		license.Majority, license.Backends, l.Product, l.Status())
}

// Licenses implements Source.
func (s *GroupSource) Licenses() []Offer {
	view := s.group.View()
	offers := make([]Offer, len(view.Licenses))
	for i, l := range view.Licenses {
		offers[i] = Offer{License: l.License, Status: l.Status(), Refusal: refusal(l)}
	}
	return offers
}

// OpenKey implements Source.
func (s *GroupSource) OpenKey(ctx context.Context, p license.Product, wrapped, token []byte) ([]byte, error) {
	if _, err := s.Find(p); err != nil {
		return nil, err
	}
	return s.group.OpenKey(ctx, p, wrapped, token)
}
