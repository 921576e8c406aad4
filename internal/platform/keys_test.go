package platform_test

import (
	"strings"
	"testing"

	"github.com/quorate/quorate/ent/idempotencykey"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/provision"
	"github.com/quorate/quorate/internal/platform/rollouts"
	"github.com/quorate/quorate/internal/platform/rulesets"
)

// TestKeysOfCatalogAndTransfers: the same key makes nothing anew, and is no key
// of another request.
func TestKeysOfCatalogAndTransfers(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		b := l.box(77, "Shipping Company")
		l.buy(made.Item.ID, b, 5)
		b.roll()
		same := func(what string, make func(key string, other bool) (string, error)) {
			t.Helper()
			first, err := make("k", false)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if again, err := make("k", false); err != nil || again != first {
				t.Errorf("%s: %s instead of %s, %v", what, again, first, err)
			}
			_, err = make("k", true)
			wantCode(t, what, err, license.CodeConflict)
		}
		same("a firm", func(key string, other bool) (string, error) {
			f, err := l.CreateFirm(l.vendor(), catalog.FirmSpec{Code: 6000011, Name: pick(other, "A", "B"), Key: key})
			if err != nil {
				return "", err
			}
			return f.ID, nil
		})
		same("a product", func(key string, other bool) (string, error) {
			p, err := l.CreateProduct(l.vendor(), made.Firm.ID, catalog.ProductSpec{Code: 99, Name: pick(other, "A", "B"), Key: key})
			if err != nil {
				return "", err
			}
			return p.ID, nil
		})
		same("an item", func(key string, other bool) (string, error) {
			i, err := l.CreateItem(l.vendor(), made.Product.ID, catalog.ItemSpec{Name: pick(other, "A", "B"), Secret: catalog.Data("x"), Key: key})
			if err != nil {
				return "", err
			}
			return i.ID, nil
		})
		same("a return", func(key string, other bool) (string, error) {
			r := b.leave(1)
			r.Key, r.Reason = key, pick(other, "A", "B")
			tr, err := l.ReturnLicenses(l.vendor(), r)
			if err != nil {
				return "", err
			}
			return tr.ID, nil
		})
	})
}

// TestKeyOfAnItemComparesData: of an item its data counts, too.
func TestKeyOfAnItemComparesData(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		spec := catalog.ItemSpec{Name: "Tides", Protected: catalog.Data("ab"), Secret: catalog.Data("c"), Key: "k"}
		first, err := l.CreateItem(l.vendor(), made.Product.ID, spec)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := l.CreateItem(l.vendor(), made.Product.ID, spec); err != nil || again.ID != first.ID {
			t.Errorf("the same data: %v, %v", again, err)
		}
		for _, other := range [][2]catalog.Data{{catalog.Data("ab"), catalog.Data("d")}, {catalog.Data("a"), catalog.Data("bc")}, {catalog.Data("ab"), nil}, {nil, nil}} {
			spec.Protected, spec.Secret = other[0], other[1]
			_, err := l.CreateItem(l.vendor(), made.Product.ID, spec)
			wantKeyRefused(t, err)
		}
	})
}

// TestKeysOfContainers: what a container is registered, replaced and re-hosted by.
func TestKeysOfContainers(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		reg := provision.RegisterSpec{Request: l.newcomer(600, nil), Customer: "Shipping Company", Server: &provision.ServerSpec{Name: "cellar"}, Key: "k"}
		first, err := l.RegisterContainer(l.vendor(), reg)
		if err != nil || first.Token == "" {
			t.Fatalf("a container: %v", err)
		}
		again, err := l.RegisterContainer(l.vendor(), reg)
		if err != nil || again.Container.ID != first.Container.ID || again.Server.ID != first.Server.ID || again.Token != "" {
			t.Errorf("a container again: %+v, %v", again, err)
		}
		reg.Server = nil
		_, err = l.RegisterContainer(l.vendor(), reg)
		wantKeyRefused(t, err)

		rep := rollouts.ReplaceSpec{Backend: "130-27845973", Request: l.newcomer(500, nil), Reason: "the disk broke", Key: "k"}
		put, err := l.ReplaceBackend(l.vendor(), rep)
		if err != nil || put.Rollout != nil {
			t.Fatalf("a backend: %+v, %v", put, err)
		}
		l.order(made, made.Item.ID, 20)
		l.rollOut(made) // without the key it would be part of the answer
		twice, err := l.ReplaceBackend(l.vendor(), rep)
		if err != nil || twice.Group.ID != put.Group.ID || twice.Old.ID != put.Old.ID || twice.New.ID != put.New.ID || twice.Rollout != nil {
			t.Errorf("a backend again: %+v, %v", twice, err)
		}
		rep.Reason = "stolen"
		_, err = l.ReplaceBackend(l.vendor(), rep)
		wantKeyRefused(t, err)
		next := rollouts.ReplaceSpec{Backend: "130-500", Request: l.newcomer(501, nil), Key: "k2"}
		going, err := l.ReplaceBackend(l.vendor(), next)
		if err != nil || going.Rollout == nil {
			t.Fatalf("a backend during a rollout: %+v, %v", going, err)
		}
		if twice, err := l.ReplaceBackend(l.vendor(), next); err != nil || twice.New.ID != going.New.ID || twice.Rollout == nil || twice.Rollout.ID != going.Rollout.ID {
			t.Errorf("a backend during a rollout again: %+v, %v", twice, err)
		}

		lost, to := l.box(77, "Shipping Company"), l.box(78, "Shipping Company")
		l.buy(made.Item.ID, lost, 5)
		lost.roll()
		moved, err := l.RehostContainer(l.vendor(), lost.serial, to.serial, "burned", "k")
		if err != nil || len(moved) != 1 {
			t.Fatalf("a re-host: %v, %v", moved, err)
		}
		if again, err := l.RehostContainer(l.vendor(), lost.serial, to.serial, "burned", "k"); err != nil || len(again) != 1 || again[0].ID != moved[0].ID {
			t.Errorf("a re-host again: %v, %v", again, err)
		}
		_, err = l.RehostContainer(l.vendor(), lost.serial, to.serial, "lost", "k")
		wantKeyRefused(t, err)
	})
}

