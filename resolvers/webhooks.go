package resolvers

import (
	"context"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/graph"
)

// webhookDelivery reads what was made in a transaction again, to follow its
// edges.
func (r *Resolver) webhookDelivery(ctx context.Context, client *string) func(*ent.WebhookDelivery, error) (*graph.WebhookDeliveryPayload, error) {
	return func(made *ent.WebhookDelivery, err error) (*graph.WebhookDeliveryPayload, error) {
		if err != nil {
			return nil, err
		}
		row, err := r.client.WebhookDelivery.Get(ctx, made.ID)
		if err != nil {
			return nil, err
		}
		return &graph.WebhookDeliveryPayload{WebhookDelivery: row, ClientMutationID: client}, nil
	}
}
