package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/quorate/quorate/internal/license"
)

// Sizes of version 1's keys.
const (
	sealPublicSize  = 1216 // ML-KEM-768 encapsulation key and X25519 point
	sealPrivateSize = 32   // the hybrid's seed
)

// Identity is a container's private side: the key that it signs with and the
// key that updates are sealed to. It never leaves the license server; printing
// it shows nothing of the keys.
type Identity struct {
	sign ed25519.PrivateKey
	seal hpke.PrivateKey
}

// NewIdentity makes a fresh identity.
func NewIdentity() (*Identity, error) {
	_, sign, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, noKey(err)
	}
	seal, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		return nil, noKey(err)
	}
	return &Identity{sign: sign, seal: seal}, nil
}

func noKey(err error) error {
	return &license.Error{Code: license.CodeUnavailable, Message: "a key could not be made", Fix: "try again", Err: err}
}

// Marshal gives the private keys: whoever has these bytes is the container.
func (i *Identity) Marshal() []byte {
	var w writer
	w.raw(i.sign.Seed())
	// Bytes fails only for keys that are not held in memory; ours are.
	seal, err := i.seal.Bytes()
	if err != nil {
		return nil
	}
	w.raw(seal)
	b, err := kindIdentity.frame(w.b)
	if err != nil {
		return nil
	}
	return b
}

// ParseIdentity reads what Marshal gave. Its errors carry nothing of the input.
func ParseIdentity(b []byte) (*Identity, error) {
	body, rest, err := kindIdentity.unframe(b)
	if err != nil {
		return nil, err
	}
	r := reader{b: body}
	seed, private := r.raw(ed25519.SeedSize), r.raw(sealPrivateSize)
	if !r.end() || len(rest) != 0 {
		return nil, kindIdentity.damage("its length is wrong")
	}
	seal, err := hpke.MLKEM768X25519().NewPrivateKey(private)
	if err != nil {
		return nil, kindIdentity.damage("its sealing key is invalid")
	}
	return &Identity{sign: ed25519.NewKeyFromSeed(seed), seal: seal}, nil
}

// Public gives the side that may be shown.
func (i *Identity) Public() PublicIdentity {
	return PublicIdentity{
		Sign: bytes.Clone(i.sign.Public().(ed25519.PublicKey)),
		Seal: i.seal.PublicKey().Bytes(),
	}
}

// Derive gives a secret of 32 bytes for one purpose of the container's own,
// such as the check codes of its file. It tells nothing of the keys.
func (i *Identity) Derive(purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, i.sign.Seed(), nil, "quorate-derive/"+purpose, 32)
}

// Format keeps the keys out of every log and error.
func (Identity) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "seal.Identity(secret)") }

type identitySigner struct{ i *Identity }

func (s identitySigner) Public() ed25519.PublicKey { return s.i.sign.Public().(ed25519.PublicKey) }
func (s identitySigner) Sign(msg []byte) ([]byte, error) {
	return ed25519.Sign(s.i.sign, msg), nil
}

// PublicIdentity is what a container is known by.
type PublicIdentity struct {
	Sign ed25519.PublicKey
	Seal []byte
}

// Equal compares both keys.
func (p PublicIdentity) Equal(q PublicIdentity) bool {
	return bytes.Equal(p.Sign, q.Sign) && bytes.Equal(p.Seal, q.Seal)
}

// Digest names the identity in 32 bytes.
func (p PublicIdentity) Digest() [32]byte { return hash("quorate-identity-digest", p.Sign, p.Seal) }

// Marshal gives the one encoding of the identity.
func (p PublicIdentity) Marshal() ([]byte, error) {
	var w writer
	w.identity(p)
	if w.err != nil {
		return nil, w.err
	}
	return kindPublic.frame(w.b)
}

// ParsePublicIdentity reads what Marshal gave.
func ParsePublicIdentity(b []byte) (PublicIdentity, error) {
	body, rest, err := kindPublic.unframe(b)
	if err != nil {
		return PublicIdentity{}, err
	}
	r := reader{b: body}
	p := r.identity()
	if !r.end() || len(rest) != 0 {
		return PublicIdentity{}, kindPublic.damage("its fields are not well formed")
	}
	return p, nil
}

func (w *writer) identity(p PublicIdentity) {
	w.key(p.Sign, "signing key")
	if _, err := hpke.MLKEM768X25519().NewPublicKey(p.Seal); err != nil {
		w.fail("the sealing key is invalid")
		return
	}
	w.raw(p.Seal)
}

func (r *reader) identity() PublicIdentity {
	p := PublicIdentity{Sign: r.key(), Seal: bytes.Clone(r.raw(sealPublicSize))}
	if !r.bad {
		_, err := hpke.MLKEM768X25519().NewPublicKey(p.Seal)
		r.bad = err != nil
	}
	return p
}
