package webhooks

import (
	"context"
	"strconv"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/webhookdelivery"
	"github.com/quorate/quorate/ent/webhookevent"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// TestWebhook sends an endpoint an event of the kind webhook.test, whatever it
// wants, and whoever else listens. Errors: CodeNotFound, CodeForbidden,
// CodeConflict for one that is disabled, and for a key of another request.
func (p *Service) TestWebhook(ctx context.Context, id, key string) (*ent.WebhookDelivery, error) {
	return p.deliverOnce(ctx, "testWebhook", key, id, func(ctx context.Context, tx *store.Tx) (*ent.WebhookDelivery, error) {
		e, err := lockEndpoint(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		if err := enabled(e); err != nil {
			return nil, err
		}
		all, err := p.core.EmitTo(ctx, tx, e.OrganizationID, core.EventWebhookTest, map[string]any{"endpoint": e.ID}, e)
		if err != nil {
			return nil, err
		}
		return all[0], core.Audit(ctx, tx, e.OrganizationID, "webhook.test", e.ID, nil, map[string]any{"delivery": all[0].ID})
	})
}

// ReplayDelivery sends an event to an endpoint again, as a delivery of its own:
// with the same webhook-id, so a receiver that has it already may pass it over.
// Errors: CodeNotFound, CodeForbidden, CodeConflict for an endpoint that is
// disabled, and for a key of another request.
func (p *Service) ReplayDelivery(ctx context.Context, id, key string) (*ent.WebhookDelivery, error) {
	return p.deliverOnce(ctx, "replayWebhookDelivery", key, id, func(ctx context.Context, tx *store.Tx) (*ent.WebhookDelivery, error) {
		d, err := tx.WebhookDelivery.Get(ctx, id)
		if err != nil {
			return nil, core.NotFound(err, "delivery", id)
		}
		e, err := lockEndpoint(ctx, tx, d.WebhookEndpointID)
		if err != nil {
			return nil, err
		}
		if err := enabled(e); err != nil {
			return nil, err
		}
		if err := tx.WebhookDelivery.UpdateOne(d).SetReplayed(true).Exec(ctx); err != nil {
			return nil, err
		}
		again, err := p.again(ctx, tx, d)
		if err != nil {
			return nil, err
		}
		return again, core.Audit(ctx, tx, e.OrganizationID, "webhook.replay", e.ID, nil, map[string]any{"delivery": d.ID, "as": again.ID})
	})
}

func (p *Service) deliverOnce(ctx context.Context, operation, key, input string, do func(context.Context, *store.Tx) (*ent.WebhookDelivery, error)) (*ent.WebhookDelivery, error) {
	by, err := auth.Require(ctx, auth.ManageWebhook)
	if err != nil {
		return nil, err
	}
	var out *ent.WebhookDelivery
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		ids, _, err := core.Once(ctx, tx, by.Organization, operation, key, input, func() ([]string, error) {
			d, err := do(ctx, tx)
			if err != nil {
				return nil, err
			}
			return []string{d.ID}, nil
		})
		if err != nil {
			return err
		}
		out, err = tx.WebhookDelivery.Get(ctx, ids[0])
		return core.NotFound(err, "delivery", ids[0])
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// again makes another delivery of the same event to the same endpoint.
func (p *Service) again(ctx context.Context, tx *store.Tx, d *ent.WebhookDelivery) (*ent.WebhookDelivery, error) {
	made, err := tx.WebhookDelivery.Create().SetOrganizationID(d.OrganizationID).SetWebhookEndpointID(d.WebhookEndpointID).
		SetWebhookEventID(d.WebhookEventID).SetDueAt(core.Now()).SetReplay(true).Save(ctx)
	if err != nil {
		return nil, err
	}
	return made, p.core.Jobs.EnqueueTx(ctx, tx.SQL(), core.DeliverWebhooks{Endpoint: d.WebhookEndpointID})
}

// Replayed counts what ReplayFailed sends again.
type Replayed struct {
	Count int
	More  bool // there are more: ask again
}

// ReplayFailed sends again what failed at an endpoint since a time, but for what
// arrived, or was asked for again, later: at most a thousand, the oldest first.
// Errors: CodeNotFound, CodeForbidden, CodeInvalidInput for a time that is
// further back than deliveries are kept, CodeConflict for an endpoint that is
// disabled, and for a key of another request.
func (p *Service) ReplayFailed(ctx context.Context, id string, since time.Time, key string) (Replayed, error) {
	by, err := auth.Require(ctx, auth.ManageWebhook)
	if err != nil {
		return Replayed{}, err
	}
	if time.Since(since) > kept+24*time.Hour {
		return Replayed{}, core.AtField("since", license.Errorf(license.CodeInvalidInput, "give a time of the last 30 days", "deliveries of %s are not kept any more", since.UTC().Format(time.RFC3339)))
	}
	var out Replayed
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		ids, _, err := core.Once(ctx, tx, by.Organization, "replayFailedWebhookDeliveries", key, []string{id, since.UTC().Format(time.RFC3339Nano)}, func() ([]string, error) {
			r, err := p.replayFailed(ctx, tx, id, since)
			return []string{strconv.Itoa(r.Count), strconv.FormatBool(r.More)}, err
		})
		if err != nil {
			return err
		}
		out.Count, err = strconv.Atoi(ids[0])
		out.More = ids[1] == strconv.FormatBool(true)
		return err
	})
	if err != nil {
		return Replayed{}, err
	}
	return out, nil
}

func (p *Service) replayFailed(ctx context.Context, tx *store.Tx, id string, since time.Time) (out Replayed, err error) {
	e, err := lockEndpoint(ctx, tx, id)
	if err != nil {
		return out, err
	}
	if err := enabled(e); err != nil {
		return out, err
	}
	failed, err := tx.WebhookDelivery.Query().Where(webhookdelivery.WebhookEndpointID(e.ID), webhookdelivery.StateEQ(property.DeliveryFailed),
		webhookdelivery.CreatedAtGTE(since), webhookdelivery.Replayed(false)).
		Order(ent.Asc(webhookdelivery.FieldID)).Limit(mostReplayed + 1).All(ctx)
	if err != nil {
		return out, err
	}
	if len(failed) > mostReplayed {
		out.More, failed = true, failed[:mostReplayed]
	}
	for _, d := range failed {
		if err := tx.WebhookDelivery.UpdateOne(d).SetReplayed(true).Exec(ctx); err != nil {
			return out, err
		}
		if _, err := p.again(ctx, tx, d); err != nil {
			return out, err
		}
		out.Count++
	}
	return out, core.Audit(ctx, tx, e.OrganizationID, "webhook.replay", e.ID, nil, map[string]any{"since": since.UTC().Format(time.RFC3339), "count": out.Count})
}

// PruneWebhooks removes deliveries that are older than 30 days, and events that
// have none any more. removed counts both.
func (p *Service) PruneWebhooks(ctx context.Context) (removed int, err error) {
	ctx = core.System(ctx, "webhooks")
	before := core.Now().Add(-kept)
	for {
		n := 0
		err := p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
			n = 0
			old, err := tx.WebhookDelivery.Query().Where(webhookdelivery.CreatedAtLT(before)).Limit(mostReplayed).IDs(ctx)
			if err != nil {
				return err
			}
			if len(old) > 0 {
				n, err = tx.WebhookDelivery.Delete().Where(webhookdelivery.IDIn(old...)).Exec(ctx)
				return err
			}
			if old, err = tx.WebhookEvent.Query().Where(webhookevent.CreatedAtLT(before), webhookevent.Not(webhookevent.HasDeliveries())).
				Limit(mostReplayed).IDs(ctx); err != nil || len(old) == 0 {
				return err
			}
			n, err = tx.WebhookEvent.Delete().Where(webhookevent.IDIn(old...)).Exec(ctx)
			return err
		})
		removed += n
		if err != nil || n == 0 || ctx.Err() != nil {
			return removed, err
		}
	}
}
