package platform_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/accounts"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/members"
	platformorders "github.com/quorate/quorate/internal/platform/orders"
	"github.com/quorate/quorate/internal/platform/provision"
	"github.com/quorate/quorate/internal/platform/tenants"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

// TestOrganizations: a vendor makes customers, who choose what it sees.
func TestOrganizations(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made, err := l.CreateCustomer(l.vendor(), "k", "Shipping")
		if err != nil || made.UserVisibility != property.VisibilityPseudonyms || len(made.PseudonymKey) == 0 || *made.ProviderID != l.owner.Organization {
			t.Fatalf("%+v, %v", made, err)
		}
		if again, err := l.CreateCustomer(l.vendor(), "k", "Shipping"); err != nil || again.ID != made.ID {
			t.Errorf("again: %v, %v", again, err)
		}
		_, err = l.CreateCustomer(l.vendor(), "k", "Other")
		wantCode(t, "another under the key", err, license.CodeConflict)
		_, err = l.CreateCustomer(l.vendor(), "", "Shipping")
		wantCode(t, "a name twice", err, license.CodeConflict)
		_, err = l.CreateCustomer(l.with(auth.Operator), "", "X")
		wantCode(t, "an operator", err, license.CodeForbidden)
		_, err = l.CreateCustomer(l.vendor(), "", "")
		wantCode(t, "no name", err, license.CodeInvalidInput)
		carl := auth.Principal{Kind: auth.KindMember, ID: "mem_carl", Organization: made.ID, Provider: l.owner.Organization, Role: auth.Owner}
		_, err = l.CreateCustomer(l.as(carl), "", "X")
		wantCode(t, "a customer", err, license.CodeForbidden)

		all := property.VisibilityAll
		_, err = l.UpdateOrganization(l.vendor(), made.ID, 1, tenants.OrganizationChange{UserVisibility: &all})
		wantCode(t, "the vendor chooses", err, license.CodeForbidden)
		_, err = l.UpdateOrganization(l.vendor(), l.owner.Organization, 1, tenants.OrganizationChange{UserVisibility: &all})
		wantCode(t, "of its own users", err, license.CodeInvalidInput)
		told := l.watch(event.Rights, "")
		out, err := l.UpdateOrganization(l.as(carl), made.ID, 1, tenants.OrganizationChange{UserVisibility: &all})
		if err != nil || out.UserVisibility != all || out.Revision != 2 {
			t.Fatalf("%+v, %v", out, err)
		}
		wantSignal(t, "a choice", told)
		_, err = l.UpdateOrganization(l.as(carl), made.ID, 1, tenants.OrganizationChange{UserVisibility: &all})
		wantCode(t, "an old revision", err, license.CodeConflict)
		// A vendor orders by its customers' names: none gets another's orders, and a
		// name that is taken is answered like any.
		if _, err := l.CreateCustomer(l.vendor(), "", "Competitor"); err != nil {
			t.Fatal(err)
		}
		_, free := l.UpdateOrganization(l.as(carl), made.ID, 2, tenants.OrganizationChange{Name: new("Nobody")})
		_, taken := l.UpdateOrganization(l.as(carl), made.ID, 2, tenants.OrganizationChange{Name: new("Competitor")})
		wantCode(t, "a customer renames itself", free, license.CodeForbidden)
		if taken == nil || taken.Error() != free.Error() {
			t.Errorf("a customer finds out who else there is: %v", taken)
		}
		if out, err := l.UpdateOrganization(l.vendor(), made.ID, 2, tenants.OrganizationChange{Name: new("Shipping Company")}); err != nil || out.Name != "Shipping Company" {
			t.Errorf("the vendor renames: %+v, %v", out, err)
		}
		_, err = l.UpdateOrganization(l.as(carl), l.owner.Organization, 1, tenants.OrganizationChange{Name: new("X")})
		wantCode(t, "a customer renames its vendor", err, license.CodeNotFound)
		_, err = l.UpdateOrganization(l.stranger(), made.ID, 3, tenants.OrganizationChange{Name: new("X")})
		wantCode(t, "a stranger", err, license.CodeNotFound)
	})
}

