package e2e

import (
	"fmt"
	"os/user"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/testenv"
)

// A container's life with a link: every option, updates under running programs,
// licenses that leave, and a license server that is killed.
func TestLifeOnline(t *testing.T) {
	redis := testenv.Redis(t)
	l := newLife(t, "--database", testenv.Postgres(t), "--redis", redis.URL())
	one, two := l.box("one", "130-100", "Shipping Company", true), l.box("two", "130-200", "Shipping Company", true)
	one.start()
	two.start()
	optionsOnline(t, one)
	transfersOnline(t, one, two)
	killedOnline(t, one)
}

// allowed is an access rule that lets in who runs the tests.
func allowed(t testing.TB) string {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return "user:" + me.Username
}

func optionsOnline(t *testing.T, b *box) {
	data, secret := b.write("settings.bin", []byte("settings\x00\x01")), b.write("seed.key", []byte("0123456789abcdef"))
	item := b.item(charts, "Charts, everything", "--quantity", "3", "--activation", "2026-01-01", "--expiration", "2099-01-01",
		"--usage-period", "90d", "--units", "5", "--features", "0x5", "--maintenance", "2026-01-01..2027-01-01", "--minimum-version", "10.4",
		"--text", "for ships", "--allow", allowed(t), "--deny", "application:badtool", "--linger", "1s", "--protected-data", data, "--secret-data", secret)
	b.buy(item, 3)
	if k := b.wantState("UPDATE_DUE"); k.Licenses[0].Waiting != 3 {
		t.Errorf("ordered: %+v", k)
	}
	if w := b.why(charts); w.Usable || w.Reasons[0].Code != "NO_LICENSE" {
		t.Errorf("before the rollout: %+v", w)
	}
	b.overLink()
	if k := b.wantState("UP_TO_DATE"); k.quantity(charts) != 3 || k.UpdateCounter != 1 {
		t.Errorf("rolled out: %+v", k)
	}

	stated := []string{"--program-version", "10.4", "--release-date", "2026-06-01"}
	w := b.why(charts, append(stated, "--features", "5")...)
	o := w.Options
	if !w.Usable || w.FirstUse != nil || *w.UnitsLeft != 15 || o.Quantity != 3 || *o.Units != 15 || o.FeatureMap != 5 || o.UsagePeriodSeconds != 90*86400 ||
		o.LingerSeconds != 1 || o.MinimumVersion != "10.4" || o.Text != "for ships" || !o.ProtectedData || !o.SecretData ||
		o.Activation.Year() != 2026 || o.Expiration.Year() != 2099 || o.MaintenanceFrom.Year() != 2026 || o.MaintenanceUntil.Year() != 2027 {
		t.Errorf("why shows %+v", w)
	}
	for code, asked := range map[string][]string{
		"WRONG_VERSION":      {"--program-version", "10.3", "--release-date", "2026-06-01"},
		"FEATURE_MISSING":    append([]string{"--features", "2"}, stated...),
		"NOT_ON_ACCESS_LIST": append([]string{"--application", "badtool"}, stated...),
	} {
		if w := b.why(charts, asked...); w.Usable || w.Reasons[0].Code != code {
			t.Errorf("why %v: %+v", asked, w.Reasons)
		}
	}
	refused(t, "WRONG_VERSION", "data", "--server", b.url(), charts)
	if got := must(t, append([]string{"data", "--server", b.url(), charts}, stated...)...); got != "settings\x00\x01" {
		t.Errorf("the protected data is %q", got)
	}
	derive := append([]string{"derive", "--server", b.url(), charts, "--context"}, "files")
	key := must(t, append(derive, stated...)...)
	if len(strings.TrimSpace(key)) != 64 || must(t, append(derive, stated...)...) != key {
		t.Errorf("derived %q", key)
	}

	p := b.program(charts, stated...)
	take := func(n int) []string {
		return append(append([]string{"run", "--server", b.url(), "--product", charts, "--units", fmt.Sprint(n)}, stated...), "--", "true")
	}
	must(t, take(6)...)
	must(t, take(6)...)
	if says := refused(t, "NO_UNITS", take(6)...); !strings.Contains(says, "3") {
		t.Errorf("it doesn't say that 3 units are left: %s", says)
	}
	must(t, take(3)...)
	refused(t, "NO_UNITS", take(1)...)
	if s := b.ls(charts); s.Usable || *s.UnitsLeft != 0 || s.Total != 3 || s.FirstUse == nil {
		t.Errorf("all units taken: %+v", s)
	}
	wantRunning(t, p) // what it took it may use up

	b.do("item", "update", item, "--features", "0x7", "--remove", "text", "--units", "8")
	b.wantState("UP_TO_DATE") // a changed item is no order
	b.overLink()
	s := b.ls(charts)
	if s.FeatureMap != 7 || s.Options.Text != "" || *s.UnitsLeft != 9 || len(s.Handles) == 0 || !s.Usable {
		t.Errorf("right after the update the server lists %+v", s)
	}
	if w := b.why(charts, append(stated, "--features", "2")...); !w.Usable {
		t.Errorf("the new feature: %+v", w.Reasons)
	}
	must(t, take(9)...)
	refused(t, "NO_UNITS", take(1)...)
	wantRunning(t, p)
	if k := b.known(); k.quantity(charts) != 3 {
		t.Errorf("the platform knows %+v", k)
	}
	if says := b.refused("INVALID_INPUT", "container", "return", b.serial, charts, "1"); !strings.Contains(says, "unit counter") {
		t.Errorf("used licenses can't be returned: %s", says)
	}
}

