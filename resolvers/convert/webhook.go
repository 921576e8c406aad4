package convert

import (
	"github.com/quorate/quorate/graph"
	"github.com/quorate/quorate/internal/platform/webhooks"
)

// WebhookSecret tells an endpoint with its secret, if that is shown now.
func WebhookSecret(client *string) func(webhooks.Made, error) (*graph.WebhookSecretPayload, error) {
	return func(made webhooks.Made, err error) (*graph.WebhookSecretPayload, error) {
		if err != nil {
			return nil, err
		}
		return &graph.WebhookSecretPayload{WebhookEndpoint: made.Endpoint, Secret: ShownOnce(made.Secret), ClientMutationID: client}, nil
	}
}
