package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/quorate/quorate/ent/schema/property"
)

// Organization is a tenant: a vendor, a customer, or both.
type Organization struct{ ent.Schema }

// Mixin of the entity.
func (Organization) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "org"}} }

// Fields of the entity.
func (Organization) Fields() []ent.Field {
	return []ent.Field{
		field.String("name").MaxLen(mostName).NotEmpty(),
		field.Bool("vendor").Default(false),
		field.Bool("customer").Default(false),
		field.String("provider_id").MaxLen(mostID).Optional().Nillable().Immutable().
			Comment("The vendor that made this customer; it sees the organization too."),
		field.Enum("environment").GoType(property.Environment("")).Default(string(property.EnvironmentLive)).Immutable(),
		field.String("live_id").MaxLen(mostID).Optional().Nillable().Immutable().Unique().
			Comment("The organization that this one is the test environment of; its members may act here too."),
		field.Enum("user_visibility").GoType(property.UserVisibility("")).Default(string(property.VisibilityAll)).
			Comment("What its vendor sees of its users."),
		field.Bytes("pseudonym_key").MaxLen(4096).Optional().Sensitive().Comment("Sealed by the master key."),
		field.Int("revision").Positive().Default(1),
	}
}

// Edges of the entity.
func (Organization) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("customers", Organization.Type).From("provider").Field("provider_id").Unique().Immutable(),
		edge.To("test", Organization.Type).Unique().From("live").Field("live_id").Unique().Immutable(),
	}
}

// Indexes of the entity.
func (Organization) Indexes() []ent.Index {
	return []ent.Index{index.Fields("provider_id", "name").Unique()}
}

// Annotations of the entity.
func (Organization) Annotations() []schema.Annotation { return public() }

// PlatformKey is a key of the platform itself, sealed by the master key.
type PlatformKey struct{ ent.Schema }

// Mixin of the entity.
func (PlatformKey) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "key"}} }

// Fields of the entity.
func (PlatformKey) Fields() []ent.Field {
	return []ent.Field{
		field.String("name").MaxLen(mostName).NotEmpty().Unique().Immutable(),
		field.Bytes("sealed").MaxLen(4096).Sensitive(),
	}
}

// Annotations of the entity.
func (PlatformKey) Annotations() []schema.Annotation { return internal() }

// AuditEntry tells who changed what. Rows are only ever added.
type AuditEntry struct{ ent.Schema }

// Mixin of the entity.
func (AuditEntry) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "aud"}, Owned{}} }

// Fields of the entity.
func (AuditEntry) Fields() []ent.Field {
	return []ent.Field{
		field.String("actor").MaxLen(mostName).Immutable(),
		field.String("action").MaxLen(mostName).NotEmpty().Immutable(),
		field.String("target").MaxLen(mostID).Immutable(),
		field.JSON("before", map[string]any{}).Optional().Immutable(),
		field.JSON("after", map[string]any{}).Optional().Immutable(),
	}
}

// Indexes of the entity.
func (AuditEntry) Indexes() []ent.Index { return []ent.Index{index.Fields("target")} }

// Annotations of the entity.
func (AuditEntry) Annotations() []schema.Annotation { return public() }
