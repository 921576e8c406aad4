// Package catalog has what vendors sell: firms, products and items, with their
// options and secret data.
package catalog

import (
	"github.com/quorate/quorate/internal/platform/core"
)

// Service has the use cases. Safe for concurrent use.
type Service struct {
	core *core.Core
}

// New makes a Service.
func New(c *core.Core) *Service {
	return &Service{core: c}
}
