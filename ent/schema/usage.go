package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/quorate/quorate/ent/schema/property"
)

// UsageSeries is the use of one product in one container, as lease events tell
// it: what was so at its last event, and how much there was in all.
type UsageSeries struct{ ent.Schema }

// Mixin of the entity.
func (UsageSeries) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "use"}, Shared{}} }

// Fields of the entity.
func (UsageSeries) Fields() []ent.Field {
	return []ent.Field{
		field.String("container_id").MaxLen(mostID).Immutable(),
		field.String("product_id").MaxLen(mostID).Immutable(),
		field.Time("since").Comment("Nothing is known of before."),
		field.Time("at").Comment("Of the last event; it never goes back."),
		field.Int64("taken").NonNegative().Default(0),
		field.Int64("quantity").NonNegative().Default(0),
		field.Int64("users").NonNegative().Default(0),
		field.Int64("stations").NonNegative().Default(0),
		field.JSON("changes", []property.QuantityChange{}).Optional().
			Comment("Of the quantity, that may be later than events which are still to come."),
		field.Int64("granted").NonNegative().Default(0),
		field.Int64("released").NonNegative().Default(0),
		field.Int64("expired").NonNegative().Default(0),
		field.Int64("removed").NonNegative().Default(0),
		field.Int64("denied").NonNegative().Default(0),
	}
}

// Edges of the entity.
func (UsageSeries) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("container", Container.Type).Field("container_id").Unique().Required().Immutable(),
		edge.To("product", Product.Type).Field("product_id").Unique().Required().Immutable(),
		edge.To("buckets", UsageBucket.Type),
	}
}

// Indexes of the entity.
func (UsageSeries) Indexes() []ent.Index {
	return []ent.Index{index.Fields("container_id", "product_id").Unique()}
}

// Annotations of the entity.
func (UsageSeries) Annotations() []schema.Annotation { return internal() }

// UsageBucket is a minute, an hour or a day of a series in which something
// happened. In one without a row everything stayed as it was.
type UsageBucket struct{ ent.Schema }

// Mixin of the entity.
func (UsageBucket) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "ubk"}, Shared{}} }

// Fields of the entity.
func (UsageBucket) Fields() []ent.Field {
	return []ent.Field{
		field.String("series_id").MaxLen(mostID).Immutable(),
		field.Int("seconds").Positive().Immutable().Comment("How long it is: 60, 3600 or 86400."),
		field.Time("start").Immutable(),
		field.Time("until").Comment("The sums reach to here; from here on it is as in the closing columns."),

		field.Int64("open_taken").NonNegative().Immutable(),
		field.Int64("open_quantity").NonNegative().Immutable(),
		field.Int64("open_users").NonNegative().Immutable(),
		field.Int64("open_stations").NonNegative().Immutable(),
		field.Int64("taken").NonNegative(),
		field.Int64("quantity").NonNegative(),
		field.Int64("users").NonNegative(),
		field.Int64("stations").NonNegative(),

		field.Int64("most_taken").NonNegative(),
		field.Int64("most_quantity").NonNegative(),
		field.Int64("taken_ms").NonNegative().Comment("Licenses times milliseconds."),
		field.Int64("full_ms").NonNegative().Comment("Milliseconds in which nothing was free."),
		field.Int64("distinct_users").NonNegative(),
		field.Int64("distinct_stations").NonNegative(),
		field.Int64("granted").NonNegative(),
		field.Int64("released").NonNegative(),
		field.Int64("expired").NonNegative(),
		field.Int64("removed").NonNegative(),
		field.Int64("denied").NonNegative(),
	}
}

// Edges of the entity.
func (UsageBucket) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("series", UsageSeries.Type).Ref("buckets").Field("series_id").Unique().Required().Immutable(),
	}
}

// Indexes of the entity.
func (UsageBucket) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("series_id", "seconds", "start").Unique(),
		index.Fields("seconds", "start"),
	}
}

// Annotations of the entity.
func (UsageBucket) Annotations() []schema.Annotation { return internal() }

// UsageLog is the head of a firm's usage log. It is for the vendor alone: the
// log has entries of all the firm's customers.
type UsageLog struct{ ent.Schema }

// Mixin of the entity.
func (UsageLog) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "ulg"}, Shared{}} }

// Fields of the entity.
func (UsageLog) Fields() []ent.Field {
	return []ent.Field{
		field.String("firm_id").MaxLen(mostID).Unique().Immutable(),
		field.Uint64("number").Default(0).Comment("Of the last entry."),
		field.Bytes("hash").MaxLen(32).Comment("Of the last entry."),
	}
}

// Edges of the entity.
func (UsageLog) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("firm", Firm.Type).Field("firm_id").Unique().Required().Immutable(),
		edge.To("entries", UsageEntry.Type),
	}
}

// Annotations of the entity.
func (UsageLog) Annotations() []schema.Annotation { return internal() }

// UsageEntry is one entry of a firm's usage log. Rows don't change; the oldest
// are removed.
type UsageEntry struct{ ent.Schema }

// Mixin of the entity.
func (UsageEntry) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "uen"}, Shared{}} }

// Fields of the entity.
func (UsageEntry) Fields() []ent.Field {
	return []ent.Field{
		field.String("log_id").MaxLen(mostID).Immutable(),
		field.Uint64("number").Immutable().Comment("Counts by one."),
		field.Bytes("hash").MaxLen(32).Immutable().Comment("SHA-256 of the line, which has the hash of the entry before."),
		field.String("line").MaxLen(4000).Immutable().Comment("What happened, as JSON."),
		field.String("source").MaxLen(mostSerial).Immutable().Comment("The serial number of the container."),
		field.Uint64("seq").Immutable().Comment("The source's own count of the firm's events; 0: it doesn't count."),
		field.Int64("missing").Default(0).Immutable().Comment("How many events of the source are missing before it; -1: the source began to count anew."),
	}
}

// Edges of the entity.
func (UsageEntry) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("log", UsageLog.Type).Ref("entries").Field("log_id").Unique().Required().Immutable(),
	}
}

// Indexes of the entity.
func (UsageEntry) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("log_id", "number").Unique(),
		index.Fields("log_id", "source", "number"),
		index.Fields("log_id", "missing", "number"),
	}
}

// Annotations of the entity.
func (UsageEntry) Annotations() []schema.Annotation { return internal() }

// UsageKept is from when on the buckets of one length are kept, of all series:
// where there is none since, nothing happened.
type UsageKept struct{ ent.Schema }

// Mixin of the entity.
func (UsageKept) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "ukp"}} }

// Fields of the entity.
func (UsageKept) Fields() []ent.Field {
	return []ent.Field{
		field.Int("seconds").Positive().Unique().Immutable(),
		field.Time("since"),
	}
}

// Annotations of the entity.
func (UsageKept) Annotations() []schema.Annotation { return internal() }
