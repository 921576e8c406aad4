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

// User is a person who signs in. Organizations see their members only.
type User struct{ ent.Schema }

// Mixin of the entity.
func (User) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "usr"}} }

// Fields of the entity.
func (User) Fields() []ent.Field {
	return []ent.Field{
		field.String("email").MaxLen(254).NotEmpty().Unique().Comment("In lower case."),
		field.String("name").MaxLen(mostName),
		field.String("password_hash").MaxLen(300).Optional().Nillable().Sensitive().Comment("Null: signs in elsewhere."),
		field.Bytes("totp_secret").MaxLen(4096).Optional().Sensitive().Comment("Sealed by the master key."),
		field.Time("totp_at").Optional().Nillable().Comment("Since when one-time codes are asked for."),
		field.Int64("totp_step").Default(0).Comment("Of the last code that was taken: none counts twice."),
		field.JSON("recovery", [][]byte{}).Optional().Sensitive().Comment("Digests of the recovery codes that are left."),
		field.Bytes("reset_digest").MaxLen(32).Optional().Unique().Sensitive().Comment("Of the link by which a new password can be set, once."),
		field.Time("reset_until").Optional().Nillable().Comment("When that link ends."),
		field.Bool("reset_second").Default(false).Comment("That link removes the second factor, too."),
		field.Time("password_at").Optional().Nillable().Comment("When the password was last set; sessions of before have ended."),
	}
}

// Edges of the entity.
func (User) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("members", Member.Type),
		edge.To("identities", UserIdentity.Type),
	}
}

// Annotations of the entity.
func (User) Annotations() []schema.Annotation { return internal() }

// UserIdentity is how an identity provider knows a user.
type UserIdentity struct{ ent.Schema }

// Mixin of the entity.
func (UserIdentity) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "uid"}} }

// Fields of the entity.
func (UserIdentity) Fields() []ent.Field {
	return []ent.Field{
		field.String("user_id").MaxLen(mostID).Immutable(),
		field.String("provider_id").MaxLen(mostID).Immutable().Comment("The organization's identity provider: another organization's may say what it likes."),
		field.String("issuer").MaxLen(mostURL).NotEmpty().Immutable(),
		field.String("subject").MaxLen(300).NotEmpty().Immutable(),
	}
}

// Edges of the entity.
func (UserIdentity) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("user", User.Type).Ref("identities").Field("user_id").Unique().Required().Immutable(),
		edge.From("provider", IdentityProvider.Type).Ref("identities").Field("provider_id").Unique().Required().Immutable(),
	}
}

// Indexes of the entity.
func (UserIdentity) Indexes() []ent.Index {
	return []ent.Index{index.Fields("provider_id", "issuer", "subject").Unique()}
}

// Annotations of the entity.
func (UserIdentity) Annotations() []schema.Annotation { return internal() }

// Member is a user in an organization.
type Member struct{ ent.Schema }

// Mixin of the entity.
func (Member) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "mem"}, Owned{}} }

// Fields of the entity.
func (Member) Fields() []ent.Field {
	return []ent.Field{
		field.String("user_id").MaxLen(mostID).Optional().Nillable().Immutable().Comment("Null: nobody signs in as this member."),
		field.String("email").MaxLen(254).NotEmpty().Comment("The user's, in lower case."),
		field.String("name").MaxLen(mostName).Comment("The user's."),
		field.Enum("role").GoType(property.Role("")),
		field.Int("revision").Positive().Default(1),
	}
}

// Edges of the entity.
func (Member) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("user", User.Type).Ref("members").Field("user_id").Unique().Immutable().Annotations(entgql.Skip(entgql.SkipAll)),
		edge.To("memberships", MemberGroupEntry.Type).Annotations(entgql.Skip(entgql.SkipAll)),
	}
}

// Indexes of the entity.
func (Member) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("organization_id", "email").Unique(),
		index.Fields("organization_id", "user_id").Unique(),
	}
}

// Annotations of the entity.
func (Member) Annotations() []schema.Annotation { return public() }

// MemberGroup gives its members a role: a member has the highest of its own
// and its groups'.
type MemberGroup struct{ ent.Schema }

// Mixin of the entity.
func (MemberGroup) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "mgr"}, Owned{}} }

// Fields of the entity.
func (MemberGroup) Fields() []ent.Field {
	return []ent.Field{
		field.String("name").MaxLen(mostName).NotEmpty(),
		field.Enum("role").GoType(property.Role("")),
		field.Int("revision").Positive().Default(1),
	}
}

// Edges of the entity.
func (MemberGroup) Edges() []ent.Edge {
	return []ent.Edge{edge.To("entries", MemberGroupEntry.Type).Annotations(entgql.Skip(entgql.SkipAll))}
}

// Indexes of the entity.
func (MemberGroup) Indexes() []ent.Index {
	return []ent.Index{index.Fields("organization_id", "name").Unique()}
}

// Annotations of the entity.
func (MemberGroup) Annotations() []schema.Annotation { return public() }

// MemberGroupEntry is a member in a group.
type MemberGroupEntry struct{ ent.Schema }

// Mixin of the entity.
func (MemberGroupEntry) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "mge"}, Owned{}} }

// Fields of the entity.
func (MemberGroupEntry) Fields() []ent.Field {
	return []ent.Field{
		field.String("member_group_id").MaxLen(mostID).Immutable(),
		field.String("member_id").MaxLen(mostID).Immutable(),
	}
}

