package protect

import (
	"bytes"
	"crypto/hpke"
	"errors"
	"io"
	"testing"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// kit is a product with its key, as a container has it, and one more product.
type kit struct {
	product, other license.Product
	private        []byte
	to             *Recipient
	asked          int
}

func newKit(t testing.TB) *kit {
	t.Helper()
	k := &kit{product: license.Product{Firm: 6000010, Code: 14}, other: license.Product{Firm: 6000010, Code: 15}, private: bytes.Repeat([]byte{0x1e}, 32)}
	k.to = recipientOf(t, k.product, k.private)
	return k
}

func recipientOf(t testing.TB, p license.Product, private []byte) *Recipient {
	t.Helper()
	key, err := hpke.MLKEM768X25519().NewPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRecipient(p, key.PublicKey().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// open is an Opener: a container that holds the product.
func (k *kit) open(p license.Product, wrapped []byte) ([]byte, error) {
	k.asked++
	if p != k.product {
		return nil, license.Errorf(license.CodeNoLicense, "order one", "there is no license for %s", p)
	}
	return seal.UnwrapKey(k.private, p, wrapped)
}

func (k *kit) identity() *Identity { return NewIdentity(k.product, k.open) }

func encrypt(t testing.TB, content []byte, armored bool, to ...*Recipient) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := Encrypt(&out, armored, to...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func (k *kit) read(file []byte) ([]byte, error) {
	r, err := Open(bytes.NewReader(file), k.identity())
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// wantCode checks an error's code, and that it tells what to do.
func wantCode(t testing.TB, what string, err error, codes ...license.Code) {
	t.Helper()
	for _, c := range codes {
		var e *license.Error
		if errors.As(err, &e) && e.Code == c && e.Message != "" && e.Fix != "" {
			return
		}
	}
	t.Errorf("%s: %v (code %q), want one of %q", what, err, license.CodeOf(err), codes)
}
