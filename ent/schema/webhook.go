package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/quorate/quorate/ent/schema/property"
)

// WebhookEndpoint is where an organization wants to be told.
type WebhookEndpoint struct{ ent.Schema }

// Mixin of the entity.
func (WebhookEndpoint) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "whe"}, Owned{}} }

// Fields of the entity.
func (WebhookEndpoint) Fields() []ent.Field {
	return []ent.Field{
		field.String("url").MaxLen(mostURL).NotEmpty(),
		field.String("description").MaxLen(mostName).Default(""),
		field.Strings("events").Comment("Kinds; \"*\" is every one."),
		field.Bytes("sealed_secret").MaxLen(4096).Sensitive(),
		field.Bytes("sealed_previous").MaxLen(4096).Optional().Sensitive().Comment("The secret before, which signs too until previous_until."),
		field.Time("previous_until").Optional().Nillable(),
		field.Time("disabled_at").Optional().Nillable(),
		field.String("disabled_reason").MaxLen(mostNote).Default(""),
		field.Time("failing_since").Optional().Nillable(),
		field.Int("revision").Positive().Default(1),
	}
}

// Edges of the entity.
func (WebhookEndpoint) Edges() []ent.Edge {
	return []ent.Edge{edge.To("deliveries", WebhookDelivery.Type)}
}

// Annotations of the entity.
func (WebhookEndpoint) Annotations() []schema.Annotation { return public() }

// WebhookEvent is what happened, as endpoints are told it.
type WebhookEvent struct{ ent.Schema }

// Mixin of the entity.
func (WebhookEvent) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "evt"}, Owned{}} }

// Fields of the entity.
func (WebhookEvent) Fields() []ent.Field {
	return []ent.Field{
		field.String("kind").MaxLen(mostID).NotEmpty().Immutable(),
		field.Bytes("payload").MaxLen(256 << 10).Immutable().Comment("The JSON body."),
	}
}

// Edges of the entity.
func (WebhookEvent) Edges() []ent.Edge {
	return []ent.Edge{edge.To("deliveries", WebhookDelivery.Type)}
}

// Indexes of the entity.
func (WebhookEvent) Indexes() []ent.Index { return []ent.Index{index.Fields("created_at")} }

// Annotations of the entity.
func (WebhookEvent) Annotations() []schema.Annotation { return public() }

// WebhookDelivery is one event for one endpoint, with what became of it.
type WebhookDelivery struct{ ent.Schema }

// Mixin of the entity.
func (WebhookDelivery) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "whd"}, Owned{}} }

// Fields of the entity.
func (WebhookDelivery) Fields() []ent.Field {
	return []ent.Field{
		field.String("webhook_endpoint_id").MaxLen(mostID).Immutable(),
		field.String("webhook_event_id").MaxLen(mostID).Immutable(),
		field.Enum("state").GoType(property.DeliveryState("")).Default(string(property.DeliveryPending)),
		field.Int("attempt").NonNegative().Default(0).Comment("How many were made."),
		field.Time("due_at").Optional().Nillable().Comment("When the next one is."),
		field.Time("claimed_until").Optional().Nillable().Comment("A worker is making one; when it is taken for dead."),
		field.JSON("attempts", []property.DeliveryAttempt{}).Optional(),
		field.Bool("replay").Default(false).Immutable().Comment("A person asked for it again."),
		field.Bool("replayed").Default(false).Comment("It was asked for again, as another delivery."),
	}
}

// Edges of the entity.
func (WebhookDelivery) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("webhook_endpoint", WebhookEndpoint.Type).Ref("deliveries").Field("webhook_endpoint_id").Unique().Required().Immutable(),
		edge.From("webhook_event", WebhookEvent.Type).Ref("deliveries").Field("webhook_event_id").Unique().Required().Immutable(),
	}
}

// Indexes of the entity.
func (WebhookDelivery) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("webhook_endpoint_id", "id"), index.Fields("webhook_event_id"), index.Fields("state", "due_at"),
		// What a worker asks for of one endpoint, whatever waits for others.
		index.Fields("webhook_endpoint_id", "state", "due_at"), index.Fields("webhook_endpoint_id", "state", "claimed_until"),
	}
}

// Annotations of the entity.
func (WebhookDelivery) Annotations() []schema.Annotation { return public() }
