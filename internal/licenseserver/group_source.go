package licenseserver

import (
	"context"

	"github.com/quorate/quorate/internal/license"
)

// Group is what GroupSource needs of a live TMR group.
type Group interface {
	// View is the virtual container as it is now.
	View() license.View
	// Moment is the time that the backends agree on.
	Moment() license.Moment
	// Use and TakeUnits ask the meters that the backends keep, for a leader.
	Use(ctx context.Context, epoch uint64, p license.Product, issue uint32) (license.Use, error)
	TakeUnits(ctx context.Context, epoch uint64, p license.Product, issue uint32, granted uint64, request string, n uint64) (left uint64, err error)
	// OpenKey, ReadData and UseSecret have any backend do it that holds the
	// license in force.
	OpenKey(ctx context.Context, p license.Product, wrapped, token []byte) ([]byte, error)
	ReadData(ctx context.Context, p license.Product, name license.DataName, token []byte) ([]byte, error)
	UseSecret(ctx context.Context, p license.Product, name license.DataName, context, token []byte) ([]byte, error)
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
func (s *GroupSource) Find(p license.Product) (Found, error) {
	view, now := s.group.View(), s.group.Moment()
	if l, ok := view.Find(p); ok {
		return Found{License: l.License, Moment: now, Status: l.Status()}, refusal(l)
	}
	if present := view.PresentCount(); present < license.Majority {
		return Found{Moment: now}, license.Errorf(license.CodeNoMajority, fixMajority,
			"only %d of the group's %d backends can be reached, and licenses need %d",
			present, license.Backends, license.Majority)
	}
	return Found{Moment: now}, noLicense(p, s.virtual)
}

const fixMajority = "have the operator bring the backends back (the TMR group's page and `quorate ls` show which are missing), then try again"

func refusal(l license.Viewed) error {
	switch {
	case l.InForce:
		return nil
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
	view, now := s.group.View(), s.group.Moment()
	offers := make([]Offer, len(view.Licenses))
	for i, l := range view.Licenses {
		offers[i] = Offer{Found: Found{License: l.License, Moment: now, Status: l.Status()}, Refusal: refusal(l)}
	}
	return offers
}

// Use implements Source. Of TMR licenses units are all that is counted.
func (s *GroupSource) Use(ctx context.Context, epoch uint64, l license.License) (license.Use, error) {
	if l.Options.Units == nil {
		return license.Use{}, ctx.Err()
	}
	return s.group.Use(ctx, epoch, l.Product, l.Options.Issue)
}

// Begin implements Source: TMR licenses have no usage period.
func (s *GroupSource) Begin(_ context.Context, _ uint64, p license.Product) error {
	_, err := s.Find(p)
	return err
}

// TakeUnits implements Source.
func (s *GroupSource) TakeUnits(ctx context.Context, epoch uint64, p license.Product, request string, n uint64) (uint64, error) {
	f, err := s.Find(p)
	if err != nil {
		return 0, err
	}
	if f.Options.Units == nil {
		return 0, noCounter(p)
	}
	return s.group.TakeUnits(ctx, epoch, p, f.Options.Issue, *f.Options.Units, request, n)
}

// OpenKey implements Source.
func (s *GroupSource) OpenKey(ctx context.Context, p license.Product, wrapped, token []byte) ([]byte, error) {
	if _, err := s.Find(p); err != nil {
		return nil, err
	}
	return s.group.OpenKey(ctx, p, wrapped, token)
}

// ReadData implements Source.
func (s *GroupSource) ReadData(ctx context.Context, p license.Product, token []byte) ([]byte, error) {
	return named(protectedName(s, p), func(name license.DataName) ([]byte, error) {
		return s.group.ReadData(ctx, p, name, token)
	})
}

// UseSecret implements Source.
func (s *GroupSource) UseSecret(ctx context.Context, p license.Product, use, token []byte) ([]byte, error) {
	return named(secretName(s, p), func(name license.DataName) ([]byte, error) {
		return s.group.UseSecret(ctx, p, name, use, token)
	})
}
