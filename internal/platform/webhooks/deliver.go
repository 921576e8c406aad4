package webhooks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/webhookdelivery"
	"github.com/quorate/quorate/ent/webhookendpoint"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/webhook"
)

// claimed is a delivery that this worker makes an attempt of.
type claimed struct {
	row      *ent.WebhookDelivery
	endpoint *ent.WebhookEndpoint
	event    *ent.WebhookEvent
}

// DeliverWebhooks sends what is due to an endpoint, one after another, for as
// long as there is something and its turn isn't over. Any number of workers may
// do so at the same time.
func (p *Service) DeliverWebhooks(ctx context.Context, endpoint string) error {
	ctx = core.System(ctx, "webhooks")
	for began := time.Now(); ; {
		c, err := p.claim(ctx, endpoint)
		if err != nil || c == nil {
			return err
		}
		if err := p.attempt(ctx, c); err != nil {
			return err
		}
		if time.Since(began) > turn {
			return p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
				return p.core.Jobs.EnqueueTx(ctx, tx.SQL(), core.DeliverWebhooks{Endpoint: endpoint})
			})
		}
	}
}

// claim takes the endpoint's next delivery that is due; nil: there is none, or
// enough are being made.
func (p *Service) claim(ctx context.Context, endpoint string) (c *claimed, err error) {
	lost := 0
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		c, lost = nil, 0
		e, err := tx.WebhookEndpoint.Query().Where(webhookendpoint.ID(endpoint), store.Locked).Only(ctx)
		if ent.IsNotFound(err) || err == nil && e.DisabledAt != nil {
			return nil
		}
		if err != nil {
			return err
		}
		now, most := core.Now(), inFlight
		if e.FailingSince != nil {
			most = 1
		}
		busy, err := tx.WebhookDelivery.Query().Where(webhookdelivery.WebhookEndpointID(e.ID), webhookdelivery.StateEQ(property.DeliveryPending),
			webhookdelivery.ClaimedUntilGT(now)).Count(ctx)
		if err != nil || busy >= most {
			return err
		}
		for {
			row, err := tx.WebhookDelivery.Query().Where(webhookdelivery.WebhookEndpointID(e.ID), webhookdelivery.StateEQ(property.DeliveryPending),
				webhookdelivery.DueAtLTE(now), webhookdelivery.Or(webhookdelivery.ClaimedUntilIsNil(), webhookdelivery.ClaimedUntilLTE(now))).
				Order(ent.Asc(webhookdelivery.FieldDueAt)).WithWebhookEvent().First(ctx)
			if ent.IsNotFound(err) {
				return nil
			}
			if err != nil {
				return err
			}
			if row.Attempt >= webhook.MostAttempts() { // the last worker died
				if err := tx.WebhookDelivery.UpdateOne(row).SetState(property.DeliveryFailed).ClearDueAt().ClearClaimedUntil().Exec(ctx); err != nil {
					return err
				}
				lost++
				continue
			}
			event := row.Edges.WebhookEvent
			if row, err = tx.WebhookDelivery.UpdateOne(row).SetAttempt(row.Attempt + 1).SetClaimedUntil(now.Add(claim)).Save(ctx); err != nil {
				return err
			}
			c = &claimed{row: row, endpoint: e, event: event}
			return nil
		}
	})
	if err != nil {
		return nil, err
	}
	for range lost {
		p.counts.ended(property.DeliveryFailed)
	}
	return c, nil
}

// attempt sends a claimed delivery and writes down what came of it.
func (p *Service) attempt(ctx context.Context, c *claimed) error {
	sealed := [][]byte{c.endpoint.SealedSecret}
	if until := c.endpoint.PreviousUntil; until != nil && time.Now().Before(*until) && len(c.endpoint.SealedPrevious) > 0 {
		sealed = append(sealed, c.endpoint.SealedPrevious)
	}
	secrets := make([]webhook.Secret, len(sealed))
	for i, s := range sealed {
		opened, err := p.core.Keys.Open(ctx, secretPurpose(c.endpoint.OrganizationID), s)
		if err != nil {
			return errors.Join(err, p.giveBack(ctx, c))
		}
		secrets[i] = opened
	}
	r := p.sender.Send(ctx, c.endpoint.URL, c.event.ID, c.event.Payload, secrets...)
	if err := ctx.Err(); err != nil && r.Status == 0 { // the process stops: that says nothing of the endpoint
		return errors.Join(err, p.giveBack(ctx, c))
	}
	return p.record(context.WithoutCancel(ctx), c, r)
}

// giveBack lets another worker make the attempt at once, as one that was not
// begun.
func (p *Service) giveBack(ctx context.Context, c *claimed) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		return tx.WebhookDelivery.Update().Where(webhookdelivery.ID(c.row.ID), webhookdelivery.Attempt(c.row.Attempt)).
			SetAttempt(c.row.Attempt - 1).ClearClaimedUntil().Exec(ctx)
	})
}

