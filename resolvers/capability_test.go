package resolvers_test

import (
	"slices"
	"testing"

	"github.com/quorate/quorate/graph"
	"github.com/quorate/quorate/internal/auth"
)

// TestCapabilitiesAreNamed: the enum Capability has what internal/auth grants,
// so that a token can be limited to each, and shows its scopes.
func TestCapabilitiesAreNamed(t *testing.T) {
	var granted, shown []string
	for _, n := range auth.Grantable() {
		granted = append(granted, n.Name)
	}
	for _, c := range graph.AllCapability {
		shown = append(shown, string(c))
	}
	if !slices.Equal(granted, shown) {
		t.Errorf("granted are %v, the API has %v", granted, shown)
	}
}
