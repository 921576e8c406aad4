// Package accounts has who members are, their tokens, those of the link's
// servers, and what a fresh platform begins with.
package accounts

import (
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/platform/core"
)

// Service has the use cases. Safe for concurrent use.
type Service struct {
	core      *core.Core
	passwords *auth.Hasher
}

// New makes a Service.
func New(c *core.Core, passwords *auth.Hasher) *Service {
	return &Service{core: c, passwords: passwords}
}
