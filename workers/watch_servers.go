package workers

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	"github.com/quorate/quorate/internal/platform/links"
)

// watchEvery is how often lost servers are looked for.
const watchEvery = 15 * time.Second

// Servers is the use case behind the job kind links.WatchServers.
type Servers interface {
	LostServers(ctx context.Context) (lost int, err error)
}

// RegisterServers has q look for servers that were lost. Call it once, before
// Start.
func (q *River) RegisterServers(s Servers) {
	river.AddWorker(q.kinds, &watchServers{servers: s})
	q.periodic = append(q.periodic, river.NewPeriodicJob(river.PeriodicInterval(watchEvery), func() (river.JobArgs, *river.InsertOpts) {
		return links.WatchServers{}, &river.InsertOpts{MaxAttempts: 1} // the next one follows soon
	}, &river.PeriodicJobOpts{RunOnStart: true}))
}

type watchServers struct {
	river.WorkerDefaults[links.WatchServers]
	servers Servers
}

// Work looks once.
func (w *watchServers) Work(ctx context.Context, _ *river.Job[links.WatchServers]) error {
	_, err := w.servers.LostServers(ctx)
	return err
}
