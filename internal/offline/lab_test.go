package offline_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/offline"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/seal"
)

const firm license.FirmCode = 6000010

func chart() license.Product { return license.Product{Firm: firm, Code: 14} }

// lab is three real containers behind a group without a network, and their
// vendor.
type lab struct {
	t          *testing.T
	root, firm seal.Signer
	cert       []byte
	virtual    license.Serial
	containers [3]*container.Container
	identities [3]*seal.Identity
	leads      bool

	mu       *sync.Mutex // copies are other vendors of the same containers
	marks    [3]bool
	last     license.View
	statuses []string
	outage   bool
	calls    []string
	fault    func(call string) error // before a call
	lost     func(call string) error // after an activation
	number   uint64
	previous [3][32]byte
	first    [][]byte // updates
}

func newLab(t *testing.T) *lab {
	t.Helper()
	seed := func(n byte) []byte { return bytes.Repeat([]byte{n}, 32) }
	l := &lab{t: t, root: seal.NewSigner(seed(1)), firm: seal.NewSigner(seed(2)), virtual: license.Serial{Mask: 131, Number: 4837572}, leads: true, mu: new(sync.Mutex)}
	var err error
	if l.cert, err = seal.SignFirmCert(l.root, seal.FirmCert{Firm: firm, Key: l.firm.Public(), Serial: 1}); err != nil {
		t.Fatal(err)
	}
	for i, n := range []uint64{1874829, 27845973, 3879234} {
		l.containers[i], l.identities[i] = l.create(n)
	}
	l.look()
	l.first = l.issue(20, 7)
	l.apply(l.first)
	return l
}

func (l *lab) create(number uint64) (*container.Container, *seal.Identity) {
	l.t.Helper()
	identity, err := seal.NewIdentity()
	if err != nil {
		l.t.Fatal(err)
	}
	c, err := container.Create(filepath.Join(l.t.TempDir(), "container"), container.Params{
		Serial: license.Serial{Mask: 130, Number: number}, Root: l.root.Public(), ActivationID: [16]byte{1, 2, 3}, Identity: identity,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { c.Close() })
	return c, identity
}

// issue makes the next update of each container.
func (l *lab) issue(quantity, id uint32) [][]byte {
	l.t.Helper()
	group := &seal.Group{ActivationID: [16]byte{1, 2, 3}, Virtual: l.virtual, TokenKey: l.root.Public()}
	for i, c := range l.containers {
		group.Members[i] = seal.Member{Serial: c.Serial(), Key: c.Identity().Sign}
	}
	l.number++
	var all [][]byte
	for i, c := range l.containers {
		h := license.Held{License: license.License{Product: chart(), Name: "Chart", Options: license.Options{Quantity: quantity, TMRID: id}}}
		if id > 7 {
			h.Predecessor = &license.Options{Quantity: quantity - 10, TMRID: id - 1}
		}
		private, _, err := seal.NewProductKey()
		if err != nil {
			l.t.Fatal(err)
		}
		b, err := seal.SealUpdate(l.firm, l.cert, c.Identity(), seal.UpdateHeader{
			Firm: firm, Serial: c.Serial(), Number: l.number, Previous: l.previous[i], IssuedAt: time.Now(),
		}, seal.Payload{Set: []seal.Grant{{License: h, ProductKey: private}}, Group: group})
		if err != nil {
			l.t.Fatal(err)
		}
		l.previous[i] = seal.Digest(b)
		all = append(all, b)
	}
	return all
}

func (l *lab) applier() *offline.Applier {
	return offline.NewApplier(l, l.virtual, func() bool { return l.leads }, time.Millisecond)
}

func (l *lab) try(updates [][]byte) ([][]byte, error) {
	return l.applier().Apply(l.t.Context(), l.virtual, updates, func(offline.Step) {})
}

func (l *lab) apply(updates [][]byte) [][]byte {
	l.t.Helper()
	receipts, err := l.try(updates)
	if err != nil {
		l.t.Fatal(err)
	}
	return receipts
}

func (l *lab) holds(quantity, id uint32) {
	l.t.Helper()
	for i, c := range l.containers {
		_, held := c.Licenses()
		if len(held) != 1 || held[0].Options.Quantity != quantity || held[0].Options.TMRID != id {
			l.t.Errorf("container %d holds %+v, want %d/#%d", i+1, held, quantity, id)
		}
	}
}

// look makes the view anew. It needs l.mu or no other user.
func (l *lab) look() {
	var obs [3]license.Observation
	for i, c := range l.containers {
		obs[i].Presence = license.Present
		if l.marks[i] {
			obs[i].Presence = license.Activating
		}
		_, obs[i].Licenses = c.Licenses()
	}
	v := license.Merge(l.last, obs)
	if v.Version == l.last.Version {
		return
	}
	was, _ := l.last.Find(chart())
	now, _ := v.Find(chart())
	l.outage = l.outage || (was.InForce && !now.InForce)
	l.last = v
	l.statuses = append(l.statuses, fmt.Sprint(v.Status(), " ", now.Options.Quantity))
}

func (l *lab) called(call string) error {
	l.calls = append(l.calls, call)
	if l.fault != nil {
		return l.fault(call)
	}
	return nil
}

func (l *lab) View() license.View {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

func (l *lab) Collect(ctx context.Context, nonce []byte) (all [3][]byte, err error) {
	for i := range l.containers {
		if all[i], err = l.Fingerprint(ctx, i+1, nonce); err != nil {
			return all, err
		}
	}
	return all, nil
}

func (l *lab) Fingerprint(_ context.Context, position int, nonce []byte) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.called(fmt.Sprint("fingerprint ", position)); err != nil {
		return nil, err
	}
	return l.containers[position-1].Fingerprint(nonce)
}

func (l *lab) Stage(_ context.Context, updates []*quoratev1.BackendUpdate) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, u := range updates {
		if err := l.called(fmt.Sprint("stage ", u.GetPosition())); err != nil {
			return err
		}
		if _, err := l.containers[u.GetPosition()-1].Stage(u.GetUpdate()); err != nil {
			return err
		}
	}
	return nil
}

