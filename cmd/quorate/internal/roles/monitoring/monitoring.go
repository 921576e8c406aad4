// Package monitoring is what operators see of a role: its metrics and traces, and
// the listener that shows them.
package monitoring

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/link"
	"github.com/quorate/quorate/internal/telemetry"
	"github.com/quorate/quorate/internal/telemetry/calls"
)

// Monitoring is what operators see of one role: its metrics, and its traces.
type Monitoring struct {
	Registry prometheus.Registerer
	Tracing  *telemetry.Tracing // nil: off
	Calls    calls.Watch
	log      *slog.Logger
	handler  func(ready func(context.Context) error) http.Handler

	addr string
	stop context.CancelFunc // nil: nothing is served
	done chan struct{}
}

// Open makes it for a role of a version.
func Open(ctx context.Context, role, version string, log *slog.Logger) (*Monitoring, error) {
	tracing, err := telemetry.OpenTracing(ctx, "quorate-"+role, version)
	if err != nil {
		return nil, err
	}
	registry := telemetry.NewRegistry(version)
	return New(registry, tracing, log, func(ready func(context.Context) error) http.Handler {
		return telemetry.Monitor(registry, log, ready)
	}), nil
}

// New makes it of its parts; h gives what is served.
func New(r prometheus.Registerer, t *telemetry.Tracing, log *slog.Logger, h func(func(context.Context) error) http.Handler) *Monitoring {
	return &Monitoring{Registry: r, Tracing: t, log: log, handler: h, Calls: calls.Watch{Tracing: t, Metrics: calls.NewMetrics(r), Logger: log}}
}

// Unwatched is that of a role that shows nothing: its figures are counted for
// nobody.
func Unwatched(log *slog.Logger) *Monitoring {
	return New(prometheus.NewRegistry(), nil, log, nil)
}

// Serve answers monitoring systems on ln, which it closes, until Close. ready says
// whether the role can serve.
func (m *Monitoring) Serve(ln net.Listener, ready func(context.Context) error) {
	server := &http.Server{
		Handler: m.handler(ready), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(m.log.Handler(), slog.LevelDebug),
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.addr, m.stop, m.done = ln.Addr().String(), cancel, make(chan struct{})
	go func() {
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			m.log.Error("metrics are no longer served", "error", err)
		}
	}()
	go func() {
		defer close(m.done)
		<-ctx.Done()
		_ = server.Close()
	}()
}

// Addr is where it is served; empty: nowhere.
func (m *Monitoring) Addr() string { return m.addr }

// Told adds where metrics are served to what a server tells when it is ready.
func (m *Monitoring) Told(ready map[string]string) map[string]string {
	if m.addr != "" {
		ready["metrics"] = "http://" + m.addr + "/metrics"
	}
	return ready
}

