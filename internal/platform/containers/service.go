// Package containers has what is known of containers: the fingerprints that they
// show, against what is recorded; what they hold and are to hold; their state,
// and what people decide about one that is suspected.
package containers

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
