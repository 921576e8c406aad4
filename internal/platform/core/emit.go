package core

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/webhookendpoint"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/ratelimit"
	"github.com/quorate/quorate/internal/store"
)

// EventKind is what sort of thing happened, as webhooks tell it: "object.verb".
type EventKind string

// The kinds. EventKinds describes them.
const (
	EventOrderCreated        EventKind = "order.created"
	EventTransferConfirmed   EventKind = "transfer.confirmed"
	EventRolloutStarted      EventKind = "rollout.started"
	EventRolloutDone         EventKind = "rollout.done"
	EventRolloutHeld         EventKind = "rollout.held"
	EventRolloutAborted      EventKind = "rollout.aborted"
	EventContainerRegistered EventKind = "container.registered"
	EventContainerSuspected  EventKind = "container.suspected"
	EventContainerBlocked    EventKind = "container.blocked"
	EventItemChanged         EventKind = "item.changed"
	EventAllocationDenied    EventKind = "allocation.denied"
	EventBackendLost         EventKind = "backend.lost"
	EventBackendRejoined     EventKind = "backend.rejoined"
	EventTicketCreated       EventKind = "ticket.created"
	EventTicketActivated     EventKind = "ticket.activated"
	EventTicketReturned      EventKind = "ticket.returned"
	EventTicketRevoked       EventKind = "ticket.revoked"
	EventServerLost          EventKind = "server.lost"
	EventServerBack          EventKind = "server.back"
	EventMemberAdded         EventKind = "member.added"
	EventMemberRemoved       EventKind = "member.removed"
	EventTokenCreated        EventKind = "token.created"
	EventTokenRevoked        EventKind = "token.revoked"
	EventWebhookTest         EventKind = "webhook.test"
)

// EventAll is what an endpoint subscribes to that wants every kind.
const EventAll = "*"

// Described is an event kind, for whoever subscribes.
type Described struct {
	Kind EventKind
	// When it is sent, as a sentence.
	When string
	// Data are the names in its data.
	Data []string
}

// EventKinds is the table of all kinds. A new kind is a constant, a line here
// and one in docs/webhooks.md; a kind that isn't here is never sent.
func EventKinds() []Described {
	return []Described{
		{EventOrderCreated, "Licenses were ordered.", []string{"order", "number", "item", "tmrGroup", "container", "quantity", "source"}},
		{EventTransferConfirmed, "Containers have confirmed that licenses left them: they are returned, moved, revoked, or went to the replacement of a lost container.", []string{"transfer", "kind", "product", "tmrGroup", "container", "toContainer", "quantity"}},
		{EventRolloutStarted, "A rollout has begun; one that is queued has not.", rolloutData()},
		{EventRolloutDone, "The containers hold what a rollout brings.", rolloutData()},
		{EventRolloutHeld, "A rollout has stopped at an error, and a person has to decide; licenses stay usable. Each time anew.", append(rolloutData(), "code", "message")},
		{EventRolloutAborted, "A rollout was given up.", rolloutData()},
		{EventContainerRegistered, "A container was made known, alone or as the backend of a TMR group.", []string{"container", "serial", "tmrGroup"}},
		{EventContainerSuspected, "A container is suspected to be a copy, or to be manipulated; a person has to decide.", []string{"container", "serial", "tmrGroup", "reason"}},
		{EventContainerBlocked, "A container gets no updates any more.", []string{"container", "serial", "tmrGroup", "reason"}},
		{EventItemChanged, "An item's options were changed or renewed; its next rollout brings them.", []string{"item", "product", "revision"}},
		{EventAllocationDenied, "A program was refused a license. At most one a minute of a product, wherever it happens; who asked it doesn't tell.", []string{"product", "container", "serial", "reason", "at"}},
		{EventBackendLost, "A backend of a TMR group is not reached any more.", []string{"tmrGroup", "virtualSerial", "position", "serial", "present"}},
		{EventBackendRejoined, "A backend of a TMR group is reached again.", []string{"tmrGroup", "virtualSerial", "position", "serial", "present"}},
		{EventTicketCreated, "A ticket was made; its code is not told.", []string{"ticket", "hint", "reference"}},
		{EventTicketActivated, "Licenses of a ticket were activated; each line and place by itself.", []string{"ticket", "activation", "order", "item", "tmrGroup", "container", "quantity"}},
		{EventTicketReturned, "Licenses are on their ticket again, after their container has confirmed that.", []string{"ticket", "activation", "transfer", "tmrGroup", "container", "quantity"}},
		{EventTicketRevoked, "What of a ticket was not activated was taken back.", []string{"ticket", "hint", "reason"}},
		{EventServerLost, "A TMR server or license server was not heard of for a minute.", []string{"server", "name", "tmrGroup", "container", "seenAt"}},
		{EventServerBack, "A server that was lost is heard of again.", []string{"server", "name", "tmrGroup", "container", "lostAt"}},
		{EventMemberAdded, "A person became a member, by an invitation or an identity provider.", []string{"member", "role"}},
		{EventMemberRemoved, "A membership was ended.", []string{"member"}},
		{EventTokenCreated, "An API token was made; its secret is not told.", []string{"token", "role"}},
		{EventTokenRevoked, "An API token was revoked.", []string{"token"}},
		{EventWebhookTest, "Somebody tries an endpoint out (testWebhook).", []string{"endpoint"}},
	}
}

