package roles

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/quorate/quorate/internal/platform"
	"github.com/quorate/quorate/internal/telemetry"
	"github.com/quorate/quorate/workers"
)

// platformFigures are what watchPlatform looks up.
type platformFigures interface {
	Figures(ctx context.Context) (platform.Figures, error)
}

// watchPlatform shows what all organizations together have under way, and what
// the platform stands on.
func (m *monitoring) watchPlatform(p *openPlatform) {
	m.registry.MustRegister(collectors.NewDBStatsCollector(p.store.DB(), "platform"))
	if p.redis != nil {
		m.watchRedis(p.redis)
	}
	var figures platformFigures = p.Platform
	telemetry.NewLooked(m.registry, "platform", m.log, []telemetry.Metric{
		{Name: "quorate_rollouts", Help: "Rollouts that have not ended, by state; HELD ones wait for a person.", Labels: []string{"state"}},
		{Name: "quorate_link_servers", Help: "Servers of the link, by state: linked (heard of just now) or not.", Labels: []string{"state"}},
		{Name: "quorate_link_work_pending", Help: "Work that rollouts wait for, at servers of the link."},
	}, func(ctx context.Context) (map[string][]telemetry.Figure, error) {
		f, err := figures.Figures(ctx)
		if err != nil {
			return nil, err
		}
		all := map[string][]telemetry.Figure{
			"quorate_link_servers":      {{Labels: []string{"linked"}, Value: float64(f.Linked)}, {Labels: []string{"unlinked"}, Value: float64(f.Unlinked)}},
			"quorate_link_work_pending": one(float64(f.WorkPending)),
		}
		for _, state := range platform.RolloutStates() {
			all["quorate_rollouts"] = append(all["quorate_rollouts"], telemetry.Figure{Labels: []string{state}, Value: float64(f.Rollouts[state])})
		}
		return all, nil
	})
	telemetry.NewLooked(m.registry, "jobs", m.log, []telemetry.Metric{
		{Name: "quorate_jobs", Help: "Jobs that are not done, of all replicas, by state: waiting, running, or retrying (they failed before).", Labels: []string{"state"}},
		{Name: "quorate_jobs_oldest_seconds", Help: "How long ago the job that is due for longest was due; 0: none is."},
	}, func(ctx context.Context) (map[string][]telemetry.Figure, error) {
		b, err := p.queue.Backlog(ctx)
		if err != nil {
			return nil, err
		}
		return map[string][]telemetry.Figure{
			"quorate_jobs": {
				{Labels: []string{"waiting"}, Value: float64(b.Waiting)}, {Labels: []string{"running"}, Value: float64(b.Running)},
				{Labels: []string{"retrying"}, Value: float64(b.Retrying)},
			},
			"quorate_jobs_oldest_seconds": one(b.Oldest.Seconds()),
		}, nil
	})
	p.queue.Watch(m.tracing, workers.NewMetrics(m.registry))
}

// ready says whether the platform can serve: its database answers and is
// migrated, and so does its Redis.
func (p *openPlatform) ready(ctx context.Context) error {
	err := p.store.Ready(ctx)
	if p.redis != nil {
		if e := p.redis.Ping(ctx).Err(); e != nil {
			err = errors.Join(err, fmt.Errorf("Redis doesn't answer: %w", e))
		}
	}
	return err
}
