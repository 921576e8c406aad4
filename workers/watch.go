package workers

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel/attribute"

	"github.com/quorate/quorate/internal/telemetry"
)

// enqueued is what a job keeps of who enqueued it, beside its arguments.
type enqueued struct {
	Trace   string `json:"quorate_trace,omitempty"`
	Request string `json:"quorate_request,omitempty"`
}

// origin is a job's metadata; nil where there is nothing to keep.
func origin(ctx context.Context) []byte {
	e := enqueued{Trace: telemetry.Traceparent(ctx), Request: telemetry.RequestID(ctx)}
	if e == (enqueued{}) {
		return nil
	}
	b, err := json.Marshal(e)
	if err != nil {
		return nil // two strings always can be written
	}
	return b
}

// Metrics count jobs.
type Metrics struct {
	jobs     *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// NewMetrics registers them.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		jobs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "quorate_jobs_total", Help: "Runs of jobs by kind and outcome: done, cancelled (nothing to try again for), or failed (it is tried again).",
		}, []string{"kind", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "quorate_job_duration_seconds", Help: "How long runs of jobs took.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15, 60},
		}, []string{"kind"}),
	}
	r.MustRegister(m.jobs, m.duration)
	return m
}

// Watch has the jobs' runs counted, and their traces gone on with; nil: not so.
// Call it before Start.
func (q *River) Watch(t *telemetry.Tracing, m *Metrics) { q.watch.tracing, q.watch.metrics = t, m }

// watch is around every run of a job: the run is part of the trace, and of the
// request, that enqueued it.
type watch struct {
	river.MiddlewareDefaults
	tracing *telemetry.Tracing
	metrics *Metrics
}

var _ rivertype.WorkerMiddleware = &watch{}

// Work implements rivertype.WorkerMiddleware.
func (w *watch) Work(ctx context.Context, job *rivertype.JobRow, run func(context.Context) error) error {
	var from enqueued
	_ = json.Unmarshal(job.Metadata, &from) // without it the run stands alone
	if from.Request == "" {
		from.Request = "job-" + strconv.FormatInt(job.ID, 10)
	}
	ctx = telemetry.WithRequestID(telemetry.Continue(ctx, from.Trace), from.Request)
	ctx, end := w.tracing.Begin(ctx, "job "+job.Kind, attribute.String("job.kind", job.Kind), attribute.Int("job.attempt", job.Attempt))
	began := time.Now()
	err := run(ctx)
	end(err)
	if w.metrics != nil {
		w.metrics.jobs.WithLabelValues(job.Kind, outcome(err)).Inc()
		w.metrics.duration.WithLabelValues(job.Kind).Observe(time.Since(began).Seconds())
	}
	return err
}

func outcome(err error) string {
	switch cancelled := new(rivertype.JobCancelError); {
	case err == nil:
		return "done"
	case errors.As(err, &cancelled):
		return "cancelled"
	}
	return "failed"
}

// Backlog is what of the jobs is not done.
type Backlog struct {
	Waiting, Running, Retrying int
	// Oldest is how long ago the oldest of those that are due was due.
	Oldest time.Duration
}

// Backlog counts, of all replicas together.
func (q *River) Backlog(ctx context.Context) (Backlog, error) {
	rows, err := q.config.DB.QueryContext(ctx, `SELECT state, count(*), min(scheduled_at) FROM river_job
		WHERE state IN ('available', 'running', 'retryable') GROUP BY state`)
	if err != nil {
		return Backlog{}, err
	}
	defer func() { _ = rows.Close() }()
	var b Backlog
	for rows.Next() {
		var state string
		var n int
		var due dueTime
		if err := rows.Scan(&state, &n, &due); err != nil {
			return Backlog{}, err
		}
		switch state {
		case "available":
			b.Waiting = n
		case "running":
			b.Running = n
		case "retryable":
			b.Retrying = n
		}
		if !due.IsZero() {
			b.Oldest = max(b.Oldest, time.Since(due.Time))
		}
	}
	return b, rows.Err()
}

// dueTime reads a time as PostgreSQL gives it, and as the queue writes it into
// SQLite, where min() has no type.
type dueTime struct{ time.Time }

// Scan implements sql.Scanner.
func (t *dueTime) Scan(v any) (err error) {
	var s string
	switch v := v.(type) {
	case time.Time:
		t.Time = v
		return nil
	case string:
		s = v
	case []byte:
		s = string(v)
	default:
		return errors.New("a job's time can't be read")
	}
	for _, layout := range []string{"2006-01-02 15:04:05.999999999-07:00", "2006-01-02 15:04:05.999999999", time.RFC3339Nano} {
		if t.Time, err = time.Parse(layout, s); err == nil {
			return nil
		}
	}
	return errors.New("a job's time can't be read")
}
