package schema

import (
	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/quorate/quorate/ent/schema/property"
)

// TmrGroup is three backends that hold the same licenses, their virtual
// container and the pair of TMR servers. Its view columns are those of the
// last TmrView.
type TmrGroup struct{ ent.Schema }

// Mixin of the entity.
func (TmrGroup) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "tmr"}, Shared{}} }

// Fields of the entity.
func (TmrGroup) Fields() []ent.Field {
	return []ent.Field{
		field.String("name").MaxLen(mostName).NotEmpty(),
		field.String("virtual_serial").MaxLen(mostSerial).NotEmpty().Unique().Immutable(),
		field.Bytes("activation_id").MaxLen(16).Immutable(),
		field.Bytes("token_key").MaxLen(64).Comment("The public key of the group's handle tokens."),
		field.Int("next_tmr_id").Positive().Max(1<<32 - 1),

		field.Uint64("view_epoch").Default(0),
		field.Uint64("view_version").Default(0),
		field.Int("sequence").NonNegative().Default(0),
		field.Time("viewed_at").Optional().Nillable(),
		field.String("status").MaxLen(mostName).Default("1:- 2:- 3:-"),
		field.Int("quantity").NonNegative().Default(0),
		field.Int("tmr_id").Optional().Nillable().Annotations(entgql.MapsTo("tmrId")),
		field.JSON("backends", []property.Backend{}).Default([]property.Backend{}),
		field.JSON("licenses", []property.TmrLicense{}).Default([]property.TmrLicense{}),

		field.Int("clients").NonNegative().Default(0),
		field.Uint64("event_position").Default(0),
		field.Time("linked_at").Optional().Nillable().Comment("When the leading TMR server was last heard of."),
	}
}

// Edges of the entity.
func (TmrGroup) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("containers", Container.Type),
		edge.To("servers", TmrServer.Type),
		edge.To("views", TmrView.Type),
		edge.To("orders", Order.Type),
		edge.To("rollouts", Rollout.Type).Annotations(entgql.RelayConnection()),
		edge.To("work", Work.Type),
		edge.To("transfers", Transfer.Type),
		edge.To("rule_sets", RuleSet.Type),
	}
}

// Annotations of the entity.
func (TmrGroup) Annotations() []schema.Annotation { return public() }

// TmrView is one view of a TMR group as its server pushed it. Rows don't change;
// they are numbered without gaps by sequence, and the oldest are removed.
type TmrView struct{ ent.Schema }

// Mixin of the entity.
func (TmrView) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "vie"}, Shared{}} }

// Fields of the entity.
func (TmrView) Fields() []ent.Field {
	return []ent.Field{
		field.String("tmr_group_id").MaxLen(mostID).Immutable(),
		field.Int("sequence").Positive().Immutable(),
		field.Uint64("epoch").Immutable(),
		field.Uint64("version").Immutable(),
		field.Time("at").Immutable().Comment("By the TMR server's clock."),
		field.JSON("payload", property.GroupView{}).Immutable(),
	}
}

// Edges of the entity.
func (TmrView) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("tmr_group", TmrGroup.Type).Ref("views").Field("tmr_group_id").Unique().Required().Immutable(),
	}
}

// Indexes of the entity.
func (TmrView) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("tmr_group_id", "sequence").Unique(),
		index.Fields("tmr_group_id", "epoch", "version").Unique(),
	}
}

// Annotations of the entity.
func (TmrView) Annotations() []schema.Annotation { return internal() }

// TmrServer is one of the servers of a TMR group, or the license server of one
// container. It signs in at the link with its own token.
type TmrServer struct{ ent.Schema }

// Mixin of the entity.
func (TmrServer) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "srv"}, Shared{}} }