// TestTestEnvironments are organizations of their own for the same members, and
// nothing passes between test and live.
func TestTestEnvironments(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		live := l.provision()
		test, err := l.CreateTestEnvironment(l.vendor(), "k")
		if err != nil || test.Environment != property.EnvironmentTest || *test.LiveID != l.owner.Organization {
			t.Fatalf("%+v, %v", test, err)
		}
		if again, err := l.CreateTestEnvironment(l.vendor(), "k"); err != nil || again.ID != test.ID {
			t.Errorf("again: %v, %v", again, err)
		}
		_, err = l.CreateTestEnvironment(l.vendor(), "")
		wantCode(t, "a second one", err, license.CodeConflict)
		_, err = l.CreateTestEnvironment(l.customer(live.Group), "")
		wantCode(t, "a customer's", err, license.CodeForbidden)
		_, err = l.CreateTestEnvironment(l.with(auth.Operator), "")
		wantCode(t, "an operator's", err, license.CodeForbidden)

		viewer := l.join(l.owner.Organization, "vera", property.RoleViewer)
		for _, c := range []struct {
			id   string
			role auth.Role
		}{{l.owner.ID, auth.Owner}, {viewer.ID, auth.Viewer}} {
			p, err := l.Current(t.Context(), auth.Principal{Kind: auth.KindMember, ID: c.id, Organization: test.ID})
			if err != nil || p.Organization != test.ID || p.Role != c.role || p.Provider != "" {
				t.Errorf("in the test environment: %+v, %v", p, err)
			}
		}
		_, err = l.Current(t.Context(), auth.Principal{Kind: auth.KindMember, ID: viewer.ID, Organization: *live.Group.CustomerID})
		wantCode(t, "in an organization that isn't his", err, license.CodeUnauthenticated)

		tester := l.owner
		tester.Organization = test.ID
		ctx := l.as(tester)
		customer, err := l.CreateCustomer(ctx, "", "Shipping Company")
		if err != nil || customer.Environment != property.EnvironmentTest {
			t.Fatalf("a customer of the test environment: %+v, %v", customer, err)
		}
		if n := l.Store().Client().Organization.Query().CountX(ctx); n != 2 {
			t.Errorf("the test environment sees %d organizations", n)
		}
		if n := l.Store().Client().TmrGroup.Query().CountX(ctx); n != 0 {
			t.Errorf("the test environment sees %d live groups", n)
		}
		if l.Store().Client().Organization.Query().CountX(l.vendor()) != 2 {
			t.Error("the live organization sees the test environment's customers")
		}
		_, err = l.UpdateOrganization(ctx, *live.Group.CustomerID, 1, tenants.OrganizationChange{Name: new("X")})
		wantCode(t, "a live customer from the test environment", err, license.CodeNotFound)
		for what, id := range map[string]string{"a live customer": *live.Group.CustomerID, "the live vendor": l.owner.Organization} {
			err := l.Store().WithTx(ctx, func(tx *store.Tx) error {
				return tx.TmrGroup.Create().SetVendorID(test.ID).SetCustomerID(id).SetName("x").SetVirtualSerial("131-9").
					SetActivationID(make([]byte, 16)).SetTokenKey([]byte("k")).SetNextTmrID(1).Exec(ctx)
			})
			wantCode(t, "a test group for "+what, err, license.CodeForbidden)
		}
		_, err = l.UpdateMember(ctx, viewer.ID, 1, property.RoleOperator)
		wantCode(t, "members from the test environment", err, license.CodeConflict)
		// Orders and provisioning keep to the environment, too.
		_, err = l.Order(ctx, platformorders.OrderRequest{Item: live.Item.ID, Group: live.Group.ID, Quantity: 1})
		wantCode(t, "a test order of a live item", err, license.CodeNotFound)
		tested, err := l.Provision(ctx, provision.ProvisionSpec{Customer: "Another Company", Firm: catalog.FirmSpec{Code: 6000011, Name: "Test"},
			Product: catalog.ProductSpec{Code: 1, Name: "Test"}, Item: catalog.ItemSpec{Name: "Test", TMR: true, Options: license.Options{Quantity: 1}}, Group: l.otherGroup()})
		if err != nil {
			t.Fatal(err)
		}
		if org := l.Store().Client().Organization.GetX(ctx, *tested.Group.CustomerID); org.Environment != property.EnvironmentTest {
			t.Errorf("a provisioned customer of the test environment is %s", org.Environment)
		}
		for what, req := range map[string]platformorders.OrderRequest{
			"a live item for a test group": {Item: live.Item.ID, Group: tested.Group.ID, Quantity: 1},
			"a test item for a live group": {Item: tested.Item.ID, Group: live.Group.ID, Quantity: 1},
		} {
			for _, by := range []context.Context{ctx, l.vendor()} {
				_, err := l.Order(by, req)
				wantCode(t, what, err, license.CodeNotFound)
			}
		}
		row, token, err := l.CreateToken(ctx, "", accounts.TokenSpec{Name: "t", Role: property.RoleViewer})
		if err != nil || row.OrganizationID != test.ID {
			t.Fatalf("%+v, %v", row, err)
		}
		if p, err := l.Authenticate(t.Context(), token); err != nil || p.Organization != test.ID {
			t.Errorf("a token of the test environment: %+v, %v", p, err)
		}
	})
}

