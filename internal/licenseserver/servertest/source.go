package servertest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
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
// it by Wrap, or by seal.WrapKey when it keeps the product's private key. The
// content of data is its name, and a key from secret data is Derived.
type Source struct {
	mu       sync.Mutex
	private  []byte
	licenses []license.License
	refusal  error
	fault    error
	noBegin  error
	opened   int
	setBack  bool
	used     map[uint32]*used // of the first license, by issue
}

// used is what was used under one issue.
type used struct {
	license.Use
	taken map[string]uint64 // by request
}

var _ licenseserver.Source = (*Source)(nil)

// NewSource makes a source with a quantity of Product.
func NewSource(quantity uint32) *Source {
	return &Source{used: make(map[uint32]*used), licenses: []license.License{{
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

// Add adds a license.
func (s *Source) Add(l license.License) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.licenses = append(s.licenses, l)
}

// SetBack makes the clock one that was set back, or one that is right again.
func (s *Source) SetBack(back bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setBack = back
}

// Break makes Use, Begin and TakeUnits fail with err until it is nil again; what
// they change is changed nevertheless.
func (s *Source) Break(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = err
}

// BreakBegin makes Begin fail with err, and note nothing, until it is nil again.
func (s *Source) BreakBegin(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noBegin = err
}

// Used gives what was used of the first license under its issue.
func (s *Source) Used() license.Use {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current().Use
}

// current needs s.mu.
func (s *Source) current() *used {
	issue := s.licenses[0].Options.Issue
	if s.used[issue] == nil {
		s.used[issue] = &used{taken: make(map[string]uint64)}
	}
	return s.used[issue]
}

// Refuse makes everything but Serial and Licenses fail with err until it is nil
// again.
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
func (s *Source) Find(p license.Product) (licenseserver.Found, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(p)
}

const status = "1:#7 2:#7 3:#7"

// find needs s.mu.
func (s *Source) find(p license.Product) (licenseserver.Found, error) {
	f := licenseserver.Found{Moment: license.Moment{At: time.Now(), SetBack: s.setBack}, Status: status}
	if s.refusal != nil {
		return f, s.refusal
	}
	for _, l := range s.licenses {
		if l.Product == p {
			f.License = license.License{Product: l.Product, Name: l.Name, Options: l.Options.Clone()}
			return f, nil
		}
	}
	return f, license.Errorf(license.CodeNoLicense, "order one", "there is no license for %s", p)
}

// Licenses implements licenseserver.Source.
func (s *Source) Licenses() []licenseserver.Offer {
	s.mu.Lock()
	defer s.mu.Unlock()
	offers := make([]licenseserver.Offer, len(s.licenses))
	for i, l := range s.licenses {
		f, err := s.find(l.Product)
		f.License = l
		offers[i] = licenseserver.Offer{Found: f, Refusal: err}
	}
	return offers
}

// Use implements licenseserver.Source.
func (s *Source) Use(ctx context.Context, _ uint64, _ license.License) (license.Use, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault != nil {
		return license.Use{}, s.fault
	}
	return s.current().Use, ctx.Err()
}

// Begin implements licenseserver.Source.
func (s *Source) Begin(_ context.Context, _ uint64, p license.Product) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.find(p); err != nil {
		return err
	}
	if s.noBegin != nil {
		return s.noBegin
	}
	if u := s.current(); u.First.IsZero() {
		u.First = time.Now()
	}
	return s.fault
}

// TakeUnits implements licenseserver.Source.
func (s *Source) TakeUnits(_ context.Context, _ uint64, p license.Product, request string, n uint64) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.find(p)
	if err != nil {
		return 0, err
	}
	u := s.current()
	left := *f.Options.Units - min(u.Units, *f.Options.Units)
	if _, repeated := u.taken[request]; !repeated {
		if n > left {
			return 0, license.NoUnits(p, left, n)
		}
		u.taken[request], u.Units, left = n, u.Units+n, left-n
	}
	return left, s.fault
}

// Wrap makes what OpenKey opens.
func Wrap(key []byte) []byte { return slices.Concat([]byte("wrapped:"), key) }

// OpenKey implements licenseserver.Source.
func (s *Source) OpenKey(_ context.Context, p license.Product, wrapped, token []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.find(p); err != nil {
		return nil, err
	}
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

// ReadData implements licenseserver.Source.
func (s *Source) ReadData(_ context.Context, p license.Product, token []byte) ([]byte, error) {
	return s.data(p, token, func(o license.Options) license.DataName { return o.Protected })
}

// UseSecret implements licenseserver.Source.
func (s *Source) UseSecret(_ context.Context, p license.Product, context, token []byte) ([]byte, error) {
	secret, err := s.data(p, token, func(o license.Options) license.DataName { return o.Secret })
	if err != nil {
		return nil, err
	}
	return Derived(license.DataName(secret), context), nil
}

func (s *Source) data(p license.Product, token []byte, which func(license.Options) license.DataName) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.find(p)
	if err != nil {
		return nil, err
	}
	name := which(f.Options)
	if name == (license.DataName{}) || len(token) == 0 {
		return nil, license.Errorf(license.CodeNotFound, "have it put in", "there is no such data")
	}
	return name[:], nil
}

// Derived is what UseSecret gives for the secret data of a name.
func Derived(name license.DataName, context []byte) []byte {
	m := hmac.New(sha256.New, name[:])
	m.Write(context)
	return m.Sum(nil)
}