// TestKeyOfAnOfflineRollout: it gives the rollout even when that is done; what
// ends in a suspicion uses none up.
func TestKeyOfAnOfflineRollout(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		b := l.box(77, "Shipping Company")
		l.buy(made.Item.ID, b, 5)
		fresh, request := b.copied(), b.request()
		start := func(key, request string) (rollouts.OfflineRollout, error) {
			return l.StartOfflineRolloutOnce(l.vendor(), key, b.place(), request)
		}
		first, err := start("k", request)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := start("k", request); err != nil || again.Row.ID != first.Row.ID || again.Update == "" {
			t.Errorf("again: %s instead of %s, update of %d bytes, %v", again.Row, first.Row, len(again.Update), err)
		}
		_, err = start("k", b.request())
		wantKeyRefused(t, err)
		if _, err := l.FinishOfflineRollout(l.vendor(), first.Row.ID, b.apply(first.Update, 0)); err != nil {
			t.Fatal(err)
		}
		if again, err := start("k", request); err != nil || again.Row.ID != first.Row.ID || again.Row.State != property.RolloutDone || again.Update != "" {
			t.Errorf("when it is done: %s, update of %d bytes, %v", again.Row, len(again.Update), err)
		}

		b.restore(fresh)
		l.buy(made.Item.ID, b, 5)
		_, err = start("k2", b.request())
		wantCode(t, "a restored container", err, license.CodeManipulation)
		if b.state() != property.ContainerSuspected {
			t.Errorf("the container is %s", b.state())
		}
		if n := l.Store().Client().IdempotencyKey.Query().Where(idempotencykey.Operation("startOfflineRollout")).CountX(l.system()); n != 1 {
			t.Errorf("%d keys are remembered", n)
		}
	})
}

// TestKeyOfRules: it gives the version that was saved under it, whatever was
// saved since; what waits for a confirmation uses none up.
func TestKeyOfRules(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.used()
		ctx, at := l.customer(made.Group), core.Place{Group: made.Group.ID}
		change := rulesets.RulesChange{At: at, Text: "deny user:zoe\n", Key: "k"}
		first, err := l.SaveRules(ctx, change)
		if err != nil || !first.Saved {
			t.Fatalf("%+v, %v", first, err)
		}
		other := rulesets.RulesChange{At: at, Text: "deny user:ben\n", Expected: 1, Key: "k2"}
		if got, err := l.SaveRules(ctx, other); err != nil || got.Saved || got.Report.RefusedCount != 1 {
			t.Fatalf("what needs a confirmation: %+v, %v", got, err)
		}
		other.Confirm = true
		second, err := l.SaveRules(ctx, other)
		if err != nil || !second.Saved || second.Set.Version != 2 {
			t.Fatalf("confirmed: %+v, %v", second, err)
		}
		if again, err := l.SaveRules(ctx, change); err != nil || !again.Saved || again.Set.ID != first.Set.ID || again.Set.Version != 1 {
			t.Errorf("again: %+v, %v", again, err)
		}
		if again, err := l.SaveRules(ctx, other); err != nil || !again.Saved || again.Set.ID != second.Set.ID {
			t.Errorf("the newest again: %+v, %v", again, err)
		}
		for _, text := range []string{"deny user:eve\n", "deny user:ben\n"} { // the second is there already
			change.Text = text
			_, err = l.SaveRules(ctx, change)
			wantKeyRefused(t, err)
		}
		if n := l.audited("rules.save"); n != 2 {
			t.Errorf("saved %d times", n)
		}
	})
}

func wantKeyRefused(t *testing.T, err error) {
	t.Helper()
	wantCode(t, "a key of another request", err, license.CodeConflict)
	if err != nil && !strings.Contains(err.Error(), "idempotency key") {
		t.Errorf("not for its key: %v", err)
	}
}

func pick(second bool, a, b string) string {
	if second {
		return b
	}
	return a
}
