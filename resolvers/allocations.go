package resolvers

import (
	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/allocation"
	"github.com/quorate/quorate/ent/schema/property"
)

func is(b *bool) bool { return b != nil && *b }

func filtered(q *ent.AllocationQuery, active, takesLicense *bool) *ent.AllocationQuery {
	if is(active) {
		q.Where(allocation.StateEQ(property.AllocationActive))
	}
	if is(takesLicense) {
		q.Where(allocation.LicensesGT(0))
	}
	return q
}
