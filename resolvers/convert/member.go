package convert

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/graph"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/platform/members"
)

// ShownOnce is null for a secret that was shown before.
func ShownOnce(secret string) *string {
	if secret == "" {
		return nil
	}
	return &secret
}

// Memberships are those of a person.
func Memberships(all []members.Membership) []*graph.Membership {
	out := make([]*graph.Membership, len(all))
	for i, m := range all {
		out[i] = &graph.Membership{Organization: m.Organization, Role: property.Role(m.Role)}
	}
	return out
}

// CapabilitiesOf a principal are what he may do.
func CapabilitiesOf(p auth.Principal) []graph.Capability {
	return Capabilities(p.Capabilities())
}

// Capabilities reads those that names tell of.
func Capabilities(names []string) []graph.Capability {
	all := make([]graph.Capability, len(names))
	for i, n := range names {
		all[i] = graph.Capability(n)
	}
	return all
}

// ScopeNames are the names of capabilities.
func ScopeNames(scopes []graph.Capability) []string {
	names := make([]string, len(scopes))
	for i, s := range scopes {
		names[i] = string(s)
	}
	return names
}

// Changes tells by name what an entry of the audit log tells of before and
// after.
func Changes(e *ent.AuditEntry) ([]*graph.AuditChange, error) {
	names := map[string]bool{}
	for name := range e.Before {
		names[name] = true
	}
	for name := range e.After {
		names[name] = true
	}
	text := func(all map[string]any, name string) (*string, error) {
		v, ok := all[name]
		if !ok {
			return nil, nil
		}
		b, err := json.Marshal(v)
		s := string(b)
		return &s, err
	}
	out := []*graph.AuditChange{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		before, err := text(e.Before, name)
		if err != nil {
			return nil, err
		}
		after, err := text(e.After, name)
		if err != nil {
			return nil, err
		}
		out = append(out, &graph.AuditChange{Name: name, Before: before, After: after})
	}
	return out, nil
}
