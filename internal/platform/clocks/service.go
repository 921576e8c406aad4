// Package clocks certifies the time to containers, over the link and in files,
// and notes in the audit log whose clock is wrong.
package clocks

import (
	"github.com/quorate/quorate/internal/platform/core"
)

// Service has the use cases. Safe for concurrent use.
type Service struct {
	core   *core.Core
	clocks *Clocks
}

// New makes a Service.
func New(c *core.Core, known *Clocks) *Service {
	return &Service{core: c, clocks: known}
}
