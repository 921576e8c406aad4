package orders

import (
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
)

// carried is what is left, by its last record, of the licenses of a container
// that is replaced, with the units that were used; nil where nothing of it can
// be used up. options are those that the container was to hold.
func carried(c *ent.Container, last *ent.Item, orders []*ent.Order, product license.Product, options license.Options) (left *property.Carried, used uint64) {
	if options.Units == nil && options.UsagePeriod == 0 {
		return nil, 0
	}
	left = &property.Carried{Issue: last.Issue}
	var first *time.Time
	for _, m := range c.Meters {
		if m.Product == product.String() && m.Issue == options.Issue { // under a higher one nothing is used yet
			used, first = m.Units, m.First
		}
	}
	if options.Units != nil {
		n := *options.Units - min(used, *options.Units)
		left.Units = &n
	}
	if options.UsagePeriod != 0 {
		left.End = catalog.CarriedEnd(orders)
		if first != nil {
			// The next full second, as options have it.
			end := first.Add(options.UsagePeriod + time.Second - time.Nanosecond).UTC().Truncate(time.Second)
			if left.End == nil || end.Before(*left.End) {
				left.End = &end
			}
		}
	}
	return left, used
}
