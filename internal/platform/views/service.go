// Package views keeps what the servers of TMR groups push of their views: the
// newest thousand, the newest one as the group's state, and the verdict on it.
package views

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
