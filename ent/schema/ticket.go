package schema

import (
	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/quorate/quorate/ent/schema/property"
)

// Ticket is what a customer gets with an order: a code that activates the
// items of that order. Its state is made of its lines and its times.
type Ticket struct{ ent.Schema }

// Mixin of the entity.
func (Ticket) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "tkt"}, Claimable{}} }

// Fields of the entity.
func (Ticket) Fields() []ent.Field {
	return []ent.Field{
		field.Bytes("code_digest").MaxLen(32).Unique().Immutable().Sensitive(),
		field.Bytes("sealed_code").MaxLen(4096).Sensitive().Comment("By the master key, to be shown again."),
		field.String("hint").MaxLen(8).Immutable().Comment("The last group of the code."),
		field.String("reference").MaxLen(mostName).Default("").Comment("The order's number in the vendor's books."),
		field.String("note").MaxLen(mostNote).Default(""),
		field.Bool("partial").Default(true).Comment("It may be activated in parts."),
		field.Int("return_limit").NonNegative().Optional().Nillable().Comment("How often the customer may return; null: any number, 0: never."),
		field.Int("returns").NonNegative().Default(0),
		field.Time("expires_at").Optional().Nillable().Comment("Until when it can be activated."),
		field.Time("revoked_at").Optional().Nillable(),
		field.String("revoke_reason").MaxLen(mostNote).Default(""),
		field.String("created_by").MaxLen(mostName).Immutable(),
		field.Int("revision").Positive().Default(1),
	}
}

// Edges of the entity.
func (Ticket) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("lines", TicketLine.Type),
		edge.To("activations", TicketActivation.Type).Annotations(entgql.RelayConnection()),
	}
}

// Indexes of the entity.
func (Ticket) Indexes() []ent.Index { return []ent.Index{index.Fields("vendor_id", "reference")} }

// Annotations of the entity.
func (Ticket) Annotations() []schema.Annotation { return public() }

// TicketLine is one item of a ticket.
type TicketLine struct{ ent.Schema }

// Mixin of the entity.
func (TicketLine) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "tkl"}, Claimable{}} }

// Fields of the entity.
func (TicketLine) Fields() []ent.Field {
	return []ent.Field{
		field.String("ticket_id").MaxLen(mostID).Immutable(),
		field.String("item_id").MaxLen(mostID).Immutable(),
		field.Int("position").Positive().Immutable(),
		field.Int("quantity").Positive().Max(1_000_000).Immutable(),
		field.Int("activated").NonNegative().Default(0).Comment("At most the quantity; less what came back."),
	}
}

// Edges of the entity.
func (TicketLine) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("ticket", Ticket.Type).Ref("lines").Field("ticket_id").Unique().Required().Immutable(),
		edge.To("item", Item.Type).Field("item_id").Unique().Required().Immutable(),
		edge.To("activations", TicketActivation.Type),
	}
}

// Indexes of the entity.
func (TicketLine) Indexes() []ent.Index {
	return []ent.Index{index.Fields("ticket_id", "position").Unique()}
}

// Annotations of the entity.
func (TicketLine) Annotations() []schema.Annotation { return internal() }

// TicketActivation is a part of a ticket's line at a TMR group or a container.
type TicketActivation struct{ ent.Schema }

// Mixin of the entity.
func (TicketActivation) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "tac"}, Shared{}} }

// Fields of the entity.
func (TicketActivation) Fields() []ent.Field {
	return []ent.Field{
		field.String("ticket_id").MaxLen(mostID).Immutable(),
		field.String("ticket_line_id").MaxLen(mostID).Immutable(),
		field.String("tmr_group_id").MaxLen(mostID).Optional().Nillable().Immutable(),
		field.String("container_id").MaxLen(mostID).Optional().Nillable().Comment("Its replacement's once it was replaced."),
		field.String("order_id").MaxLen(mostID).Immutable().Comment("What it became."),
		field.Int("quantity").Positive().Max(1_000_000).Immutable(),
		field.Int("returned").NonNegative().Default(0).Comment("Back on the ticket."),
		field.Bool("offline").Default(false).Immutable(),
		field.String("activated_by").MaxLen(mostName).Immutable(),
	}
}

// Edges of the entity.
func (TicketActivation) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("ticket", Ticket.Type).Ref("activations").Field("ticket_id").Unique().Required().Immutable(),
		edge.From("ticket_line", TicketLine.Type).Ref("activations").Field("ticket_line_id").Unique().Required().Immutable(),
		edge.To("tmr_group", TmrGroup.Type).Field("tmr_group_id").Unique().Immutable(),
		edge.To("container", Container.Type).Field("container_id").Unique(),
		edge.To("order", Order.Type).Field("order_id").Unique().Required().Immutable(),
		edge.To("transfers", Transfer.Type),
	}
}

