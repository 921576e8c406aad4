package schema

import (
	"time"

	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"entgo.io/ent/schema/mixin"
	"github.com/google/uuid"
)

// Bounds of text columns, in bytes.
const (
	mostID         = 64
	mostName       = 200
	mostSerial     = 32
	mostVersion    = 64
	mostNote       = 2000
	mostURL        = 2048
	mostSealedData = 16 << 10
)

// identified gives an entity its prefixed id and the time it was made.
type identified struct {
	mixin.Schema
	prefix string
}

func (m identified) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").MaxLen(mostID).NotEmpty().Immutable().DefaultFunc(newID(m.prefix)),
		field.Time("created_at").Immutable().Default(now),
	}
}

func newID(prefix string) func() string {
	return func() string { return prefix + "_" + uuid.Must(uuid.NewV7()).String() }
}

// now is what both databases can store exactly.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// Shared makes an entity visible to its vendor and to the customer it is for.
type Shared struct{ mixin.Schema }

// Fields of the mixin.
func (Shared) Fields() []ent.Field {
	return []ent.Field{
		field.String("vendor_id").MaxLen(mostID).NotEmpty().Immutable(),
		field.String("customer_id").MaxLen(mostID).Optional().Nillable().Immutable(),
	}
}

// Edges of the mixin.
func (Shared) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("vendor", Organization.Type).Field("vendor_id").Unique().Required().Immutable(),
		edge.To("customer", Organization.Type).Field("customer_id").Unique().Immutable(),
	}
}

// Indexes of the mixin.
func (Shared) Indexes() []ent.Index {
	return []ent.Index{index.Fields("vendor_id", "id"), index.Fields("customer_id", "id")}
}

// Claimable is Shared for what may be for no customer yet, and becomes one's.
type Claimable struct{ Shared }

// Fields of the mixin.
func (Claimable) Fields() []ent.Field {
	return []ent.Field{
		field.String("vendor_id").MaxLen(mostID).NotEmpty().Immutable(),
		field.String("customer_id").MaxLen(mostID).Optional().Nillable(),
	}
}

// Edges of the mixin.
func (Claimable) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("vendor", Organization.Type).Field("vendor_id").Unique().Required().Immutable(),
		edge.To("customer", Organization.Type).Field("customer_id").Unique(),
	}
}

// Owned makes an entity visible to one organization.
type Owned struct{ mixin.Schema }

// Fields of the mixin.
func (Owned) Fields() []ent.Field {
	return []ent.Field{field.String("organization_id").MaxLen(mostID).NotEmpty().Immutable()}
}

// Edges of the mixin.
func (Owned) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("organization", Organization.Type).Field("organization_id").Unique().Required().Immutable(),
	}
}

// Indexes of the mixin.
func (Owned) Indexes() []ent.Index {
	return []ent.Index{index.Fields("organization_id", "id")}
}

// onePlace is of what belongs to a TMR group or to one container, and never to
// both.
func onePlace() schema.Annotation {
	return entsql.Checks(map[string]string{"one_place": "((tmr_group_id IS NULL) <> (container_id IS NULL))"})
}

// public is the annotation of an entity that the API shows as pages.
func public() []schema.Annotation {
	return []schema.Annotation{entgql.RelayConnection()}
}

// internal keeps an entity out of the API's generated code.
func internal() []schema.Annotation {
	return []schema.Annotation{entgql.Skip(entgql.SkipAll)}
}
