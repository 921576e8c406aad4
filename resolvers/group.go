package resolvers

import (
	"context"
	"fmt"
	"strconv"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/platform/core"
)

// rolloutAfter reads the rollout that a use case gave anew, as the viewer: what
// a use case gives belongs to its transaction.
func (r *Resolver) rolloutAfter(ctx context.Context) func(*ent.Rollout, error) (*ent.Rollout, error) {
	return func(row *ent.Rollout, err error) (*ent.Rollout, error) {
		if err != nil {
			return nil, err
		}
		return r.client.Rollout.Get(ctx, row.ID)
	}
}

// placeOf is the place that an input names.
func placeOf(group, container *string) core.Place {
	return core.Place{Group: value(group), Container: value(container)}
}

// cell is what a backend holds as the table writes it.
func cell(b property.Backend) string {
	if b.TmrID == nil || b.Quantity == nil {
		return "–"
	}
	return fmt.Sprintf("%d/#%d", *b.Quantity, *b.TmrID)
}

func reference(f *ent.Firm, p *ent.Product) string {
	return strconv.Itoa(f.Code) + ":" + strconv.Itoa(p.Code)
}

// value is what a pointer points to, or the zero value.
func value[T any](v *T) (zero T) {
	if v == nil {
		return zero
	}
	return *v
}

// errMissing is for rows that a foreign key promises.
func errMissing(what, id string, found bool) error {
	if found {
		return nil
	}
	return fmt.Errorf("the %s %s is missing or hidden", what, id)
}