// record writes down what came of an attempt, unless another worker has taken
// the delivery for abandoned meanwhile.
func (p *Service) record(ctx context.Context, c *claimed, r webhook.Result) error {
	state := property.DeliveryPending
	err := p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		state = property.DeliveryPending
		e, err := tx.WebhookEndpoint.Query().Where(webhookendpoint.ID(c.endpoint.ID), store.Locked).Only(ctx)
		if ent.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		row, err := tx.WebhookDelivery.Query().Where(webhookdelivery.ID(c.row.ID), webhookdelivery.Attempt(c.row.Attempt),
			webhookdelivery.StateEQ(property.DeliveryPending)).Only(ctx)
		if ent.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		u := tx.WebhookDelivery.UpdateOne(row).ClearClaimedUntil().SetAttempts(append(row.Attempts, property.DeliveryAttempt{
			At: core.Plausible(r.At), Status: r.Status, Millis: int(r.Took.Milliseconds()), Response: r.Response, Error: r.Error,
		}))
		pause, more := webhook.Pause(row.Attempt)
		switch {
		case r.OK():
			state = property.DeliveryDelivered
			u.SetState(state).ClearDueAt()
		case r.Gone() || !more:
			state = property.DeliveryFailed
			u.SetState(state).ClearDueAt()
		default:
			u.SetDueAt(core.Now().Add(pause))
		}
		if err := u.Exec(ctx); err != nil {
			return err
		}
		return p.judge(ctx, tx, e, row, r)
	})
	if err == nil {
		p.counts.attempted(r, state)
	}
	return err
}

// judge notes how the endpoint does, and disables it when it was too long that
// nothing arrived. Time in which there was nothing to deliver doesn't count.
func (p *Service) judge(ctx context.Context, tx *store.Tx, e *ent.WebhookEndpoint, tried *ent.WebhookDelivery, r webhook.Result) error {
	now, since := core.Now(), e.FailingSince
	if since != nil && !r.OK() && tried.Attempt == 1 && now.Sub(*since) >= patience {
		others, err := tx.WebhookDelivery.Query().Where(webhookdelivery.WebhookEndpointID(e.ID), webhookdelivery.StateEQ(property.DeliveryPending),
			webhookdelivery.AttemptGT(0), webhookdelivery.IDNEQ(tried.ID)).Exist(ctx)
		if err != nil {
			return err
		}
		if !others {
			since = nil
		}
	}
	reason := ""
	switch {
	case r.OK() && since == nil, e.DisabledAt != nil:
		return nil
	case r.OK():
		return tx.WebhookEndpoint.UpdateOne(e).ClearFailingSince().Exec(ctx)
	case r.Gone():
		reason = "it answered 410: it wants no more messages"
	case since == nil:
		return tx.WebhookEndpoint.UpdateOne(e).SetFailingSince(now).Exec(ctx)
	case now.Sub(*since) >= patience:
		reason = fmt.Sprintf("nothing has arrived since %s", since.UTC().Format(time.RFC3339))
	default:
		return nil
	}
	before := facts(e)
	off, err := tx.WebhookEndpoint.UpdateOne(e).SetDisabledAt(now).SetDisabledReason(reason).SetRevision(e.Revision + 1).Save(ctx)
	if err != nil {
		return err
	}
	return core.Audit(ctx, tx, e.OrganizationID, "webhook.disable", e.ID, before, facts(off))
}

// WakeWebhooks has workers look at the endpoints to which something is due, and
// says how many: retries, and what was left by workers that died.
func (p *Service) WakeWebhooks(ctx context.Context) (int, error) {
	ctx = core.System(ctx, "webhooks")
	now := core.Now()
	due, err := p.core.Store.Client().WebhookDelivery.Query().Where(webhookdelivery.StateEQ(property.DeliveryPending), webhookdelivery.DueAtLTE(now),
		webhookdelivery.Or(webhookdelivery.ClaimedUntilIsNil(), webhookdelivery.ClaimedUntilLTE(now)),
		webhookdelivery.HasWebhookEndpointWith(webhookendpoint.DisabledAtIsNil())).
		GroupBy(webhookdelivery.FieldWebhookEndpointID).Strings(ctx)
	if err != nil || len(due) == 0 {
		return 0, err
	}
	return len(due), p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		for _, id := range due {
			if err := p.core.Jobs.EnqueueTx(ctx, tx.SQL(), core.DeliverWebhooks{Endpoint: id}); err != nil {
				return err
			}
		}
		return nil
	})
}

// enabled is the error about an endpoint that gets nothing now.
func enabled(e *ent.WebhookEndpoint) error {
	if e.DisabledAt == nil {
		return nil
	}
	return license.Errorf(license.CodeConflict, "enable it first", "the webhook is disabled: %s", e.DisabledReason)
}