// otherGroup is a group besides that of spec.
func (l *lab) otherGroup() provision.GroupSpec {
	g := l.spec().Group
	g.Name, g.Virtual = "Test", license.Serial{Mask: 131, Number: 990}
	for i := range g.Fingerprints {
		g.Fingerprints[i] = l.fingerprint(seal.Fingerprint{Serial: license.Serial{Mask: 130, Number: uint64(991 + i)}})
	}
	return g
}

// TestAuditLogIsRead by administrators and owners, of their own organization.
func TestAuditLogIsRead(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		before := time.Now().Add(-time.Minute)
		for i := range 3 {
			if _, err := l.CreateMemberGroup(l.vendor(), "", members.GroupSpec{Name: fmt.Sprint("g", i), Role: property.RoleViewer}); err != nil {
				t.Fatal(err)
			}
		}
		for what, c := range map[string]struct {
			q    tenants.AuditQuestion
			want int
		}{
			"all":        {tenants.AuditQuestion{}, 4},
			"an action":  {tenants.AuditQuestion{Action: "membergroup.created"}, 3},
			"a sort":     {tenants.AuditQuestion{Action: "membergroup."}, 3},
			"half":       {tenants.AuditQuestion{Action: "membergroup"}, 0},
			"an actor":   {tenants.AuditQuestion{Actor: l.owner.ID}, 3},
			"by name":    {tenants.AuditQuestion{Actor: l.owner.Actor()}, 3},
			"a period":   {tenants.AuditQuestion{From: before, To: time.Now().Add(time.Minute)}, 4},
			"before":     {tenants.AuditQuestion{To: before}, 0},
			"no target":  {tenants.AuditQuestion{Target: "mgr_x"}, 0},
			"everything": {tenants.AuditQuestion{Action: "membergroup.", Actor: l.owner.ID, From: before}, 3},
		} {
			where, err := l.AuditEntries(l.vendor(), c.q)
			if err != nil {
				t.Fatal(err)
			}
			if n := l.Store().Client().AuditEntry.Query().Where(where).CountX(l.vendor()); n != c.want {
				t.Errorf("%s: %d entries instead of %d", what, n, c.want)
			}
			if n := l.Store().Client().AuditEntry.Query().Where(where).CountX(l.stranger()); n != 0 {
				t.Errorf("%s: a stranger sees %d entries", what, n)
			}
		}
		_, err := l.AuditEntries(l.with(auth.Operator), tenants.AuditQuestion{})
		wantCode(t, "an operator", err, license.CodeForbidden)
		_, err = l.AuditEntries(l.vendor(), tenants.AuditQuestion{From: time.Now(), To: before})
		wantCode(t, "an empty period", err, license.CodeInvalidInput)
	})
}
