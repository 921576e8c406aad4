package platform_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	entcontainer "github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/order"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/transfer"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform"
)

// box is a real container outside of TMR groups.
type box struct {
	*container.Container
	l      *lab
	path   string
	serial string
	row    *ent.Container
}

func (l *lab) box(number uint64, customer string) *box {
	l.t.Helper()
	b := &box{l: l, path: filepath.Join(l.t.TempDir(), "box"), serial: fmt.Sprintf("130-%d", number)}
	var err error
	if b.Container, err = container.Create(b.path, container.Params{
		Serial: license.Serial{Mask: 130, Number: number}, Root: l.first.Root, ActivationID: [16]byte{9},
	}); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { b.Container.Close() })
	made, err := l.RegisterContainer(l.vendor(), platform.RegisterSpec{Request: b.request(), Customer: customer})
	if err != nil {
		l.t.Fatal(err)
	}
	b.row = made.Container
	return b
}

func (b *box) place() platform.Place { return platform.Place{Container: b.serial} }

func (b *box) request() string {
	b.l.t.Helper()
	f, err := b.Fingerprint(nil)
	if err != nil {
		b.l.t.Fatal(err)
	}
	text, err := armor.Encode(armor.File{Kind: armor.Request, Messages: [][]byte{f}})
	if err != nil {
		b.l.t.Fatal(err)
	}
	return string(text)
}

// apply installs the first updates of a file, all when most is 0, and gives the
// receipts as a file; "" when nothing could be installed.
func (b *box) apply(update string, most int) string {
	f, err := armor.Parse([]byte(update))
	if err != nil {
		b.l.t.Fatal(err)
	}
	out := armor.File{Kind: armor.Receipt}
	parts, err := armor.Parts(f)
	if err != nil {
		b.l.t.Fatal(err)
	}
	for _, p := range parts {
		if p.Update == nil || (most > 0 && len(out.Messages) == most) {
			continue
		}
		staged, err := b.Stage(p.Message)
		if err != nil {
			continue // of a state that it has passed, or not come to
		}
		receipt := staged.Receipt
		if !staged.Installed {
			if receipt, err = b.Activate(staged.Digest, nil); err != nil {
				b.l.t.Fatal(err)
			}
		}
		out.Messages = append(out.Messages, receipt)
	}
	if len(out.Messages) == 0 {
		return ""
	}
	text, err := armor.Encode(out)
	if err != nil {
		b.l.t.Fatal(err)
	}
	return string(text)
}

func (b *box) quantity() int {
	n := 0
	_, held := b.Licenses()
	for _, h := range held {
		n += int(h.Options.Quantity)
	}
	return n
}

func (b *box) copied() []byte {
	f, err := os.ReadFile(b.path)
	if err != nil {
		b.l.t.Fatal(err)
	}
	return f
}

func (b *box) restore(file []byte) {
	b.Container.Close()
	if err := os.WriteFile(b.path, file, 0o600); err != nil {
		b.l.t.Fatal(err)
	}
	var err error
	if b.Container, err = container.Open(b.path); err != nil {
		b.l.t.Fatal(err)
	}
}

// roll brings what is due to the container by files.
func (b *box) roll() {
	b.l.t.Helper()
	r, err := b.l.StartOfflineRollout(b.l.vendor(), b.place(), b.request())
	if err != nil {
		b.l.t.Fatal(err)
	}
	if row, err := b.l.FinishOfflineRollout(b.l.vendor(), r.Row.ID, b.apply(r.Update, 0)); err != nil || row.State != property.RolloutDone {
		b.l.t.Fatalf("%+v, %v", row, err)
	}
}

func (b *box) state() property.ContainerState {
	b.l.t.Helper()
	states, err := platform.ContainerStates(b.l.system(), b.l.Store().Client(), []string{b.row.ID})
	if err != nil {
		b.l.t.Fatal(err)
	}
	return states[b.row.ID]
}

func (l *lab) buy(item string, b *box, quantity int) {
	l.t.Helper()
	if _, err := l.Order(l.vendor(), platform.OrderRequest{Item: item, Container: b.serial, Quantity: quantity}); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) credit() (sum int) {
	l.t.Helper()
	all, err := l.Credits(l.vendor())
	if err != nil {
		l.t.Fatal(err)
	}
	for _, c := range all {
		sum += c.Quantity
	}
	return sum
}

