// Package orders has the licenses that are ordered, and those that come back or
// go elsewhere: returned, moved, revoked, re-hosted and ordered again as credits.
package orders

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
