package telemetry

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/quorate/quorate/internal/license"
)

// NewRegistry makes a registry that tells of the process: the Go runtime, its
// memory and files, and which build it is.
func NewRegistry(version string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), newBuildInfo(version))
	return r
}

func newBuildInfo(version string) prometheus.Collector {
	revision := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "quorate_build_info", Help: "Always 1; the labels tell which build runs.",
	}, []string{"version", "revision", "goversion"})
	g.WithLabelValues(version, revision, runtime.Version()).Set(1)
	return g
}

// Labels bounds how many values a label takes: later ones count as OTHER. Safe
// for concurrent use.
type Labels struct {
	most int
	mu   sync.RWMutex
	seen map[string]bool
}

// NewLabels makes one for so many values.
func NewLabels(most int) *Labels { return &Labels{most: most, seen: map[string]bool{}} }

// Of gives the label for a value.
func (l *Labels) Of(v string) string {
	l.mu.RLock()
	known := l.seen[v]
	l.mu.RUnlock()
	if known {
		return v
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.seen[v] && (len(l.seen) >= l.most || !plainLabel(v)) {
		return "OTHER"
	}
	l.seen[v] = true
	return v
}

func plainLabel(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

// Figure is one value of a metric that is looked up when it is asked for.
type Figure struct {
	Labels []string // as its Metric names them
	Value  float64
}

// Metric describes values that are looked up when they are asked for.
type Metric struct {
	Name, Help string
	Labels     []string
	Counter    bool // it never falls; else it is a gauge
}

// Looked collects metrics that are looked up, all of them together: figures gives
// those of each metric by name. It is asked at most once in fresh, and has
// patience to answer; when it fails or doesn't, the metrics are missing from that answer,
// and quorate_lookup_failures_total counts it under the collector's name.
type Looked struct {
	metrics []Metric
	descs   map[string]*prometheus.Desc
	figures asking[map[string][]Figure]
	failed  prometheus.Counter
	log     *slog.Logger

	mu   sync.Mutex
	last map[string][]Figure
	at   time.Time
}

// How old figures may be, and how long they may take.
const (
	fresh    = 2 * time.Second
	patience = 2 * time.Second
)

// NewLooked registers metrics whose values figures gives. The names of figures are
// those of metrics; a figure of another name is left out.
func NewLooked(r prometheus.Registerer, source string, log *slog.Logger, metrics []Metric, figures func(context.Context) (map[string][]Figure, error)) *Looked {
	l := &Looked{metrics: metrics, descs: map[string]*prometheus.Desc{}, figures: asking[map[string][]Figure]{ask: figures}, log: log, failed: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "quorate_lookup_failures_total", Help: "How often figures that are looked up when they are asked for could not be had, by what they are about.",
		ConstLabels: prometheus.Labels{"source": source},
	})}
	for _, m := range metrics {
		l.descs[m.Name] = prometheus.NewDesc(m.Name, m.Help, m.Labels, nil)
	}
	r.MustRegister(l)
	return l
}

// Describe implements prometheus.Collector.
func (l *Looked) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range l.metrics {
		ch <- l.descs[m.Name]
	}
	l.failed.Describe(ch)
}

// Collect implements prometheus.Collector.
func (l *Looked) Collect(ch chan<- prometheus.Metric) {
	all := l.look()
	l.failed.Collect(ch) // with a failure of just now
	for _, m := range l.metrics {
		kind := prometheus.GaugeValue
		if m.Counter {
			kind = prometheus.CounterValue
		}
		for _, f := range all[m.Name] {
			ch <- prometheus.MustNewConstMetric(l.descs[m.Name], kind, f.Value, f.Labels...)
		}
	}
}

func (l *Looked) look() map[string][]Figure {
	l.mu.Lock()
	last, known := l.last, !l.at.IsZero() && time.Since(l.at) < fresh
	l.mu.Unlock()
	if known {
		return last
	}
	all, err := l.figures.get()
	if err != nil {
		l.failed.Inc()
		l.log.Warn("figures for metrics could not be had", "code", string(license.CodeOf(err)), "error", err)
		all = nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last, l.at = all, time.Now()
	return all
}

// Monitor serves what a monitoring system asks for: /metrics; /healthz, which
// says that the process lives; and /readyz, which says whether it can serve. Why
// it can't goes to the log.
func Monitor(r *prometheus.Registry, log *slog.Logger, ready func(context.Context) error) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.Handle("GET /readyz", Ready(log, ready))
	return Identify(mux)
}

// Ready answers whether the process can serve: 200, or 503. Why it can't goes to
// the log, since the answer is open to everybody.
func Ready(log *slog.Logger, ready func(context.Context) error) http.Handler {
	asked := asking[struct{}]{ask: func(ctx context.Context) (struct{}, error) { return struct{}{}, ready(ctx) }}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if _, err := asked.get(); err != nil {
			log.WarnContext(r.Context(), "not ready", "code", string(license.CodeOf(err)), "error", err)
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "not ready\n")
			return
		}
		_, _ = io.WriteString(w, "ready\n")
	})
}
