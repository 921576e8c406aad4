package workers

import (
	"context"

	"github.com/riverqueue/river"

	"github.com/quorate/quorate/internal/platform/tasks"
)

// IdempotencyKeys is the use case behind the job kind tasks.PruneKeys.
type IdempotencyKeys interface {
	PruneKeys(ctx context.Context) (removed int, err error)
}

// RegisterKeys has q remove, when it starts and every hour, idempotency keys
// that are not remembered any more. Call it once, before Start.
func (q *River) RegisterKeys(k IdempotencyKeys) {
	river.AddWorker(q.kinds, &pruneKeys{keys: k})
	q.periodic = append(q.periodic, river.NewPeriodicJob(river.PeriodicInterval(pruneEvery), func() (river.JobArgs, *river.InsertOpts) {
		return tasks.PruneKeys{}, &river.InsertOpts{MaxAttempts: 3}
	}, &river.PeriodicJobOpts{RunOnStart: true}))
}

type pruneKeys struct {
	river.WorkerDefaults[tasks.PruneKeys]
	keys IdempotencyKeys
}

// Work removes what is due. What one run doesn't come to the next one does.
func (w *pruneKeys) Work(ctx context.Context, _ *river.Job[tasks.PruneKeys]) error {
	_, err := w.keys.PruneKeys(ctx)
	return err
}
