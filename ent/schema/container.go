package schema

import (
	"errors"

	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/license"
)

// Container is what holds licenses, on one license server.
type Container struct{ ent.Schema }

// Mixin of the entity.
func (Container) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "con"}, Shared{}} }

// Fields of the entity.
func (Container) Fields() []ent.Field {
	return []ent.Field{
		field.String("serial").MaxLen(mostSerial).NotEmpty().Unique().Immutable(),
		field.Enum("kind").GoType(property.ContainerKind("")).Immutable(),
		field.String("tmr_group_id").MaxLen(mostID).Optional().Nillable(),
		field.Int("position").Range(1, license.Backends).Optional().Nillable(),
		field.Bytes("activation_id").MaxLen(16).Optional(),
		field.Bytes("sign_key").MaxLen(64).Optional().Comment("The identity that its fingerprints are signed by."),
		field.Bytes("seal_key").MaxLen(4096).Optional().Comment("Updates are sealed to it."),
		field.Bool("manipulation_suspected").Default(false),
		field.String("suspect_reason").MaxLen(mostNote).Optional(),
		field.Bytes("suspect_fingerprint").MaxLen(1 << 20).Optional().Comment("The one that it is suspected for, until a person decides."),
		field.Time("blocked_at").Optional().Nillable().Comment("It gets no updates, and nothing that it says counts."),
		field.String("block_reason").MaxLen(mostNote).Optional(),
		field.String("replaced_by_id").MaxLen(mostID).Optional().Nillable(),
		field.Uint64("trail_count").Default(0).Comment("Of the last fingerprint that was accepted; 0 when none had one."),
		field.Bytes("trail_value").MaxLen(64).Optional(),
		field.JSON("meters", []property.Meter{}).Optional().Comment("What was used of its licenses, as its fingerprints told."),
		field.Time("linked_at").Optional().Nillable().Comment("When its license server was last heard of; outside TMR groups."),
		field.Int("clients").NonNegative().Default(0).Comment("Living handles, as its license server told; outside TMR groups."),
		field.Uint64("event_position").Default(0).Comment("Of the last lease event of its license server; outside TMR groups."),
		field.JSON("served", []property.ServedLicense{}).Optional().Comment("As its license server told; outside TMR groups."),
	}
}

// Edges of the entity.
func (Container) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("tmr_group", TmrGroup.Type).Ref("containers").Field("tmr_group_id").Unique(),
		edge.To("counters", FirmCounter.Type),
		edge.To("updates", Update.Type),
		edge.To("allocations", Allocation.Type).Annotations(entgql.RelayConnection()),
		edge.To("orders", Order.Type),
		edge.To("rollouts", Rollout.Type).Annotations(entgql.RelayConnection()),
		edge.To("servers", TmrServer.Type),
		edge.To("work", Work.Type),
		edge.To("replaces", Container.Type).From("replaced_by").Field("replaced_by_id").Unique(),
		edge.To("transfers", Transfer.Type).Annotations(entgql.RelayConnection()),
		edge.To("receives", Transfer.Type),
		edge.To("rule_sets", RuleSet.Type),
	}
}

// Indexes of the entity.
func (Container) Indexes() []ent.Index {
	return []ent.Index{index.Fields("tmr_group_id", "position").Unique()}
}

// Annotations of the entity.
func (Container) Annotations() []schema.Annotation { return public() }

// FirmCounter is the last update of a firm that a container has installed, as
// the platform knows by its receipt.
type FirmCounter struct{ ent.Schema }

// Mixin of the entity.
func (FirmCounter) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "ctr"}, Shared{}} }

// Fields of the entity.
func (FirmCounter) Fields() []ent.Field {
	return []ent.Field{
		field.String("container_id").MaxLen(mostID).Immutable(),
		field.String("firm_id").MaxLen(mostID).Immutable(),
		field.Uint64("counter"),
		field.Bytes("digest").MaxLen(32),
	}
}

// Edges of the entity.
func (FirmCounter) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("container", Container.Type).Ref("counters").Field("container_id").Unique().Required().Immutable(),
		edge.To("firm", Firm.Type).Field("firm_id").Unique().Required().Immutable(),
	}
}

// Indexes of the entity.
func (FirmCounter) Indexes() []ent.Index {
	return []ent.Index{index.Fields("container_id", "firm_id").Unique()}
}

// Annotations of the entity.
func (FirmCounter) Annotations() []schema.Annotation { return internal() }

// Allocation is one access by one running program, made from lease events.
type Allocation struct{ ent.Schema }

// Mixin of the entity.
func (Allocation) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "alc"}, Shared{}} }