// Edges of the entity.
func (MemberGroupEntry) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("member_group", MemberGroup.Type).Ref("entries").Field("member_group_id").Unique().Required().Immutable(),
		edge.From("member", Member.Type).Ref("memberships").Field("member_id").Unique().Required().Immutable(),
	}
}

// Indexes of the entity.
func (MemberGroupEntry) Indexes() []ent.Index {
	return []ent.Index{index.Fields("member_group_id", "member_id").Unique(), index.Fields("member_id")}
}

// Annotations of the entity.
func (MemberGroupEntry) Annotations() []schema.Annotation { return internal() }

// Invitation lets whoever has its token become a member.
type Invitation struct{ ent.Schema }

// Mixin of the entity.
func (Invitation) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "inv"}, Owned{}} }

// Fields of the entity.
func (Invitation) Fields() []ent.Field {
	return []ent.Field{
		field.String("email").MaxLen(254).NotEmpty().Immutable().Comment("In lower case."),
		field.String("name").MaxLen(mostName).Immutable(),
		field.Enum("role").GoType(property.Role("")).Immutable(),
		field.Strings("groups").Optional().Immutable().Comment("Ids of the groups to join."),
		field.Bytes("token_digest").MaxLen(32).Unique().Immutable().Sensitive(),
		field.String("invited_by").MaxLen(mostName).Immutable(),
		field.Time("expires_at").Immutable(),
		field.Time("accepted_at").Optional().Nillable(),
		field.Time("revoked_at").Optional().Nillable(),
	}
}

// Annotations of the entity.
func (Invitation) Annotations() []schema.Annotation { return public() }

// IdentityProvider signs the members of its organization in, for that
// organization alone.
type IdentityProvider struct{ ent.Schema }

// Mixin of the entity.
func (IdentityProvider) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "idp"}, Owned{}} }

// Fields of the entity.
func (IdentityProvider) Fields() []ent.Field {
	return []ent.Field{
		field.String("name").MaxLen(mostName).NotEmpty(),
		field.String("issuer").MaxLen(mostURL).NotEmpty(),
		field.String("client_id").MaxLen(300).NotEmpty().Annotations(entgql.MapsTo("clientId")),
		field.Bytes("sealed_secret").MaxLen(4096).Optional().Sensitive(),
		field.Strings("domains").Optional().Comment("Of e-mail addresses, in lower case."),
		field.Enum("join_role").GoType(property.Role("")).Optional().Nillable().Comment("Of persons of the domains who aren't members yet; null: they must be invited."),
		field.Bool("enforced").Default(false).Comment("Members but the owners can't sign in by password."),
		field.Int("revision").Positive().Default(1),
	}
}

// Edges of the entity.
func (IdentityProvider) Edges() []ent.Edge {
	return []ent.Edge{edge.To("identities", UserIdentity.Type).Annotations(entgql.Skip(entgql.SkipAll))}
}

// Indexes of the entity.
func (IdentityProvider) Indexes() []ent.Index {
	return []ent.Index{index.Fields("organization_id", "name").Unique()}
}

// Annotations of the entity.
func (IdentityProvider) Annotations() []schema.Annotation { return public() }

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
		field.Strings("scopes").Optional().Immutable().Comment("Names of capabilities; none: all of the role."),
		field.Bytes("hash").MaxLen(32).Unique().Immutable().Sensitive(),
		field.String("hint").MaxLen(8).Default("").Immutable().Comment("The last characters of the secret."),
		field.String("created_by").MaxLen(mostName).Default("").Immutable(),
		field.Time("expires_at").Optional().Nillable().Immutable(),
		field.Time("revoked_at").Optional().Nillable(),
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
		field.String("user_id").MaxLen(mostID).Optional().Nillable().Comment("Who is signed in; null: nobody yet."),
		field.Time("created_at").Optional().Nillable().Immutable(),
		field.Time("seen_at").Optional().Nillable(),
		field.String("agent").MaxLen(mostName).Default("").Comment("The browser, as it says."),
		field.String("address").MaxLen(mostID).Default("").Comment("Where it was last seen."),
	}
}

// Indexes of the entity.
func (Session) Indexes() []ent.Index {
	return []ent.Index{index.Fields("expires_at"), index.Fields("user_id")}
}

// Annotations of the entity.
func (Session) Annotations() []schema.Annotation { return internal() }

// IdempotencyKey is what a request that makes something has made, so that the
// same request again makes nothing.
type IdempotencyKey struct{ ent.Schema }

// Mixin of the entity.
func (IdempotencyKey) Mixin() []ent.Mixin { return []ent.Mixin{identified{prefix: "idk"}, Owned{}} }

// Fields of the entity.
func (IdempotencyKey) Fields() []ent.Field {
	return []ent.Field{
		field.String("operation").MaxLen(mostID).NotEmpty().Immutable(),
		field.String("key").MaxLen(mostName).NotEmpty().Immutable(),
		field.Bytes("digest").MaxLen(32).Immutable().Comment("Of the request."),
		field.String("result").MaxLen(mostNote).Immutable().Comment("The ids of what was made, separated by spaces."),
	}
}

// Indexes of the entity.
func (IdempotencyKey) Indexes() []ent.Index {
	return []ent.Index{index.Fields("organization_id", "operation", "key").Unique(), index.Fields("created_at")}
}

// Annotations of the entity.
func (IdempotencyKey) Annotations() []schema.Annotation { return internal() }