func (b *box) leave(quantity int) platform.TransferRequest {
	return platform.TransferRequest{From: b.place(), Product: product.String(), Quantity: quantity, Reason: "test"}
}

func TestReturnCountsWhenItIsConfirmed(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		customer := l.customer(made.Group)
		b := l.box(77, "Shipping Company")
		l.buy(made.Item.ID, b, 5)
		_, err := l.ReturnLicenses(customer, b.leave(1))
		wantCode(t, "returned before it is rolled out", err, license.CodeConflict)
		b.roll()
		back, err := l.ReturnLicenses(customer, b.leave(2))
		if err != nil || back.State != property.TransferRequested || back.RequestedBy != "Carl Customer" {
			t.Fatalf("%+v, %v", back, err)
		}
		_, err = l.ReturnLicenses(customer, b.leave(4))
		wantCode(t, "more than is left", err, license.CodeConflict)
		spend := func(n int) error {
			_, err := l.Order(customer, platform.OrderRequest{Item: made.Item.ID, Container: b.serial, Quantity: n, Credit: true})
			return err
		}
		wantCode(t, "credit before the rollout", spend(1), license.CodeConflict)
		r, err := l.StartOfflineRollout(l.vendor(), b.place(), b.request())
		if err != nil {
			t.Fatal(err)
		}
		receipts := b.apply(r.Update, 0)
		if b.quantity() != 3 || l.credit() != 0 {
			t.Errorf("it holds %d, the credit is %d", b.quantity(), l.credit())
		}
		wantCode(t, "credit before the receipt", spend(1), license.CodeConflict)
		for range 2 {
			if _, err := l.FinishOfflineRollout(l.vendor(), r.Row.ID, receipts); err != nil {
				t.Fatal(err)
			}
		}
		if l.credit() != 2 || b.state() != property.ContainerUpToDate {
			t.Errorf("the credit is %d, the container %s", l.credit(), b.state())
		}
		wantCode(t, "more than came back", spend(3), license.CodeConflict)
		_, err = l.Order(customer, platform.OrderRequest{Item: made.Item.ID, Container: b.serial, Quantity: 1})
		wantCode(t, "the customer buys", err, license.CodeForbidden)
		if err := spend(2); err != nil {
			t.Error(err)
		}
		if l.credit() != 0 {
			t.Errorf("the credit is %d after it was spent", l.credit())
		}
		b.roll()
		if b.quantity() != 5 {
			t.Errorf("it holds %d", b.quantity())
		}
		if _, err := l.ReturnLicenses(customer, b.leave(5)); err != nil {
			t.Fatal(err)
		}
		b.roll()
		if _, held := b.Licenses(); len(held) != 0 || l.credit() != 5 {
			t.Errorf("it holds %+v, the credit is %d", held, l.credit())
		}
		if n := l.audited("transfer.RETURN"); n != 2 {
			t.Errorf("%d audit entries", n)
		}
	})
}

func TestMove(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		customer := l.customer(made.Group)
		a, b := l.box(77, "Shipping Company"), l.box(78, "Shipping Company")
		l.buy(made.Item.ID, a, 5)
		a.roll()
		r := a.leave(2)
		r.To = b.serial
		if _, err := l.MoveLicenses(customer, r); err != nil {
			t.Fatal(err)
		}
		if b.state() != property.ContainerUpToDate {
			t.Errorf("the target is %s before the source has confirmed", b.state())
		}
		a.roll()
		b.roll()
		if a.quantity() != 3 || b.quantity() != 2 || l.credit() != 0 {
			t.Errorf("%d and %d, credit %d", a.quantity(), b.quantity(), l.credit())
		}
		o := l.Store().Client().Order.Query().Where(order.ContainerID(b.row.ID)).OnlyX(l.system())
		if o.Source != property.OrderMove || o.TransferID == nil {
			t.Errorf("%+v", o)
		}
		// The target is replaced while they are under way: they go to its replacement.
		if _, err := l.MoveLicenses(customer, r); err != nil {
			t.Fatal(err)
		}
		c := l.box(79, "Shipping Company")
		if _, err := l.RehostContainer(customer, b.serial, c.serial, "stolen"); err != nil {
			t.Fatal(err)
		}
		a.roll()
		c.roll()
		if a.quantity() != 1 || c.quantity() != 4 {
			t.Errorf("%d and %d", a.quantity(), c.quantity())
		}
		// It is blocked without a replacement: they are a credit.
		r.Quantity, r.To = 1, c.serial
		if _, err := l.MoveLicenses(customer, r); err != nil {
			t.Fatal(err)
		}
		if _, err := l.DecideContainer(l.vendor(), c.serial, property.DecideBlock, "tampered"); err != nil {
			t.Fatal(err)
		}
		a.roll()
		if l.credit() != 1 {
			t.Errorf("credit %d", l.credit())
		}
		other := l.box(80, "Somebody Else")
		l.buy(made.Item.ID, other, 1)
		other.roll()
		r = other.leave(1)
		r.To = a.serial
		_, err := l.MoveLicenses(l.vendor(), r)
		wantCode(t, "to another customer", err, license.CodeInvalidInput)
	})
}

