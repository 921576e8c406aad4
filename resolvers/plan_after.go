package resolvers

import (
	"context"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/graph"
)

// planAfter decides about a plan and reads it as the API shows it.
func (r *mutationResolver) planAfter(ctx context.Context, input graph.RolloutPlanInput,
	decide func(context.Context, string, int) (*ent.RolloutPlan, error),
) (*graph.RolloutPlanPayload, error) {
	if _, err := decide(ctx, input.Plan, input.Revision); err != nil {
		return nil, err
	}
	row, err := r.client.RolloutPlan.Get(ctx, input.Plan)
	return &graph.RolloutPlanPayload{Plan: row, ClientMutationID: input.ClientMutationID}, err
}
