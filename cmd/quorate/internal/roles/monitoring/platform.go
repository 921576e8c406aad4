package monitoring

import (
	"context"

	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/internal/platform"
	"github.com/quorate/quorate/internal/telemetry"
	"github.com/quorate/quorate/workers"
)

// WatchPlatform shows what all organizations together have under way, and what
// the platform stands on; rdb nil: no Redis.
func (m *Monitoring) WatchPlatform(p *platform.Platform, queue *workers.River, rdb redis.UniversalClient) {
	m.Registry.MustRegister(collectors.NewDBStatsCollector(p.Store().DB(), "platform"))
	if db := p.Store().SystemDB(); db != nil {
		m.Registry.MustRegister(collectors.NewDBStatsCollector(db, "platform-system"))
	}
	if rdb != nil {
		m.WatchRedis(rdb)
	}
	telemetry.NewLooked(m.Registry, "platform", m.log, []telemetry.Metric{
		{Name: "quorate_rollouts", Help: "Rollouts that have not ended, by state; HELD ones wait for a person.", Labels: []string{"state"}},
		{Name: "quorate_link_servers", Help: "Servers of the link, by state: linked (heard of just now) or not.", Labels: []string{"state"}},
		{Name: "quorate_link_work_pending", Help: "Work that rollouts wait for, at servers of the link."},
	}, func(ctx context.Context) (map[string][]telemetry.Figure, error) {
		f, err := p.Figures(ctx)
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
	telemetry.NewLooked(m.Registry, "jobs", m.log, []telemetry.Metric{
		{Name: "quorate_jobs", Help: "Jobs that are not done, of all replicas, by state: waiting, running, or retrying (they failed before).", Labels: []string{"state"}},
		{Name: "quorate_jobs_oldest_seconds", Help: "How long ago the job that is due for longest was due; 0: none is."},
	}, func(ctx context.Context) (map[string][]telemetry.Figure, error) {
		b, err := queue.Backlog(ctx)
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
	telemetry.NewLooked(m.Registry, "webhooks", m.log, []telemetry.Metric{
		{Name: "quorate_webhook_attempts_total", Help: "Attempts to deliver a message, by outcome: accepted, refused (the receiver answered with another status than 2xx), or unanswered.", Labels: []string{"outcome"}, Counter: true},
		{Name: "quorate_webhook_deliveries_total", Help: "Deliveries of webhooks that came to their end, by outcome: delivered, or failed (the last attempt, or the receiver wants no more).", Labels: []string{"outcome"}, Counter: true},
		{Name: "quorate_webhook_deliveries_waiting", Help: "Deliveries that wait for their first or next attempt, of all replicas, to endpoints that are not disabled."},
		{Name: "quorate_webhook_oldest_seconds", Help: "How long ago the oldest of the waiting deliveries was made; 0: none waits."},
		{Name: "quorate_webhook_endpoints", Help: "Endpoints of webhooks, by state: enabled, failing (their last attempt failed), or disabled.", Labels: []string{"state"}},
	}, func(ctx context.Context) (map[string][]telemetry.Figure, error) {
		f, err := p.WebhookFigures(ctx)
		if err != nil {
			return nil, err
		}
		return map[string][]telemetry.Figure{
			"quorate_webhook_attempts_total": {
				{Labels: []string{"accepted"}, Value: float64(f.Accepted)}, {Labels: []string{"refused"}, Value: float64(f.Refused)},
				{Labels: []string{"unanswered"}, Value: float64(f.Unanswered)},
			},
			"quorate_webhook_deliveries_total":   {{Labels: []string{"delivered"}, Value: float64(f.Delivered)}, {Labels: []string{"failed"}, Value: float64(f.Failed)}},
			"quorate_webhook_deliveries_waiting": one(float64(f.Waiting)),
			"quorate_webhook_oldest_seconds":     one(f.Oldest.Seconds()),
			"quorate_webhook_endpoints": {
				{Labels: []string{"enabled"}, Value: float64(f.Well)}, {Labels: []string{"failing"}, Value: float64(f.Failing)},
				{Labels: []string{"disabled"}, Value: float64(f.Disabled)},
			},
		}, nil
	})
	queue.Watch(m.Tracing, workers.NewMetrics(m.Registry))
}
