package monitoring

import (
	"context"
	"strconv"

	"github.com/quorate/quorate/internal/lease/quorumlease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/telemetry"
	"github.com/quorate/quorate/internal/tmr"
)

// WatchGroup shows what a TMR server sees of its backends.
func (m *Monitoring) WatchGroup(group *tmr.Group, store *quorumlease.Store, virtual license.Serial) {
	telemetry.NewLooked(m.Registry, "group", m.log, []telemetry.Metric{
		{Name: "quorate_tmr_backends_present", Help: "Backends that are there, 0 to 3; fewer than 2 serve no license."},
		{Name: "quorate_tmr_backend_present", Help: "1 where the backend is there, else 0.", Labels: []string{"backend"}},
		{Name: "quorate_tmr_backend_activating", Help: "1 while the backend swaps an update in, else 0.", Labels: []string{"backend"}},
		{Name: "quorate_tmr_view_changes_total", Help: "Versions of the view since the start.", Counter: true},
		{Name: "quorate_journal_behind", Help: "Changes that the backend's journal of seats has still to write; where this server leads.", Labels: []string{"backend"}},
		{Name: "quorate_journal_counts", Help: "1 where the backend's journal counts as one of those of which two must confirm, else 0; where this server leads.", Labels: []string{"backend"}},
	}, func(context.Context) (map[string][]telemetry.Figure, error) {
		view, all := group.View(), map[string][]telemetry.Figure{}
		add := func(name string, backend int, v float64) {
			all[name] = append(all[name], telemetry.Figure{Labels: []string{strconv.Itoa(backend)}, Value: v})
		}
		all["quorate_tmr_backends_present"] = one(float64(view.PresentCount()))
		all["quorate_tmr_view_changes_total"] = one(float64(view.Version))
		for _, h := range group.Health() {
			add("quorate_tmr_backend_present", h.Position, truth(h.Presence == license.Present))
			add("quorate_tmr_backend_activating", h.Position, truth(h.Presence == license.Activating))
		}
		if journals, leads := store.Status(virtual); leads {
			for i, j := range journals {
				add("quorate_journal_behind", i+1, float64(j.Behind))
				add("quorate_journal_counts", i+1, truth(j.Counts))
			}
		}
		return all, nil
	})
}
