package servertest

import (
	"context"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// Elector is a lease.Elector within the process, for one group.
type Elector struct {
	mu     sync.Mutex
	leader string
	until  time.Time
}

// Campaign implements lease.Elector.
func (e *Elector) Campaign(ctx context.Context, _ license.Serial, owner string, ttl time.Duration) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if now := time.Now(); e.leader == owner || !now.Before(e.until) {
		e.leader, e.until = owner, now.Add(ttl)
	}
	return e.leader, ctx.Err()
}

// Resign implements lease.Elector.
func (e *Elector) Resign(ctx context.Context, _ license.Serial, owner string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.leader == owner {
		e.leader, e.until = "", time.Time{}
	}
	return ctx.Err()
}
