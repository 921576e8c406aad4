// Package provision sets up what there shall be: firms, products and items with
// a TMR group, its containers and servers; containers outside of groups; and the
// tokens of the link's servers.
package provision

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