func TestGroupGivesLicensesBack(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		g := platform.TransferRequest{From: platform.Place{Group: made.Group.ID}, Product: product.String(), Quantity: 5}
		if _, err := l.Order(l.vendor(), platform.OrderRequest{Item: made.Item.ID, Group: made.Group.ID, Quantity: 20}); err != nil {
			t.Fatal(err)
		}
		r, err := l.StartRollout(l.vendor(), platform.Place{Group: made.Group.ID}, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Store().Client().Rollout.UpdateOneID(r.ID).SetState(property.RolloutDone).SetRunning(false).Exec(l.system()); err != nil {
			t.Fatal(err)
		}
		g.Quantity = 20
		_, err = l.ReturnLicenses(l.vendor(), g)
		wantCode(t, "all of a group's", err, license.CodeConflict)
		g.Quantity = 5
		if _, err := l.ReturnLicenses(l.vendor(), g); err != nil {
			t.Fatal(err)
		}
		r, err = l.StartRollout(l.vendor(), platform.Place{Group: made.Group.ID}, "")
		if err != nil || r.Quantity != 15 || r.TmrID != 8 {
			t.Fatalf("%+v, %v", r, err)
		}
		if _, err := l.AbortRollout(l.vendor(), r.ID); err != nil {
			t.Fatal(err)
		}
		if w := l.Store().Client().Transfer.Query().OnlyX(l.system()); w.State != property.TransferRequested || w.RolloutID != nil {
			t.Errorf("after the rollout was given up: %+v", w)
		}
	})
}

