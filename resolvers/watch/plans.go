package watch

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/rolloutplan"
	"github.com/quorate/quorate/graph"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/live"
)

// Plans follows the newest rollout plans, and all that have not ended. They
// are told under the topic of rollouts, by ids of their own.
func (r *Streams) Plans(ctx context.Context) (Plan[*graph.RolloutPlansChange], error) {
	concerns, err := r.concerns(ctx, "")
	src := live.Source{
		Key: "plans", Topics: []event.Signal{{Topic: event.Rollout}}, Every: 10 * r.tick,
		Concerns: func(ctx context.Context, s event.Signal) (bool, error) {
			if !strings.HasPrefix(s.Key, planPrefix) {
				return false, nil
			}
			return concerns(ctx, s)
		},
		Read: func(ctx context.Context, _ live.Heard) (live.Reading, error) {
			items := live.Items{}
			for _, q := range []*ent.RolloutPlanQuery{
				r.client.RolloutPlan.Query().Order(ent.Desc(rolloutplan.FieldID)).Limit(newest),
				r.client.RolloutPlan.Query().Where(rolloutplan.FinishedAtIsNil()).Limit(mostWatched),
			} {
				rows, err := q.Select(rolloutplan.FieldSequence).All(ctx)
				if err != nil {
					return live.Reading{}, err
				}
				for _, row := range rows {
					items[row.ID] = planStamp(row)
				}
			}
			return live.Reading{Items: items}, nil
		},
	}
	return Plan[*graph.RolloutPlansChange]{src, func(ctx context.Context, c live.Change) (*graph.RolloutPlansChange, live.Items, error) {
		t := toldOf(c)
		out, shows := &graph.RolloutPlansChange{
			Sequence: t.Sequence, Since: t.Since, Snapshot: t.Snapshot, Position: t.Position, Upserted: []*ent.RolloutPlan{}, Removed: removed(c),
		}, live.Items{}
		for chunk := range slices.Chunk(c.Ids(), rowsAtOnce) {
			rows, err := r.planRows(ctx, chunk, shows)
			if err != nil {
				return nil, nil, err
			}
			out.Upserted = append(out.Upserted, rows...)
		}
		return out, shows, nil
	}}, err
}

// planPrefix is what the ids of plans begin with.
const planPrefix = "rpl_"

func planStamp(row *ent.RolloutPlan) uint64 { return stampOf(strconv.Itoa(row.Sequence)) }

// planRows reads plans for a message, in order, with what it shows of them in as
// many statements for all as for one. The stamps are read before: what has
// changed in between is told once more.
func (r *Streams) planRows(ctx context.Context, ids []string, shows live.Items) ([]*ent.RolloutPlan, error) {
	stamps, err := r.client.RolloutPlan.Query().Where(rolloutplan.IDIn(ids...)).Select(rolloutplan.FieldSequence).All(ctx)
	if err != nil {
		return nil, err
	}
	for _, row := range stamps {
		shows[row.ID] = planStamp(row)
	}
	q := r.client.RolloutPlan.Query().Where(rolloutplan.IDIn(ids...)).Order(ent.Asc(rolloutplan.FieldID))
	if below, ok := below(ctx, "RolloutPlansChange", "upserted"); ok {
		if q, err = q.CollectFields(below, "RolloutPlan", "Node"); err != nil {
			return nil, err
		}
	}
	rows, err := q.All(ctx)
	return slices.DeleteFunc(rows, func(row *ent.RolloutPlan) bool { _, ok := shows[row.ID]; return !ok }), err
}

// below gives a context in which a field of what is watched is the one that is
// asked for; false: it is asked for in several ways, or not at all.
func below(ctx context.Context, of, name string) (context.Context, bool) {
	root := graphql.GetFieldContext(ctx)
	if root == nil {
		return ctx, false
	}
	var found []graphql.CollectedField
	for _, f := range graphql.CollectFields(graphql.GetOperationContext(ctx), root.Field.Selections, []string{of}) {
		if f.Name == name {
			found = append(found, f)
		}
	}
	if len(found) != 1 {
		return ctx, false
	}
	return graphql.WithFieldContext(ctx, &graphql.FieldContext{Object: of, Field: found[0]}), true
}
