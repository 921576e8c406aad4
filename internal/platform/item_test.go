package platform_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/auditentry"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/orders"
	"github.com/quorate/quorate/internal/platform/provision"
	"github.com/quorate/quorate/internal/rollout"
)

func units(n uint64) *uint64 { return &n }

// TestItem: an item is made with every option, changed, and renewed; what
// changes nothing changes no revision.
func TestItem(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		f, err := l.CreateFirm(l.vendor(), catalog.FirmSpec{Code: product.Firm, Name: "Nautical Charts"})
		if err != nil {
			t.Fatal(err)
		}
		q, err := l.CreateProduct(l.vendor(), "6000010", catalog.ProductSpec{Code: product.Code, Name: "Chart Processing"})
		if err != nil || q.FirmID != f.ID {
			t.Fatalf("%+v, %v", q, err)
		}
		options := license.Options{
			Quantity: 5, FeatureMap: 1 << 31, UsagePeriod: 90 * 24 * time.Hour, Units: units(license.MostUnits),
			Activation: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), Expiration: time.Date(2027, 12, 1, 0, 0, 0, 0, time.UTC),
			Maintenance: license.Maintenance{
				From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC),
			},
			MinimumVersion: "10.4", Text: "for ships", Linger: 90 * time.Second,
			AccessList: []license.AccessRule{{Kind: license.AccessUser, Value: "anna"}, {Deny: true, Kind: license.AccessSubnet, Value: "10.9.0.0/16"}},
			TMRID:      9, Issue: 9, Protected: license.DataName{9}, // not the caller's to say
		}
		it, err := l.CreateItem(l.vendor(), product.String(), catalog.ItemSpec{Name: "Everything", Options: options,
			Protected: catalog.Data("readable"), Secret: catalog.Data("unreadable")})
		if err != nil {
			t.Fatal(err)
		}
		want := options
		want.TMRID, want.Issue = 0, 0
		want.Protected, want.Secret = license.DataName(it.ProtectedName), license.DataName(it.SecretName)
		// spec reads an item's specification without changing it.
		spec := func() (s catalog.ItemSpec) {
			t.Helper()
			now := l.Store().Client().Item.GetX(l.system(), it.ID)
			if _, err := l.UpdateItem(l.vendor(), it.ID, now.Revision, func(have *catalog.ItemSpec) { s = *have }); err != nil {
				t.Fatal(err)
			}
			return s
		}
		if got := spec(); !got.Options.Equal(want) || got.Name != "Everything" || got.TMR || got.Protected != nil {
			t.Errorf("saved %+v\ninstead of %+v", got.Options, want)
		}
		if it.Revision != 1 || want.Protected == (license.DataName{}) || want.Secret == (license.DataName{}) || want.Protected == want.Secret {
			t.Errorf("%+v", it)
		}
		change := func(f func(*catalog.ItemSpec)) *ent.Item {
			t.Helper()
			out, err := l.UpdateItem(l.vendor(), it.ID, it.Revision, f)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		same := change(func(s *catalog.ItemSpec) { s.Protected, s.Options.Quantity = catalog.Data("readable"), 5 })
		if same.Revision != 1 || string(same.ProtectedName) != string(it.ProtectedName) {
			t.Errorf("nothing was changed: %+v", same)
		}
		it = change(func(s *catalog.ItemSpec) { s.Secret = catalog.Data("another") })
		if it.Revision != 2 || string(it.SecretName) == string(want.Secret[:]) || string(it.ProtectedName) != string(want.Protected[:]) {
			t.Errorf("another secret: %+v", it)
		}
		it = change(func(s *catalog.ItemSpec) {
			*s = catalog.ItemSpec{Name: "Nothing", Protected: catalog.Data{}, Secret: catalog.Data{}}
		})
		if got := spec(); !got.Options.Equal(license.Options{}) || it.ProtectedData != nil || it.SecretData != nil || it.SecretName != nil {
			t.Errorf("nothing is left: %+v", it)
		}
		renewed, err := l.RenewItem(l.vendor(), it.ID, it.Revision)
		if err != nil || renewed.Issue != 1 || renewed.Revision != it.Revision+1 {
			t.Errorf("renewed: %+v, %v", renewed, err)
		}
		_, err = l.RenewItem(l.vendor(), it.ID, it.Revision)
		wantCode(t, "renewed twice", err, license.CodeConflict)
		for action, n := range map[string]int{"firm.create": 1, "product.create": 1, "item.create": 1, "item.update": 2, "item.renew": 1} {
			if got := l.audited(action); got != n {
				t.Errorf("%d entries of %s", got, action)
			}
		}
		entry := l.Store().Client().AuditEntry.Query().Where(auditentry.Action("item.update")).Order(auditentry.ByCreatedAt()).FirstX(l.system())
		if entry.Before["secretData"] == entry.After["secretData"] || entry.After["text"] != "for ships" || entry.Target != it.ID {
			t.Errorf("audited %v → %v", entry.Before, entry.After)
		}
	})
}

