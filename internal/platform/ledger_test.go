package platform_test

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/order"
	"github.com/quorate/quorate/ent/organization"
	entrollout "github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/transfer"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/orders"
	"github.com/quorate/quorate/internal/seal"
)

// ledger is a customer with a few containers, and what has happened to them.
type ledger struct {
	t        *rapid.T
	l        *lab
	item     string
	customer string
	boxes    []*account
	bought   int
	receipts []receipt // every one that was ever written
	seen     map[string]int
}

type receipt struct{ rollout, text string }

// account is a container as the test knows it.
type account struct {
	*box
	lost     bool
	copies   [][]byte
	requests []string
	files    []string
	// behind: it was restored to an older state than the update newest, and the
	// platform has not seen it since.
	behind bool
	newest uint64
}

// TestLedger: whatever happens, in whatever order, nobody can use more than was
// bought, every license is somewhere, and the platform can name the state of
// every container.
func TestLedger(t *testing.T) {
	l := newLab(t, databases.SQLite(t))
	made := l.provision()
	runs := uint64(0)
	seen := map[string]int{}
	few(t)
	rapid.Check(t, func(t *rapid.T) {
		runs++
		g := &ledger{t: t, l: l, item: made.Item.ID, customer: fmt.Sprintf("Customer %d", runs), seen: seen}
		for i := range uint64(3) {
			g.boxes = append(g.boxes, &account{box: l.box(1000+10*runs+i, g.customer)})
		}
		for _, a := range g.boxes[:2] {
			g.l.buy(g.item, a.box, 5)
			g.bought += 5
			a.box.roll()
		}
		t.Repeat(map[string]func(*rapid.T){
			"":        func(*rapid.T) { g.check() },
			"order":   g.order,
			"roll":    g.roll,
			"mirror":  g.mirror,
			"return":  g.leave(property.TransferReturn),
			"move":    g.leave(property.TransferMove),
			"revoke":  g.leave(property.TransferRevoke),
			"rehost":  g.rehost,
			"request": g.request,
			"apply":   g.apply,
			"receipt": g.receipt,
			"give up": g.giveUp,
			"copy":    func(t *rapid.T) { a := g.pick(t); a.copies = append(a.copies, a.copied()) },
			"restore": g.restore,
			"decide":  g.decide,
			"worker":  g.worker,
		})
		g.heal()
		g.check()
	})
	t.Logf("what came about: %v", seen)
}

// few is for a slow test: 20 runs, unless somebody asks for another number.
func few(t *testing.T) {
	checks := flag.Lookup("rapid.checks")
	if checks.Value.String() != checks.DefValue {
		return
	}
	if err := flag.Set("rapid.checks", "20"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = flag.Set("rapid.checks", checks.DefValue) })
}

func (g *ledger) pick(t *rapid.T) *account { return one(t, "container", g.boxes) }

// one draws the place of one, since what is drawn is printed.
func one[T any](t *rapid.T, label string, all []T) T {
	return all[rapid.IntRange(0, len(all)-1).Draw(t, label)]
}

// may says that an operation may be refused for one of these reasons, and
// nothing else.
func (g *ledger) may(err error, codes ...license.Code) bool {
	if err == nil {
		return true
	}
	if strings.Contains(err.Error(), "the process was killed") {
		g.seen["crash"]++
		return false
	}
	if !slices.Contains(codes, license.CodeOf(err)) {
		g.t.Fatalf("%v", err)
	}
	return false
}

// crash has the next transaction that enqueues a job rolled back, sometimes.
func (g *ledger) crash(t *rapid.T) {
	g.l.jobs.mu.Lock()
	defer g.l.jobs.mu.Unlock()
	g.l.jobs.fail = rapid.IntRange(0, 5).Draw(t, "crash") == 0
}

func (g *ledger) calm() {
	g.l.jobs.mu.Lock()
	defer g.l.jobs.mu.Unlock()
	g.l.jobs.fail = false
}

