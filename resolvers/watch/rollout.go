package watch

import (
	"context"
	"slices"
	"strconv"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/graph"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/live"
	"github.com/quorate/quorate/internal/platform/core"
)

// newest is how many rows a stream of the newest ones shows.
const newest = 100

// Rollout follows one rollout to its end.
func (r *Streams) Rollout(row *ent.Rollout) Plan[*graph.RolloutChange] {
	id := row.ID
	src := live.Source{
		Key: "rollout:" + id, Topics: []event.Signal{{Topic: event.Rollout, Key: id}}, Every: 10 * r.tick,
		Read: func(ctx context.Context, _ live.Heard) (live.Reading, error) {
			row, err := r.client.Rollout.Get(ctx, id)
			if err != nil {
				return live.Reading{}, core.NotFound(err, "rollout", id)
			}
			return live.Reading{Items: live.Items{id: rolloutStamp(row)}, Ended: row.State == property.RolloutDone || row.State == property.RolloutAborted}, nil
		},
	}
	return Plan[*graph.RolloutChange]{src, func(ctx context.Context, c live.Change) (*graph.RolloutChange, live.Items, error) {
		row, err := r.client.Rollout.Get(ctx, id)
		if err != nil {
			return nil, nil, core.NotFound(err, "rollout", id)
		}
		t := toldOf(c)
		return &graph.RolloutChange{Sequence: t.Sequence, Since: t.Since, Snapshot: t.Snapshot, Position: t.Position, Rollout: row},
			live.Items{id: rolloutStamp(row)}, nil
	}}
}

func rolloutStamp(row *ent.Rollout) uint64 {
	return stampOf(strconv.Itoa(row.Sequence), string(row.State), at(row.PausedAt), at(row.NotBefore), at(row.NotAfter), at(row.FinishedAt))
}

// Rollouts follows the newest rollouts, and all that are running or held.
func (r *Streams) Rollouts(ctx context.Context) (Plan[*graph.RolloutsChange], error) {
	concerns, err := r.concerns(ctx, "")
	src := live.Source{
		Key: "rollouts", Topics: []event.Signal{{Topic: event.Rollout}}, Concerns: concerns, Every: 10 * r.tick,
		Read: func(ctx context.Context, _ live.Heard) (live.Reading, error) {
			items := live.Items{}
			for _, q := range []*ent.RolloutQuery{
				r.client.Rollout.Query().Order(ent.Desc(rollout.FieldID)).Limit(newest),
				r.client.Rollout.Query().Where(rollout.Running(true)).Limit(mostWatched),
			} {
				rows, err := q.Select(rollout.FieldSequence, rollout.FieldState, rollout.FieldPausedAt, rollout.FieldNotBefore, rollout.FieldNotAfter, rollout.FieldFinishedAt).All(ctx)
				if err != nil {
					return live.Reading{}, err
				}
				for _, row := range rows {
					items[row.ID] = rolloutStamp(row)
				}
			}
			return live.Reading{Items: items}, nil
		},
	}
	return Plan[*graph.RolloutsChange]{src, func(ctx context.Context, c live.Change) (*graph.RolloutsChange, live.Items, error) {
		t := toldOf(c)
		out, shows := &graph.RolloutsChange{
			Sequence: t.Sequence, Since: t.Since, Snapshot: t.Snapshot, Position: t.Position, Upserted: []*ent.Rollout{}, Removed: removed(c),
		}, live.Items{}
		for chunk := range slices.Chunk(c.Ids(), rowsAtOnce) {
			rows, err := r.client.Rollout.Query().Where(rollout.IDIn(chunk...)).WithTmrGroup().WithContainer().Order(ent.Asc(rollout.FieldID)).All(ctx)
			if err != nil {
				return nil, nil, err
			}
			for _, row := range rows {
				out.Upserted, shows[row.ID] = append(out.Upserted, row), rolloutStamp(row)
			}
		}
		return out, shows, nil
	}}, err
}
