// Package vendortools has the commands that a vendor runs at the platform, on
// its database: firms' keys, and what a file specifies.
package vendortools

import (
	"context"
	"log/slog"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/platform"
)

// Opener opens the platform at its database; closing frees it. Which drivers
// there are is not this package's matter.
type Opener func(ctx context.Context, f cli.DatabaseFlags, logger *slog.Logger) (p *platform.Platform, closing func(), err error)
