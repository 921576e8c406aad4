package seal

import (
	"bytes"
	"crypto/ed25519"
	"maps"
	"slices"
	"testing"

	"github.com/quorate/quorate/internal/license"
)

// FuzzOpen gives every reader anything, framed or not. None panics; what is
// accepted is in its one encoding.
func FuzzOpen(f *testing.F) {
	k := newKit(f)
	all := k.messages(f)
	// An update is another one each time, and fuzzing has many processes.
	u := all["update"]
	u.bytes = vectorOf(f, "update")
	all["update"] = u
	for _, name := range slices.Sorted(maps.Keys(all)) {
		m := all[name]
		f.Add(m.bytes)
		body, _, _, err := m.kind.split(m.bytes)
		ok(f, err)
		f.Add(body)
	}
	plain := encodePayload(k.payload(), firmCode)
	ok(f, plain.err)
	f.Add(plain.b)
	f.Add(k.self.Marshal())
	public, err := k.self.Public().Marshal()
	ok(f, err)
	f.Add(public)
	_, product, err := NewProductKey()
	ok(f, err)
	wrapped, err := WrapKey(product, chart, []byte{1})
	ok(f, err)
	f.Add(wrapped)
	f.Add(encodeToken(k.taggedToken()).b)
	f.Fuzz(func(t *testing.T, b []byte) {
		for name, m := range all {
			if _, err := m.reopen(b, m.key); err == nil && !bytes.Equal(b, m.bytes) {
				t.Fatalf("a forged %s opened", name)
			} else if err != nil && license.CodeOf(err) == license.CodeInternal {
				t.Fatalf("%s: an error without a code: %v", name, err)
			}
			if w, err := m.body(b); err == nil && (w.err != nil || !bytes.Equal(w.b, b)) {
				t.Fatalf("%s: a body has two encodings (%v)", name, w.err)
			}
		}
		if p, fine := decodePayload(b); fine {
			w := encodePayload(p, firmOf(p))
			if _, foreign := p.foreign(firmOf(p)); !foreign && (w.err != nil || !bytes.Equal(w.b, b)) {
				t.Fatalf("a payload has two encodings (%v)", w.err)
			}
		}
		if i, err := ParseIdentity(b); err == nil && !bytes.Equal(i.Marshal(), b) {
			t.Fatal("an identity has two encodings")
		}
		if p, err := ParsePublicIdentity(b); err == nil {
			if c, err := p.Marshal(); err != nil || !bytes.Equal(c, b) {
				t.Fatalf("a public identity has two encodings (%v)", err)
			}
		}
		if x, err := decodeToken(versionTagged, b); err == nil {
			if w := encodeToken(x); x.version() != versionTagged || w.err != nil || !bytes.Equal(w.b, b) {
				t.Fatalf("a token of version 2 has two encodings (%v)", w.err)
			}
		}
		if g, fine := ParseGrant(b); fine {
			if c, err := MarshalGrant(g); err != nil || !bytes.Equal(c, b) {
				t.Fatalf("a grant has two encodings (%v)", err)
			}
		}
		if g, fine := ParseGroup(b); fine {
			if c, err := MarshalGroup(g); err != nil || !bytes.Equal(c, b) {
				t.Fatalf("a group has two encodings (%v)", err)
			}
		}
		_, _ = WrappedFor(b)
		_, _ = UnwrapKey(k.productKey, chart, b)
	})
}

func firmOf(p Payload) license.FirmCode {
	switch {
	case len(p.Set) > 0:
		return p.Set[0].License.Product.Firm
	case len(p.Remove) > 0:
		return p.Remove[0].Firm
	}
	return 1
}

func BenchmarkSealUpdate(b *testing.B) {
	k := newKit(b)
	for b.Loop() {
		_, err := SealUpdate(k.firm, k.cert, k.self.Public(), k.header(), k.payload())
		ok(b, err)
	}
}

func BenchmarkOpenUpdate(b *testing.B) {
	k := newKit(b)
	update, root := k.update(b), ed25519.PublicKey(k.root.Public())
	for b.Loop() {
		_, _, err := OpenUpdate(update, root, k.self)
		ok(b, err)
	}
}