func rolloutData() []string {
	return []string{"rollout", "number", "tmrGroup", "container", "tmrId", "firm", "products", "quantity"}
}

// KnownEvent says whether endpoints may subscribe to a kind; EventAll is one.
func KnownEvent(kind string) bool {
	return kind == EventAll || slices.ContainsFunc(EventKinds(), func(d Described) bool { return string(d.Kind) == kind })
}

// DeliverWebhooks is the job that sends what is due to an endpoint.
type DeliverWebhooks struct {
	Endpoint string `json:"endpoint"`
}

// Kind names the job in the queue.
func (DeliverWebhooks) Kind() string { return "deliver_webhooks" }

// WebhookPurpose is what the sealed secrets of an organization's endpoints are
// for.
func WebhookPurpose(organization string) string { return "webhook:" + organization }

// eventVersion is that of the payload's form: it grows when a name goes or
// changes its meaning, not when one comes.
const eventVersion = 1

// mostEvent bounds a payload, in bytes.
const mostEvent = 256 << 10

// eventPayload is the body that endpoints get.
type eventPayload struct {
	ID           string          `json:"id"`
	Version      int             `json:"version"`
	Type         EventKind       `json:"type"`
	Timestamp    time.Time       `json:"timestamp"`
	Organization string          `json:"organization"`
	Data         json.RawMessage `json:"data"`
}

// Emit tells an organization's webhook endpoints what happened, once tx is
// committed: it writes the event, and a delivery for each enabled endpoint that
// wants the kind. Without such an endpoint it writes nothing. data is marshalled
// as a JSON object: ids and figures that the organization may see, no secret and
// nobody's name. It may be called under any principal; that the organization is
// a party to what happened is the caller's to see to.
func (p *Core) Emit(ctx context.Context, tx *store.Tx, organization string, kind EventKind, data any) error {
	to, err := listening(ctx, tx, organization, kind)
	if err != nil {
		return err
	}
	_, err = p.EmitTo(ctx, tx, organization, kind, data, to...)
	return err
}

// listening are the enabled endpoints that want a kind.
func listening(ctx context.Context, tx *store.Tx, organization string, kind EventKind) ([]*ent.WebhookEndpoint, error) {
	endpoints, err := tx.WebhookEndpoint.Query().
		Where(webhookendpoint.OrganizationID(organization), webhookendpoint.DisabledAtIsNil()).All(System(ctx, "webhooks"))
	return slices.DeleteFunc(endpoints, func(e *ent.WebhookEndpoint) bool {
		return !slices.Contains(e.Events, EventAll) && !slices.Contains(e.Events, string(kind))
	}), err
}

