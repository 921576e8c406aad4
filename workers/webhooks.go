package workers

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/webhooks"
)

// webhookQueue keeps receivers that take their time from holding up anything
// else.
const webhookQueue = "webhooks"

// webhookSenders is how many endpoints one replica sends to at a time.
const webhookSenders = 32

// Webhooks are the use cases behind the jobs.
type Webhooks interface {
	DeliverWebhooks(ctx context.Context, endpoint string) error
	WakeWebhooks(ctx context.Context) (woken int, err error)
	PruneWebhooks(ctx context.Context) (removed int, err error)
}

// RegisterWebhooks has q send what is due to endpoints, look for it with every
// sweep, and remove what is too old, when it starts and every hour. Call it once,
// before Start.
func (q *River) RegisterWebhooks(w Webhooks) {
	river.AddWorker(q.kinds, &deliverWebhooks{webhooks: w})
	river.AddWorker(q.kinds, &pruneWebhooks{webhooks: w})
	q.queues[webhookQueue] = river.QueueConfig{MaxWorkers: webhookSenders, FetchPollInterval: max(q.config.Poll, 200*time.Millisecond)}
	q.sweeps = append(q.sweeps, func(ctx context.Context) error {
		_, err := w.WakeWebhooks(ctx)
		return err
	})
	q.periodic = append(q.periodic, river.NewPeriodicJob(river.PeriodicInterval(pruneEvery), func() (river.JobArgs, *river.InsertOpts) {
		return webhooks.Prune{}, &river.InsertOpts{MaxAttempts: 3}
	}, &river.PeriodicJobOpts{RunOnStart: true}))
}

type deliverWebhooks struct {
	river.WorkerDefaults[core.DeliverWebhooks]
	webhooks Webhooks
}

// Work sends what is due to one endpoint. What fails at the endpoint is tried
// again later; only the platform's own trouble fails the job.
func (w *deliverWebhooks) Work(ctx context.Context, job *river.Job[core.DeliverWebhooks]) error {
	return w.webhooks.DeliverWebhooks(ctx, job.Args.Endpoint)
}

type pruneWebhooks struct {
	river.WorkerDefaults[webhooks.Prune]
	webhooks Webhooks
}

// Work removes what is too old.
func (w *pruneWebhooks) Work(ctx context.Context, _ *river.Job[webhooks.Prune]) error {
	_, err := w.webhooks.PruneWebhooks(ctx)
	return err
}
