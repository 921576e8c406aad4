package platform

import (
	"time"
)

// CheapKeyFiles makes exporting quick; what is written is otherwise the same.
func (p *Platform) CheapKeyFiles() { p.keyFileWork = 4 }

// QuickChecks leaves checks of rules no time.
func (p *Platform) QuickChecks() { p.checkTime = time.Nanosecond }