func transfersOnline(t *testing.T, one, two *box) {
	item := one.item(views, "Views")
	one.buy("Views", 5)
	one.refused("NOT_FOUND", "order", one.serial, "1", "--item", "Vews")
	if says := one.do("container", "register", one.path("one-first.lreq"), "--customer", "Shipping Company", "--server", "one"); !strings.Contains(says, "has its link token already") {
		t.Errorf("registered again: %s", says)
	}
	one.overLink()
	says := one.refused("CONFLICT", "container", "return", one.serial, views, "6")
	if !strings.Contains(says, "5 licenses") {
		t.Errorf("more than there are: %s", says)
	}
	one.do("container", "return", one.serial, views, "2", "--reason", "too many")
	if n := one.credits(views); n != 0 {
		t.Errorf("%d credits before the container has confirmed", n)
	}
	one.refused("CONFLICT", "order", two.serial, "1", "--item", item, "--credit")
	one.overLink()
	if k := one.wantState("UP_TO_DATE"); one.credits(views) != 2 || k.quantity(views) != 3 || one.ls(views).Total != 3 {
		t.Errorf("returned: %d credits, %+v", one.credits(views), k)
	}
	two.refused("CONFLICT", "order", two.serial, "3", "--item", item, "--credit")
	two.buy(item, 2, "--credit")
	two.overLink()
	if one.credits(views) != 0 || two.ls(views).Total != 2 {
		t.Errorf("ordered from the credit: %d credits left, %+v", one.credits(views), two.ls(views))
	}

	one.do("container", "move", one.serial, views, "1", "--to", two.serial)
	if k := two.wantState("UP_TO_DATE"); k.quantity(views) != 2 {
		t.Errorf("a move that was not confirmed: %+v", k)
	}
	one.overLink()
	two.wantState("UPDATE_DUE")
	two.overLink()
	if one.ls(views).Total != 2 || two.ls(views).Total != 3 {
		t.Errorf("moved: %d and %d", one.ls(views).Total, two.ls(views).Total)
	}

	// What a running program has is taken away: it learns at its next renewal.
	p, stays := one.program(views), two.program(views)
	one.do("container", "revoke", one.serial, views, "2", "--reason", "not paid")
	one.overLink()
	if s := one.ls(views); s.Name != "" {
		t.Errorf("revoked, and the server lists %+v", s)
	}
	if says := lost(t, p); !strings.Contains(says, "there is no license for "+views) || !strings.Contains(says, "[HANDLE_EXPIRED]") || strings.Contains(says, "connection") {
		t.Errorf("the program ended with: %s", says)
	}
	refused(t, "NO_LICENSE", "run", "--server", one.url(), "--product", views, "--", "true")
	if k := one.wantState("UP_TO_DATE"); one.credits(views) != 0 || k.quantity(views) != 0 || len(k.Transfers.Edges) != 3 {
		t.Errorf("revoked: %d credits, %+v", one.credits(views), k)
	}
	wantRunning(t, stays)
}

// killedOnline has the license server killed wherever a rollout can stand.
func killedOnline(t *testing.T, b *box) {
	item := b.item(remote, "Radio")
	want := 0
	states := []string{"COLLECTING", "STAGING", "ACTIVATING", "CONFIRMING"}
	for i, state := range states {
		want += 2
		b.buy(item, 2)
		if state == "COLLECTING" {
			b.kill()
		}
		changes := b.api.subscribe(t, `subscription($id: ID!) { rolloutChanged(id: $id) { rollout { state } } }`, map[string]any{"id": b.startRollout()})
		var seen []string
		for b.server != nil {
			var m struct {
				RolloutChanged struct{ Rollout struct{ State string } }
			}
			if !changes.read(t, 30*time.Second, &m) {
				break
			}
			// It is killed in the state, or in a later one where that is too short to
			// be told of.
			now := m.RolloutChanged.Rollout.State
			if seen = append(seen, now); slices.Index(states, now) >= i {
				b.kill()
			}
		}
		if b.server == nil {
			if n := b.held()[remote]; n != want && n != want-2 {
				t.Errorf("killed when %s, and the container holds %d of %d", state, n, want)
			}
			b.start()
		} else {
			t.Errorf("the rollout ended before it was seen %s: %v", state, seen)
		}
		testenv.Eventually(t, 60*time.Second, func() error {
			if k := b.known(); k.State != "UP_TO_DATE" || k.quantity(remote) != want {
				return fmt.Errorf("after a kill when %s: %+v", state, k)
			}
			return nil
		})
		if n := b.ls(remote).Total; n != want {
			t.Errorf("killed when %s: the server gives %d of %d", state, n, want)
		}
	}
	// The units that were taken stay taken.
	if s := b.ls(charts); *s.UnitsLeft != 0 || s.Usable {
		t.Errorf("after the restarts: %+v", s)
	}
}
