package watch

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/order"
	"github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/tmrserver"
	"github.com/quorate/quorate/graph"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/live"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/views"
)

// mostStages is how many views are told one by one; where more came at once, a
// snapshot is.
const mostStages = 64

// Group follows one TMR group: every stored view in order, none left out,
// and what else changes about the group.
func (r *Streams) Group(row *ent.TmrGroup) Plan[*graph.TmrGroupChange] {
	id := row.ID
	src := live.Source{
		Key: "group:" + id, Topics: []event.Signal{{Topic: event.TmrGroup, Key: id}}, Every: r.tick, // servers fall silent without a signal
		Window: mostStages, Split: eachView,
		Read: func(ctx context.Context, _ live.Heard) (live.Reading, error) {
			g, err := r.client.TmrGroup.Get(ctx, id)
			if err != nil {
				return live.Reading{}, core.NotFound(err, "TMR group", id)
			}
			items := live.Items{}
			for n := max(1, g.Sequence-mostStages+1); n <= g.Sequence; n++ {
				items[viewID(n)] = 1
			}
			items[figures], err = r.aspects(ctx, g)
			return live.Reading{Items: items}, err
		},
	}
	return Plan[*graph.TmrGroupChange]{src, func(ctx context.Context, c live.Change) (*graph.TmrGroupChange, live.Items, error) {
		g, err := r.client.TmrGroup.Get(ctx, id)
		if err != nil {
			return nil, nil, core.NotFound(err, "TMR group", id)
		}
		shows := live.Items{}
		if shows[figures], err = r.aspects(ctx, g); err != nil {
			return nil, nil, err
		}
		seen := without(c, figures)
		for _, v := range seen {
			shows[v] = 1
		}
		if len(seen) > 0 && !c.Snapshot {
			if n := viewNumber(seen[len(seen)-1]); n < g.Sequence {
				rows, err := r.platform.ViewsAfter(ctx, id, n-1, 1)
				if err != nil {
					return nil, nil, err
				}
				if len(rows) > 0 {
					g = views.GroupAt(g, rows[0])
				}
			}
		}
		t := toldOf(c)
		return &graph.TmrGroupChange{Sequence: t.Sequence, Since: t.Since, Snapshot: t.Snapshot, Position: t.Position, TmrGroup: g}, shows, nil
	}}
}

// viewID names a view so that names sort as views do.
func viewID(sequence int) string { return fmt.Sprintf("v%012d", sequence) }

func viewNumber(id string) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(id, "v")) // viewID wrote it
	return n
}

// eachView makes an entry of each new view; what else has changed, and which
// views are too old by now, comes with the last.
func eachView(e live.Entry) []live.Entry {
	var stages []string
	rest := live.Entry{Upserted: live.Items{}, Removed: e.Removed}
	for id, stamp := range e.Upserted {
		if id == figures {
			rest.Upserted[id] = stamp
		} else {
			stages = append(stages, id)
		}
	}
	slices.Sort(stages)
	var all []live.Entry
	for i, id := range stages {
		if i == len(stages)-1 {
			rest.Upserted[id] = e.Upserted[id]
			break
		}
		all = append(all, live.Entry{Upserted: live.Items{id: e.Upserted[id]}})
	}
	return append(all, rest)
}

// aspects is the stamp of what is shown of a group beside its view. Some of it
// changes by time alone, when a server falls silent.
func (r *Streams) aspects(ctx context.Context, g *ent.TmrGroup) (uint64, error) {
	servers, err := r.client.TmrServer.Query().Where(tmrserver.TmrGroupID(g.ID)).Order(ent.Asc(tmrserver.FieldName)).All(ctx)
	if err != nil {
		return 0, err
	}
	parts := []string{g.Name, fmt.Sprint(core.Linked(g), g.Clients)}
	for _, s := range servers {
		parts = append(parts, s.Name, s.Address, string(views.ServerRole(s)))
	}
	running, err := r.client.Rollout.Query().Where(rollout.TmrGroupID(g.ID), rollout.Running(true)).All(ctx)
	if err != nil {
		return 0, err
	}
	for _, row := range running {
		parts = append(parts, row.ID, strconv.Itoa(row.Sequence))
	}
	var ordered []struct {
		Group string `json:"tmr_group_id"`
		Sum   int    `json:"sum"`
	}
	err = r.client.Order.Query().Where(order.TmrGroupID(g.ID)).GroupBy(order.FieldTmrGroupID).
		Aggregate(ent.As(ent.Sum(order.FieldQuantity), "sum")).Scan(ctx, &ordered)
	return stampOf(append(parts, fmt.Sprint(ordered))...), err
}