func (g *ledger) order(t *rapid.T) {
	q := rapid.IntRange(1, 4).Draw(t, "quantity")
	credit := rapid.Bool().Draw(t, "credit")
	_, err := g.l.Order(g.l.vendor(), orders.OrderRequest{Item: g.item, Container: g.pick(t).serial, Quantity: q, Credit: credit})
	if g.may(err, license.CodeConflict, license.CodeContainerBlocked) && !credit {
		g.bought += q
	}
}

func (g *ledger) leave(kind property.TransferKind) func(t *rapid.T) {
	return func(t *rapid.T) {
		a := g.pick(t)
		r := a.box.leave(rapid.IntRange(1, 5).Draw(t, "quantity"))
		do := g.l.ReturnLicenses
		switch kind {
		case property.TransferMove:
			r.To = g.pick(t).serial
			do = g.l.MoveLicenses
		case property.TransferRevoke:
			do = g.l.RevokeLicenses
		}
		_, err := do(g.l.vendor(), r)
		if g.may(err, license.CodeConflict, license.CodeContainerBlocked, license.CodeInvalidInput) && rapid.Bool().Draw(t, "at once") {
			g.rollTo(a)
		}
	}
}

func (g *ledger) rehost(t *rapid.T) {
	if rapid.IntRange(0, 5).Draw(t, "dice") > 0 {
		return
	}
	lost, to := g.pick(t), g.pick(t)
	g.crash(t)
	defer g.calm()
	_, err := g.l.RehostContainer(g.l.vendor(), lost.serial, to.serial, "lost", "")
	if g.may(err, license.CodeConflict, license.CodeContainerBlocked, license.CodeInvalidInput) && !lost.lost {
		lost.lost = true
		g.boxes = append(g.boxes, &account{box: g.l.box(5_000_000+uint64(time.Now().UnixNano()%1e12), g.customer)})
	}
}

// request hands a request file in: a fresh one, or one from before.
func (g *ledger) request(t *rapid.T) {
	a := g.pick(t)
	text := a.box.request()
	if len(a.requests) > 0 && rapid.IntRange(0, 3).Draw(t, "late") == 0 {
		text = one(t, "which", a.requests)
	}
	a.requests = append(a.requests, text)
	g.crash(t)
	defer g.calm()
	r, err := g.l.StartOfflineRollout(g.l.vendor(), a.place(), text)
	if g.may(err, license.CodeRolloutUpToDate, license.CodeContainerBlocked, license.CodeManipulation, license.CodeRequestStale, license.CodeRolloutState) && r.Update != "" {
		a.files = append(a.files, r.Update)
	}
}

// roll goes the whole way, as a customer with nothing in the way does.
func (g *ledger) roll(t *rapid.T) {
	g.rollTo(g.pick(t))
}

func (g *ledger) rollTo(a *account) {
	r, err := g.l.StartOfflineRollout(g.l.vendor(), a.place(), a.box.request())
	if !g.may(err, license.CodeRolloutUpToDate, license.CodeContainerBlocked, license.CodeManipulation, license.CodeRequestStale, license.CodeRolloutState) || r.Update == "" {
		return
	}
	a.files = append(a.files, r.Update)
	_, err = g.l.FinishOfflineRollout(g.l.vendor(), r.Row.ID, a.box.apply(r.Update, 0))
	g.may(err)
}

// mirror restores a container to what it was before its last update.
func (g *ledger) mirror(t *rapid.T) {
	a := g.pick(t)
	copied, before := a.copied(), g.number(a)
	if rapid.Bool().Draw(t, "order") {
		g.order(t)
	}
	g.rollTo(a)
	if after := g.number(a); after > before {
		a.box.restore(copied)
		a.behind, a.newest = true, max(a.newest, after)
		_, err := g.l.StartOfflineRollout(g.l.vendor(), a.place(), a.box.request())
		g.may(err, license.CodeManipulation, license.CodeRequestStale, license.CodeContainerBlocked, license.CodeRolloutState)
		if rapid.Bool().Draw(t, "decided") {
			g.decide(t)
		}
	}
}

