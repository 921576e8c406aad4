package workers

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"

	"github.com/quorate/quorate/internal/platform/core"
)

// Job is what is enqueued: a kind, and arguments that are stored as JSON.
type Job = core.Job

// Queue keeps durable jobs in the application's database.
type Queue interface {
	// EnqueueTx adds a job within tx: it runs, at least once, if tx commits,
	// and never if it does not. It works before Start and after Stop too, for
	// processes that run no jobs.
	EnqueueTx(ctx context.Context, tx *sql.Tx, job Job) error
	// Start begins to run jobs; they are cancelled when ctx ends. Starting
	// twice is safe.
	Start(ctx context.Context) error
	// Stop waits for the jobs that run now, until ctx ends; those that still
	// run then are cancelled and tried again later. Stopping twice is safe.
	Stop(ctx context.Context) error
}

// The databases that a queue can be kept in.
const (
	Postgres = "postgres"
	SQLite   = "sqlite3"
)

// Config is what a queue needs. Everything but DB and Dialect has a default.
type Config struct {
	DB      *sql.DB
	Dialect string // Postgres or SQLite
	// Poll is how often new jobs are looked for. Default: 100 ms.
	Poll time.Duration
	// Sweep is how often unfinished rollouts are looked at without a job.
	// Default: 10 s.
	Sweep time.Duration
	// Concurrency is how many jobs run at once. Default: 4.
	Concurrency int
	Logger      *slog.Logger
}

// longest bounds one run of a job. Jobs never wait for anything but the
// database, so reaching it means that the database hangs.
const longest = time.Minute

// River is the Queue that River keeps.
type River struct {
	config Config
	driver riverdriver.Driver[*sql.Tx]
	client *river.Client[*sql.Tx] // enqueues only
	kinds  *river.Workers
	watch  watch
	queues map[string]river.QueueConfig
	sweeps []func(context.Context) error // each looks for work that has no job
	// periodic are jobs that some replica enqueues now and then.
	periodic []*river.PeriodicJob

	mu      sync.Mutex
	running *river.Client[*sql.Tx]
	cancel  context.CancelFunc
	swept   sync.WaitGroup
}

var _ Queue = (*River)(nil)

// Open makes a queue and brings its tables up to date. Register what it runs
// before Start.
func Open(ctx context.Context, c Config) (*River, error) {
	if c.Poll <= 0 {
		c.Poll = 100 * time.Millisecond
	}
	if c.Sweep <= 0 {
		c.Sweep = 10 * time.Second
	}
	if c.Concurrency <= 0 {
		c.Concurrency = 4
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	q := &River{config: c, kinds: river.NewWorkers(), queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: c.Concurrency}}}
	switch c.Dialect {
	case Postgres:
		q.driver = riverdatabasesql.New(c.DB)
	case SQLite:
		q.driver = riversqlite.New(c.DB)
	default:
		return nil, fmt.Errorf("workers: no queue for the database %q", c.Dialect)
	}
	if err := q.migrate(ctx); err != nil {
		return nil, fmt.Errorf("bring the job queue's tables up to date: %w", err)
	}
	var err error
	q.client, err = river.NewClient(q.driver, &river.Config{Logger: q.riverLogger()})
	return q, err
}

// riverLogger keeps River's own news about polling and maintenance out of the
// log, but not its warnings.
func (q *River) riverLogger() *slog.Logger {
	return slog.New(warnings{q.config.Logger.Handler()})
}

type warnings struct{ slog.Handler }

func (h warnings) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && h.Handler.Enabled(ctx, l)
}

func (h warnings) WithAttrs(a []slog.Attr) slog.Handler { return warnings{h.Handler.WithAttrs(a)} }
func (h warnings) WithGroup(name string) slog.Handler   { return warnings{h.Handler.WithGroup(name)} }

// EnqueueTx keeps the contract of Queue.
func (q *River) EnqueueTx(ctx context.Context, tx *sql.Tx, job Job) error {
	if _, err := q.client.InsertTx(ctx, tx, job, &river.InsertOpts{Metadata: origin(ctx), Queue: queueOf(job)}); err != nil {
		return fmt.Errorf("enqueue %s: %w", job.Kind(), err)
	}
	return nil
}

// queueOf is the queue that a job waits in.
func queueOf(job Job) string {
	if job.Kind() == (core.DeliverWebhooks{}).Kind() {
		return webhookQueue
	}
	return river.QueueDefault
}

// Start keeps the contract of Queue.
func (q *River) Start(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running != nil {
		return nil
	}
	client, err := river.NewClient(q.driver, &river.Config{
		Queues:            q.queues,
		Workers:           q.kinds,
		PeriodicJobs:      q.periodic,
		FetchCooldown:     min(q.config.Poll, 20*time.Millisecond),
		FetchPollInterval: q.config.Poll,
		PollOnly:          true,
		JobTimeout:        longest,
		// A job whose process died is run again; the sweep is faster.
		RescueStuckJobsAfter:        2 * longest,
		RetryPolicy:                 retry{},
		Middleware:                  []rivertype.Middleware{&q.watch},
		CompletedJobRetentionPeriod: time.Hour,
		Logger:                      q.riverLogger(),
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	if err := client.Start(ctx); err != nil {
		cancel()
		return err
	}
	q.running, q.cancel = client, cancel
	q.swept.Go(func() { q.sweeping(ctx) })
	return nil
}

// Stop keeps the contract of Queue.
func (q *River) Stop(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running == nil {
		return nil
	}
	client := q.running
	q.running = nil
	err := client.Stop(ctx)
	if err != nil { // out of patience
		hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = client.StopAndCancel(hard)
	}
	q.cancel()
	q.swept.Wait()
	return err
}

func (q *River) sweeping(ctx context.Context) {
	tick := time.NewTicker(q.config.Sweep)
	defer tick.Stop()
	for {
		for _, sweep := range q.sweeps {
			if err := sweep(ctx); err != nil && ctx.Err() == nil {
				q.config.Logger.Warn("looking for unfinished work failed; trying again", "error", err, "in", q.config.Sweep)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// migrationLock is the advisory lock under which replicas take turns.
const migrationLock = 0x71756f7261746501

func (q *River) migrate(ctx context.Context) error {
	if q.config.Dialect == Postgres {
		conn, err := q.config.DB.Conn(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", int64(migrationLock)); err != nil {
			return err
		}
		defer conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", int64(migrationLock))
	}
	m, err := rivermigrate.New(q.driver, &rivermigrate.Config{Logger: q.riverLogger()})
	if err != nil {
		return err
	}
	_, err = m.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return err
}

// retry waits 100 ms, 400 ms, 900 ms … and at most half a minute.
type retry struct{}

func (retry) NextRetry(job *rivertype.JobRow) time.Time {
	n := time.Duration(len(job.Errors) + 1)
	return time.Now().Add(min(n*n*100*time.Millisecond, 30*time.Second))
}
