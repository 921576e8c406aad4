// Package tenants has organizations: a vendor's customers, test environments,
// and the audit log that each organization reads of itself.
package tenants

import (
	"context"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// Service has the use cases. Safe for concurrent use.
type Service struct{ core *core.Core }

// New makes a Service.
func New(c *core.Core) *Service { return &Service{c} }

// person gives the caller if he may, and acts for an organization.
func person(ctx context.Context, c auth.Capability) (auth.Principal, error) {
	by, err := auth.Require(ctx, c)
	if err == nil && by.IsSystem() {
		err = license.Errorf(license.CodeInvalidInput, "act for a member", "the system has no organization")
	}
	return by, err
}

// CreateCustomer makes a customer of the caller's organization, in the same
// environment. What the vendor sees of its users are pseudonyms, until the
// customer chooses. key makes it idempotent. Errors: CodeForbidden,
// CodeInvalidInput, CodeConflict.
func (s *Service) CreateCustomer(ctx context.Context, key, name string) (*ent.Organization, error) {
	by, err := person(ctx, auth.Provision)
	if err != nil {
		return nil, err
	}
	if err := core.CheckName("customer", name); err != nil {
		return nil, err
	}
	var made *ent.Organization
	err = s.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		if err := s.core.VendorOnly(ctx, tx, by); err != nil {
			return err
		}
		ids, _, err := core.Once(ctx, tx, by.Organization, "createCustomer", key, name, func() ([]string, error) {
			row, err := s.core.NewCustomer(ctx, tx, by.Organization, name)
			if err != nil {
				return nil, err
			}
			return []string{row.ID}, core.Audit(ctx, tx, by.Organization, "customer.created", row.ID, nil, map[string]any{"name": name})
		})
		if err != nil {
			return err
		}
		made, err = tx.Organization.Get(ctx, ids[0])
		return err
	})
	return made, taken(err, name)
}

func taken(err error, name string) error {
	if !ent.IsConstraintError(err) {
		return err
	}
	return core.AtField("name", license.Errorf(license.CodeConflict, "choose another name", "there is a customer %s already", core.Clip(name)))
}

// OrganizationChange is what changes; nil stays.
type OrganizationChange struct {
	Name           *string
	UserVisibility *property.UserVisibility
}

// UpdateOrganization changes the caller's organization, or the name of a
// customer of his, which a customer itself doesn't change. What a vendor sees of a customer's users only the customer
// chooses; it counts at once, for the past as well. revision is the one that the
// change was made from. Errors: CodeForbidden, CodeInvalidInput, CodeNotFound,
// CodeConflict.
func (s *Service) UpdateOrganization(ctx context.Context, id string, revision int, c OrganizationChange) (*ent.Organization, error) {
	by, err := person(ctx, auth.ManageMembers)
	if err != nil {
		return nil, err
	}
	if c.Name == nil && c.UserVisibility == nil {
		return nil, license.Errorf(license.CodeInvalidInput, "give a name, or what the vendor sees of users", "nothing is to be changed")
	}
	if c.Name != nil {
		if err := core.CheckName("organization", *c.Name); err != nil {
			return nil, err
		}
	}
	if err := mayChoose(by, id, c.UserVisibility); err != nil {
		return nil, err
	}
	// By the names of its customers a vendor orders: none may take another's, or
	// try out who else there is.
	if c.Name != nil && id == by.Organization && by.Provider != "" {
		return nil, core.AtField("name", license.Errorf(license.CodeForbidden, "ask your vendor", "the vendor names its customers"))
	}
	var out *ent.Organization
	err = s.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		was, err := tx.Organization.Query().Where(organization.ID(id), store.Locked).Only(ctx)
		if err != nil {
			return core.NotFound(err, "organization", id)
		}
		if was.Revision != revision {
			return core.Outdated("organization", was.Revision)
		}
		u := tx.Organization.UpdateOne(was).AddRevision(1)
		before, after := map[string]any{}, map[string]any{}
		if c.Name != nil {
			u.SetName(*c.Name)
			before["name"], after["name"] = was.Name, *c.Name
		}
		if v := c.UserVisibility; v != nil {
			u.SetUserVisibility(*v)
			before["userVisibility"], after["userVisibility"] = string(was.UserVisibility), string(*v)
			if len(was.PseudonymKey) == 0 {
				sealed, err := s.core.NewPseudonymKey(ctx)
				if err != nil {
					return err
				}
				u.SetPseudonymKey(sealed)
			}
			s.core.Publish(ctx, tx, event.Rights, "")
		}
		if out, err = u.Save(ctx); err != nil {
			return err
		}
		return core.Audit(ctx, tx, by.Organization, "organization.updated", id, before, after)
	})
	if c.Name != nil {
		err = taken(err, *c.Name)
	}
	return out, err
}

func mayChoose(by auth.Principal, id string, v *property.UserVisibility) error {
	switch {
	case v == nil:
		return nil
	case *v != property.VisibilityTotals && *v != property.VisibilityPseudonyms && *v != property.VisibilityAll:
		return core.AtField("userVisibility", license.Errorf(license.CodeInvalidInput, "take TOTALS, PSEUDONYMS or ALL", "%q is no choice", core.Clip(string(*v))))
	case id != by.Organization:
		return core.AtField("userVisibility", license.Errorf(license.CodeForbidden, "ask an owner or administrator of the customer", "what a vendor sees of users is the customer's choice"))
	case by.Provider == "":
		return core.AtField("userVisibility", license.Errorf(license.CodeInvalidInput, "leave it out", "the organization has no vendor who could see its users"))
	}
	return nil
}

// CreateTestEnvironment makes the test environment of the caller's
// organization, which is a vendor: an organization of its own, for which his members act too, with
// the same roles. What is made in it is for tests alone and never meets what is
// live. key makes it idempotent. Errors: CodeForbidden, CodeConflict.
func (s *Service) CreateTestEnvironment(ctx context.Context, key string) (*ent.Organization, error) {
	by, err := person(ctx, auth.ManageMembers)
	if err != nil {
		return nil, err
	}
	system := core.System(ctx, "test environment")
	var made *ent.Organization
	err = s.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		live, err := tx.Organization.Query().Where(organization.ID(by.Organization), store.Locked).Only(ctx)
		if err != nil {
			return err
		}
		switch {
		case live.Environment != property.EnvironmentLive:
			return license.Errorf(license.CodeConflict, "act for the live organization", "this is a test environment already")
		case !live.Vendor:
			return license.Errorf(license.CodeForbidden, "ask your vendor for a customer in its test environment", "only a vendor has a test environment")
		}
		ids, _, err := core.Once(ctx, tx, by.Organization, "createTestEnvironment", key, "", func() ([]string, error) {
			there, err := tx.Organization.Query().Where(organization.LiveID(live.ID)).Exist(system)
			if err != nil {
				return nil, err
			}
			if there {
				return nil, license.Errorf(license.CodeConflict, "switch to it", "there is a test environment already")
			}
			// There it is nobody's customer.
			row, err := tx.Organization.Create().SetName(live.Name).SetVendor(true).
				SetEnvironment(property.EnvironmentTest).SetLiveID(live.ID).Save(system)
			if err != nil {
				return nil, err
			}
			return []string{row.ID}, core.Audit(ctx, tx, by.Organization, "environment.created", row.ID, nil, map[string]any{"environment": string(row.Environment)})
		})
		if err != nil {
			return err
		}
		made, err = tx.Organization.Get(system, ids[0])
		return err
	})
	return made, err
}
