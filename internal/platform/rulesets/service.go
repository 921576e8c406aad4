// Package rulesets keeps an administrator's rules for a group or a container,
// version by version, checks them against past grants, and gives them to its
// license servers.
package rulesets

import (
	"sync"
	"time"

	"github.com/quorate/quorate/internal/platform/core"
)

// Service has the use cases. Safe for concurrent use.
type Service struct {
	core      *core.Core
	checks    checks
	checkTime time.Duration
}

// checks are those that run now, by organization.
type checks struct {
	mu      sync.Mutex
	running map[string]bool
}

// begin says whether an organization may have rules checked: one set at a time.
// Where it may, call end afterwards.
func (c *checks) begin(organization string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running[organization] || len(c.running) >= mostChecks {
		return false
	}
	c.running[organization] = true
	return true
}

func (c *checks) end(organization string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.running, organization)
}

// New makes a Service; checkTime bounds how long one check of rules may compute.
func New(c *core.Core, checkTime time.Duration) *Service {
	return &Service{core: c, checkTime: checkTime, checks: checks{running: map[string]bool{}}}
}
