package workers

import (
	"context"
	"errors"

	"github.com/riverqueue/river"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/rollouts"
	"github.com/quorate/quorate/internal/platform/tasks"
)

// Rollouts are the use cases behind the job kind platform.AdvanceRollout.
type Rollouts interface {
	AdvanceRollout(ctx context.Context, id string, after rollouts.AfterState) error
	UnfinishedRollouts(ctx context.Context) ([]string, error)
}

// Register has q run the jobs that take rollouts forward, and look for rollouts
// whose job died with its process. after is told of each state that a worker
// comes to; nil outside of tests. Call it once, before Start.
func (q *River) Register(r Rollouts, after rollouts.AfterState) {
	w := &advanceRollout{rollouts: r, after: after}
	river.AddWorker(q.kinds, w)
	q.sweeps = append(q.sweeps, w.sweep)
}

type advanceRollout struct {
	river.WorkerDefaults[tasks.AdvanceRollout]
	rollouts Rollouts
	after    rollouts.AfterState
}

// Work takes the job's rollout as far as it goes. A rollout that is no longer
// there is nothing to try again for.
func (w *advanceRollout) Work(ctx context.Context, job *river.Job[tasks.AdvanceRollout]) error {
	err := w.rollouts.AdvanceRollout(ctx, job.Args.Rollout, w.after)
	if license.CodeOf(err) == license.CodeNotFound {
		return river.JobCancel(err)
	}
	return err
}

func (w *advanceRollout) sweep(ctx context.Context) error {
	ids, err := w.rollouts.UnfinishedRollouts(ctx)
	for _, id := range ids {
		err = errors.Join(err, w.rollouts.AdvanceRollout(ctx, id, w.after))
	}
	return err
}
