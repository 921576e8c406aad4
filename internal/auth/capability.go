package auth

import (
	"context"
	"slices"

	"github.com/quorate/quorate/internal/license"
)

// Role is what a member or a token may do in its organization.
type Role string

// The roles, from most to least.
const (
	Owner         Role = "OWNER"
	Administrator Role = "ADMINISTRATOR"
	Operator      Role = "OPERATOR"
	Viewer        Role = "VIEWER"
)

// Capability is something that one may do.
type Capability string

// The capabilities.
const (
	Read          Capability = "read"
	Order         Capability = "order"
	RunRollout    Capability = "run rollouts"
	Release       Capability = "release allocations"
	EditRules     Capability = "make the rules of who may use which license"
	EditCatalog   Capability = "edit the catalog"
	ManageMembers Capability = "manage members and tokens"
	ReadAudit     Capability = "read the audit log"
	Provision     Capability = "provision"
	ManageKeys    Capability = "manage the firms' keys"
	ManageWebhook Capability = "manage webhooks"
	Link          Capability = "link a server"
)

// Can says whether the principal has a capability. Whatever is not listed here
// is refused.
func (p Principal) Can(c Capability) bool {
	switch p.Kind {
	case KindSystem:
		return true
	case KindServer:
		return c == Link
	case KindMember, KindToken:
		return slices.Contains(capabilities(p.Role), c) && p.Scopes.allow(c)
	}
	return false
}

func capabilities(r Role) []Capability {
	switch r {
	case Owner:
		return append(capabilities(Administrator), ManageKeys)
	case Administrator:
		return []Capability{Read, Order, RunRollout, Release, EditRules, EditCatalog, ManageMembers, ReadAudit, Provision, ManageWebhook}
	case Operator:
		return []Capability{Read, Order, RunRollout, Release, EditRules}
	case Viewer:
		return []Capability{Read}
	}
	return nil
}

// Require gives the principal if it has the capability; else the error is
// license.CodeUnauthenticated or license.CodeForbidden.
func Require(ctx context.Context, c Capability) (Principal, error) {
	p, err := From(ctx)
	if err != nil {
		return Principal{}, err
	}
	if !p.Can(c) {
		who := "ask an owner or administrator of your organization"
		if p.Kind == KindToken && slices.Contains(capabilities(p.Role), c) {
			who = "use a token with this scope"
		}
		if c == ManageKeys {
			who = "ask an owner of your organization"
		}
		return Principal{}, license.Errorf(license.CodeForbidden, who, "you may not %s", c)
	}
	return p, nil
}