func TestRehost(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		customer := l.customer(made.Group)
		a, b := l.box(77, "Shipping Company"), l.box(78, "Shipping Company")
		l.buy(made.Item.ID, a, 5)
		a.roll()
		l.buy(made.Item.ID, a, 2) // not rolled out yet
		if _, err := l.ReturnLicenses(customer, a.leave(1)); err != nil {
			t.Fatal(err)
		}
		if _, err := l.RevokeLicenses(l.vendor(), a.leave(1)); err != nil {
			t.Fatal(err)
		}
		r, err := l.StartOfflineRollout(l.vendor(), a.place(), a.request())
		if err != nil {
			t.Fatal(err)
		}
		receipts := a.apply(r.Update, 0)
		moved, err := l.RehostContainer(customer, a.serial, b.serial, "the machine burned")
		if err != nil || len(moved) != 1 || moved[0].Quantity != 6 { // seven bought, one revoked; the return can't come about
			t.Fatalf("%+v, %v", moved, err)
		}
		again, err := l.RehostContainer(customer, a.serial, b.serial, "the machine burned")
		if err != nil || len(again) != 1 || again[0].ID != moved[0].ID {
			t.Errorf("again: %+v, %v", again, err)
		}
		_, err = l.RehostContainer(customer, a.serial, l.box(79, "Shipping Company").serial, "x")
		wantCode(t, "replaced twice", err, license.CodeConflict)
		_, err = l.FinishOfflineRollout(l.vendor(), r.Row.ID, receipts)
		wantCode(t, "its receipts", err, license.CodeContainerBlocked)
		_, err = l.StartOfflineRollout(l.vendor(), a.place(), a.request())
		wantCode(t, "its request", err, license.CodeContainerBlocked)
		_, err = l.StartRollout(l.vendor(), a.place(), "")
		wantCode(t, "its rollout", err, license.CodeContainerBlocked)
		_, err = l.ReturnLicenses(customer, a.leave(1))
		wantCode(t, "its licenses", err, license.CodeContainerBlocked)
		if n := l.audited("container.blockedSeen"); n != 2 || a.state() != property.ContainerBlocked {
			t.Errorf("%d times seen, %s", n, a.state())
		}
		if c := l.Store().Client().Container.GetX(l.system(), a.row.ID); !c.ManipulationSuspected {
			t.Error("it showed up and is not suspected")
		}
		if err := l.AdvanceRollout(l.system(), r.Row.ID, nil); err != nil {
			t.Fatal(err)
		}
		if row := l.Store().Client().Rollout.GetX(l.system(), r.Row.ID); row.State != property.RolloutAborted || row.Running {
			t.Errorf("its rollout is %s", row.State)
		}
		b.roll()
		if b.quantity() != 6 || l.credit() != 0 {
			t.Errorf("the replacement holds %d, credit %d", b.quantity(), l.credit())
		}
		for _, w := range l.Store().Client().Transfer.Query().Where(transfer.KindEQ(property.TransferReturn)).AllX(l.system()) {
			if w.State != property.TransferRefused || w.Credited || w.Note == "" {
				t.Errorf("%+v", w)
			}
		}
	})
}

// TestBlockedServerIsRefused: the link of a blocked container ends.
func TestBlockedServerIsRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		l.provision()
		b := l.box(77, "Shipping Company")
		made, err := l.RegisterContainer(l.vendor(), platform.RegisterSpec{Request: b.request(), Customer: "Shipping Company", Server: &platform.ServerSpec{Name: "ls"}})
		if err != nil {
			t.Fatal(err)
		}
		who, err := l.AuthenticateLink(t.Context(), made.Token)
		if err != nil || who.Container != b.row.ID || who.Group != "" {
			t.Fatalf("%+v, %v", who, err)
		}
		if at, err := l.Push(l.as(who), platform.LinkPush{Leading: true}); err != nil || at.EventPosition != 0 {
			t.Errorf("%+v, %v", at, err)
		}
		if c := l.Store().Client().Container.Query().Where(entcontainer.ID(b.row.ID)).OnlyX(l.system()); !platform.ContainerLinked(c) {
			t.Error("its server is not noted")
		}
		if _, err := l.DecideContainer(l.vendor(), b.serial, property.DecideBlock, "stolen"); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			_, err = l.AuthenticateLink(t.Context(), made.Token)
			wantCode(t, "its server", err, license.CodeContainerBlocked)
		}
		if n := l.audited("container.blockedSeen"); n != 1 {
			t.Errorf("%d audit entries for one link", n)
		}
	})
}