// Fields of the entity.
func (TmrServer) Fields() []ent.Field {
	return []ent.Field{
		field.String("tmr_group_id").MaxLen(mostID).Optional().Nillable().Immutable(),
		field.String("container_id").MaxLen(mostID).Optional().Nillable().Immutable(),
		field.String("name").MaxLen(mostName).NotEmpty(),
		field.String("address").MaxLen(mostName),
		field.Bytes("link_token_hash").MaxLen(32).Unique().Sensitive(),
		field.Bool("leading").Default(false),
		field.Time("seen_at").Optional().Nillable(),
		field.String("rules_digest").MaxLen(64).Default("").Comment("Of the rules of the platform that it has."),
		field.Bool("rules_own").Default(false).Comment("A file of its own decides in place of them."),
		field.String("rules_problem").MaxLen(mostNote).Default("").Comment("Why newer rules don't count there."),
		field.String("version").MaxLen(mostVersion).Default("").Comment("Of its program."),
		field.Time("started_at").Optional().Nillable(),
		field.Time("linked_at").Optional().Nillable().Comment("When its present link began."),
		field.Time("lost_at").Optional().Nillable().Comment("When its last link ended."),
		field.Int("latency").NonNegative().Optional().Nillable().Comment("Of the link, in milliseconds, as last measured."),
		field.Int("links").NonNegative().Default(0).Comment("How many links it has made."),
		field.Time("revoked_at").Optional().Nillable().Comment("Its token is worth nothing since."),
		field.Int("revision").Positive().Default(1),
	}
}

// Edges of the entity.
func (TmrServer) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("tmr_group", TmrGroup.Type).Ref("servers").Field("tmr_group_id").Unique().Immutable(),
		edge.From("container", Container.Type).Ref("servers").Field("container_id").Unique().Immutable(),
	}
}

// Indexes of the entity.
func (TmrServer) Indexes() []ent.Index {
	return []ent.Index{index.Fields("tmr_group_id", "name").Unique(), index.Fields("container_id", "name").Unique()}
}

// Annotations of the entity.
func (TmrServer) Annotations() []schema.Annotation { return append(public(), onePlace()) }

// Rollout is getting updates onto the three containers of a TMR group, or onto
// one container outside of groups.
type Rollout struct{ ent.Schema }

// Mixin of the entity.
func (Rollout) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "rol"}, Shared{}} }

// Fields of the entity.
func (Rollout) Fields() []ent.Field {
	return []ent.Field{
		field.String("tmr_group_id").MaxLen(mostID).Optional().Nillable().Immutable(),
		field.String("container_id").MaxLen(mostID).Optional().Nillable().Immutable(),
		field.Int("number").Positive().Immutable(),
		field.Enum("state").GoType(property.RolloutState("")),
		field.Bool("running").Default(false).Comment("It has the group or the container for itself: every state from collecting on until done or aborted, held ones too."),
		field.Bytes("machine").Optional().MaxLen(4 << 20).Comment("The state machine's own record, JSON."),
		field.JSON("steps", []property.RolloutStep{}).Default([]property.RolloutStep{}),
		field.Uint64("epoch").Default(0).Comment("Fences the workers: a write under an older one is refused."),
		field.Int("sequence").NonNegative().Default(0),
		field.Int("tmr_id").NonNegative().Default(0).Annotations(entgql.MapsTo("tmrId")),
		field.Int("quantity").NonNegative().Default(0),
		field.Int("firm").NonNegative().Default(0).Comment("The firm code that it covers."),
		field.Strings("products").Optional().Comment("The ids of products whose changed terms it brings, ordered more of or not."),
		field.String("blocker").MaxLen(mostNote).Optional().Nillable(),
		field.String("error_code").MaxLen(mostName).Optional().Nillable(),
		field.String("error_message").MaxLen(mostNote).Optional().Nillable(),
		field.String("started_by").MaxLen(mostName),
		field.Time("finished_at").Optional().Nillable(),
		field.Time("paused_at").Optional().Nillable().Comment("No further step begins until it is resumed."),
		field.String("paused_by").MaxLen(mostName).Default(""),
		field.Time("not_before").Optional().Nillable().Comment("When it may leave the queue."),
		field.Time("not_after").Optional().Nillable().Comment("Later it doesn't begin any more."),
		field.String("idempotency_key").MaxLen(mostName).Optional().Nillable().Immutable(),
	}
}

// Edges of the entity.
func (Rollout) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("tmr_group", TmrGroup.Type).Ref("rollouts").Field("tmr_group_id").Unique().Immutable(),
		edge.From("container", Container.Type).Ref("rollouts").Field("container_id").Unique().Immutable(),
		edge.To("transfers", Transfer.Type),
		edge.To("orders", Order.Type),
		edge.To("updates", Update.Type),
		edge.To("work", Work.Type),
	}
}

