// Package rollouts brings what was ordered to groups and containers: it drives
// the state machine of package rollout, by work over the link or by files, and
// replaces the backends of groups.
package rollouts

import (
	"time"

	"github.com/quorate/quorate/internal/platform/clocks"
	"github.com/quorate/quorate/internal/platform/core"
)

// Service has the use cases. Safe for concurrent use.
type Service struct {
	core   *core.Core
	clocks *clocks.Clocks
	settle time.Duration
}

// New makes a Service.
func New(c *core.Core, known *clocks.Clocks, settle time.Duration) *Service {
	return &Service{core: c, clocks: known, settle: settle}
}
