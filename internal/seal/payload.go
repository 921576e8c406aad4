package seal

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"io"
	"slices"

	"github.com/quorate/quorate/internal/license"
)

// Member is one backend of a TMR group.
type Member struct {
	Serial license.Serial
	Key    ed25519.PublicKey
}

// Group is what a container knows of its TMR group.
type Group struct {
	ActivationID [16]byte
	Virtual      license.Serial
	Members      [license.Backends]Member // by position
	TokenKey     ed25519.PublicKey        // verifies handle tokens
}

// Equal compares everything.
func (g Group) Equal(h Group) bool {
	for i, m := range g.Members {
		if m.Serial != h.Members[i].Serial || !bytes.Equal(m.Key, h.Members[i].Key) {
			return false
		}
	}
	return g.ActivationID == h.ActivationID && g.Virtual == h.Virtual && bytes.Equal(g.TokenKey, h.TokenKey)
}

// Grant is a license with the product's private key and its data, which stay in
// the container. An empty key is a license that opens no protected data.
type Grant struct {
	License    license.Held
	ProductKey []byte `json:"-"`
	// Protected and Secret are the data that the license's options name: there
	// if, and only if, the name is. At most license.MostData bytes each.
	Protected, Secret []byte `json:"-"`
}

// Format keeps the product's key out of every log and error.
func (g Grant) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, "seal.Grant("+g.License.Product.String()+")")
}

// Payload is what an update changes: all of it, or nothing.
type Payload struct {
	Set    []Grant           // licenses given or replaced
	Remove []license.Product // licenses taken away; one that isn't there is fine
	Group  *Group            // nil: stays as it is
}

// foreign gives a product that is not firm's.
func (p Payload) foreign(firm license.FirmCode) (license.Product, bool) {
	for _, g := range p.Set {
		if g.License.Product.Firm != firm {
			return g.License.Product, true
		}
	}
	for _, r := range p.Remove {
		if r.Firm != firm {
			return r, true
		}
	}
	return license.Product{}, false
}

func encodePayload(p Payload, firm license.FirmCode) *writer {
	w := new(writer)
	if other, found := p.foreign(firm); found {
		w.fail("an update of firm %d can't change %s", firm, other)
	}
	set := slices.SortedFunc(slices.Values(p.Set), func(a, b Grant) int {
		return a.License.Product.Compare(b.License.Product)
	})
	if w.list(len(set), MostLicenses, "licenses") {
		for i, g := range set {
			if i > 0 && set[i-1].License.Product == g.License.Product {
				w.fail("the product %s comes twice", g.License.Product)
			}
			w.grant(g)
		}
	}
	remove := slices.SortedFunc(slices.Values(p.Remove), license.Product.Compare)
	if w.list(len(remove), MostLicenses, "removed licenses") {
		for i, r := range remove {
			if i > 0 && remove[i-1] == r {
				w.fail("the product %s is removed twice", r)
			}
			if _, both := slices.BinarySearchFunc(set, r, func(g Grant, r license.Product) int {
				return g.License.Product.Compare(r)
			}); both {
				w.fail("the product %s is both set and removed", r)
			}
			w.product(r)
		}
	}
	w.bool(p.Group != nil)
	if p.Group != nil {
		w.group(*p.Group)
	}
	return w
}

func decodePayload(b []byte) (Payload, bool) {
	r := reader{b: b}
	var p Payload
	for n := r.list(MostLicenses); n > 0 && !r.bad; n-- {
		g := r.grant()
		if k := len(p.Set); k > 0 && p.Set[k-1].License.Product.Compare(g.License.Product) >= 0 {
			r.bad = true
		}
		p.Set = append(p.Set, g)
	}
	for n := r.list(MostLicenses); n > 0 && !r.bad; n-- {
		q := r.product()
		if k := len(p.Remove); k > 0 && p.Remove[k-1].Compare(q) >= 0 {
			r.bad = true
		}
		if slices.ContainsFunc(p.Set, func(g Grant) bool { return g.License.Product == q }) {
			r.bad = true
		}
		p.Remove = append(p.Remove, q)
	}
	if r.bool() {
		g := r.group()
		p.Group = &g
	}
	return p, r.end()
}

func (w *writer) grant(g Grant) {
	w.held(g.License)
	if n := len(g.ProductKey); n != 0 && n != sealPrivateSize {
		w.fail("the product key of %s has %d bytes: it must have %d, or none", g.License.Product, n, sealPrivateSize)
		return
	}
	w.bytes(g.ProductKey, 0, sealPrivateSize, "product key")
	if !g.dataNamed() {
		w.fail("the protected or secret data of %s is there without a name, or a name without the data", g.License.Product)
	}
	w.bytes(g.Protected, 0, license.MostData, "protected data")
	w.bytes(g.Secret, 0, license.MostData, "secret data")
}

func (g Grant) dataNamed() bool {
	o := g.License.Options
	return (len(g.Protected) > 0) == (o.Protected != license.DataName{}) && (len(g.Secret) > 0) == (o.Secret != license.DataName{})
}

func (r *reader) grant() Grant {
	g := Grant{License: r.held(), ProductKey: r.bytes(0, sealPrivateSize)}
	if n := len(g.ProductKey); n != 0 && n != sealPrivateSize {
		r.bad = true
	}
	g.Protected, g.Secret = r.bytes(0, license.MostData), r.bytes(0, license.MostData)
	r.bad = r.bad || !g.dataNamed()
	return g
}

// MarshalGrant gives the one encoding of a grant, secret included, for the
// container's own file.
func MarshalGrant(g Grant) ([]byte, error) {
	var w writer
	w.grant(g)
	return w.b, w.err
}

// ParseGrant reads what MarshalGrant gave; false when it did not.
func ParseGrant(b []byte) (Grant, bool) {
	r := reader{b: b}
	g := r.grant()
	return g, r.end()
}

// MarshalGroup gives the one encoding of a group.
func MarshalGroup(g Group) ([]byte, error) {
	var w writer
	w.group(g)
	return w.b, w.err
}

// ParseGroup reads what MarshalGroup gave; false when it did not.
func ParseGroup(b []byte) (Group, bool) {
	r := reader{b: b}
	g := r.group()
	return g, r.end()
}

func (w *writer) group(g Group) {
	if !g.sound() {
		w.fail("a TMR group needs a virtual container and three different members with a key each")
		return
	}
	w.raw(g.ActivationID[:])
	w.serial(g.Virtual)
	for _, m := range g.Members {
		w.serial(m.Serial)
		w.key(m.Key, "member's key")
	}
	w.key(g.TokenKey, "token key")
}

func (r *reader) group() Group {
	g := Group{ActivationID: r.array16(), Virtual: r.serial()}
	for i := range g.Members {
		g.Members[i] = Member{Serial: r.serial(), Key: r.key()}
	}
	g.TokenKey = r.key()
	r.bad = r.bad || !g.sound()
	return g
}

func (g Group) sound() bool {
	for i, m := range g.Members {
		if m.Serial.Kind() == license.KindVirtual {
			return false
		}
		for _, n := range g.Members[:i] {
			if m.Serial == n.Serial || bytes.Equal(m.Key, n.Key) {
				return false
			}
		}
	}
	return g.Virtual.Kind() == license.KindVirtual
}
