// Package rulesets keeps an administrator's rules for a group or a container,
// version by version, checks them against past grants, and gives them to its
// license servers.
package rulesets

import (
	"context"
	"time"

	"github.com/quorate/quorate/internal/platform/core"
)

// Service has the use cases. Safe for concurrent use.
type Service struct {
	core      *core.Core
	checks    chan struct{} // has one for each that runs
	checkTime time.Duration
}

// New makes a Service; checkTime bounds how long one check of rules may compute.
func New(c *core.Core, checkTime time.Duration) *Service {
	return &Service{core: c, checkTime: checkTime, checks: make(chan struct{}, mostChecks)}
}

// beginCheck says whether an organization may have rules checked: one set at a
// time at all replicas together, and mostChecks at each. Where it may, call end
// afterwards.
func (p *Service) beginCheck(ctx context.Context, organization string) (end func(), ok bool, err error) {
	select {
	case p.checks <- struct{}{}:
	default:
		return nil, false, nil
	}
	release, ok, err := p.core.Limits.Hold(ctx, "rules:"+organization, 1)
	if !ok {
		<-p.checks
		return nil, false, err
	}
	return func() { release(); <-p.checks }, true, nil
}
