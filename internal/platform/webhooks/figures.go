package webhooks

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/webhookdelivery"
	"github.com/quorate/quorate/ent/webhookendpoint"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/webhook"
)

// counts are what this process has done since it began. What is written down
// again, as after a transaction that had to be repeated, counts once.
type counts struct {
	accepted, refused, unanswered atomic.Int64 // attempts
	delivered, failed             atomic.Int64 // deliveries that came to their end
}

func (n *counts) attempted(r webhook.Result, state property.DeliveryState) {
	switch {
	case r.OK():
		n.accepted.Add(1)
	case r.Status != 0:
		n.refused.Add(1)
	default:
		n.unanswered.Add(1)
	}
	n.ended(state)
}

func (n *counts) ended(state property.DeliveryState) {
	switch state {
	case property.DeliveryDelivered:
		n.delivered.Add(1)
	case property.DeliveryFailed:
		n.failed.Add(1)
	}
}

// Figures are what operators see of all organizations' webhooks together, by no
// name.
type Figures struct {
	// Attempts of this process: that the receiver took, that it refused by a
	// status, and that got no answer.
	Accepted, Refused, Unanswered int64
	// Deliveries that came to their end in this process.
	Delivered, Failed int64
	// Waiting deliveries of all replicas, to endpoints that are not disabled, and
	// how long ago the oldest of them was to be delivered first; 0: none waits.
	Waiting int
	Oldest  time.Duration
	// Endpoints that are enabled and well, that fail now, and that are disabled.
	Well, Failing, Disabled int
}

// WebhookFigures counts. It is for the operator of the platform, who is no member
// of anything: it checks nobody, and shows nothing of anybody.
func (p *Service) WebhookFigures(ctx context.Context) (Figures, error) {
	ctx = core.System(ctx, "figures")
	f := Figures{
		Accepted: p.counts.accepted.Load(), Refused: p.counts.refused.Load(), Unanswered: p.counts.unanswered.Load(),
		Delivered: p.counts.delivered.Load(), Failed: p.counts.failed.Load(),
	}
	c := p.core.Store.Client()
	waiting := c.WebhookDelivery.Query().Where(webhookdelivery.StateEQ(property.DeliveryPending),
		webhookdelivery.HasWebhookEndpointWith(webhookendpoint.DisabledAtIsNil()))
	var err error
	if f.Waiting, err = waiting.Clone().Count(ctx); err != nil {
		return f, err
	}
	oldest, err := waiting.Order(ent.Asc(webhookdelivery.FieldCreatedAt)).Select(webhookdelivery.FieldCreatedAt).First(ctx)
	switch {
	case err == nil:
		f.Oldest = max(0, time.Since(oldest.CreatedAt))
	case !ent.IsNotFound(err):
		return f, err
	}
	endpoints := c.WebhookEndpoint.Query()
	if f.Disabled, err = endpoints.Clone().Where(webhookendpoint.DisabledAtNotNil()).Count(ctx); err != nil {
		return f, err
	}
	if f.Failing, err = endpoints.Clone().Where(webhookendpoint.DisabledAtIsNil(), webhookendpoint.FailingSinceNotNil()).Count(ctx); err != nil {
		return f, err
	}
	f.Well, err = endpoints.Where(webhookendpoint.DisabledAtIsNil(), webhookendpoint.FailingSinceIsNil()).Count(ctx)
	return f, err
}
