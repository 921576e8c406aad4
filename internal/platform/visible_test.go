package platform_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/allocation"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/platform/provision"
	"github.com/quorate/quorate/internal/platform/rulesets"
	"github.com/quorate/quorate/internal/store"
)

// canaries are what a customer's users are known by.
func canaries() []string { return []string{"anna", "10.77.1.2", "console-9", "secretapp", "4711"} }

// use seeds an allocation, a denial and rules of the group's customer that name
// a user.
func (l *lab) use(made provision.Provisioned) (allocationID string) {
	l.t.Helper()
	ctx := l.system()
	err := l.Store().WithTx(ctx, func(tx *store.Tx) error {
		virtual, err := tx.Container.Query().Where(core.ContainerIs(made.Group.VirtualSerial)).Only(ctx)
		if err != nil {
			return err
		}
		a, err := tx.Allocation.Create().SetVendorID(made.Group.VendorID).SetCustomerID(*made.Group.CustomerID).SetContainerID(virtual.ID).
			SetProductID(made.Product.ID).SetHandle("h1").SetMode(license.UserLimit).SetLicenses(1).SetSeat(1).SetN(1).
			SetUser("anna").SetClient("10.77.1.2").SetStation("console-9").SetApplication("secretapp").SetProcessID(4711).
			SetState(property.AllocationActive).SetFirstAccess(core.Now()).SetLastAccess(core.Now()).Save(ctx)
		if err != nil {
			return err
		}
		allocationID = a.ID
		if err := tx.Denial.Create().SetVendorID(made.Group.VendorID).SetCustomerID(*made.Group.CustomerID).SetContainerID(virtual.ID).
			SetProductID(made.Product.ID).SetPosition(1).SetAt(core.Now()).SetReason("LIMIT_REACHED").SetRule("deny user:anna").
			SetUser("anna").SetClient("10.77.1.2").SetStation("console-9").SetApplication("secretapp").SetMode(license.UserLimit).SetLicenses(1).Exec(ctx); err != nil {
			return err
		}
		return tx.RuleSet.Create().SetVendorID(made.Group.VendorID).SetCustomerID(*made.Group.CustomerID).SetTmrGroupID(made.Group.ID).
			SetVersion(1).SetText("deny user:anna\n").SetDigest("d-anna").SetSavedBy("Carl Customer").Exec(ctx)
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return allocationID
}

// choose sets what a vendor sees, as a customer's owner does.
func (l *lab) choose(organization string, v property.UserVisibility) {
	l.t.Helper()
	ctx := l.system()
	err := l.Store().WithTx(ctx, func(tx *store.Tx) error {
		u := tx.Organization.UpdateOneID(organization).SetUserVisibility(v)
		if org, err := tx.Organization.Get(ctx, organization); err != nil || len(org.PseudonymKey) == 0 {
			sealed, err := l.Core().NewPseudonymKey(ctx)
			if err != nil {
				return err
			}
			u.SetPseudonymKey(sealed)
		}
		return u.Exec(ctx)
	})
	if err != nil {
		l.t.Fatal(err)
	}
}

// waysToUsers reads what tells of users in every way that the services have, and
// gives all of it as text.
func (l *lab) waysToUsers(ctx context.Context, made provision.Provisioned, id string) map[string]string {
	l.t.Helper()
	all := map[string]string{}
	put := func(way string, v any, err error) {
		if err != nil {
			l.t.Errorf("%s: %v", way, err)
		}
		text, err := json.Marshal(v)
		if err != nil {
			l.t.Fatal(err)
		}
		all[way] += string(text)
	}
	c := l.Store().Client()
	rows, err := c.Allocation.Query().All(ctx)
	put("list", rows, err)
	rows, err = c.Allocation.Query().Select(allocation.FieldUser, allocation.FieldClient).All(ctx)
	put("chosen columns", rows, err)
	page, err := c.Allocation.Query().Paginate(ctx, nil, nil, nil, nil)
	put("page", page, err)
	one, err := c.Allocation.Get(ctx, id)
	put("one", one, err)
	node, err := l.Node(ctx, id)
	put("node", node, err)
	denials, err := c.Denial.Query().All(ctx)
	put("denials", denials, err)
	containers, err := c.Container.Query().WithAllocations().All(ctx)
	for _, row := range containers {
		put("eager", row.Edges.Allocations, err)
	}
	virtual, err := l.Container(ctx, made.Group.VirtualSerial)
	if err != nil {
		l.t.Fatal(err)
	}
	edge, err := virtual.QueryAllocations().All(ctx)
	put("edge", edge, err)
	rules, err := l.RuleSet(ctx, made.Group.ID, 0)
	put("rules", rules, err)
	put("export", nil, l.EachAllocation(ctx, history.ListQuestion{}, func(a *ent.Allocation) error { put("export", a, nil); return nil }))
	put("export of denials", nil, l.EachDenial(ctx, history.ListQuestion{}, func(d *ent.Denial) error { put("export of denials", d, nil); return nil }))
	report, err := l.CheckRules(ctx, core.Place{Group: made.Group.ID}, "allow user:nobody\n")
	put("check of rules", report, err)
	return all
}

// TestUsersAreTheCustomersMatter: whatever way a vendor reads what tells of a
// customer's users, it sees what the customer chose. He himself sees all.
func TestUsersAreTheCustomersMatter(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		id := l.use(made)
		for _, choice := range []property.UserVisibility{property.VisibilityAll, property.VisibilityPseudonyms, property.VisibilityTotals} {
			l.choose(*made.Group.CustomerID, choice)
			for way, text := range l.waysToUsers(l.customer(made.Group), made, id) {
				if !strings.Contains(text, "anna") {
					t.Errorf("%s: the customer doesn't see his users by %s: %s", choice, way, text)
				}
			}
			// A name can't be tried out by rules either.
			if report, err := l.CheckRules(l.vendor(), core.Place{Group: made.Group.ID}, "deny user:anna\n"); err != nil ||
				(report.RefusedCount > 0) != (choice == property.VisibilityAll) {
				t.Errorf("%s: rules about a name refuse %d, %v", choice, report.RefusedCount, err)
			}
			vendor := l.waysToUsers(l.vendor(), made, id)
			for way, text := range vendor {
				shown := strings.Contains(text, "anna")
				switch {
				case shown != (choice == property.VisibilityAll):
					t.Errorf("%s: by %s the vendor sees %s", choice, way, text)
				case way == "rules":
				case strings.Contains(text, `"user-`) != (choice == property.VisibilityPseudonyms):
					t.Errorf("%s: by %s the vendor sees no pseudonym: %s", choice, way, text)
				}
				for _, canary := range canaries() {
					if !shown && strings.Contains(text, canary) {
						t.Errorf("%s: by %s the vendor sees %s: %s", choice, way, canary, text)
					}
				}
			}
		}
	})
}