// Indexes of the entity.
func (Rollout) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("tmr_group_id", "number").Unique(),
		index.Fields("tmr_group_id", "idempotency_key").Unique(),
		// One running rollout per group.
		index.Fields("tmr_group_id").Unique().StorageKey("rollout_one_running").
			Annotations(entsql.IndexWhere("running")),
		index.Fields("container_id", "number").Unique(),
		index.Fields("container_id", "idempotency_key").Unique(),
		// One running rollout per container.
		index.Fields("container_id").Unique().StorageKey("rollout_one_running_container").
			Annotations(entsql.IndexWhere("running")),
	}
}

// Annotations of the entity.
func (Rollout) Annotations() []schema.Annotation { return append(public(), onePlace()) }

// Update is what a container installs. Sealing is not repeatable, so the bytes
// are stored before anybody gets them.
type Update struct{ ent.Schema }

// Mixin of the entity.
func (Update) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "upd"}, Shared{}} }

// Fields of the entity.
func (Update) Fields() []ent.Field {
	return []ent.Field{
		field.String("rollout_id").MaxLen(mostID).Immutable(),
		field.String("container_id").MaxLen(mostID).Immutable(),
		field.String("firm_id").MaxLen(mostID).Immutable(),
		field.Uint64("number").Immutable(),
		field.Bytes("previous").MaxLen(32).Immutable(),
		field.Bytes("digest").MaxLen(32).Optional().Comment("Of the sealed bytes."),
		field.Bytes("content").MaxLen(2 << 20).Optional().Sensitive().
			Comment("What is to be signed, recorded before it is signed; sealed by the master key."),
		field.Bytes("bytes").MaxLen(2 << 20).Optional().Comment("The signed and sealed update."),
		field.Bytes("receipt").MaxLen(64 << 10).Optional(),
		field.Int("tmr_id").NonNegative().Default(0),
	}
}

// Edges of the entity.
func (Update) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("rollout", Rollout.Type).Ref("updates").Field("rollout_id").Unique().Required().Immutable(),
		edge.From("container", Container.Type).Ref("updates").Field("container_id").Unique().Required().Immutable(),
		edge.To("firm", Firm.Type).Field("firm_id").Unique().Required().Immutable(),
	}
}

// Indexes of the entity.
func (Update) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("container_id", "firm_id", "number").Unique(),
		index.Fields("rollout_id"),
	}
}

// Annotations of the entity.
func (Update) Annotations() []schema.Annotation { return internal() }

// Work is something that a server has to do. It stays due until its result is
// handed in.
type Work struct{ ent.Schema }

// Mixin of the entity.
func (Work) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "wrk"}, Shared{}} }

// Fields of the entity.
func (Work) Fields() []ent.Field {
	return []ent.Field{
		field.String("tmr_group_id").MaxLen(mostID).Optional().Nillable().Immutable(),
		field.String("container_id").MaxLen(mostID).Optional().Nillable().Immutable(),
		field.String("rollout_id").MaxLen(mostID).Optional().Nillable().Immutable(),
		field.String("key").MaxLen(mostName).NotEmpty().Unique().Immutable().
			Comment("The same key is the same work."),
		field.Enum("kind").GoType(property.WorkKind("")).Immutable(),
		field.Bytes("payload").MaxLen(8 << 20).Immutable(),
		field.Enum("state").GoType(property.WorkState("")).Default(string(property.WorkPending)),
		field.Bytes("result").MaxLen(8 << 20).Optional(),
		field.String("error_code").MaxLen(mostName).Optional(),
		field.String("error_message").MaxLen(mostNote).Optional(),
		field.Time("done_at").Optional().Nillable(),
	}
}

// Edges of the entity.
func (Work) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("tmr_group", TmrGroup.Type).Ref("work").Field("tmr_group_id").Unique().Immutable(),
		edge.From("container", Container.Type).Ref("work").Field("container_id").Unique().Immutable(),
		edge.From("rollout", Rollout.Type).Ref("work").Field("rollout_id").Unique().Immutable(),
	}
}

// Indexes of the entity.
func (Work) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("tmr_group_id", "state", "id"),
		index.Fields("container_id", "state", "id"),
		index.Fields("rollout_id"),
	}
}

// Annotations of the entity.
func (Work) Annotations() []schema.Annotation { return append(internal(), onePlace()) }
