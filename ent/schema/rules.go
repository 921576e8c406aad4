package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// RuleSet is one version of the rules of a TMR group, or of one container: who
// may use which license. Rows don't change; the newest version counts, and the
// oldest are removed.
type RuleSet struct{ ent.Schema }

// Mixin of the entity.
func (RuleSet) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "rul"}, Shared{}} }

// Fields of the entity.
func (RuleSet) Fields() []ent.Field {
	return []ent.Field{
		field.String("tmr_group_id").MaxLen(mostID).Optional().Nillable().Immutable(),
		field.String("container_id").MaxLen(mostID).Optional().Nillable().Immutable(),
		field.Int("version").Positive().Immutable(),
		field.Text("text").MaxLen(256 << 10).Immutable(),
		field.String("digest").MaxLen(64).Immutable().Comment("SHA-256 of the text, in hex."),
		field.String("saved_by").MaxLen(mostName).Immutable(),
		field.Bool("by_vendor").Default(false).Immutable().Comment("The vendor wrote it, so it sees it whatever it sees of the customer's users."),
	}
}

// Edges of the entity.
func (RuleSet) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("tmr_group", TmrGroup.Type).Ref("rule_sets").Field("tmr_group_id").Unique().Immutable(),
		edge.From("container", Container.Type).Ref("rule_sets").Field("container_id").Unique().Immutable(),
	}
}

// Indexes of the entity.
func (RuleSet) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("tmr_group_id", "version").Unique(),
		index.Fields("container_id", "version").Unique(),
	}
}

// Annotations of the entity.
func (RuleSet) Annotations() []schema.Annotation { return append(internal(), onePlace()) }
