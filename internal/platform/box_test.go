package platform_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/containers"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/orders"
	"github.com/quorate/quorate/internal/platform/provision"
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
	b := l.fresh(number)
	made, err := l.RegisterContainer(l.vendor(), provision.RegisterSpec{Request: b.request(), Customer: customer})
	if err != nil {
		l.t.Fatal(err)
	}
	b.row = made.Container
	return b
}

// fresh makes one that the platform doesn't know.
func (l *lab) fresh(number uint64) *box {
	l.t.Helper()
	b := &box{l: l, path: filepath.Join(l.t.TempDir(), "box"), serial: fmt.Sprintf("130-%d", number)}
	var err error
	if b.Container, err = container.Create(b.path, container.Params{
		Serial: license.Serial{Mask: 130, Number: number}, Root: l.first.Root, ActivationID: [16]byte{9},
	}); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { b.Container.Close() })
	return b
}

func (b *box) place() core.Place { return core.Place{Container: b.serial} }

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
	states, err := containers.ContainerStates(b.l.system(), b.l.Store().Client(), []string{b.row.ID})
	if err != nil {
		b.l.t.Fatal(err)
	}
	return states[b.row.ID]
}

func (l *lab) buy(item string, b *box, quantity int) {
	l.t.Helper()
	if _, err := l.Order(l.vendor(), orders.OrderRequest{Item: item, Container: b.serial, Quantity: quantity}); err != nil {
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

func (b *box) leave(quantity int) orders.TransferRequest {
	return orders.TransferRequest{From: b.place(), Product: product.String(), Quantity: quantity, Reason: "test"}
}
