package workers

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	_ "github.com/lib/pq"
	"github.com/riverqueue/river"
	_ "modernc.org/sqlite"

	"github.com/quorate/quorate/internal/testenv"
)

// databases gives an empty database of each kind.
func databases(t *testing.T, run func(t *testing.T, db *sql.DB, dialect string)) {
	open := func(t *testing.T, driver, dsn string) *sql.DB {
		db, err := sql.Open(driver, dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	}
	t.Run(SQLite, func(t *testing.T) {
		run(t, open(t, "sqlite", "file:"+filepath.Join(t.TempDir(), "q.db")+
			"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(10000)&_txlock=immediate&_time_format=sqlite&_timezone=UTC"), SQLite)
	})
	t.Run(Postgres, func(t *testing.T) { run(t, open(t, "postgres", testenv.Postgres(t)), Postgres) })
}

type noteJob struct {
	Text string `json:"text"`
}

func (noteJob) Kind() string { return "note" }

type noteWorker struct {
	river.WorkerDefaults[noteJob]
	ran func(ctx context.Context, text string) error
}

func (w *noteWorker) Work(ctx context.Context, j *river.Job[noteJob]) error {
	return w.ran(ctx, j.Args.Text)
}

func openQueue(t *testing.T, db *sql.DB, dialect string, ran func(context.Context, string) error) *River {
	t.Helper()
	q, err := Open(t.Context(), Config{DB: db, Dialect: dialect, Poll: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	river.AddWorker(q.kinds, &noteWorker{ran: ran})
	return q
}

func start(t *testing.T, q *River) {
	t.Helper()
	if err := q.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, q) })
}

func stop(t *testing.T, q *River) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := q.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func enqueue(t *testing.T, db *sql.DB, q *River, text string, end func(*sql.Tx) error) {
	t.Helper()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := q.EnqueueTx(t.Context(), tx, noteJob{text}); err != nil {
		t.Fatal(err)
	}
	if err := end(tx); err != nil {
		t.Fatal(err)
	}
}

func receive[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: nothing within 20 s", what)
		panic("unreachable")
	}
}

func TestJobRunsIfItsTransactionCommits(t *testing.T) {
	databases(t, func(t *testing.T, db *sql.DB, dialect string) {
		ran := make(chan string, 10)
		q := openQueue(t, db, dialect, func(_ context.Context, text string) error { ran <- text; return nil })
		enqueue(t, db, q, "rolled back", (*sql.Tx).Rollback)
		enqueue(t, db, q, "before the start", (*sql.Tx).Commit)
		start(t, q)
		if got := receive(t, ran, "first job"); got != "before the start" {
			t.Errorf("ran %q", got)
		}
		enqueue(t, db, q, "while it runs", (*sql.Tx).Commit)
		if got := receive(t, ran, "second job"); got != "while it runs" {
			t.Errorf("ran %q", got)
		}
	})
}

func TestFailedJobIsTriedAgain(t *testing.T) {
	databases(t, func(t *testing.T, db *sql.DB, dialect string) {
		ran := make(chan string, 10)
		var once sync.Once
		q := openQueue(t, db, dialect, func(_ context.Context, text string) error {
			var err error
			once.Do(func() { err = errors.New("the database was away") })
			ran <- text
			return err
		})
		start(t, q)
		enqueue(t, db, q, "again", (*sql.Tx).Commit)
		receive(t, ran, "first try")
		receive(t, ran, "second try")
	})
}

func TestStopWaitsThenCancels(t *testing.T) {
	databases(t, func(t *testing.T, db *sql.DB, dialect string) {
		began, release := make(chan string, 1), make(chan struct{})
		cancelled := make(chan struct{})
		q := openQueue(t, db, dialect, func(ctx context.Context, text string) error {
			began <- text
			if text == "hangs" {
				<-ctx.Done()
				close(cancelled)
				return ctx.Err()
			}
			<-release
			return nil
		})
		start(t, q)
		start(t, q) // starting twice is safe
		enqueue(t, db, q, "waits", (*sql.Tx).Commit)
		receive(t, began, "the job")
		go close(release)
		stop(t, q)
		stop(t, q) // stopping twice is safe
		start(t, q)
		enqueue(t, db, q, "hangs", (*sql.Tx).Commit)
		receive(t, began, "the job after a second start")
		short, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if err := q.Stop(short); err != nil {
			t.Error(err)
		}
		receive(t, cancelled, "the cancellation")
	})
}

func TestTwoQueuesOpenAtOnce(t *testing.T) {
	databases(t, func(t *testing.T, db *sql.DB, dialect string) {
		if dialect == SQLite {
			t.Skip("one process owns the file")
		}
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if _, err := Open(t.Context(), Config{DB: db, Dialect: dialect}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	})
}

func TestSweepRunsAtTheStartAndAgain(t *testing.T) {
	databases(t, func(t *testing.T, db *sql.DB, dialect string) {
		q, err := Open(t.Context(), Config{DB: db, Dialect: dialect, Sweep: 10 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		river.AddWorker(q.kinds, &noteWorker{})
		swept := make(chan struct{})
		q.sweeps = append(q.sweeps, func(ctx context.Context) error {
			select {
			case swept <- struct{}{}:
			case <-ctx.Done():
			}
			return errors.New("goes on after an error")
		})
		start(t, q)
		receive(t, swept, "the first sweep")
		receive(t, swept, "the second sweep")
	})
}

func TestUnknownDatabase(t *testing.T) {
	if _, err := Open(t.Context(), Config{Dialect: "oracle"}); err == nil {
		t.Error("accepted")
	}
}
