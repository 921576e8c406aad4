package platform

import (
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/firmkeys"
	"github.com/quorate/quorate/internal/platform/rulesets"
	"time"
)

// CheapKeyFiles makes exporting quick; what is written is otherwise the same.
func (p *Platform) CheapKeyFiles() { p.firmkeysService = firmkeys.New(p.core, 4) }

// QuickChecks leaves checks of rules no time.
func (p *Platform) QuickChecks() { p.rulesetsService = rulesets.New(p.core, time.Nanosecond) }

// Core is what the services share.
func (p *Platform) Core() *core.Core { return p.core }
