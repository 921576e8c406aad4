package watch

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/usagebucket"
	"github.com/quorate/quorate/ent/usageseries"
	"github.com/quorate/quorate/graph"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/live"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/history"
)

const daySeconds = 24 * 60 * 60

// Usage follows what is taken, free and was taken at most, by product and
// container.
func (r *Streams) Usage(ctx context.Context, s Scope) (Plan[*graph.UsageChange], error) {
	src, err := r.source(ctx, "usage", s, true, event.Allocations, event.Served)
	src.Read = func(ctx context.Context, _ live.Heard) (live.Reading, error) {
		all, err := r.usageFigures(ctx, s, nil)
		items := make(live.Items, len(all))
		for id, f := range all {
			items[id] = figuresStamp(f)
		}
		return live.Reading{Items: items}, err
	}
	return Plan[*graph.UsageChange]{src, func(ctx context.Context, c live.Change) (*graph.UsageChange, live.Items, error) {
		ids := c.Ids()
		all, err := r.usageFigures(ctx, s, containersOf(ids))
		if err != nil {
			return nil, nil, err
		}
		t := toldOf(c)
		out, shows := &graph.UsageChange{
			Sequence: t.Sequence, Since: t.Since, Snapshot: t.Snapshot, Position: t.Position,
			Upserted: make([]*graph.UsageFigures, 0, len(ids)), Removed: removed(c),
		}, live.Items{}
		for _, id := range ids {
			if f := all[id]; f != nil {
				out.Upserted, shows[id] = append(out.Upserted, f), figuresStamp(f)
			}
		}
		return out, shows, nil
	}}, err
}

func figuresStamp(f *graph.UsageFigures) uint64 {
	return stampOf(f.Name, fmt.Sprint(f.Total, f.Taken, f.Peak))
}

// containersOf are the containers that ids of figures begin with.
func containersOf(ids []string) []string {
	seen, all := map[string]bool{}, []string{}
	for _, id := range ids {
		if c, _, _ := strings.Cut(id, "/"); !seen[c] {
			seen[c], all = true, append(all, c)
		}
	}
	return all
}

// usageFigures gives the figures by their ids, of some containers of the scope;
// nil: of all.
func (r *Streams) usageFigures(ctx context.Context, s Scope, only []string) (map[string]*graph.UsageFigures, error) {
	ids, err := only, error(nil)
	if ids == nil {
		if ids, err = r.containers(ctx, s); err != nil {
			return nil, err
		}
	}
	used, err := history.ContainersUse(ctx, r.client, ids)
	if err != nil {
		return nil, err
	}
	rows, err := r.client.Container.Query().Where(container.IDIn(ids...)).All(ctx)
	if err != nil {
		return nil, err
	}
	peaks, err := r.peaks(ctx, s, ids)
	if err != nil {
		return nil, err
	}
	all := map[string]*graph.UsageFigures{}
	for _, c := range rows {
		for _, p := range used[c.ID] {
			ref := p.Product.String()
			if s.product != nil && ref != s.reference() {
				continue
			}
			id := c.ID + "/" + ref
			all[id] = &graph.UsageFigures{
				ID: id, Container: c, Product: ref, Name: p.Name, Total: p.Total, Taken: p.Taken, Free: max(p.Total-p.Taken, 0), Peak: max(peaks[id], p.Taken),
			}
		}
	}
	return all, nil
}

// peaks gives the most that was taken since the day began, by the ids of figures.
func (r *Streams) peaks(ctx context.Context, s Scope, ids []string) (map[string]int, error) {
	today := time.Now().UTC().Truncate(24 * time.Hour)
	series, err := r.client.UsageSeries.Query().Where(s.rows, usageseries.ContainerIDIn(ids...)).
		WithProduct(core.WithFirm).
		WithBuckets(func(q *ent.UsageBucketQuery) { q.Where(usagebucket.Seconds(daySeconds), usagebucket.StartEQ(today)) }).All(ctx)
	if err != nil {
		return nil, err
	}
	all := make(map[string]int, len(series))
	for _, row := range series {
		if row.Edges.Product == nil || row.Edges.Product.Edges.Firm == nil {
			continue
		}
		most := row.Taken // where nothing has happened today, it is as it was
		for _, b := range row.Edges.Buckets {
			most = b.MostTaken
		}
		all[row.ContainerID+"/"+core.ProductOf(row.Edges.Product).String()] = int(most)
	}
	return all, nil
}