func (g *ledger) apply(t *rapid.T) {
	a := g.pick(t)
	if len(a.files) == 0 {
		return
	}
	text := a.box.apply(one(t, "file", a.files), rapid.IntRange(0, 2).Draw(t, "most"))
	if text == "" {
		return
	}
	for _, id := range g.unfinished(a) {
		g.receipts = append(g.receipts, receipt{id, text})
	}
}

// receipt hands one in: of now, of before, or a second time.
func (g *ledger) receipt(t *rapid.T) {
	if len(g.receipts) == 0 {
		return
	}
	r := one(t, "receipt", g.receipts)
	_, err := g.l.FinishOfflineRollout(g.l.vendor(), r.rollout, r.text)
	g.may(err, license.CodeRolloutState, license.CodeUpdateReplayed, license.CodeContainerBlocked, license.CodeManipulation, license.CodeUpdateForeign)
}

func (g *ledger) giveUp(t *rapid.T) {
	for _, id := range g.unfinished(g.pick(t)) {
		_, err := g.l.AbortRollout(g.l.vendor(), id)
		g.may(err, license.CodeRolloutState)
	}
}

func (g *ledger) restore(t *rapid.T) {
	a := g.pick(t)
	if len(a.copies) == 0 {
		return
	}
	before := g.number(a)
	a.box.restore(one(t, "copy", a.copies))
	if g.number(a) < before {
		a.behind = true
		a.newest = max(a.newest, before)
	}
}

func (g *ledger) decide(t *rapid.T) {
	_, err := g.l.DecideContainer(g.l.vendor(), g.pick(t).serial, property.DecideAccept, "it is fine")
	g.may(err, license.CodeConflict, license.CodeManipulation, license.CodeContainerBlocked)
}

func (g *ledger) worker(t *rapid.T) {
	for _, id := range g.unfinished(g.pick(t)) {
		if err := g.l.AdvanceRollout(g.l.system(), id, nil); err != nil {
			g.t.Fatal(err)
		}
	}
}

// number is that of the last update that the container has.
func (g *ledger) number(a *account) uint64 {
	b, err := a.Fingerprint(nil)
	if err != nil {
		g.t.Fatal(err)
	}
	f, err := seal.OpenFingerprint(b)
	if err != nil {
		g.t.Fatal(err)
	}
	for _, s := range f.Firms {
		return s.Counter
	}
	return 0
}

// unfinished are the container's rollouts that have not ended, oldest first.
func (g *ledger) unfinished(a *account) []string {
	return g.l.Store().Client().Rollout.Query().Where(entrollout.ContainerID(a.row.ID),
		entrollout.StateNotIn(property.RolloutDone, property.RolloutAborted)).Order(ent.Asc(entrollout.FieldNumber)).IDsX(g.l.system())
}

// heal does what people do until every container is as it should be.
func (g *ledger) heal() {
	for _, a := range g.boxes {
		if g.row(a).BlockedAt != nil {
			continue
		}
		for i := 0; a.state() != property.ContainerUpToDate || a.behind; i++ {
			if i == 300 {
				g.t.Fatalf("%s stays %s", a.serial, a.state())
			}
			r, err := g.l.StartOfflineRollout(g.l.vendor(), a.place(), a.box.request())
			switch license.CodeOf(err) {
			case license.CodeManipulation:
				if _, err := g.l.DecideContainer(g.l.vendor(), a.serial, property.DecideAccept, "healed"); err != nil {
					g.t.Fatalf("%v", err)
				}
				continue
			case license.CodeRequestStale: // it counts on from before
				continue
			case license.CodeRolloutUpToDate:
				if a.behind {
					g.t.Fatalf("nobody notices that %s was restored", a.serial)
				}
				continue
			}
			if err != nil {
				g.t.Fatalf("%v", err)
			}
			if r.Update != "" {
				g.seen["healed"]++
				if _, err := g.l.FinishOfflineRollout(g.l.vendor(), r.Row.ID, a.box.apply(r.Update, 0)); err != nil {
					g.t.Fatalf("%v", err)
				}
			}
			a.behind = a.behind && g.number(a) < a.newest
		}
		if have, want := a.quantity(), g.toHold(a); have != want {
			g.t.Fatalf("%s holds %d after all, it is to hold %d", a.serial, have, want)
		}
	}
}