func TestItemRefuses(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		id := made.Item.ID
		stranger := l.stranger()
		update := func(s *catalog.ItemSpec) { s.Options.Text = "changed" }
		for what, c := range map[string]struct {
			ctx  func() error
			code license.Code
		}{
			"an operator": {func() error { _, err := l.UpdateItem(l.with(auth.Operator), id, 1, update); return err }, license.CodeForbidden},
			"the customer": {func() error { _, err := l.UpdateItem(l.customer(made.Group), id, 1, update); return err },
				license.CodeForbidden},
			"a stranger":         {func() error { _, err := l.UpdateItem(stranger, id, 1, update); return err }, license.CodeNotFound},
			"a server":           {func() error { _, err := l.UpdateItem(l.link(made), id, 1, update); return err }, license.CodeForbidden},
			"nobody":             {func() error { _, err := l.UpdateItem(t.Context(), id, 1, update); return err }, license.CodeUnauthenticated},
			"an old revision":    {func() error { _, err := l.UpdateItem(l.vendor(), id, 0, update); return err }, license.CodeConflict},
			"a stranger's renew": {func() error { _, err := l.RenewItem(stranger, id, 1); return err }, license.CodeNotFound},
			"an operator's renew": {func() error { _, err := l.RenewItem(l.with(auth.Operator), id, 1); return err },
				license.CodeForbidden},
			"a customer's item": {func() error {
				_, err := l.CreateItem(l.customer(made.Group), made.Product.ID, catalog.ItemSpec{Name: "x"})
				return err
			}, license.CodeForbidden},
			"a stranger's item": {func() error {
				_, err := l.CreateItem(stranger, made.Product.ID, catalog.ItemSpec{Name: "x"})
				return err
			}, license.CodeNotFound},
			"a stranger's product": {func() error {
				_, err := l.CreateProduct(stranger, made.Firm.ID, catalog.ProductSpec{Code: 99, Name: "x"})
				return err
			}, license.CodeNotFound},
			"a firm twice": {func() error {
				_, err := l.CreateFirm(stranger, catalog.FirmSpec{Code: product.Firm, Name: "x"})
				return err
			}, license.CodeConflict},
			"a customer's firm": {func() error {
				_, err := l.CreateFirm(l.customer(made.Group), catalog.FirmSpec{Code: 6000050, Name: "x"})
				return err
			}, license.CodeForbidden},
			"a product twice": {func() error {
				_, err := l.CreateProduct(l.vendor(), made.Firm.ID, catalog.ProductSpec{Code: product.Code, Name: "x"})
				return err
			}, license.CodeConflict},
			"an item twice": {func() error {
				_, err := l.CreateItem(l.vendor(), made.Product.ID, catalog.ItemSpec{Name: made.Item.Name})
				return err
			}, license.CodeConflict},
			"long data": {func() error {
				_, err := l.UpdateItem(l.vendor(), id, 1, func(s *catalog.ItemSpec) { s.Secret = make(catalog.Data, license.MostData+1) })
				return err
			}, license.CodeInvalidInput},
			"NUL": {func() error {
				_, err := l.UpdateItem(l.vendor(), id, 1, func(s *catalog.ItemSpec) { s.Options.Text = "a\x00b" })
				return err
			}, license.CodeInvalidInput},
			"a local-only TMR item": {func() error {
				_, err := l.UpdateItem(l.vendor(), id, 1, func(s *catalog.ItemSpec) { s.Options.Quantity = 0 })
				return err
			}, license.CodeInvalidInput},
		} {
			wantCode(t, what, c.ctx(), c.code)
		}
		// An item that was not ordered for a group may leave TMR, one that was may not.
		noTMR := func(s *catalog.ItemSpec) { s.TMR = false }
		out, err := l.UpdateItem(l.vendor(), id, 1, noTMR)
		if err != nil {
			t.Fatal(err)
		}
		if out, err = l.UpdateItem(l.vendor(), id, out.Revision, func(s *catalog.ItemSpec) { s.TMR = true }); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Order(l.vendor(), orders.OrderRequest{Item: id, Group: made.Group.ID, Quantity: 1}); err != nil {
			t.Fatal(err)
		}
		_, err = l.UpdateItem(l.vendor(), id, out.Revision, noTMR)
		wantCode(t, "an ordered item leaves TMR", err, license.CodeConflict)
		if now := l.Store().Client().Item.GetX(l.system(), id); now.Revision != out.Revision || now.Text != nil {
			t.Errorf("a refusal changed %+v", now)
		}
	})
}

