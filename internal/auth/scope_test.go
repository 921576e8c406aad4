package auth_test

import (
	"slices"
	"testing"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
)

// TestScopes: a token may do what its role may and its scopes name.
func TestScopes(t *testing.T) {
	for _, c := range []struct {
		role   auth.Role
		scopes []string
		may    []string
	}{
		{auth.Operator, nil, []string{"READ", "ORDER", "RUN_ROLLOUTS", "RELEASE", "EDIT_RULES"}},
		{auth.Operator, []string{"RELEASE"}, []string{"READ", "RELEASE"}},
		{auth.Viewer, []string{"RELEASE", "READ"}, []string{"READ"}},
		{auth.Owner, []string{"MANAGE_KEYS", "READ_AUDIT"}, []string{"READ", "READ_AUDIT", "MANAGE_KEYS"}},
		{"GOD", []string{"READ"}, nil},
	} {
		s, err := auth.ParseScopes(c.scopes)
		if err != nil {
			t.Fatal(err)
		}
		p := auth.Principal{Kind: auth.KindToken, ID: "tok_1", Organization: "org_1", Role: c.role, Scopes: s}
		if got := p.Capabilities(); !slices.Equal(got, c.may) {
			t.Errorf("%s with %v may %v instead of %v", c.role, c.scopes, got, c.may)
		}
		again, err := auth.ParseScopes(s.Names())
		if err != nil || again != s {
			t.Errorf("%v became %v, %v", s.Names(), again.Names(), err)
		}
		_, err = auth.Require(auth.With(t.Context(), p), auth.Provision)
		if license.CodeOf(err) != license.CodeForbidden && p.Can(auth.Provision) != (err == nil) {
			t.Errorf("%s: %v", c.role, err)
		}
	}
	for _, bad := range [][]string{{"read"}, {"LINK"}, {""}, {"READ", "EVERYTHING"}} {
		if _, err := auth.ParseScopes(bad); license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestCovers: nobody gives more than he has. Whoever may do everything that a
// role brings, and only he, may give it.
func TestCovers(t *testing.T) {
	read, _ := auth.ParseScopes([]string{"READ"})
	members, _ := auth.ParseScopes([]string{"MANAGE_MEMBERS"})
	for _, c := range []struct {
		who   auth.Role
		has   auth.Scopes
		gives auth.Role
		with  auth.Scopes
		may   bool
	}{
		{auth.Owner, auth.Scopes{}, auth.Owner, auth.Scopes{}, true},
		{auth.Administrator, auth.Scopes{}, auth.Owner, auth.Scopes{}, false},
		{auth.Administrator, auth.Scopes{}, auth.Administrator, auth.Scopes{}, true},
		{auth.Administrator, auth.Scopes{}, auth.Owner, read, true},
		{auth.Operator, auth.Scopes{}, auth.Administrator, auth.Scopes{}, false},
		{auth.Owner, members, auth.Viewer, auth.Scopes{}, true},
		{auth.Owner, members, auth.Operator, auth.Scopes{}, false},
		{auth.Owner, members, auth.Owner, members, true},
		{auth.Owner, auth.Scopes{}, "GOD", auth.Scopes{}, false},
		{"", auth.Scopes{}, auth.Viewer, auth.Scopes{}, false},
	} {
		p := auth.Principal{Kind: auth.KindToken, ID: "tok_1", Organization: "org_1", Role: c.who, Scopes: c.has}
		if got := p.Covers(c.gives, c.with); got != c.may {
			t.Errorf("%s with %v gives %s with %v: %v", c.who, c.has.Names(), c.gives, c.with.Names(), got)
		}
		if got := p.IsOwner(); got != (c.who == auth.Owner && len(c.has.Names()) == 0) {
			t.Errorf("%s with %v is an owner: %v", c.who, c.has.Names(), got)
		}
	}
}

// TestGrantable has every capability that a role brings, by names that differ.
func TestGrantable(t *testing.T) {
	seen := map[string]bool{}
	owner := auth.Principal{Kind: auth.KindMember, ID: "mem_1", Organization: "org_1", Role: auth.Owner}
	for _, n := range auth.Grantable() {
		if seen[n.Name] || !owner.Can(n.Capability) {
			t.Errorf("%s is there twice, or nobody has it", n.Name)
		}
		seen[n.Name] = true
	}
	if n := len(owner.Capabilities()); n != len(auth.RoleCapabilities(auth.Owner)) {
		t.Errorf("%d of an owner's %d capabilities have a name", n, len(auth.RoleCapabilities(auth.Owner)))
	}
	if auth.Highest(auth.Viewer, "GOD", auth.Operator, auth.Viewer) != auth.Operator || auth.Highest() != "" || auth.Highest("GOD") != "" {
		t.Error("the highest role is another one")
	}
}
