package resolvers

import (
	"context"
	"fmt"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/resolvers/convert"
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

// itemAfter gives an item as its caller may see it.
func (r *Resolver) itemAfter(ctx context.Context) func(*ent.Item, error) (*ent.Item, error) {
	return func(row *ent.Item, err error) (*ent.Item, error) {
		if err != nil {
			return nil, err
		}
		return r.client.Item.Get(ctx, row.ID)
	}
}

// errMissing is for rows that a foreign key promises.
func errMissing(what, id string, found bool) error {
	if found {
		return nil
	}
	return fmt.Errorf("the %s %s is missing or hidden", what, id)
}

// value is what a pointer points to, or the zero value.
func value[T any](v *T) T { return convert.Value(v) }
