package workers

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	"github.com/quorate/quorate/internal/platform/history"
)

// pruneEvery is how often what of the usage history is too old is looked for.
const pruneEvery = time.Hour

// UsageHistory is the use case behind the job kind platform.PruneUsage.
type UsageHistory interface {
	PruneUsage(ctx context.Context) (removed int, err error)
}

// RegisterUsage has q remove, when it starts and every hour, what of the usage
// history is not to be kept any more. Call it once, before Start.
func (q *River) RegisterUsage(h UsageHistory) {
	river.AddWorker(q.kinds, &pruneUsage{history: h})
	q.periodic = append(q.periodic, river.NewPeriodicJob(river.PeriodicInterval(pruneEvery), func() (river.JobArgs, *river.InsertOpts) {
		return history.PruneUsage{}, &river.InsertOpts{MaxAttempts: 3}
	}, &river.PeriodicJobOpts{RunOnStart: true}))
}

type pruneUsage struct {
	river.WorkerDefaults[history.PruneUsage]
	history UsageHistory
}

// Work removes what is due. What one run doesn't come to the next one does.
func (w *pruneUsage) Work(ctx context.Context, _ *river.Job[history.PruneUsage]) error {
	_, err := w.history.PruneUsage(ctx)
	return err
}
