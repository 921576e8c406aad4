package roles

import (
	"context"
	"errors"
	"strconv"

	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/telemetry"
)

// watchGroup shows what a TMR server sees of its backends.
func (m *monitoring) watchGroup(s *tmrServer, group license.Serial) {
	telemetry.NewLooked(m.registry, "group", m.log, []telemetry.Metric{
		{Name: "quorate_tmr_backends_present", Help: "Backends that are there, 0 to 3; fewer than 2 serve no license."},
		{Name: "quorate_tmr_backend_present", Help: "1 where the backend is there, else 0.", Labels: []string{"backend"}},
		{Name: "quorate_tmr_backend_activating", Help: "1 while the backend swaps an update in, else 0.", Labels: []string{"backend"}},
		{Name: "quorate_tmr_view_changes_total", Help: "Versions of the view since the start.", Counter: true},
		{Name: "quorate_journal_behind", Help: "Changes that the backend's journal of seats has still to write; where this server leads.", Labels: []string{"backend"}},
		{Name: "quorate_journal_counts", Help: "1 where the backend's journal counts as one of those of which two must confirm, else 0; where this server leads.", Labels: []string{"backend"}},
	}, func(context.Context) (map[string][]telemetry.Figure, error) {
		view, all := s.group.View(), map[string][]telemetry.Figure{}
		add := func(name string, backend int, v float64) {
			all[name] = append(all[name], telemetry.Figure{Labels: []string{strconv.Itoa(backend)}, Value: v})
		}
		all["quorate_tmr_backends_present"] = one(float64(view.PresentCount()))
		all["quorate_tmr_view_changes_total"] = one(float64(view.Version))
		for _, h := range s.group.Health() {
			add("quorate_tmr_backend_present", h.Position, truth(h.Presence == license.Present))
			add("quorate_tmr_backend_activating", h.Position, truth(h.Presence == license.Activating))
		}
		if journals, leads := s.store.Status(group); leads {
			for i, j := range journals {
				add("quorate_journal_behind", i+1, float64(j.Behind))
				add("quorate_journal_counts", i+1, truth(j.Counts))
			}
		}
		return all, nil
	})
}

// canServe says whether a TMR server can: it leads, or could, since it sees two
// backends.
func (s *tmrServer) canServe(context.Context) error {
	if !s.fit() {
		return errors.New("fewer than two backends are there")
	}
	return nil
}

// containerOpen says whether a container can be read, for who serves it.
func containerOpen(c *container.Container) error {
	_, err := c.Statement(make([]byte, 32))
	return err
}

// backendReady says whether a backend can serve: its container is open, and its
// journal of seats answers.
func backendReady(c *container.Container, j journal.Journal) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := j.State(ctx)
		return errors.Join(containerOpen(c), err)
	}
}
