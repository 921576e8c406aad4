package seal

import (
	"crypto/hpke"

	"github.com/quorate/quorate/internal/license"
)

// MostKey bounds a key that is wrapped, in bytes.
const MostKey = 1 << 10

// NewProductKey makes the key pair of a product: the public half protects data,
// the private half travels sealed in updates and stays in containers.
func NewProductKey() (private, public []byte, err error) {
	k, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		return nil, nil, noKey(err)
	}
	private, err = k.Bytes()
	if err != nil {
		return nil, nil, noKey(err)
	}
	return private, k.PublicKey().Bytes(), nil
}

// WrapKey seals a data key for p, so that only containers that hold p open it.
func WrapKey(public []byte, p license.Product, key []byte) ([]byte, error) {
	if len(key) == 0 || len(key) > MostKey {
		return nil, license.Errorf(license.CodeInvalidInput, "wrap a data key, and encrypt the data with it", "a key of %d bytes can't be wrapped: from 1 to %d are possible", len(key), MostKey)
	}
	pub, err := hpke.MLKEM768X25519().NewPublicKey(public)
	if err != nil {
		return nil, license.Errorf(license.CodeInvalidInput, "use the public key of the product", "the product's public key is invalid")
	}
	var w writer
	w.product(p)
	if w.err != nil {
		return nil, w.err
	}
	ct, err := hpke.Seal(pub, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), wrapInfo(w.b), key)
	if err != nil {
		return nil, &license.Error{Code: license.CodeUnavailable, Message: "the key could not be wrapped", Fix: "try again", Err: err}
	}
	w.raw(ct)
	return kindWrapped.frame(w.b)
}

// WrappedFor says which product a wrapped key is for, as it claims.
func WrappedFor(wrapped []byte) (license.Product, error) {
	p, _, err := splitWrapped(wrapped)
	return p, err
}

// UnwrapKey opens what WrapKey gave. Errors: license.CodeKeyRefused when it is
// for another product, or damaged; CodeFormatUnknown, CodeTooLarge.
func UnwrapKey(private []byte, p license.Product, wrapped []byte) ([]byte, error) {
	claimed, ct, err := splitWrapped(wrapped)
	if err != nil {
		return nil, err
	}
	if claimed != p {
		return nil, license.Errorf(license.CodeKeyRefused, "access the product it is for", "the wrapped key is for %s, not for %s", claimed, p)
	}
	k, err := hpke.MLKEM768X25519().NewPrivateKey(private)
	if err != nil {
		return nil, license.Errorf(license.CodeKeyRefused, "order protection for the product from the vendor", "the license for %s opens no protected data", p)
	}
	var w writer
	w.product(p)
	key, err := hpke.Open(k, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), wrapInfo(w.b), ct)
	if err != nil || len(key) == 0 || len(key) > MostKey {
		return nil, kindWrapped.damage("it does not open")
	}
	return key, nil
}

func splitWrapped(b []byte) (license.Product, []byte, error) {
	body, rest, err := kindWrapped.unframe(b)
	if err != nil {
		return license.Product{}, nil, err
	}
	r := reader{b: body}
	p := r.product()
	if r.bad || len(rest) != 0 {
		return license.Product{}, nil, kindWrapped.damage("its fields are not well formed")
	}
	return p, r.b, nil
}

func wrapInfo(product []byte) []byte {
	const tag = "quorate-wrapped-key-seal"
	b := append([]byte{byte(len(tag))}, tag...)
	return append(append(b, Version), product...)
}
