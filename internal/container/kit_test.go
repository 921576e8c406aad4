package container

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

const firm license.FirmCode = 6000010

var chart = license.Product{Firm: firm, Code: 14}

// vendor issues updates as the platform does.
type vendor struct {
	root, firm      seal.Signer
	cert            []byte
	private, public []byte // product key
}

func newVendor(t testing.TB) *vendor {
	t.Helper()
	return newVendorOf(t, newSigner(t))
}

func newVendorOf(t testing.TB, root seal.Signer) *vendor {
	t.Helper()
	v := &vendor{root: root, firm: newSigner(t)}
	var err error
	v.cert, err = seal.SignFirmCert(v.root, seal.FirmCert{Firm: firm, Key: v.firm.Public(), Serial: 1})
	ok(t, err)
	v.private, v.public, err = seal.NewProductKey()
	ok(t, err)
	return v
}

func newSigner(t testing.TB) seal.Signer {
	t.Helper()
	seed, err := seal.NewSeed()
	ok(t, err)
	return seal.NewSigner(seed)
}

// target is what an issuer knows of a container.
type target struct {
	serial   license.Serial
	identity seal.PublicIdentity
	number   uint64
	previous [32]byte
}

func (v *vendor) seal(t testing.TB, to target, number uint64, previous [32]byte, p seal.Payload) []byte {
	t.Helper()
	b, err := seal.SealUpdate(v.firm, v.cert, to.identity, seal.UpdateHeader{
		Firm: firm, Serial: to.serial, Number: number, Previous: previous, IssuedAt: time.Now(),
	}, p)
	ok(t, err)
	return b
}

// next issues the next update of the chain.
func (v *vendor) next(t testing.TB, to *target, p seal.Payload) []byte {
	t.Helper()
	b := v.seal(t, *to, to.number+1, to.previous, p)
	to.number++
	to.previous = seal.Digest(b)
	return b
}

func (v *vendor) grant(p license.Product, quantity, id uint32, before *license.Options) seal.Grant {
	return seal.Grant{
		License:    license.Held{License: license.License{Product: p, Name: "Chart Processing", Options: license.Options{Quantity: quantity, TMRID: id}}, Predecessor: before},
		ProductKey: v.private,
	}
}

// plain sets the quantity of a license without TMR-ID.
func (v *vendor) plain(quantity uint32) seal.Payload {
	return seal.Payload{Set: []seal.Grant{v.grant(chart, quantity, 0, nil)}}
}

func (v *vendor) create(t testing.TB, path string, n uint64) (*Container, *target) {
	t.Helper()
	serial := license.Serial{Mask: license.MaskUniversal, Number: n}
	c, err := Create(path, Params{Serial: serial, Root: v.root.Public(), ActivationID: [16]byte{1}})
	ok(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c, &target{serial: serial, identity: c.Identity()}
}

func (v *vendor) container(t testing.TB) (*Container, *target) {
	t.Helper()
	return v.create(t, filepath.Join(t.TempDir(), "container"), 1874829)
}

func install(t testing.TB, c *Container, update []byte, statements ...[]byte) []byte {
	t.Helper()
	s, err := c.Stage(update)
	ok(t, err)
	r, err := c.Activate(s.Digest, statements)
	ok(t, err)
	return r
}

// trio is a TMR group's three containers.
type trio struct {
	*vendor
	c     [3]*Container
	to    [3]*target
	group seal.Group
}

func newTrio(t testing.TB) *trio {
	t.Helper()
	return newTrioOf(t, newSigner(t))
}

func newTrioOf(t testing.TB, root seal.Signer) *trio {
	t.Helper()
	g := &trio{vendor: newVendorOf(t, root)}
	g.group = seal.Group{
		ActivationID: [16]byte{1}, Virtual: license.Serial{Mask: license.MaskVirtual, Number: 4837572}, TokenKey: newSigner(t).Public(),
	}
	dir := t.TempDir()
	for i := range g.c {
		g.c[i], g.to[i] = g.create(t, filepath.Join(dir, fmt.Sprint(i)), uint64(1000+i)) //nolint:gosec // G115: small
		g.group.Members[i] = seal.Member{Serial: g.to[i].serial, Key: g.to[i].identity.Sign}
	}
	return g
}

// issue makes the next update of backend i, in which the license goes from
// TMR-ID #id-1 to #id.
func (g *trio) issue(t testing.TB, i int, quantity, id uint32, before *license.Options) []byte {
	t.Helper()
	group := g.group
	return g.next(t, g.to[i], seal.Payload{Set: []seal.Grant{g.grant(chart, quantity, id, before)}, Group: &group})
}

// start gives all three #7 with 20 licenses.
func (g *trio) start(t testing.TB) {
	t.Helper()
	for i := range g.c {
		install(t, g.c[i], g.issue(t, i, 20, 7, nil))
	}
}

func (g *trio) statements(t testing.TB, of int, nonce []byte) [][]byte {
	t.Helper()
	var all [][]byte
	for i, c := range g.c {
		if i != of {
			s, err := c.Statement(nonce)
			ok(t, err)
			all = append(all, s)
		}
	}
	return all
}

func quantity(c *Container) uint32 {
	_, held := c.Licenses()
	for _, h := range held {
		if h.Product == chart {
			return h.Options.Quantity
		}
	}
	return 0
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v (cause: %v)", err, errors.Unwrap(err))
	}
}

func code(t testing.TB, err error, want license.Code) {
	t.Helper()
	if license.CodeOf(err) != want {
		t.Fatalf("error is %s (%v), want %s", license.CodeOf(err), err, want)
	}
	var e *license.Error
	if want != "" && (!errors.As(err, &e) || e.Message == "" || e.Fix == "") {
		t.Fatalf("error %v has no message or no fix", err)
	}
}
