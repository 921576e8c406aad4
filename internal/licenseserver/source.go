package licenseserver

import (
	"context"

	"github.com/quorate/quorate/internal/license"
)

// Source is where the licenses come from. Safe for concurrent use; every answer
// is of this instant. epoch is that of the caller's term: where what was used is
// kept by several, a newer leader's word there wins, and the answer to an older
// one is CodeFenced.
type Source interface {
	// Serial names the container, real or virtual, whose seats are handed out.
	Serial() license.Serial

	// Find gives the license of a product. Whether it may be used now, by its
	// options, is not asked here. Errors: CodeNoLicense, CodeNoMajority,
	// CodeTMROnly; what is known is given even then.
	Find(p license.Product) (Found, error)

	// Licenses gives everything that is here, ordered by product, with the error
	// that Find would give.
	Licenses() []Offer

	// Use gives what was used of a license that Find gave, under its issue.
	Use(ctx context.Context, epoch uint64, l license.License) (license.Use, error)

	// Begin notes the first use of a license with a usage period, durably, once
	// for each issue.
	Begin(ctx context.Context, epoch uint64, p license.Product) error

	// TakeUnits takes n units, all or none, durably, and gives how many are left.
	// Repeating it with the same request takes them once. Errors: CodeNoUnits,
	// and those of Find.
	TakeUnits(ctx context.Context, epoch uint64, p license.Product, request string, n uint64) (left uint64, err error)

	// OpenKey opens a key that was wrapped for a product. token is the handle's,
	// already checked, for those behind the source who check its signature
	// themselves; so it is in the next two. Errors: CodeKeyRefused, and those of
	// Find.
	OpenKey(ctx context.Context, p license.Product, wrapped, token []byte) ([]byte, error)

	// ReadData gives the license's protected data. Errors: CodeNotFound where it
	// has none, and those of Find.
	ReadData(ctx context.Context, p license.Product, token []byte) ([]byte, error)

	// UseSecret derives a key from the license's secret data. Errors as ReadData.
	UseSecret(ctx context.Context, p license.Product, context, token []byte) ([]byte, error)
}

// Found is one license of a source.
type Found struct {
	license.License
	Moment license.Moment
	// Status is the TMR status line; empty for a single container.
	Status string
}

// Offer is a license with the reason why it can't be used whatever its options
// say; nil when there is none.
type Offer struct {
	Found
	Refusal error
}

func noLicense(p license.Product, serial license.Serial) error {
	return license.Errorf(license.CodeNoLicense,
		"check the product code (`quorate ls` shows what this server has), or order the license from the vendor",
		"there is no license for %s in container %s", p, serial)
}

func noData(p license.Product, kind string) error {
	return license.Errorf(license.CodeNotFound, "have the vendor put it into the license", "the license for %s has no %s data", p, kind)
}

// named reads data that goes by a name. An update between the look at the name
// and the reading makes it look once more.
func named(find func() (license.DataName, error), read func(license.DataName) ([]byte, error)) ([]byte, error) {
	name, err := find()
	if err != nil {
		return nil, err
	}
	data, err := read(name)
	if err == nil {
		return data, nil
	}
	now, again := find()
	if again != nil || now == name {
		return nil, err
	}
	return read(now)
}

func protectedName(s Source, p license.Product) func() (license.DataName, error) {
	return func() (license.DataName, error) {
		f, err := s.Find(p)
		if err == nil && f.Options.Protected == (license.DataName{}) {
			err = noData(p, "protected")
		}
		return f.Options.Protected, err
	}
}

func secretName(s Source, p license.Product) func() (license.DataName, error) {
	return func() (license.DataName, error) {
		f, err := s.Find(p)
		if err == nil && f.Options.Secret == (license.DataName{}) {
			err = noData(p, "secret")
		}
		return f.Options.Secret, err
	}
}
