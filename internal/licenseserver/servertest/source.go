package servertest

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/seal"
)

// Product is the one that Source has at first.
func Product() license.Product { return license.Product{Firm: 6000010, Code: 14} }

// Virtual is the container of Source.
func Virtual() license.Serial { return license.Serial{Mask: license.MaskVirtual, Number: 4837572} }

// Source holds licenses that a test may change at any time. A key is wrapped for
// it by Wrap, or by seal.WrapKey when it keeps the product's private key.
type Source struct {
	mu       sync.Mutex
	private  []byte
	licenses []license.License
	refusal  error
	opened   int
}

var _ licenseserver.Source = (*Source)(nil)

// NewSource makes a source with a quantity of Product.
func NewSource(quantity uint32) *Source {
	return &Source{licenses: []license.License{{
		Product: Product(), Name: "Chart Processing",
		Options: license.Options{Quantity: quantity, TMRID: 7, FeatureMap: 0b1011},
	}}}
}

// Change changes the options of the first license.
func (s *Source) Change(f func(*license.Options)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.licenses[0].Options)
}

// Refuse makes Find and OpenKey fail with err until it is nil again.
func (s *Source) Refuse(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal = err
}

// Keep gives it a product's private key, as a container has it.
func (s *Source) Keep(private []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.private = private
}

// Opened counts the keys opened.
func (s *Source) Opened() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opened
}

// Serial implements licenseserver.Source.
func (*Source) Serial() license.Serial { return Virtual() }

// Find implements licenseserver.Source.
func (s *Source) Find(p license.Product) (license.License, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refusal != nil {
		return license.License{}, s.refusal
	}
	for _, l := range s.licenses {
		if l.Product == p {
			return l, l.Standing(license.Use{}, license.Moment{At: time.Now()}).Err()
		}
	}
	return license.License{}, license.Errorf(license.CodeNoLicense, "order one", "there is no license for %s", p)
}

// Licenses implements licenseserver.Source.
func (s *Source) Licenses() []licenseserver.Offer {
	s.mu.Lock()
	defer s.mu.Unlock()
	offers := make([]licenseserver.Offer, len(s.licenses))
	for i, l := range s.licenses {
		refusal := s.refusal
		if refusal == nil {
			refusal = l.Standing(license.Use{}, license.Moment{At: time.Now()}).Err()
		}
		offers[i] = licenseserver.Offer{License: l, Status: "1:#7 2:#7 3:#7", Refusal: refusal}
	}
	return offers
}

// Wrap makes what OpenKey opens.
func Wrap(key []byte) []byte { return slices.Concat([]byte("wrapped:"), key) }

// OpenKey implements licenseserver.Source.
func (s *Source) OpenKey(_ context.Context, p license.Product, wrapped, token []byte) ([]byte, error) {
	if _, err := s.Find(p); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key, ok := bytes.CutPrefix(wrapped, []byte("wrapped:"))
	if s.private != nil && !ok {
		var err error
		if key, err = seal.UnwrapKey(s.private, p, wrapped); err != nil {
			return nil, err
		}
		ok = true
	}
	if !ok || len(token) == 0 {
		return nil, license.Errorf(license.CodeKeyRefused, "wrap it for this product", "the key does not open")
	}
	s.opened++
	return key, nil
}