// TestPseudonyms are the same at each read, differ from customer to customer and
// from sort to sort, and can't be computed from the name alone.
func TestPseudonyms(t *testing.T) {
	l := newLab(t, databases.SQLite(t))
	seen := map[string]bool{}
	for range 2 {
		key, err := l.Core().NewPseudonymKey(l.system())
		if err != nil {
			t.Fatal(err)
		}
		org := &ent.Organization{UserVisibility: property.VisibilityPseudonyms, PseudonymKey: key}
		v, err := l.Core().VisibleOf(l.system(), org)
		if err != nil {
			t.Fatal(err)
		}
		again, err := l.Core().VisibleOf(l.system(), org)
		if err != nil || v.Name("user", "anna") != again.Name("user", "anna") {
			t.Errorf("a pseudonym changed, %v", err)
		}
		for _, p := range []string{v.Name("user", "anna"), v.Name("user", "Anna"), v.Name("station", "anna")} {
			if seen[p] || strings.Contains(p, "nna") || len(p) < 15 {
				t.Errorf("the pseudonym %q", p)
			}
			seen[p] = true
		}
		if v.Name("user", "") != "" {
			t.Error("nobody has a pseudonym")
		}
	}
	v, err := l.Core().VisibleOf(l.system(), &ent.Organization{UserVisibility: property.VisibilityPseudonyms})
	if err != nil || v.Name("user", "anna") != "" {
		t.Errorf("without a key: %q, %v", v.Name("user", "anna"), err)
	}
	if v, err := l.Core().VisibleOf(l.system(), &ent.Organization{UserVisibility: "OTHER"}); err != nil || v.Name("user", "anna") != "" {
		t.Error("a choice that isn't known shows users")
	}
	_, err = l.Core().VisibleOf(l.system(), &ent.Organization{UserVisibility: property.VisibilityPseudonyms, PseudonymKey: []byte("x")})
	wantCode(t, "a damaged key", err, license.CodeKeyRefused)
}

