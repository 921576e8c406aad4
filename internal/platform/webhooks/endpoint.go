package webhooks

import (
	"context"
	"net/url"
	"slices"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/ent/predicate"
	"github.com/quorate/quorate/ent/webhookdelivery"
	"github.com/quorate/quorate/ent/webhookendpoint"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/webhook"
)

// EndpointSpec says what an endpoint shall be.
type EndpointSpec struct {
	URL         string
	Description string
	// Events are the kinds that it wants; "*" is every one.
	Events []string
}

func (p *Service) check(s EndpointSpec) error {
	if err := p.sender.Check(s.URL); err != nil {
		return core.AtField("url", err)
	}
	if len(s.Description) > mostNote || s.Description != core.ClipText(s.Description) {
		return core.AtField("description", license.Errorf(license.CodeInvalidInput, "use a text of at most 200 bytes", "the description is too long"))
	}
	if len(s.Events) == 0 || len(s.Events) > len(core.EventKinds())+1 {
		return core.AtField("events", license.Errorf(license.CodeInvalidInput, `name the events that it wants, or "*" for all`, "the endpoint wants no events, or too many"))
	}
	for i, e := range s.Events {
		if !core.KnownEvent(e) {
			return core.AtField("events", license.Errorf(license.CodeInvalidInput, "take one that webhookEventKinds lists, or \"*\"", "there is no event %q", core.Clip(e)))
		}
		if slices.Contains(s.Events[:i], e) {
			return core.AtField("events", license.Errorf(license.CodeInvalidInput, "name each event once", "the event %q is there twice", e))
		}
	}
	return nil
}

// Made is an endpoint with its secret, which is shown only by the call that
// makes it.
type Made struct {
	Endpoint *ent.WebhookEndpoint
	Secret   string // empty: it was made before
}

// secretPurpose says what a sealed secret is for.
func secretPurpose(organization string) string { return core.WebhookPurpose(organization) }

// CreateWebhook makes an endpoint of the caller's organization. The same key
// gives the same endpoint, without its secret. Errors: CodeForbidden,
// CodeInvalidInput with the field among the details, CodeLimitReached,
// CodeConflict for a key of another request.
func (p *Service) CreateWebhook(ctx context.Context, s EndpointSpec, key string) (Made, error) {
	by, err := auth.Require(ctx, auth.ManageWebhook)
	if err != nil {
		return Made{}, err
	}
	if by.Organization == "" {
		return Made{}, license.Errorf(license.CodeForbidden, "sign in as a member of an organization", "the platform has no webhooks of its own")
	}
	if err := p.check(s); err != nil {
		return Made{}, err
	}
	secret := webhook.NewSecret()
	sealed, err := p.core.Keys.Seal(ctx, secretPurpose(by.Organization), secret)
	if err != nil {
		return Made{}, err
	}
	var out Made
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		out = Made{}
		ids, again, err := core.Once(ctx, tx, by.Organization, "createWebhook", key, s, func() ([]string, error) {
			if _, err := tx.Organization.Query().Where(organization.ID(by.Organization), store.Locked).OnlyID(ctx); err != nil {
				return nil, err
			}
			n, err := tx.WebhookEndpoint.Query().Where(webhookendpoint.OrganizationID(by.Organization)).Count(ctx)
			if err != nil {
				return nil, err
			}
			if n >= mostEndpoints {
				return nil, license.Errorf(license.CodeLimitReached, "delete one that is not used", "an organization has at most %d webhooks", mostEndpoints)
			}
			made, err := tx.WebhookEndpoint.Create().SetOrganizationID(by.Organization).SetURL(s.URL).SetDescription(s.Description).
				SetEvents(s.Events).SetSealedSecret(sealed).Save(ctx)
			if err != nil {
				return nil, err
			}
			return []string{made.ID}, core.Audit(ctx, tx, by.Organization, "webhook.create", made.ID, nil, facts(made))
		})
		if err != nil {
			return err
		}
		out.Endpoint, err = tx.WebhookEndpoint.Get(ctx, ids[0])
		if !again {
			out.Secret = secret.Text()
		}
		return core.NotFound(err, "webhook", ids[0])
	})
	if err != nil {
		return Made{}, err
	}
	return out, nil
}

// facts are what the audit log tells: of the URL the host alone, as what follows
// may be a secret of the receiver's.
func facts(e *ent.WebhookEndpoint) map[string]any {
	host := ""
	if u, err := url.Parse(e.URL); err == nil {
		host = u.Scheme + "://" + u.Host
	}
	out := map[string]any{"host": host, "description": e.Description, "events": e.Events, "enabled": e.DisabledAt == nil, "revision": e.Revision}
	if e.DisabledReason != "" {
		out["reason"] = e.DisabledReason
	}
	return out
}

// EndpointChange says what of an endpoint shall change; nil stays.
type EndpointChange struct {
	URL, Description *string
	Events           []string
	// Enabled: what is due to one that is disabled waits.
	Enabled *bool
}