func TestLimits(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		customer := l.customer(made.Group)
		a, b := l.box(77, "Shipping Company"), l.box(78, "Shipping Company")
		l.buy(made.Item.ID, a, 5)
		a.roll()
		one, none := 1, 0
		set := func(r platform.TransferRules) {
			t.Helper()
			if _, err := l.SetTransferRules(l.vendor(), made.Firm.ID, r); err != nil {
				t.Fatal(err)
			}
		}
		r := a.leave(1)
		r.To = b.serial
		set(platform.TransferRules{Moves: &none, Days: 30})
		_, err := l.MoveLicenses(customer, r)
		wantCode(t, "moves are forbidden", err, license.CodeLimitReached)
		set(platform.TransferRules{Moves: &one, Rehosts: &one, Days: 30})
		first, err := l.MoveLicenses(customer, r)
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.MoveLicenses(customer, r)
		wantCode(t, "a second move", err, license.CodeLimitReached)
		if next := first.CreatedAt.Add(30 * 24 * time.Hour).UTC().Format(time.RFC3339); err == nil || !strings.Contains(err.Error(), next) {
			t.Errorf("it doesn't say that the next is possible at %s: %v", next, err)
		}
		_, err = l.MoveLicenses(l.with(auth.Administrator), r)
		wantCode(t, "the vendor's administrator", err, license.CodeLimitReached)
		if _, err := l.MoveLicenses(l.vendor(), r); err != nil {
			t.Errorf("the vendor's owner: %v", err)
		}
		if e := l.Store().Client().AuditEntry.Query().AllX(l.system()); !strings.Contains(fmt.Sprint(e[len(e)-1].After), "beyondLimit") {
			t.Errorf("the audit log does not tell: %+v", e[len(e)-1])
		}
		c, d := l.box(79, "Shipping Company"), l.box(80, "Shipping Company")
		if _, err := l.RehostContainer(customer, a.serial, c.serial, "lost"); err != nil {
			t.Fatal(err)
		}
		_, err = l.RehostContainer(customer, c.serial, d.serial, "lost too")
		wantCode(t, "a second replacement", err, license.CodeLimitReached)
		if c.state() == property.ContainerBlocked {
			t.Error("it was blocked though it was refused")
		}
		set(platform.TransferRules{Days: 30})
		if _, err := l.RehostContainer(customer, c.serial, d.serial, "lost too"); err != nil {
			t.Errorf("without a limit: %v", err)
		}
		_, err = l.SetTransferRules(l.vendor(), made.Firm.ID, platform.TransferRules{Days: 0})
		wantCode(t, "no period", err, license.CodeInvalidInput)
		_, err = l.SetTransferRules(customer, made.Firm.ID, platform.TransferRules{Days: 1})
		wantCode(t, "by the customer", err, license.CodeForbidden)
	})
}

func TestUsedUpLicensesStay(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		units := uint64(100)
		it, err := l.CreateItem(l.vendor(), product.String(), platform.ItemSpec{Name: "Metered", Options: license.Options{Quantity: 1, Units: &units}})
		if err != nil {
			t.Fatal(err)
		}
		b := l.box(77, "Shipping Company")
		l.buy(it.ID, b, 2)
		b.roll()
		_, err = l.ReturnLicenses(l.customer(made.Group), b.leave(1))
		wantCode(t, "returned", err, license.CodeInvalidInput)
		if _, err := l.RevokeLicenses(l.vendor(), b.leave(1)); err != nil {
			t.Fatal(err)
		}
		b.roll()
		if _, held := b.Licenses(); len(held) != 1 || held[0].Options.Quantity != 1 || *held[0].Options.Units != 100 {
			t.Errorf("%+v", held)
		}
	})
}

// TestCopyIsNoticed: two containers with one identity can't both go on, though
// both hold exactly what is recorded.
func TestCopyIsNoticed(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		b := l.box(77, "Shipping Company")
		l.buy(made.Item.ID, b, 5)
		b.roll()
		twin := b.copied()
		l.buy(made.Item.ID, b, 1)
		first := b.request()
		if _, err := l.StartOfflineRollout(l.vendor(), b.place(), first); err != nil {
			t.Fatal(err)
		}
		if _, err := l.StartOfflineRollout(l.vendor(), b.place(), first); err != nil {
			t.Errorf("the same request again: %v", err)
		}
		if _, err := l.StartOfflineRollout(l.vendor(), b.place(), b.request()); err != nil {
			t.Errorf("the next one: %v", err)
		}
		_, err := l.StartOfflineRollout(l.vendor(), b.place(), first)
		wantCode(t, "an older one", err, license.CodeRequestStale)
		b.restore(twin)
		suspected := false
		for range 5 { // it counts on from where it was copied
			_, err := l.StartOfflineRollout(l.vendor(), b.place(), b.request())
			if suspected = license.CodeOf(err) == license.CodeManipulation; suspected {
				break
			}
			wantCode(t, "the copy counts on", err, license.CodeRequestStale)
		}
		if !suspected || b.state() != property.ContainerSuspected {
			t.Errorf("the copy goes unnoticed: %s", b.state())
		}
		if _, err := l.DecideContainer(l.vendor(), b.serial, property.DecideAccept, "the other one was destroyed"); err != nil {
			t.Fatal(err)
		}
		b.roll()
		if b.quantity() != 6 {
			t.Errorf("it holds %d", b.quantity())
		}
	})
}
