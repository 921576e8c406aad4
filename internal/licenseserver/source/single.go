package source

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
)

// Container is what Single needs of a container.
type Container interface {
	Serial() license.Serial
	Licenses() (version uint64, held []license.Held)
	License(p license.Product) (license.Held, bool)
	// Moment is the time by the container's clock, which remembers the highest.
	Moment() license.Moment
	// Use, Started and TakeUnits are about the issue that the container holds.
	Use(p license.Product) license.Use
	Started(p license.Product) error
	TakeUnits(p license.Product, request string, n uint64) (left uint64, err error)
	OpenKey(p license.Product, wrapped []byte) ([]byte, error)
	ProtectedData(p license.Product, name license.DataName) ([]byte, error)
	UseSecret(p license.Product, name license.DataName, context []byte) ([]byte, error)
}

// Single offers the licenses of one container, for a plain license
// server. Licenses with a TMR-ID are refused with CodeTMROnly: one container of
// a group alone gives nothing.
type Single struct {
	container Container
	refused   atomic.Pointer[error] // why nothing may be used; nil: it may
}

// NewSingle makes the source of a container.
func NewSingle(c Container) *Single { return &Single{container: c} }

// Refuse has none of the container's licenses be usable any more, for this
// reason; nil takes that back. What is in use ends with its next renewal.
func (s *Single) Refuse(why error) {
	if why == nil {
		s.refused.Store(nil)
		return
	}
	s.refused.Store(&why)
}

// Serial is the container's.
func (s *Single) Serial() license.Serial { return s.container.Serial() }

// Find implements licenseserver.Source.
func (s *Single) Find(p license.Product) (licenseserver.Found, error) {
	h, ok := s.container.License(p)
	now := s.container.Moment()
	if !ok {
		return licenseserver.Found{Moment: now}, noLicense(p, s.Serial())
	}
	return licenseserver.Found{License: h.License, Moment: now}, s.refusal(h.License)
}

func (s *Single) refusal(l license.License) error {
	if l.Options.TMRID == 0 {
		if why := s.refused.Load(); why != nil {
			return *why
		}
		return nil
	}
	return license.Errorf(license.CodeTMROnly,
		"ask the TMR server of the group (its virtual IP) instead",
		"the license for %s belongs to a TMR group, and this is a single license server", l.Product)
}

// Licenses implements licenseserver.Source.
func (s *Single) Licenses() []licenseserver.Offer {
	_, held := s.container.Licenses()
	now := s.container.Moment()
	offers := make([]licenseserver.Offer, len(held))
	for i, h := range held {
		offers[i] = licenseserver.Offer{Found: licenseserver.Found{License: h.License, Moment: now}, Refusal: s.refusal(h.License)}
	}
	slices.SortFunc(offers, func(a, b licenseserver.Offer) int { return a.Product.Compare(b.Product) })
	return offers
}

// Use implements licenseserver.Source.
func (s *Single) Use(_ context.Context, _ uint64, l license.License) (license.Use, error) {
	return s.container.Use(l.Product), nil
}

// Begin implements licenseserver.Source.
func (s *Single) Begin(ctx context.Context, _ uint64, p license.Product) error {
	if err := s.ready(ctx, p); err != nil {
		return err
	}
	return s.container.Started(p)
}

// TakeUnits implements licenseserver.Source.
func (s *Single) TakeUnits(ctx context.Context, _ uint64, p license.Product, request string, n uint64) (uint64, error) {
	if err := s.ready(ctx, p); err != nil {
		return 0, err
	}
	return s.container.TakeUnits(p, request, n)
}

// OpenKey implements licenseserver.Source.
func (s *Single) OpenKey(ctx context.Context, p license.Product, wrapped, _ []byte) ([]byte, error) {
	if err := s.ready(ctx, p); err != nil {
		return nil, err
	}
	return s.container.OpenKey(p, wrapped)
}

// ReadData implements licenseserver.Source.
func (s *Single) ReadData(ctx context.Context, p license.Product, _ []byte) ([]byte, error) {
	if err := s.ready(ctx, p); err != nil {
		return nil, err
	}
	return named(protectedName(s, p), func(name license.DataName) ([]byte, error) {
		return s.container.ProtectedData(p, name)
	})
}

// UseSecret implements licenseserver.Source.
func (s *Single) UseSecret(ctx context.Context, p license.Product, use, _ []byte) ([]byte, error) {
	if err := s.ready(ctx, p); err != nil {
		return nil, err
	}
	return named(secretName(s, p), func(name license.DataName) ([]byte, error) {
		return s.container.UseSecret(p, name, use)
	})
}

// ready keeps the container from work that nobody waits for, and from licenses
// that are not to be used here.
func (s *Single) ready(ctx context.Context, p license.Product) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := s.Find(p)
	return err
}