// Close ends the listener, and sends the traces that are left.
func (m *Monitoring) Close() {
	if m.stop != nil {
		m.stop()
		<-m.done
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if err := m.Tracing.Close(ctx); err != nil {
		m.log.Warn("the last traces could not be sent", "error", err)
	}
}

// Programs are the options of a license server's handler.
func (m *Monitoring) Programs() []connect.HandlerOption {
	return []connect.HandlerOption{m.Calls.Option(), calls.NewLicenseMetrics(m.Registry).Option()}
}

// WatchServer shows what a license server hands out.
func (m *Monitoring) WatchServer(s *licenseserver.Server) {
	telemetry.NewLooked(m.Registry, "licenses", m.log, []telemetry.Metric{
		{Name: "quorate_license_leading", Help: "1 where this server leads: hands out handles; else 0."},
		{Name: "quorate_license_takeovers_total", Help: "How often this server began to lead.", Counter: true},
		{Name: "quorate_license_handles", Help: "Living handles, over all products; 0 where this server doesn't lead, as the next four."},
		{Name: "quorate_license_taken", Help: "Licenses taken, over all products, lingering seats included."},
		{Name: "quorate_license_free", Help: "Licenses free, over all products, whoever they may be reserved for."},
		{Name: "quorate_license_quantity", Help: "Licenses in force, over all products; those without a quantity are left out."},
		{Name: "quorate_license_waiting", Help: "Requests that wait in queues."},
	}, func(ctx context.Context) (map[string][]telemetry.Figure, error) {
		f, err := s.Figures(ctx)
		if err != nil {
			return nil, err
		}
		return map[string][]telemetry.Figure{
			"quorate_license_leading":         one(truth(f.Leading)),
			"quorate_license_takeovers_total": one(float64(f.Terms)),
			"quorate_license_handles":         one(float64(f.Handles)),
			"quorate_license_taken":           one(float64(f.Taken)),
			"quorate_license_free":            one(float64(f.Quantity - min(f.Taken, f.Quantity))),
			"quorate_license_quantity":        one(float64(f.Quantity)),
			"quorate_license_waiting":         one(float64(f.Waiting)),
		}, nil
	})
}

// mostFirms bounds the firms that metrics tell apart.
const mostFirms = 64

// WatchContainer shows what a container holds.
func (m *Monitoring) WatchContainer(c *container.Container) {
	telemetry.NewLooked(m.Registry, "container", m.log, []telemetry.Metric{
		{Name: "quorate_container_updates_total", Help: "Updates installed, by firm code.", Labels: []string{"firm"}, Counter: true},
		{Name: "quorate_container_licenses", Help: "Licenses that the container holds, in force or not."},
	}, func(context.Context) (map[string][]telemetry.Figure, error) {
		_, held := c.Licenses()
		all := map[string][]telemetry.Figure{"quorate_container_licenses": one(float64(len(held)))}
		for firm, n := range c.Counters() {
			if len(all["quorate_container_updates_total"]) < mostFirms {
				all["quorate_container_updates_total"] = append(all["quorate_container_updates_total"],
					telemetry.Figure{Labels: []string{strconv.FormatUint(uint64(firm), 10)}, Value: float64(n)})
			}
		}
		return all, nil
	})
}

// LinkWork counts the work of a link.
func (m *Monitoring) LinkWork() func(kind string, err error) {
	done := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "quorate_link_work_total", Help: "Work items of the platform that were done, by kind and code (OK, or the error's).",
	}, []string{"kind", "code"})
	codes := telemetry.NewLabels(100)
	m.Registry.MustRegister(done)
	return func(kind string, err error) {
		code := "OK"
		if err != nil {
			code = string(license.CodeOf(err))
		}
		done.WithLabelValues(kind, codes.Of(code)).Inc()
	}
}

// WatchLink shows how a link stands.
func (m *Monitoring) WatchLink(a *link.Agent) {
	telemetry.NewLooked(m.Registry, "link", m.log, []telemetry.Metric{
		{Name: "quorate_link_silence_seconds", Help: "How long ago the platform last answered; missing until it first did."},
	}, func(context.Context) (map[string][]telemetry.Figure, error) {
		at := a.Heard()
		if at.IsZero() {
			return nil, nil
		}
		return map[string][]telemetry.Figure{"quorate_link_silence_seconds": one(time.Since(at).Seconds())}, nil
	})
}

// WatchRedis shows the connections to a Redis.
func (m *Monitoring) WatchRedis(rdb redis.UniversalClient) {
	telemetry.NewLooked(m.Registry, "redis", m.log, []telemetry.Metric{
		{Name: "quorate_redis_pool_hits_total", Help: "How often a connection to Redis was there already.", Counter: true},
		{Name: "quorate_redis_pool_misses_total", Help: "How often a connection to Redis had to be made.", Counter: true},
		{Name: "quorate_redis_pool_timeouts_total", Help: "How often no connection to Redis came free in time.", Counter: true},
		{Name: "quorate_redis_pool_connections", Help: "Connections to Redis, by state: idle or busy.", Labels: []string{"state"}},
	}, func(context.Context) (map[string][]telemetry.Figure, error) {
		s := rdb.PoolStats()
		return map[string][]telemetry.Figure{
			"quorate_redis_pool_hits_total":     one(float64(s.Hits)),
			"quorate_redis_pool_misses_total":   one(float64(s.Misses)),
			"quorate_redis_pool_timeouts_total": one(float64(s.Timeouts)),
			"quorate_redis_pool_connections": {
				{Labels: []string{"idle"}, Value: float64(s.IdleConns)}, {Labels: []string{"busy"}, Value: float64(s.TotalConns - min(s.IdleConns, s.TotalConns))},
			},
		}, nil
	})
}

func one(v float64) []telemetry.Figure { return []telemetry.Figure{{Value: v}} }

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