// EmitSeldom is Emit for what may happen very often: of a kind about subject, an
// id, the organization gets at most one every so often. Make it the last thing
// of its transaction: what is rolled back isn't told by the next one either.
func (p *Core) EmitSeldom(ctx context.Context, tx *store.Tx, organization string, kind EventKind, subject string, every time.Duration, data any) error {
	to, err := listening(ctx, tx, organization, kind)
	if err != nil || len(to) == 0 {
		return err
	}
	quota, err := p.Limits.Take(ctx, ratelimit.Charge{Scope: organization, Cost: 1,
		Buckets: []ratelimit.Bucket{{Name: "webhook/" + string(kind) + "/" + subject, Rate: ratelimit.Rate{Burst: 1, Per: every}}}})
	if err != nil || !quota.OK {
		return err
	}
	_, err = p.EmitTo(ctx, tx, organization, kind, data, to...)
	return err
}

// EmitShared is Emit for what a vendor shares with a customer, who may be nil:
// each gets an event of its own.
func (p *Core) EmitShared(ctx context.Context, tx *store.Tx, vendor string, customer *string, kind EventKind, data any) error {
	if err := p.Emit(ctx, tx, vendor, kind, data); err != nil || customer == nil || *customer == vendor {
		return err
	}
	return p.Emit(ctx, tx, *customer, kind, data)
}

// AtPlace adds to an event's data at which TMR group or container it happened.
func AtPlace(group, container *string, data map[string]any) map[string]any {
	if group != nil {
		data["tmrGroup"] = *group
	}
	if container != nil {
		data["container"] = *container
	}
	return data
}

// EmitContainer tells of a container.
func (p *Core) EmitContainer(ctx context.Context, tx *store.Tx, c *ent.Container, kind EventKind, reason string) error {
	data := AtPlace(c.TmrGroupID, &c.ID, map[string]any{"serial": c.Serial})
	if reason != "" {
		data["reason"] = ClipNote(reason)
	}
	return p.EmitShared(ctx, tx, c.VendorID, c.CustomerID, kind, data)
}

// EmitTo writes an event and its deliveries to endpoints of the organization,
// whatever they subscribe to; without endpoints nothing.
func (p *Core) EmitTo(ctx context.Context, tx *store.Tx, organization string, kind EventKind, data any, endpoints ...*ent.WebhookEndpoint) ([]*ent.WebhookDelivery, error) {
	if len(endpoints) == 0 {
		return nil, nil
	}
	if kind == EventAll || !KnownEvent(string(kind)) {
		return nil, fmt.Errorf("webhooks know no event %q", kind)
	}
	ctx, at := System(ctx, "webhooks"), Now()
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	e := eventPayload{ID: "evt_" + id.String(), Version: eventVersion, Type: kind, Timestamp: at, Organization: organization}
	if e.Data, err = json.Marshal(data); err != nil {
		return nil, err
	}
	if len(e.Data) == 0 || e.Data[0] != '{' {
		return nil, fmt.Errorf("the data of %s is no object", kind)
	}
	body, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	if len(body) > mostEvent {
		return nil, license.Errorf(license.CodeTooLarge, "tell ids only", "the event %s takes %d bytes", kind, len(body))
	}
	if err := tx.WebhookEvent.Create().SetID(e.ID).SetCreatedAt(at).SetOrganizationID(organization).SetKind(string(kind)).SetPayload(body).Exec(ctx); err != nil {
		return nil, err
	}
	all := make([]*ent.WebhookDelivery, len(endpoints))
	for i, to := range endpoints {
		all[i], err = tx.WebhookDelivery.Create().SetOrganizationID(organization).SetWebhookEndpointID(to.ID).
			SetWebhookEventID(e.ID).SetDueAt(at).Save(ctx)
		if err != nil {
			return nil, err
		}
		if err := p.Jobs.EnqueueTx(ctx, tx.SQL(), DeliverWebhooks{Endpoint: to.ID}); err != nil {
			return nil, err
		}
	}
	return all, nil
}
