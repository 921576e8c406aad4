package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/quorate/quorate/ent/schema/property"
)

// Transfer is licenses that leave a container or a TMR group. What they become
// is decided when the container has confirmed the update that takes them.
type Transfer struct{ ent.Schema }

// Mixin of the entity.
func (Transfer) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "trf"}, Shared{}} }

// Fields of the entity.
func (Transfer) Fields() []ent.Field {
	return []ent.Field{
		field.Enum("kind").GoType(property.TransferKind("")).Immutable(),
		field.Enum("state").GoType(property.TransferState("")).Default(string(property.TransferRequested)),
		field.String("product_id").MaxLen(mostID).Immutable(),
		field.String("item_id").MaxLen(mostID).Immutable().Comment("Whose terms the licenses have where they go."),
		field.Int("quantity").Positive().Max(1<<31 - 1).Immutable(),
		field.String("tmr_group_id").MaxLen(mostID).Optional().Nillable().Immutable(),
		field.String("container_id").MaxLen(mostID).Optional().Nillable().Immutable(),
		field.String("to_container_id").MaxLen(mostID).Optional().Nillable().Immutable(),
		field.String("rollout_id").MaxLen(mostID).Optional().Nillable().Comment("The rollout that takes them."),
		field.String("ticket_activation_id").MaxLen(mostID).Optional().Nillable().Immutable().Comment("The ticket that they go back to; null: they become a credit."),
		field.Bool("credited").Default(false).Comment("They are at the customer's disposal."),
		field.String("reason").MaxLen(mostNote).Optional(),
		field.String("note").MaxLen(mostNote).Optional().Comment("What became of it, where that is not what was asked for."),
		field.String("requested_by").MaxLen(mostName).Immutable(),
		field.Time("confirmed_at").Optional().Nillable(),
	}
}

// Edges of the entity.
func (Transfer) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("product", Product.Type).Field("product_id").Unique().Required().Immutable(),
		edge.To("item", Item.Type).Field("item_id").Unique().Required().Immutable(),
		edge.From("tmr_group", TmrGroup.Type).Ref("transfers").Field("tmr_group_id").Unique().Immutable(),
		edge.From("container", Container.Type).Ref("transfers").Field("container_id").Unique().Immutable(),
		edge.From("to_container", Container.Type).Ref("receives").Field("to_container_id").Unique().Immutable(),
		edge.From("rollout", Rollout.Type).Ref("transfers").Field("rollout_id").Unique(),
		edge.From("ticket_activation", TicketActivation.Type).Ref("transfers").Field("ticket_activation_id").Unique().Immutable(),
		edge.To("orders", Order.Type),
	}
}

// Indexes of the entity.
func (Transfer) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("tmr_group_id", "rollout_id"),
		index.Fields("container_id", "rollout_id"),
	}
}

// Annotations of the entity.
func (Transfer) Annotations() []schema.Annotation { return append(public(), onePlace()) }