const disabledByPerson = "a person has disabled it"

// UpdateWebhook changes an endpoint. revision is the one that the caller has
// seen. Errors: CodeNotFound, CodeForbidden, CodeInvalidInput with the field
// among the details, CodeConflict with the present revision.
func (p *Service) UpdateWebhook(ctx context.Context, id string, revision int, c EndpointChange) (*ent.WebhookEndpoint, error) {
	return p.change(ctx, id, &revision, "webhook.update", func(ctx context.Context, tx *store.Tx, e *ent.WebhookEndpoint) (*ent.WebhookEndpoint, error) {
		s := EndpointSpec{URL: e.URL, Description: e.Description, Events: e.Events}
		if c.URL != nil {
			s.URL = *c.URL
		}
		if c.Description != nil {
			s.Description = *c.Description
		}
		if c.Events != nil {
			s.Events = c.Events
		}
		if err := p.check(s); err != nil {
			return nil, err
		}
		u := tx.WebhookEndpoint.UpdateOne(e).SetRevision(e.Revision + 1).SetURL(s.URL).SetDescription(s.Description).SetEvents(s.Events)
		switch {
		case c.Enabled == nil:
		case !*c.Enabled && e.DisabledAt == nil:
			u.SetDisabledAt(core.Now()).SetDisabledReason(disabledByPerson)
		case *c.Enabled && e.DisabledAt != nil:
			u.ClearDisabledAt().SetDisabledReason("").ClearFailingSince()
			if err := p.core.Jobs.EnqueueTx(ctx, tx.SQL(), core.DeliverWebhooks{Endpoint: e.ID}); err != nil {
				return nil, err
			}
		}
		return u.Save(ctx)
	})
}

// RotateWebhookSecret gives an endpoint a new secret. The one before signs, too,
// for 24 hours; the one before that no more. Errors: CodeNotFound,
// CodeForbidden, CodeConflict with the present revision.
func (p *Service) RotateWebhookSecret(ctx context.Context, id string, revision int) (Made, error) {
	secret := webhook.NewSecret()
	e, err := p.change(ctx, id, &revision, "webhook.rotate", func(ctx context.Context, tx *store.Tx, e *ent.WebhookEndpoint) (*ent.WebhookEndpoint, error) {
		sealed, err := p.core.Keys.Seal(ctx, secretPurpose(e.OrganizationID), secret)
		if err != nil {
			return nil, err
		}
		return tx.WebhookEndpoint.UpdateOne(e).SetRevision(e.Revision + 1).SetSealedSecret(sealed).
			SetSealedPrevious(e.SealedSecret).SetPreviousUntil(core.Now().Add(rotation)).Save(ctx)
	})
	if err != nil {
		return Made{}, err
	}
	return Made{Endpoint: e, Secret: secret.Text()}, nil
}

// DeleteWebhook removes an endpoint with its log; what was due to it is not sent
// any more. Errors: CodeNotFound, CodeForbidden.
func (p *Service) DeleteWebhook(ctx context.Context, id string) error {
	_, err := p.change(ctx, id, nil, "webhook.delete", func(ctx context.Context, tx *store.Tx, e *ent.WebhookEndpoint) (*ent.WebhookEndpoint, error) {
		if _, err := tx.WebhookDelivery.Delete().Where(webhookdelivery.WebhookEndpointID(e.ID)).Exec(ctx); err != nil {
			return nil, err
		}
		return nil, tx.WebhookEndpoint.DeleteOneID(e.ID).Exec(ctx)
	})
	return err
}

// change does something to an endpoint that is the caller's, and audits it.
func (p *Service) change(ctx context.Context, id string, revision *int, action string, do func(context.Context, *store.Tx, *ent.WebhookEndpoint) (*ent.WebhookEndpoint, error)) (*ent.WebhookEndpoint, error) {
	if _, err := auth.Require(ctx, auth.ManageWebhook); err != nil {
		return nil, err
	}
	var out *ent.WebhookEndpoint
	err := p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		e, err := lockEndpoint(ctx, tx, id)
		if err != nil {
			return err
		}
		if revision != nil && *revision != e.Revision {
			return core.Outdated("webhook", e.Revision)
		}
		before := facts(e)
		if out, err = do(ctx, tx, e); err != nil {
			return err
		}
		var after map[string]any
		if out != nil {
			after = facts(out)
		}
		return core.Audit(ctx, tx, e.OrganizationID, action, e.ID, before, after)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func lockEndpoint(ctx context.Context, tx *store.Tx, id string) (*ent.WebhookEndpoint, error) {
	e, err := tx.WebhookEndpoint.Query().Where(webhookendpoint.ID(id), predicate.WebhookEndpoint(store.Locked)).Only(ctx)
	if err != nil {
		return nil, core.NotFound(err, "webhook", id)
	}
	return e, nil
}
