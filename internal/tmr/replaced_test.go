package tmr_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/tmr"
)

// TestReplacedBackendLearnsTheUnits: a new container in the place of a lost one
// gets the license as the others hold it, while it is empty it is in nobody's
// way, and from then on it has the meter too.
func TestReplacedBackendLearnsTheUnits(t *testing.T) {
	r := newReal(t)
	units := uint64(100)
	grant := r.grant(license.Options{Quantity: 20, TMRID: 7, Issue: 1, Units: &units})
	take := func(g *tmr.Group, epoch uint64, request string, n, left uint64) {
		t.Helper()
		if got, err := g.TakeUnits(t.Context(), epoch, product, 1, units, request, n); err != nil || got != left {
			t.Errorf("%s: %d left, %v, instead of %d", request, got, err, left)
		}
	}
	first := r.group()
	r.roll(first, grant)
	take(first, 1, "before-it-was-lost", 10, 90)
	first.Stop()

	r.stops[1]()
	r.addrs[1], r.keys[1] = "", newKey(t)
	serial := license.Serial{Mask: 130, Number: 555}
	c, err := container.Create(filepath.Join(t.TempDir(), "new"), container.Params{Serial: serial, Root: r.root.Public(), ActivationID: activation})
	if err != nil {
		t.Fatal(err)
	}
	r.serve(1, c)
	r.conf.Backends[1] = tmr.BackendConfig{Position: 2, Serial: serial, URL: "https://" + r.addrs[1], Pin: r.keys[1].Pin()}
	g := r.group() // the TMR server with the new backend
	inForce := func() {
		t.Helper()
		if l, ok := g.View().Find(product); !ok || !l.InForce {
			t.Errorf("not in force: %s", g.View().Status())
		}
	}
	inForce()
	take(g, 2, "while-it-is-empty", 5, 85)

	group := &seal.Group{ActivationID: activation, Virtual: virtual, TokenKey: r.root.Public()}
	for i, c := range r.containers {
		group.Members[i] = seal.Member{Serial: c.Serial(), Key: c.Identity().Sign}
	}
	b, err := seal.SealUpdate(r.firm, r.cert, c.Identity(), seal.UpdateHeader{Firm: product.Firm, Serial: serial, Number: 1, IssuedAt: time.Now()},
		seal.Payload{Set: []seal.Grant{grant}, Group: group})
	if err != nil {
		t.Fatal(err)
	}
	digest := seal.Digest(b)
	u := &quoratev1.BackendUpdate{Position: 2, Update: b, Digest: digest[:]}
	if err := g.Stage(t.Context(), []*quoratev1.BackendUpdate{u}); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Activate(t.Context(), 2, u); err != nil {
		t.Fatal(err)
	}
	if err := g.Verify(t.Context(), 2, map[license.Product]uint32{product: 7}, 0); err != nil {
		t.Fatal(err)
	}
	if l, ok := g.View().Find(product); !ok || !l.Unanimous() {
		t.Errorf("the view is %s", g.View().Status())
	}
	take(g, 2, "when-it-has-it", 1, 84)

	// The one that it replaced is gone, and now another one too.
	r.stops[2]()
	r.await(g, "two are left", func(v license.View) bool { return v.PresentCount() == 2 })
	inForce()
	take(g, 2, "with-two", 4, 80)
	if m := c.Use(product); m.Units != 20 {
		t.Errorf("the new one counts %d units", m.Units)
	}
	if _, err := g.TakeUnits(t.Context(), 3, product, 1, units, "before-it-was-lost", 10); err != nil {
		t.Errorf("the first taking, repeated at another leader: %v", err)
	}
	if u, err := g.Use(t.Context(), 3, product, 1); err != nil || u.Units != 20 {
		t.Errorf("%d units are counted, %v", u.Units, err)
	}
}
