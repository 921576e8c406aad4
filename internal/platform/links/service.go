// Package links has what the servers of the link ask for: they pull work, report
// what came of it, and push views, lease events and what they serve.
package links

import (
	"time"

	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/platform/views"
)

// Service has the use cases. Safe for concurrent use.
type Service struct {
	core    *core.Core
	views   *views.Service
	history *history.Service
	since   time.Time // when this process could be called first
	silence *silence
}

// New makes a Service.
func New(c *core.Core, seen *views.Service, past *history.Service) *Service {
	return &Service{core: c, views: seen, history: past, since: time.Now(),
		silence: &silence{core: c, timers: map[string]*time.Timer{}}}
}
