package seal

import (
	"bytes"
	"crypto/ed25519"

	"github.com/quorate/quorate/internal/license"
)

// Rotation is the word of a firm's two keys that the one passes on to the
// other. It is signed by both: by the old one, so that the root alone can't put
// a key in a firm's place, and by the new one, so that nobody passes on to a
// key that he does not have.
type Rotation struct {
	Firm license.FirmCode
	// Serial is of the certificate of New, from 2; Old's is one less.
	Serial   uint64
	Old, New ed25519.PublicKey
}

// SignRotation makes the rotation from one key to the next.
func SignRotation(old, next Signer, firm license.FirmCode, serial uint64) ([]byte, error) {
	var w writer
	switch {
	case firm == 0:
		w.fail("a firm code can't be zero")
	case serial < 2:
		w.fail("a rotation leads to key 2 or a later one")
	case bytes.Equal(old.Public(), next.Public()):
		w.fail("the new key is the old one")
	}
	w.u32(uint32(firm))
	w.u64(serial)
	w.key(old.Public(), "old key")
	w.key(next.Public(), "new key")
	if w.err != nil {
		return nil, w.err
	}
	framed, err := kindRotation.frame(w.b)
	if err != nil {
		return nil, err
	}
	first, err := kindRotation.sign(old, framed)
	if err != nil {
		return nil, err
	}
	second, err := kindRotation.sign(next, framed)
	if err != nil {
		return nil, err
	}
	return append(first, second[len(framed):]...), nil
}

// VerifyRotation reads a rotation that both of its keys have signed. Error:
// license.CodeUpdateUntrusted.
func VerifyRotation(b []byte) (Rotation, error) {
	body, sigs, err := kindRotation.unframe(b)
	if err != nil {
		return Rotation{}, err
	}
	if len(sigs) != 2*ed25519.SignatureSize {
		return Rotation{}, kindRotation.damage("it does not have two signatures")
	}
	r := reader{b: body}
	x := Rotation{Firm: license.FirmCode(r.u32()), Serial: r.u64(), Old: r.key(), New: r.key()}
	if !r.end() || x.Firm == 0 || x.Serial < 2 || bytes.Equal(x.Old, x.New) {
		return Rotation{}, kindRotation.damage("its fields are not well formed")
	}
	signed := b[:len(b)-len(sigs)]
	if !verify(x.Old, signed, sigs[:ed25519.SignatureSize]) {
		return Rotation{}, kindRotation.damage("the old key's signature does not hold")
	}
	if !verify(x.New, signed, sigs[ed25519.SignatureSize:]) {
		return Rotation{}, kindRotation.damage("the new key's signature does not hold")
	}
	return x, nil
}
