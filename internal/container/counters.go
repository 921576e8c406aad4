package container

import "github.com/quorate/quorate/internal/license"

// Counters gives how many updates of each firm are installed.
func (c *Container) Counters() map[license.FirmCode]uint64 {
	s := c.current()
	all := make(map[license.FirmCode]uint64, len(s.firms))
	for firm, i := range s.firms {
		all[firm] = i.number
	}
	return all
}