// Fields of the entity.
func (Allocation) Fields() []ent.Field {
	return []ent.Field{
		field.String("container_id").MaxLen(mostID).Immutable(),
		field.String("product_id").MaxLen(mostID).Immutable(),
		field.String("handle").MaxLen(mostName).NotEmpty().Immutable(),
		field.String("mode").GoType(license.AccessMode("")).MaxLen(20).Validate(validMode),
		field.Int("licenses").NonNegative().Default(1).Comment("What it takes now."),
		field.Int("asked").NonNegative().Default(1).Comment("How many licenses the program asked for."),
		field.Int("seat").NonNegative(),
		field.Uint64("n"),
		field.String("client").MaxLen(mostName),
		field.String("user").MaxLen(mostName),
		field.String("station").MaxLen(mostName),
		field.Int("process_id").NonNegative().Annotations(entgql.MapsTo("processId")),
		field.String("application").MaxLen(mostName),
		field.Enum("state").GoType(property.AllocationState("")),
		field.Time("first_access"),
		field.Time("last_access"),
		field.Time("ended_at").Optional().Nillable(),
		field.String("ended_by").MaxLen(mostName).Optional().Comment("Who removed it."),
		field.Bool("borrowed").Default(false).Comment("It is used without its license server for a time, and can't be removed."),
		field.Time("removal_at").Optional().Nillable().Comment("When its removal was last asked for."),
		field.String("removal_by").MaxLen(mostName).Optional().Comment("Who asked."),
		field.String("removal_code").MaxLen(mostName).Optional().Comment("Why its license server didn't remove it."),
		field.String("removal_message").MaxLen(mostNote).Optional(),
		field.Int("accesses").NonNegative().Default(0).Comment("As its license server told; 0: it has not."),
		field.Time("last_access_at").Optional().Nillable().Comment("As its license server told, by the platform's clock."),
		field.Time("idle_since").Optional().Nillable().Comment("As its license server told; null: in use, or not told."),
		field.Time("expires_at").Optional().Nillable().Comment("Without a renewal, as its license server told."),
		field.Time("notice_at").Optional().Nillable().Comment("When its holder was last asked to release."),
		field.String("notice_by").MaxLen(mostName).Optional().Comment("Who asked."),
		field.String("notice_text").MaxLen(mostNote).Optional(),
		field.Time("notice_taken_at").Optional().Nillable().Comment("When its license server had the notice."),
		field.String("notice_code").MaxLen(mostName).Optional().Comment("Why its license server didn't take it."),
		field.String("notice_message").MaxLen(mostNote).Optional(),
	}
}

func validMode(m string) error {
	if !license.AccessMode(m).Valid() {
		return errors.New("not an access mode")
	}
	return nil
}

// Edges of the entity.
func (Allocation) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("container", Container.Type).Ref("allocations").Field("container_id").Unique().Required().Immutable(),
		edge.To("product", Product.Type).Field("product_id").Unique().Required().Immutable(),
	}
}

// Indexes of the entity.
func (Allocation) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("container_id", "handle").Unique(),
		index.Fields("container_id", "state", "id"),
		index.Fields("vendor_id", "state", "id"),
		index.Fields("customer_id", "state", "id"),
		// Who is there, and who was there lately.
		index.Fields("container_id", "product_id", "state", "user"),
		index.Fields("container_id", "product_id", "state", "station"),
		index.Fields("container_id", "product_id", "ended_at"),
		index.Fields("ended_at"),
	}
}

// Annotations of the entity.
func (Allocation) Annotations() []schema.Annotation { return public() }

// Denial is a program that asked for a license and did not get one.
type Denial struct{ ent.Schema }

// Mixin of the entity.
func (Denial) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "den"}, Shared{}} }

// Fields of the entity.
func (Denial) Fields() []ent.Field {
	return []ent.Field{
		field.String("container_id").MaxLen(mostID).Immutable(),
		field.String("product_id").MaxLen(mostID).Immutable(),
		field.Uint64("position").Immutable().Comment("In the container's event stream."),
		field.Time("at").Immutable(),
		field.String("reason").MaxLen(mostName).Immutable(),
		field.String("client").MaxLen(mostName).Immutable(),
		field.String("user").MaxLen(mostName).Immutable(),
		field.String("application").MaxLen(mostName).Immutable(),
		field.String("station").MaxLen(mostName).Default("").Immutable(),
		field.String("mode").GoType(license.AccessMode("")).MaxLen(20).Default(string(license.UserLimit)).Validate(validMode).Immutable(),
		field.Int("licenses").NonNegative().Default(1).Immutable().Comment("How many were asked for."),
		field.String("rule").MaxLen(mostName).Default("").Immutable().Comment("That refused; empty: none did."),
	}
}

// Edges of the entity.
func (Denial) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("container", Container.Type).Field("container_id").Unique().Required().Immutable(),
		edge.To("product", Product.Type).Field("product_id").Unique().Required().Immutable(),
	}
}

// Indexes of the entity.
func (Denial) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("container_id", "position").Unique(),
		index.Fields("container_id", "at"),
		index.Fields("at"),
	}
}

// Annotations of the entity.
func (Denial) Annotations() []schema.Annotation { return public() }