// TestUsersStayHidden when nobody says how they are hidden, or when columns are
// read past the rows.
func TestUsersStayHidden(t *testing.T) {
	l := newLab(t, databases.SQLite(t))
	made := l.provision()
	l.use(made)
	l.choose(*made.Group.CustomerID, property.VisibilityTotals)
	c := l.Store().Client()
	for _, column := range []string{allocation.FieldUser, allocation.FieldClient, allocation.FieldStation, allocation.FieldApplication, allocation.FieldProcessID} {
		var got []string
		err := c.Allocation.Query().Select(column).Scan(l.vendor(), &got)
		wantCode(t, "the column "+column, err, license.CodeForbidden)
		var groups []map[string]any
		err = c.Allocation.Query().GroupBy(column).Scan(l.vendor(), &groups)
		wantCode(t, "groups by "+column, err, license.CodeForbidden)
	}
	if rows, err := c.Allocation.Query().Select(allocation.FieldHandle).All(l.vendor()); err != nil || len(rows) != 1 || rows[0].Handle != "h1" || rows[0].User != "" {
		t.Errorf("columns that tell nothing: %v, %v", rows, err)
	}
	if n, err := c.Allocation.Query().Count(l.vendor()); err != nil || n != 1 {
		t.Errorf("%d allocations are counted, %v", n, err)
	}
	broken := errors.New("no")
	l.Store().SetVeil(func(context.Context, *ent.Organization, any) error { return broken })
	if rows, err := c.Allocation.Query().All(l.vendor()); !errors.Is(err, broken) || len(rows) != 0 {
		t.Errorf("unveiled: %v, %v", rows, err)
	}
	bare, err := store.Open(t.Context(), databases.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bare.Close() }()
	if n, err := bare.Client().Allocation.Query().All(l.as(auth.Principal{Kind: auth.KindMember, ID: "m", Organization: "o", Role: auth.Owner})); err != nil || len(n) != 0 {
		t.Errorf("%v, %v", n, err)
	}
}

// TestVendorSeesItsOwnRules: what a vendor wrote for a customer that nobody
// belongs to it can read and change, whatever it sees of users.
func TestVendorSeesItsOwnRules(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		l.choose(*made.Group.CustomerID, property.VisibilityTotals)
		at := core.Place{Group: made.Group.ID}
		if saved, err := l.SaveRules(l.vendor(), rulesets.RulesChange{At: at, Text: "deny user:anna\n"}); err != nil || !saved.Saved {
			t.Fatalf("%+v, %v", saved, err)
		}
		if set, err := l.RuleSet(l.vendor(), made.Group.ID, 0); err != nil || set.Text != "deny user:anna\n" || set.Digest == "" {
			t.Errorf("its own rules: %+v, %v", set, err)
		}
		if saved, err := l.SaveRules(l.customer(made.Group), rulesets.RulesChange{At: at, Text: "deny user:berta\n", Expected: 1}); err != nil || !saved.Saved {
			t.Fatalf("%+v, %v", saved, err)
		}
		if set, err := l.RuleSet(l.vendor(), made.Group.ID, 0); err != nil || set.Text != "" || set.Digest != "" || set.Version != 2 {
			t.Errorf("the customer's rules: %+v, %v", set, err)
		}
	})
}
