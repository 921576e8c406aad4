package resolvers

import (
	"context"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/event"
)

// rolloutWatch follows one rollout to its end.
type rolloutWatch struct {
	r  *Resolver
	id string
}

func (w *rolloutWatch) run(ctx context.Context, emit func(*ent.Rollout) error) error {
	signals, err := w.r.bus.Subscribe(ctx, event.Rollout, w.id)
	if err != nil {
		return err
	}
	tick := time.NewTicker(10 * w.r.tick) // in case that a signal got lost
	defer tick.Stop()
	last := -1
	for {
		row, err := w.r.client.Rollout.Get(ctx, w.id)
		if err != nil {
			return err
		}
		if row.Sequence != last {
			if err := emit(row); err != nil {
				return err
			}
			last = row.Sequence
		}
		if row.State == property.RolloutDone || row.State == property.RolloutAborted {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case _, open := <-signals:
			if !open {
				return errBusClosed()
			}
		case <-tick.C:
		}
	}
}