func (l *lab) Statements(_ context.Context, position int, nonce []byte) ([3][]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.statements(position, nonce)
}

func (l *lab) statements(position int, nonce []byte) (all [3][]byte, err error) {
	for i, c := range l.containers {
		if i+1 == position {
			continue
		}
		if err := l.called(fmt.Sprint("statement ", i+1)); err != nil {
			return all, err
		}
		if all[i], err = c.Statement(nonce); err != nil {
			return all, err
		}
	}
	return all, nil
}

func (l *lab) Activate(_ context.Context, position int, u *quoratev1.BackendUpdate) (receipt []byte, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.called(fmt.Sprint("activate ", position)); err != nil {
		return nil, err
	}
	i := position - 1
	staged, err := l.containers[i].Stage(u.GetUpdate())
	if err != nil || staged.Installed {
		return staged.Receipt, err
	}
	l.marks[i] = true
	l.look()
	defer func() {
		if err != nil {
			l.marks[i] = false
			l.look()
		}
	}()
	all, err := l.statements(position, staged.Nonce)
	if err != nil {
		return nil, err
	}
	if receipt, err = l.containers[i].Activate(staged.Digest, [][]byte{all[(i+1)%3], all[(i+2)%3]}); err == nil && l.lost != nil {
		err = l.lost(fmt.Sprint("activate ", position))
	}
	return receipt, err
}

func (l *lab) Verify(_ context.Context, position int, expect map[license.Product]uint32, _ time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.called(fmt.Sprint("verify ", position)); err != nil {
		return err
	}
	_, held := l.containers[position-1].Licenses()
	for _, h := range held {
		if expect[h.Product] != h.Options.TMRID {
			return license.Errorf(license.CodeUnavailable, "", "backend %d serves #%d", position, h.Options.TMRID)
		}
	}
	l.marks[position-1] = false
	l.look()
	return nil
}

func (l *lab) Receipts(context.Context) (all [3][][]byte, err error) {
	for i, c := range l.containers {
		if all[i], err = c.Receipts(); err != nil {
			return all, err
		}
	}
	return all, nil
}

// Certify gives a certificate to whoever takes it, as a group does.
func (l *lab) Certify(_ context.Context, certificates [][]byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, b := range certificates {
		var refused error
		for i, c := range l.containers {
			err := l.called(fmt.Sprint("certify ", i+1))
			if err == nil {
				if err = c.Certify(b); err == nil {
					refused = nil
					break
				}
			}
			if refused == nil || license.CodeOf(refused) == license.CodeTimeForged {
				refused = err
			}
		}
		errs = append(errs, refused)
	}
	return errors.Join(errs...)
}

// file is an update file of the group.
func (l *lab) file(updates [][]byte) armor.File {
	return armor.File{Kind: armor.Update, Group: l.virtual, Messages: updates}
}
