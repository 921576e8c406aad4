package schema

import (
	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/license"
)

// Firm is a vendor's licensing identity with its signing key.
type Firm struct{ ent.Schema }

// Mixin of the entity.
func (Firm) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "frm"}, Shared{}} }

// Fields of the entity.
func (Firm) Fields() []ent.Field {
	return []ent.Field{
		field.Int("code").Positive().Max(1<<32 - 1).Unique().Immutable(),
		field.String("name").MaxLen(mostName).NotEmpty(),
		field.Bytes("sealed_key").MaxLen(4096).Sensitive(),
		field.Bytes("public_key").MaxLen(64),
		field.Bytes("cert").MaxLen(64 << 10).Comment("The root key's signature over the public key, with the rotations that led to it."),
		field.Int("rehost_limit").NonNegative().Optional().Nillable().Comment("How many containers a customer may re-host within limit_days; null: any number."),
		field.Int("move_limit").NonNegative().Optional().Nillable().Comment("How many moves a customer may make within limit_days; null: any number."),
		field.Int("limit_days").Positive().Default(365),
		field.Int("revision").Positive().Default(1),
	}
}

// Edges of the entity.
func (Firm) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("keys", FirmKey.Type),
		edge.To("products", Product.Type).Annotations(entgql.RelayConnection()),
	}
}

// Annotations of the entity.
func (Firm) Annotations() []schema.Annotation { return public() }

// FirmKey is the public half of a key that a firm signs with or has signed
// with. The private half of a replaced key is kept nowhere.
type FirmKey struct{ ent.Schema }

// Mixin of the entity.
func (FirmKey) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "fky"}, Shared{}} }

// Fields of the entity.
func (FirmKey) Fields() []ent.Field {
	return []ent.Field{
		field.String("firm_id").MaxLen(mostID).Immutable(),
		field.Int("serial").Positive().Immutable(),
		field.Bytes("public_key").MaxLen(64).Immutable(),
		field.Bytes("rotation").MaxLen(1 << 10).Optional().Immutable().Comment("How the key before passed on to it."),
		field.Time("retired_at").Optional().Nillable(),
	}
}

// Edges of the entity.
func (FirmKey) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("firm", Firm.Type).Ref("keys").Field("firm_id").Unique().Required().Immutable(),
	}
}

// Indexes of the entity.
func (FirmKey) Indexes() []ent.Index {
	return []ent.Index{index.Fields("firm_id", "serial").Unique()}
}

// Annotations of the entity.
func (FirmKey) Annotations() []schema.Annotation { return internal() }

// Product is what a firm licenses.
type Product struct{ ent.Schema }

// Mixin of the entity.
func (Product) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "prd"}, Shared{}} }

// Fields of the entity.
func (Product) Fields() []ent.Field {
	return []ent.Field{
		field.String("firm_id").MaxLen(mostID).Immutable(),
		field.Int("code").NonNegative().Max(1<<32 - 1).Immutable(),
		field.String("name").MaxLen(license.MostProductName).NotEmpty(),
		field.Bytes("sealed_key").MaxLen(16 << 10).Sensitive(),
		field.Bytes("public_key").MaxLen(4096),
		field.Int("revision").Positive().Default(1),
	}
}

// Edges of the entity.
func (Product) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("firm", Firm.Type).Ref("products").Field("firm_id").Unique().Required().Immutable(),
		edge.To("items", Item.Type).Annotations(entgql.RelayConnection()),
	}
}

// Indexes of the entity.
func (Product) Indexes() []ent.Index {
	return []ent.Index{index.Fields("firm_id", "code").Unique()}
}

// Annotations of the entity.
func (Product) Annotations() []schema.Annotation { return public() }

// Item is a license definition: a product with options.
type Item struct{ ent.Schema }

// Mixin of the entity.
func (Item) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "itm"}, Shared{}} }

