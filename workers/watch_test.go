package workers

import (
	"context"
	"database/sql"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/riverqueue/river"

	"github.com/quorate/quorate/internal/telemetry"
	"github.com/quorate/quorate/internal/testenv"
)

// A job runs in the request and the trace that it was enqueued in, and is
// counted; what is not done yet is, too.
func TestJobsAreWatched(t *testing.T) {
	databases(t, func(t *testing.T, db *sql.DB, dialect string) {
		type run struct{ request, trace string }
		ran := make(chan run, 4)
		registry := prometheus.NewRegistry()
		metrics := NewMetrics(registry)
		q, err := Open(t.Context(), Config{DB: db, Dialect: dialect, Poll: 20 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		q.Watch(nil, metrics)
		river.AddWorker(q.kinds, &noteWorker{ran: func(ctx context.Context, text string) error {
			ran <- run{telemetry.RequestID(ctx), telemetry.Traceparent(ctx)}
			switch text {
			case "cancel":
				return river.JobCancel(errors.New("nothing to do"))
			case "fail":
				return errors.New("not now")
			}
			return nil
		}})
		const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		put := func(ctx context.Context, text string) {
			tx, err := db.Begin()
			if err != nil {
				t.Fatal(err)
			}
			if err := q.EnqueueTx(ctx, tx, noteJob{text}); err != nil {
				t.Fatal(err)
			}
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
		}
		put(telemetry.WithRequestID(telemetry.Continue(t.Context(), trace), "req-1"), "a")
		if b, err := q.Backlog(t.Context()); err != nil || b.Waiting != 1 || b.Running != 0 || b.Oldest < 0 || b.Oldest > time.Minute {
			t.Fatalf("%+v, %v", b, err)
		}
		start(t, q)
		if got := <-ran; got != (run{"req-1", trace}) {
			t.Errorf("ran in %+v", got)
		}
		put(t.Context(), "cancel")
		if got := <-ran; !strings.HasPrefix(got.request, "job-") || got.trace != "" {
			t.Errorf("a job that nobody asked for ran in %+v", got)
		}
		put(t.Context(), "fail")
		<-ran
		testenv.Eventually(t, 5*time.Second, func() error {
			w := httptest.NewRecorder()
			promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			for _, line := range []string{
				`quorate_jobs_total{kind="note",outcome="done"} 1`, `quorate_jobs_total{kind="note",outcome="cancelled"} 1`,
				`quorate_jobs_total{kind="note",outcome="failed"} `, `quorate_job_duration_seconds_count{kind="note"} `,
			} {
				if !strings.Contains(w.Body.String(), line) {
					return errors.New(line + " is missing")
				}
			}
			return nil
		})
	})
}
