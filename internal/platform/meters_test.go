package platform_test

import (
	"crypto/rand"
	"encoding/json"
	"testing"
	"time"

	"github.com/quorate/quorate/ent/auditentry"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
)

// metered makes an item that can be used up.
func (l *lab) metered(o license.Options) string {
	l.t.Helper()
	o.Quantity = 1
	it, err := l.CreateItem(l.vendor(), product.String(), catalog.ItemSpec{Name: "Metered", Options: o})
	if err != nil {
		l.t.Fatal(err)
	}
	return it.ID
}

func (b *box) take(n uint64) {
	b.l.t.Helper()
	if _, err := b.TakeUnits(product, rand.Text(), n); err != nil {
		b.l.t.Fatal(err)
	}
}

// shown has the platform see the container's present fingerprint.
func (b *box) shown() {
	b.l.t.Helper()
	_, err := b.l.StartOfflineRollout(b.l.vendor(), b.place(), b.request())
	wantCode(b.l.t, "nothing is due", err, license.CodeRolloutUpToDate)
}

func (b *box) options() license.Options {
	b.l.t.Helper()
	_, held := b.Licenses()
	if len(held) != 1 {
		b.l.t.Fatalf("%s holds %+v", b.serial, held)
	}
	return held[0].Options
}

// lastUsed is what the audit log tells of the last replacement.
func (l *lab) lastUsed() string {
	l.t.Helper()
	e := l.Store().Client().AuditEntry.Query().Where(auditentry.Action("container.rehost")).AllX(l.system())
	b, err := json.Marshal(e[len(e)-1].After["used"])
	if err != nil {
		l.t.Fatal(err)
	}
	return string(b)
}

// TestUnitsThatAreLeftGoToTheReplacement: as the last fingerprint told, also
// from a second replacement, and until the license is renewed.
func TestUnitsThatAreLeftGoToTheReplacement(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		l.provision()
		units := uint64(100)
		it := l.metered(license.Options{Units: &units})
		a, b, c, d := l.box(77, "Shipping Company"), l.box(78, "Shipping Company"), l.box(79, "Shipping Company"), l.box(80, "Shipping Company")
		l.buy(it, a, 2)
		a.roll()
		a.take(30)
		old := a.copied()
		a.take(40)
		a.shown()
		a.take(5) // nobody hears of it
		a.restore(old)
		_, err := l.StartOfflineRollout(l.vendor(), a.place(), a.request())
		wantCode(t, "it tells of less", err, license.CodeManipulation)
		replace := func(from, to *box, want string) {
			t.Helper()
			if _, err := l.RehostContainer(l.vendor(), from.serial, to.serial, "burned", ""); err != nil {
				t.Fatal(err)
			}
			if got := l.lastUsed(); got != want {
				t.Errorf("the audit log tells %s, want %s", got, want)
			}
		}
		replace(a, b, `[{"product":"6000010:14","unitsGranted":200,"unitsLeft":130,"unitsUsed":70}]`)
		b.roll()
		if o := b.options(); o.Quantity != 2 || *o.Units != 130 {
			t.Errorf("the replacement holds %+v", o)
		}
		b.take(130)
		l.buy(it, b, 1)
		b.roll()
		if o := b.options(); *o.Units != 230 {
			t.Errorf("with one more: %+v", o)
		}
		replace(b, c, `[{"product":"6000010:14","unitsGranted":230,"unitsLeft":100,"unitsUsed":130}]`)
		replace(c, d, `[{"product":"6000010:14","unitsGranted":100,"unitsLeft":100,"unitsUsed":0}]`) // never rolled out
		d.roll()
		if o := d.options(); o.Quantity != 3 || *o.Units != 100 {
			t.Errorf("the last replacement holds %+v", o)
		}
		if _, err := l.RenewItem(l.vendor(), it, 1); err != nil {
			t.Fatal(err)
		}
		d.roll()
		if o := d.options(); *o.Units != 300 {
			t.Errorf("renewed: %+v", o)
		}
	})
}

// TestUsagePeriodGoesOnInTheReplacement: one that had begun ends when it would
// have ended; one that had not begins with the first use there.
func TestUsagePeriodGoesOnInTheReplacement(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		l.provision()
		it := l.metered(license.Options{UsagePeriod: 30 * 24 * time.Hour})
		a, b, c, d := l.box(77, "Shipping Company"), l.box(78, "Shipping Company"), l.box(79, "Shipping Company"), l.box(80, "Shipping Company")
		l.buy(it, a, 1)
		a.roll()
		a.shown()
		replace := func(from, to *box) {
			t.Helper()
			if _, err := l.RehostContainer(l.vendor(), from.serial, to.serial, "burned", ""); err != nil {
				t.Fatal(err)
			}
		}
		replace(a, b)
		b.roll()
		if o := b.options(); !o.Expiration.IsZero() || o.UsagePeriod == 0 {
			t.Errorf("not begun: %+v", o)
		}
		if err := b.Started(product); err != nil {
			t.Fatal(err)
		}
		b.shown()
		end := b.Use(product).First.Add(30 * 24 * time.Hour)
		for _, pair := range [][2]*box{{b, c}, {c, d}} { // the second one before it was rolled out
			replace(pair[0], pair[1])
			if want := end.Add(time.Second).Truncate(time.Second).UTC().Format(time.RFC3339); l.lastUsed() != `[{"product":"6000010:14","usagePeriodEnds":"`+want+`"}]` {
				t.Errorf("the audit log tells %s, want %s", l.lastUsed(), want)
			}
		}
		d.roll()
		if o := d.options(); o.Expiration.Before(end) || o.Expiration.Sub(end) > time.Second {
			t.Errorf("it ends at %s instead of %s", o.Expiration, end)
		}
		if _, err := l.RenewItem(l.vendor(), it, 1); err != nil {
			t.Fatal(err)
		}
		d.roll()
		if o := d.options(); !o.Expiration.IsZero() {
			t.Errorf("renewed: %+v", o)
		}
	})
}
