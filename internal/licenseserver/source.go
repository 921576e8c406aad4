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
