package workers

import "context"

// Plans takes rollout plans forward.
type Plans interface {
	AdvancePlans(ctx context.Context) error
}

// RegisterPlans has q look at rollout plans whenever it looks for unfinished
// work. Call it once, before Start.
func (q *River) RegisterPlans(p Plans) { q.sweeps = append(q.sweeps, p.AdvancePlans) }
