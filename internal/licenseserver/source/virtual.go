package source

import (
	"context"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
)

// Group is what Virtual needs of a live TMR group.
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

// Virtual offers the licenses in force of a TMR group.
type Virtual struct {
	virtual license.Serial
	group   Group
}

// NewVirtual makes the source of a group with the given virtual container.
func NewVirtual(virtual license.Serial, g Group) *Virtual {
	return &Virtual{virtual, g}
}

// Serial is the virtual container's.
func (s *Virtual) Serial() license.Serial { return s.virtual }

// Find implements licenseserver.Source. CodeNoLicense is certain only when two backends are
// there to say so; with fewer the answer is CodeNoMajority.
func (s *Virtual) Find(p license.Product) (licenseserver.Found, error) {
	view, now := s.group.View(), s.group.Moment()
	if l, ok := view.Find(p); ok {
		return licenseserver.Found{License: l.License, Moment: now, Status: l.Status()}, refusal(l)
	}
	if present := view.PresentCount(); present < license.Majority {
		return licenseserver.Found{Moment: now}, license.Errorf(license.CodeNoMajority, fixMajority,
			"only %d of the group's %d backends can be reached, and licenses need %d",
			present, license.Backends, license.Majority)
	}
	return licenseserver.Found{Moment: now}, noLicense(p, s.virtual)
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

// Licenses implements licenseserver.Source.
func (s *Virtual) Licenses() []licenseserver.Offer {
	view, now := s.group.View(), s.group.Moment()
	offers := make([]licenseserver.Offer, len(view.Licenses))
	for i, l := range view.Licenses {
		offers[i] = licenseserver.Offer{Found: licenseserver.Found{License: l.License, Moment: now, Status: l.Status()}, Refusal: refusal(l)}
	}
	return offers
}

// Use implements licenseserver.Source. Of TMR licenses units are all that is counted.
func (s *Virtual) Use(ctx context.Context, epoch uint64, l license.License) (license.Use, error) {
	if l.Options.Units == nil {
		return license.Use{}, ctx.Err()
	}
	return s.group.Use(ctx, epoch, l.Product, l.Options.Issue)
}

// Begin implements licenseserver.Source: TMR licenses have no usage period.
func (s *Virtual) Begin(_ context.Context, _ uint64, p license.Product) error {
	_, err := s.Find(p)
	return err
}

// TakeUnits implements licenseserver.Source.
func (s *Virtual) TakeUnits(ctx context.Context, epoch uint64, p license.Product, request string, n uint64) (uint64, error) {
	f, err := s.Find(p)
	if err != nil {
		return 0, err
	}
	if f.Options.Units == nil {
		return 0, licenseserver.NoCounter(p)
	}
	return s.group.TakeUnits(ctx, epoch, p, f.Options.Issue, *f.Options.Units, request, n)
}

// OpenKey implements licenseserver.Source.
func (s *Virtual) OpenKey(ctx context.Context, p license.Product, wrapped, token []byte) ([]byte, error) {
	if _, err := s.Find(p); err != nil {
		return nil, err
	}
	return s.group.OpenKey(ctx, p, wrapped, token)
}

// ReadData implements licenseserver.Source.
func (s *Virtual) ReadData(ctx context.Context, p license.Product, token []byte) ([]byte, error) {
	return named(protectedName(s, p), func(name license.DataName) ([]byte, error) {
		return s.group.ReadData(ctx, p, name, token)
	})
}

// UseSecret implements licenseserver.Source.
func (s *Virtual) UseSecret(ctx context.Context, p license.Product, use, token []byte) ([]byte, error) {
	return named(secretName(s, p), func(name license.DataName) ([]byte, error) {
		return s.group.UseSecret(ctx, p, name, use, token)
	})
}