func (g *ledger) row(a *account) *ent.Container {
	return g.l.Store().Client().Container.GetX(g.l.system(), a.row.ID)
}

// toHold is what was ordered for a container and did not leave it.
func (g *ledger) toHold(a *account) int {
	n := 0
	for _, o := range g.l.Store().Client().Order.Query().Where(order.ContainerID(a.row.ID)).AllX(g.l.system()) {
		n += o.Quantity
	}
	for _, w := range g.l.Store().Client().Transfer.Query().Where(transfer.ContainerID(a.row.ID), transfer.StateNEQ(property.TransferRefused)).AllX(g.l.system()) {
		n -= w.Quantity
	}
	return n
}

// check asserts what holds at every moment.
func (g *ledger) check() {
	ctx, seen := g.l.system(), g.seen
	c := g.l.Store().Client()
	org := c.Organization.Query().Where(organization.Name(g.customer)).OnlyX(ctx)
	usable, toHold := 0, 0
	for _, a := range g.boxes {
		state := a.state()
		seen[string(state)]++
		row := g.row(a)
		if (row.BlockedAt != nil) != (state == property.ContainerBlocked) || (row.BlockedAt == nil && row.ManipulationSuspected) != (state == property.ContainerSuspected) {
			g.t.Fatalf("%s is %s: %+v", a.serial, state, row)
		}
		hold := g.toHold(a)
		if hold < 0 {
			g.t.Fatalf("%s is to hold %d", a.serial, hold)
		}
		toHold += hold
		if row.ReplacedByID != nil {
			seen["rehosted"]++
			a.lost = true
			if hold != 0 {
				g.t.Fatalf("%s was replaced, and is to hold %d", a.serial, hold)
			}
			continue // reported lost: what it has left is gone
		}
		if a.behind && g.number(a) >= a.newest {
			a.behind = false
		}
		if a.behind {
			continue // restored, and nobody has seen it since
		}
		usable += a.quantity()
		if state == property.ContainerUpToDate && a.quantity() != hold {
			g.t.Fatalf("%s is up to date, holds %d and is to hold %d", a.serial, a.quantity(), hold)
		}
	}
	var credits, pending, revoked int
	all, err := g.l.Credits(auth.With(context.Background(), auth.Principal{
		Kind: auth.KindMember, ID: "mem_x", Organization: org.ID, Provider: *org.ProviderID, Role: auth.Viewer}))
	if err != nil {
		g.t.Fatal(err)
	}
	for _, one := range all {
		credits += one.Quantity
	}
	for _, w := range c.Transfer.Query().Where(transfer.CustomerID(org.ID)).AllX(ctx) {
		switch {
		case w.State == property.TransferRequested || w.State == property.TransferIssued:
			pending += w.Quantity
		case w.State == property.TransferConfirmed && w.Kind == property.TransferRevoke:
			revoked += w.Quantity
			seen["revoked"]++
		case w.State == property.TransferConfirmed && w.Kind == property.TransferMove:
			seen["moved"]++
		}
	}
	bought := 0
	for _, o := range c.Order.Query().Where(order.CustomerID(org.ID), order.SourceEQ(property.OrderPurchase)).AllX(ctx) {
		bought += o.Quantity
	}
	if bought != g.bought {
		g.t.Fatalf("%d were bought, %d are recorded", g.bought, bought)
	}
	if toHold+pending+credits+revoked != bought {
		g.t.Fatalf("to hold %d, under way %d, credit %d, revoked %d: %d were bought", toHold, pending, credits, revoked, bought)
	}
	if usable+credits > bought {
		g.t.Fatalf("%d can be used and %d are a credit: %d were bought", usable, credits, bought)
	}
	if credits > 0 {
		seen["credit"]++
	}
	for action, what := range map[string]string{"container.decide": "accepted"} {
		if seen[what] == 0 {
			seen[what] += g.l.audited(action)
		}
	}
}
