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
	}
}

// Edges of the entity.
func (Organization) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("customers", Organization.Type).From("provider").Field("provider_id").Unique().Immutable(),
	}
}

// Indexes of the entity.
func (Organization) Indexes() []ent.Index {
	return []ent.Index{index.Fields("provider_id", "name").Unique()}
}

// Annotations of the entity.
func (Organization) Annotations() []schema.Annotation { return public() }

// Member is a person in an organization.
type Member struct{ ent.Schema }

// Mixin of the entity.
func (Member) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "mem"}, Owned{}} }

// Fields of the entity.
func (Member) Fields() []ent.Field {
	return []ent.Field{
		field.String("email").MaxLen(254).NotEmpty().Unique().Comment("In lower case."),
		field.String("name").MaxLen(mostName),
		field.Enum("role").GoType(property.Role("")),
		field.String("password_hash").MaxLen(300).Sensitive(),
	}
}

// Annotations of the entity.
func (Member) Annotations() []schema.Annotation { return public() }

// ApiToken is a program's way in; its secret is kept as a digest only.
//
//nolint:revive // named as the public API names it
type ApiToken struct{ ent.Schema }

// Mixin of the entity.
func (ApiToken) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "tok"}, Owned{}} }

// Fields of the entity.
func (ApiToken) Fields() []ent.Field {
	return []ent.Field{
		field.String("name").MaxLen(mostName).NotEmpty(),
		field.Enum("role").GoType(property.Role("")),
		field.Bytes("hash").MaxLen(32).Unique().Immutable().Sensitive(),
		field.Time("last_used_at").Optional().Nillable(),
	}
}

// Annotations of the entity.
func (ApiToken) Annotations() []schema.Annotation { return public() }

// Session is a signed-in browser. Its key is the digest of the cookie.
type Session struct{ ent.Schema }

// Fields of the entity.
func (Session) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").MaxLen(mostID).NotEmpty().Immutable(),
		field.Bytes("data").MaxLen(64 << 10).Sensitive(),
		field.Time("expires_at"),
	}
}

// Indexes of the entity.
func (Session) Indexes() []ent.Index { return []ent.Index{index.Fields("expires_at")} }

// Annotations of the entity.
func (Session) Annotations() []schema.Annotation { return internal() }

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
func (AuditEntry) Annotations() []schema.Annotation { return internal() }
