package auth

import (
	"context"

	"github.com/quorate/quorate/internal/license"
)

// Kind is what sort of principal asks.
type Kind string

// The kinds of principals.
const (
	KindMember Kind = "MEMBER" // a person, signed in
	KindToken  Kind = "TOKEN"  // a program, by an API token
	KindServer Kind = "SERVER" // a customer's server, by a link token
	KindSystem Kind = "SYSTEM" // the platform itself
)

// Principal is who asks.
type Principal struct {
	Kind Kind
	// ID is the global id of the member, token or server; empty for the system.
	ID string
	// Organization is the tenant that the principal acts for; empty for the
	// system, which acts for all. A member may act for the test environment of his
	// organization, too.
	Organization string
	// Provider is the vendor that Organization is a customer of, or empty. Its
	// catalog may be read.
	Provider string
	Role     Role // of members, with that of their groups, and of tokens
	// Scopes limit what a token may do of its role.
	Scopes Scopes
	Name   string
	// Email is set for members.
	Email string
	// Vouched: an identity provider signed the member in, who is believed for
	// Organization and its test environment alone.
	Vouched bool
	// Group is the TMR group that a server belongs to, or empty.
	Group string
	// Container is what a server outside of TMR groups serves, or empty.
	Container string
}

// Actor names the principal in the audit log, for example "MEMBER mem_…".
func (p Principal) Actor() string {
	if p.Kind == KindSystem {
		return string(p.Kind) + " " + p.Name
	}
	return string(p.Kind) + " " + p.ID
}

// IsSystem says whether the platform itself asks.
func (p Principal) IsSystem() bool { return p.Kind == KindSystem }

// System is the platform itself; name tells which part of it.
func System(name string) Principal { return Principal{Kind: KindSystem, Name: name} }

type key struct{}

// With makes p known to whoever gets the context. It replaces an earlier one.
func With(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, key{}, p)
}

// From gives the principal. Without one, or with one that is incomplete, the
// error is license.CodeUnauthenticated.
func From(ctx context.Context) (Principal, error) {
	p, ok := ctx.Value(key{}).(Principal)
	if ok && (p.Kind == KindSystem || (p.Kind != "" && p.ID != "" && p.Organization != "")) {
		return p, nil
	}
	return Principal{}, license.Errorf(license.CodeUnauthenticated,
		"sign in, or send an API token as \"Authorization: Bearer …\"", "nobody is signed in")
}
