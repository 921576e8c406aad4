package workers

import (
	"context"

	"github.com/riverqueue/river"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/tasks"
)

// Plans takes rollout plans forward.
type Plans interface {
	AdvancePlan(ctx context.Context, id string) error
	AdvancePlans(ctx context.Context) error
}

// RegisterPlans has q run the jobs that take rollout plans forward, and look at
// all of them whenever it looks for unfinished work: for those whose time has
// come, and whose job died with its process. Call it once, before Start.
func (q *River) RegisterPlans(p Plans) {
	river.AddWorker(q.kinds, &advancePlan{plans: p})
	q.sweeps = append(q.sweeps, p.AdvancePlans)
}

type advancePlan struct {
	river.WorkerDefaults[tasks.AdvancePlan]
	plans Plans
}

// Work takes the job's plan as far as it goes. A plan that is no longer there is
// nothing to try again for.
func (w *advancePlan) Work(ctx context.Context, job *river.Job[tasks.AdvancePlan]) error {
	err := w.plans.AdvancePlan(ctx, job.Args.Plan)
	if license.CodeOf(err) == license.CodeNotFound {
		return river.JobCancel(err)
	}
	return err
}
