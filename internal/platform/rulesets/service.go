// Package rulesets keeps an administrator's rules for a group or a container,
// version by version, checks them against past grants, and gives them to its
// license servers.
package rulesets

import (
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/internal/platform/core"
)

// Service has the use cases. Safe for concurrent use.
type Service struct {
	core      *core.Core
	checks    atomic.Int32 // that run now
	checkTime time.Duration
}

// New makes a Service; checkTime bounds how long one check of rules may compute.
func New(c *core.Core, checkTime time.Duration) *Service {
	return &Service{core: c, checkTime: checkTime}
}
