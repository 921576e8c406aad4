// Package history keeps the usage history: allocations and denials, made of the
// events of leases; series of what was taken over time; and the hash-chained
// log. It also asks for the removal of a handle, which ends its allocation.
package history

import (
	"github.com/quorate/quorate/internal/platform/core"
)

// Service has the use cases. Safe for concurrent use.
type Service struct {
	core  *core.Core
	usage UsagePolicy
}

// New makes a Service.
func New(c *core.Core, policy UsagePolicy) *Service {
	return &Service{core: c, usage: policy}
}