// TestItemChangesTakeTurns: of those that change one revision at once, one does.
func TestItemChangesTakeTurns(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		var all sync.WaitGroup
		var mu sync.Mutex
		done := 0
		for i := range 8 {
			all.Go(func() {
				_, err := l.UpdateItem(l.vendor(), made.Item.ID, 1, func(s *catalog.ItemSpec) { s.Options.Text = fmt.Sprint("by ", i) })
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					done++
				} else {
					wantCode(t, "an overtaken change", err, license.CodeConflict)
				}
			})
		}
		all.Wait()
		if now := l.Store().Client().Item.GetX(l.system(), made.Item.ID); done != 1 || now.Revision != 2 {
			t.Errorf("%d changes, revision %d", done, now.Revision)
		}
	})
}

// terms are what a rollout took at its start.
func terms(t *testing.T, row *ent.Rollout) map[license.ProductCode]license.Options {
	t.Helper()
	var s rollout.State
	if err := json.Unmarshal(row.Machine, &s); err != nil {
		t.Fatal(err)
	}
	all := map[license.ProductCode]license.Options{}
	for _, l := range s.Terms {
		all[l.Product.Code] = l.Options
	}
	return all
}

func (l *lab) order(made provision.Provisioned, item string, quantity int) {
	l.t.Helper()
	if _, err := l.Order(l.vendor(), orders.OrderRequest{Item: item, Group: made.Group.ID, Quantity: quantity}); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) rollOut(made provision.Provisioned) *ent.Rollout {
	l.t.Helper()
	row, err := l.StartRollout(l.vendor(), core.Place{Group: made.Group.ID}, "")
	if err != nil {
		l.t.Fatal(err)
	}
	return row
}

// finish ends a rollout as if the containers had taken it.
func (l *lab) finish(row *ent.Rollout) {
	l.t.Helper()
	if err := l.Store().Client().Rollout.UpdateOneID(row.ID).SetState(property.RolloutDone).SetRunning(false).Exec(l.system()); err != nil {
		l.t.Fatal(err)
	}
}

// TestOrderedOptions: the last item's options, the quantity and the units of
// all orders, the issues of all items.
func TestOrderedOptions(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		item := func(s catalog.ItemSpec) string {
			t.Helper()
			s.TMR = true
			it, err := l.CreateItem(l.vendor(), made.Product.ID, s)
			if err != nil {
				t.Fatal(err)
			}
			return it.ID
		}
		counted := item(catalog.ItemSpec{Name: "counted", Options: license.Options{Quantity: 1, Units: units(100), Text: "a", FeatureMap: 1}})
		many := item(catalog.ItemSpec{Name: "many", Options: license.Options{Quantity: 1, Units: units(license.MostUnits), Text: "b"}})
		if _, err := l.RenewItem(l.vendor(), counted, 1); err != nil {
			t.Fatal(err)
		}
		if _, err := l.RenewItem(l.vendor(), many, 1); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			item  string
			n     int
			after license.Options
		}{
			{made.Item.ID, 20, license.Options{Quantity: 20, FeatureMap: 1<<32 - 1}},
			{counted, 3, license.Options{Quantity: 23, Units: units(300), Text: "a", FeatureMap: 1, Issue: 1}},
			{counted, 2, license.Options{Quantity: 25, Units: units(500), Text: "a", FeatureMap: 1, Issue: 1}},
			{many, 5, license.Options{Quantity: 30, Units: units(license.MostUnits), Text: "b", Issue: 2}},
			{made.Item.ID, 1, license.Options{Quantity: 31, FeatureMap: 1<<32 - 1, Issue: 2}},
		} {
			l.order(made, step.item, step.n)
			row := l.rollOut(made)
			l.finish(row)
			step.after.TMRID = uint32(row.TmrID)
			if got := terms(t, row)[product.Code]; !got.Equal(step.after) {
				t.Errorf("after %d more: %+v instead of %+v", step.n, got, step.after)
			}
		}
	})
}

