package roles

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/quorate/quorate/cmd/quorate/internal/roles/monitoring"
	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/telemetry"
)

// Build is which build runs.
type Build struct{ Version string }

// LogTelemetry has the OpenTelemetry library write to the process's log.
func LogTelemetry(logger *slog.Logger) { telemetry.LogErrors(logger) }

// monitorFlags say where a server shows itself to its operators.
type monitorFlags struct {
	MetricsListen string `help:"Address for /metrics (Prometheus), /healthz and /readyz, in the clear: for a monitoring system, not for everybody. Without it no metrics are served." placeholder:"HOST:PORT" env:"QUORATE_METRICS_LISTEN"`
}

// show has a role shown where the flags say; nowhere without them.
func (f monitorFlags) show(m *monitoring.Monitoring, ready func(context.Context) error) error {
	if f.MetricsListen == "" {
		return nil
	}
	ln, err := net.Listen("tcp", f.MetricsListen)
	if err != nil {
		return cannotListen(f.MetricsListen, "--metrics-listen", err)
	}
	m.Serve(ln, ready)
	return nil
}

// ready says whether the platform can serve: its database answers and is
// migrated, and so does its Redis.
func (p *openPlatform) ready(ctx context.Context) error {
	err := p.store.Ready(ctx)
	if p.redis != nil {
		if e := p.redis.Ping(ctx).Err(); e != nil {
			err = errors.Join(err, fmt.Errorf("ask Redis: %w", e))
		}
	}
	return err
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
