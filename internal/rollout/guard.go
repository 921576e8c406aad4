package rollout

import (
	"fmt"

	"github.com/quorate/quorate/internal/license"
)

// Guard says whether a backend may be activated: the other two alone must give
// at least what is in force by all three. held are the licenses of the three,
// by position. The error has the code license.CodeGuardRefused and names the
// license that would be lost.
func Guard(held [license.Backends][]license.Held, backend int) error {
	var all, without [license.Backends]license.Observation
	for i, h := range held {
		all[i] = license.Observation{Presence: license.Present, Licenses: h}
		without[i] = all[i]
	}
	without[backend-1] = license.Observation{}
	alone := license.Merge(license.View{}, without)
	for _, l := range license.Merge(license.View{}, all).Licenses {
		if !l.InForce {
			continue
		}
		other, ok := alone.Find(l.Product)
		if ok && other.InForce && other.Options.TMRID >= l.Options.TMRID {
			continue
		}
		return &license.Error{
			Code: license.CodeGuardRefused,
			Message: fmt.Sprintf("without backend %d the license %s #%d would not be in force: the other two show %s",
				backend, l.Product, l.Options.TMRID, other.Status()),
			Fix: "bring the other two backends up, then retry the rollout",
		}
	}
	return nil
}