// Fields of the entity.
func (Item) Fields() []ent.Field {
	return []ent.Field{
		field.String("product_id").MaxLen(mostID).Immutable(),
		field.String("name").MaxLen(mostName).NotEmpty(),
		field.Int("revision").Positive().Default(1).Comment("Counts the changes, so that none overwrites another unseen."),
		field.Int("quantity").NonNegative().Max(1<<32 - 1).Comment("0: local only."),
		field.Time("activation").Optional().Nillable(),
		field.Time("expiration").Optional().Nillable(),
		field.Int("usage_period").Positive().Optional().Nillable().Comment("In seconds."),
		field.Uint64("units").Max(license.MostUnits).Optional().Nillable().Comment("That each ordered license brings; null: not counted by units."),
		field.Int("issue").NonNegative().Max(1<<32 - 1).Default(0),
		field.Uint32("feature_map").Default(0),
		field.Time("maintenance_from").Optional().Nillable(),
		field.Time("maintenance_until").Optional().Nillable(),
		field.String("minimum_version").MaxLen(mostVersion).Optional().Nillable(),
		field.String("text").MaxLen(license.MostText).Optional().Nillable(),
		field.Strings("access_list").Optional(),
		field.Int("linger").Positive().Optional().Nillable().Comment("In seconds."),
		field.Bytes("protected_name").MaxLen(16).Optional().Comment("The name of the present content."),
		field.Bytes("protected_data").MaxLen(mostSealedData).Optional().Sensitive().Comment("Sealed by the master key."),
		field.Bytes("secret_name").MaxLen(16).Optional().Comment("The name of the present content."),
		field.Bytes("secret_data").MaxLen(mostSealedData).Optional().Sensitive().Comment("Sealed by the master key."),
		field.Bool("tmr").Default(false),
	}
}

// Edges of the entity.
func (Item) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("product", Product.Type).Ref("items").Field("product_id").Unique().Required().Immutable(),
		edge.To("versions", ItemVersion.Type).Annotations(entgql.RelayConnection()),
	}
}

// Indexes of the entity.
func (Item) Indexes() []ent.Index {
	return []ent.Index{index.Fields("product_id", "name").Unique()}
}

// Annotations of the entity.
func (Item) Annotations() []schema.Annotation { return public() }

// ItemVersion is what an item was at one revision.
type ItemVersion struct{ ent.Schema }

// Mixin of the entity.
func (ItemVersion) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "itv"}, Shared{}} }

// Fields of the entity.
func (ItemVersion) Fields() []ent.Field {
	return []ent.Field{
		field.String("item_id").MaxLen(mostID).Immutable(),
		field.Int("revision").Positive().Immutable(),
		field.JSON("terms", []property.Term{}).Immutable().Comment("Every option as text; protected and secret data by name only."),
		field.String("changed_by").MaxLen(mostName).Immutable(),
	}
}

// Edges of the entity.
func (ItemVersion) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("item", Item.Type).Ref("versions").Field("item_id").Unique().Required().Immutable(),
	}
}

// Indexes of the entity.
func (ItemVersion) Indexes() []ent.Index {
	return []ent.Index{index.Fields("item_id", "revision").Unique()}
}

// Annotations of the entity.
func (ItemVersion) Annotations() []schema.Annotation { return public() }

// Order is more licenses of an item for a TMR group, or for one container.
type Order struct{ ent.Schema }

// Mixin of the entity.
func (Order) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "ord"}, Shared{}} }

// Fields of the entity.
func (Order) Fields() []ent.Field {
	return []ent.Field{
		field.String("item_id").MaxLen(mostID).Immutable(),
		field.String("tmr_group_id").MaxLen(mostID).Optional().Nillable().Immutable(),
		field.String("container_id").MaxLen(mostID).Optional().Nillable().Immutable(),
		field.Enum("source").GoType(property.OrderSource("")).Default(string(property.OrderPurchase)).Immutable().
			Comment("Only a purchase adds to what was bought."),
		field.String("transfer_id").MaxLen(mostID).Optional().Nillable().Immutable().Comment("The transfer that made it."),
		field.JSON("carried", &property.Carried{}).Optional().Immutable().Comment("What was left of the licenses that a replaced container had."),
		field.String("rollout_id").MaxLen(mostID).Optional().Nillable().
			Comment("The rollout that brings it to the containers."),
		field.Int("number").Positive().Immutable(),
		field.Int("quantity").Positive().Max(1_000_000).Immutable(),
		field.String("idempotency_key").MaxLen(mostName).Optional().Nillable().Immutable(),
	}
}

// Edges of the entity.
func (Order) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("item", Item.Type).Field("item_id").Unique().Required().Immutable(),
		edge.From("tmr_group", TmrGroup.Type).Ref("orders").Field("tmr_group_id").Unique().Immutable(),
		edge.From("container", Container.Type).Ref("orders").Field("container_id").Unique().Immutable(),
		edge.From("transfer", Transfer.Type).Ref("orders").Field("transfer_id").Unique().Immutable(),
		edge.From("rollout", Rollout.Type).Ref("orders").Field("rollout_id").Unique(),
	}
}

// Indexes of the entity.
func (Order) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("vendor_id", "number").Unique(),
		index.Fields("vendor_id", "idempotency_key").Unique(),
		index.Fields("tmr_group_id", "rollout_id"),
		index.Fields("container_id", "rollout_id"),
		index.Fields("item_id", "rollout_id"),
	}
}

// Annotations of the entity.
func (Order) Annotations() []schema.Annotation { return append(public(), onePlace()) }
