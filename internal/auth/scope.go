package auth

import (
	"slices"

	"github.com/quorate/quorate/internal/license"
)

// Grantable lists the capabilities that a role may bring, by the names that the
// API and scopes have for them. A capability that isn't here no role has.
func Grantable() []NamedCapability {
	return []NamedCapability{
		{"READ", Read}, {"ORDER", Order}, {"RUN_ROLLOUTS", RunRollout}, {"RELEASE", Release}, {"EDIT_RULES", EditRules},
		{"EDIT_CATALOG", EditCatalog}, {"MANAGE_MEMBERS", ManageMembers}, {"READ_AUDIT", ReadAudit},
		{"PROVISION", Provision}, {"MANAGE_KEYS", ManageKeys}, {"MANAGE_WEBHOOKS", ManageWebhook},
	}
}

// NamedCapability is a capability and its name.
type NamedCapability struct {
	Name       string
	Capability Capability
}

// Scopes are what a token is limited to, besides its role. The zero value is no
// limit. Scopes can be compared.
type Scopes struct {
	limited bool
	bits    uint64 // by position in Grantable
}

// ParseScopes reads names of capabilities; none are no limit. READ is always
// among them: without it nothing can be asked for. Error: CodeInvalidInput.
func ParseScopes(names []string) (Scopes, error) {
	if len(names) == 0 {
		return Scopes{}, nil
	}
	all := Grantable()
	s := Scopes{limited: true, bits: 1}
	for _, name := range names {
		i := slices.IndexFunc(all, func(n NamedCapability) bool { return n.Name == name })
		if i < 0 {
			return Scopes{}, license.Errorf(license.CodeInvalidInput, "take the names of the enum Capability, for example READ", "%q is no scope", license.Clip(name, 64))
		}
		s.bits |= 1 << i
	}
	return s, nil
}

// Names are the scopes' names, in the order of Grantable; none: no limit.
func (s Scopes) Names() []string {
	if !s.limited {
		return nil
	}
	var names []string
	for i, n := range Grantable() {
		if s.bits&(1<<i) != 0 {
			names = append(names, n.Name)
		}
	}
	return names
}

func (s Scopes) allow(c Capability) bool {
	if !s.limited {
		return true
	}
	i := slices.IndexFunc(Grantable(), func(n NamedCapability) bool { return n.Capability == c })
	return i >= 0 && s.bits&(1<<i) != 0
}

// Covers says whether the principal may do all that a role within scopes may:
// nobody gives more than he has.
func (p Principal) Covers(r Role, s Scopes) bool {
	if !r.Valid() {
		return false
	}
	return !slices.ContainsFunc(capabilities(r), func(c Capability) bool { return s.allow(c) && !p.Can(c) })
}

// IsOwner says whether the principal may do all that an owner may. The role alone
// doesn't tell: whoever makes tokens can give a token with scopes any role.
func (p Principal) IsOwner() bool { return p.Covers(Owner, Scopes{}) }

// Capabilities are the names of what the principal may do, in the order of
// Grantable.
func (p Principal) Capabilities() []string {
	var names []string
	for _, n := range Grantable() {
		if p.Can(n.Capability) {
			names = append(names, n.Name)
		}
	}
	return names
}

// Roles lists the roles, from most to least.
func Roles() []Role { return []Role{Owner, Administrator, Operator, Viewer} }

// Valid says whether there is such a role.
func (r Role) Valid() bool { return slices.Contains(Roles(), r) }

// Highest is the role of those given that may do the most; empty: none is a role.
func Highest(roles ...Role) Role {
	for _, r := range Roles() {
		if slices.Contains(roles, r) {
			return r
		}
	}
	return ""
}