// Indexes of the entity.
func (TicketActivation) Indexes() []ent.Index {
	return []ent.Index{index.Fields("ticket_id"), index.Fields("order_id").Unique(), index.Fields("container_id"), index.Fields("tmr_group_id")}
}

// Annotations of the entity.
func (TicketActivation) Annotations() []schema.Annotation { return append(public(), onePlace()) }

// Enrollment is a code that makes a server known, once.
type Enrollment struct{ ent.Schema }

// Mixin of the entity.
func (Enrollment) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "enr"}, Shared{}} }

// Fields of the entity.
func (Enrollment) Fields() []ent.Field {
	return []ent.Field{
		field.String("tmr_group_id").MaxLen(mostID).Optional().Nillable().Immutable(),
		field.String("container_id").MaxLen(mostID).Optional().Nillable().Immutable(),
		field.String("name").MaxLen(mostName).NotEmpty().Immutable().Comment("Of the server."),
		field.Bytes("code_digest").MaxLen(32).Unique().Immutable().Sensitive(),
		field.String("created_by").MaxLen(mostName).Immutable(),
		field.Time("expires_at").Immutable(),
		field.Time("used_at").Optional().Nillable(),
		field.Time("revoked_at").Optional().Nillable(),
		field.String("tmr_server_id").MaxLen(mostID).Optional().Nillable().Comment("Which it became."),
	}
}

// Edges of the entity.
func (Enrollment) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("tmr_group", TmrGroup.Type).Field("tmr_group_id").Unique().Immutable(),
		edge.To("container", Container.Type).Field("container_id").Unique().Immutable(),
		edge.To("tmr_server", TmrServer.Type).Field("tmr_server_id").Unique(),
	}
}

// Annotations of the entity.
func (Enrollment) Annotations() []schema.Annotation { return append(public(), onePlace()) }

// RolloutPlan brings changes to many TMR groups and containers, in waves.
type RolloutPlan struct{ ent.Schema }

// Mixin of the entity.
func (RolloutPlan) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "rpl"}, Shared{}} }

// Fields of the entity.
func (RolloutPlan) Fields() []ent.Field {
	return []ent.Field{
		field.String("name").MaxLen(mostName).NotEmpty(),
		field.Enum("state").GoType(property.PlanState("")).Default(string(property.PlanScheduled)),
		field.Time("not_before").Optional().Nillable(),
		field.JSON("window", &property.Window{}).Optional().Comment("When rollouts may begin; null: at any time."),
		field.Int("at_once").Positive().Default(1).Comment("How many rollouts run at the same time."),
		field.Int("stop_after").NonNegative().Default(0).Comment("How many failures are borne before it stops."),
		field.String("stop_reason").MaxLen(mostNote).Default(""),
		field.String("started_by").MaxLen(mostName).Immutable(),
		field.Time("finished_at").Optional().Nillable(),
		field.Int("revision").Positive().Default(1),
		field.Int("sequence").NonNegative().Default(0).Comment("Counts the changes of the plan and of its places."),
	}
}

// Edges of the entity.
func (RolloutPlan) Edges() []ent.Edge {
	return []ent.Edge{edge.To("entries", RolloutPlanEntry.Type).Annotations(entgql.RelayConnection())}
}

// Annotations of the entity.
func (RolloutPlan) Annotations() []schema.Annotation { return public() }

// RolloutPlanEntry is one TMR group or container of a plan.
type RolloutPlanEntry struct{ ent.Schema }

// Mixin of the entity.
func (RolloutPlanEntry) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "rpe"}, Shared{}} }

// Fields of the entity.
func (RolloutPlanEntry) Fields() []ent.Field {
	return []ent.Field{
		field.String("rollout_plan_id").MaxLen(mostID).Immutable(),
		field.Int("wave").Positive().Immutable(),
		field.String("tmr_group_id").MaxLen(mostID).Optional().Nillable().Immutable(),
		field.String("container_id").MaxLen(mostID).Optional().Nillable().Immutable(),
		field.String("rollout_id").MaxLen(mostID).Optional().Nillable(),
		field.Enum("state").GoType(property.PlanEntryState("")).Default(string(property.EntryWaiting)),
		field.String("note").MaxLen(mostNote).Default(""),
	}
}

// Edges of the entity.
func (RolloutPlanEntry) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("rollout_plan", RolloutPlan.Type).Ref("entries").Field("rollout_plan_id").Unique().Required().Immutable(),
		edge.To("tmr_group", TmrGroup.Type).Field("tmr_group_id").Unique().Immutable(),
		edge.To("container", Container.Type).Field("container_id").Unique().Immutable(),
		edge.To("rollout", Rollout.Type).Field("rollout_id").Unique(),
	}
}

// Indexes of the entity.
func (RolloutPlanEntry) Indexes() []ent.Index {
	return []ent.Index{index.Fields("rollout_plan_id", "wave"), index.Fields("rollout_id")}
}

// Annotations of the entity.
func (RolloutPlanEntry) Annotations() []schema.Annotation { return append(public(), onePlace()) }