// TestChangedItemsAreRolledOut: a change of an item makes its licenses due,
// once, and only where they are.
func TestChangedItemsAreRolledOut(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		id := made.Item.ID
		text := func(s string) {
			t.Helper()
			it := l.Store().Client().Item.GetX(l.system(), id)
			if _, err := l.UpdateItem(l.vendor(), id, it.Revision, func(have *catalog.ItemSpec) { have.Options.Text = s }); err != nil {
				t.Fatal(err)
			}
		}
		upToDate := func(what string) {
			t.Helper()
			_, err := l.StartRollout(l.vendor(), core.Place{Group: made.Group.ID}, "")
			wantCode(t, what, err, license.CodeRolloutUpToDate)
		}
		text("never rolled out")
		upToDate("nothing is there")
		l.order(made, id, 20)
		first := l.rollOut(made)
		upToDate("it is on its way")
		text("changed while it is rolled out")
		second := l.rollOut(made)
		if second.State != property.RolloutQueued || len(second.Products) != 1 {
			t.Errorf("%+v", second)
		}
		text("changed while it is queued")
		upToDate("the queued one takes the options of its turn")
		l.finish(first)
		if err := l.AdvanceRollout(t.Context(), second.ID, nil); err != nil {
			t.Fatal(err)
		}
		second = l.Store().Client().Rollout.GetX(l.system(), second.ID)
		if got := terms(t, second)[product.Code]; got.Text != "changed while it is queued" || got.Quantity != 20 || got.TMRID != uint32(second.TmrID) {
			t.Errorf("the second brings %+v", got)
		}
		l.finish(second)
		upToDate("all is rolled out")
		text("and back")
		text("changed while it is queued")
		upToDate("it is as it was")

		// An order of another product of the firm takes the change along.
		other, err := l.CreateProduct(l.vendor(), made.Firm.ID, catalog.ProductSpec{Code: 15, Name: "Tides"})
		if err != nil {
			t.Fatal(err)
		}
		tides, err := l.CreateItem(l.vendor(), other.ID, catalog.ItemSpec{Name: "Tides", TMR: true, Options: license.Options{Quantity: 1}})
		if err != nil {
			t.Fatal(err)
		}
		text("along")
		l.order(made, tides.ID, 3)
		third := l.rollOut(made)
		if got := terms(t, third); len(got) != 2 || got[15].Quantity != 3 || got[14].Text != "along" {
			t.Errorf("the third brings %+v", got)
		}
		// Given up, both are due again.
		if _, err := l.AbortRollout(l.vendor(), third.ID); err != nil {
			t.Fatal(err)
		}
		if got := terms(t, l.rollOut(made)); len(got) != 2 {
			t.Errorf("the fourth brings %+v", got)
		}
	})
}

// TestRolloutOfChangesAloneEnds: where the rollout before it is given up and
// nothing of the product is left, one of changed items has nothing to do.
func TestRolloutOfChangesAloneEnds(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		l.order(made, made.Item.ID, 20)
		first := l.rollOut(made)
		if _, err := l.UpdateItem(l.vendor(), made.Item.ID, 1, func(s *catalog.ItemSpec) { s.Options.Text = "x" }); err != nil {
			t.Fatal(err)
		}
		second := l.rollOut(made)
		if _, err := l.AbortRollout(l.vendor(), first.ID); err != nil {
			t.Fatal(err)
		}
		if err := l.AdvanceRollout(t.Context(), second.ID, nil); err != nil {
			t.Fatal(err)
		}
		if now := l.Store().Client().Rollout.GetX(l.system(), second.ID); now.State != property.RolloutAborted {
			t.Errorf("%+v", now)
		}
		if got := terms(t, l.rollOut(made))[product.Code]; got.Quantity != 20 || got.Text != "x" {
			t.Errorf("the third brings %+v", got)
		}
	})
}

// TestDataIsNotPrinted: whatever prints a specification leaves its data out.
func TestDataIsNotPrinted(t *testing.T) {
	s := catalog.ItemSpec{Name: "x", Secret: catalog.Data("canary")}
	j, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprintf("%v %+v %#v", s, s, s), fmt.Sprintf("%s %q %x", s.Secret, s.Secret, s.Secret), string(j)} {
		for _, form := range []string{"canary", "63616e617279", "99 97", "Y2FuYXJ5", "0x63"} {
			if strings.Contains(text, form) {
				t.Errorf("printed %s", text)
			}
		}
	}
}
