package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/quorate/quorate/internal/license"
)

// Signer is a key that signs: a firm's, the platform's root, a group's for
// handle tokens. It may lie in a file or in a KMS. Safe for concurrent use.
type Signer interface {
	Public() ed25519.PublicKey
	// Sign gives the Ed25519 signature of msg (RFC 8032, not pre-hashed).
	Sign(msg []byte) ([]byte, error)
}

type seedSigner struct{ key ed25519.PrivateKey }

// NewSigner makes a signer of a seed of 32 bytes. A signer made of anything
// else has no public key and refuses to sign.
func NewSigner(seed []byte) Signer {
	if len(seed) != ed25519.SeedSize {
		return seedSigner{}
	}
	return seedSigner{ed25519.NewKeyFromSeed(seed)}
}

// NewSeed makes a fresh seed for NewSigner.
func NewSeed() ([]byte, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := rand.Read(seed); err != nil {
		return nil, noKey(err)
	}
	return seed, nil
}

func (s seedSigner) Public() ed25519.PublicKey {
	if s.key == nil {
		return nil
	}
	return bytes.Clone(s.key.Public().(ed25519.PublicKey))
}

func (s seedSigner) Sign(msg []byte) ([]byte, error) {
	if s.key == nil {
		return nil, errors.New("the signer's seed does not have 32 bytes")
	}
	return ed25519.Sign(s.key, msg), nil
}

// Format keeps the key out of every log and error.
func (s seedSigner) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "seal.Signer(secret)") }

// FirmCert is the root's word that a key speaks for a firm.
type FirmCert struct {
	Firm   license.FirmCode
	Key    ed25519.PublicKey
	Serial uint64
}

// SignFirmCert makes a certificate.
func SignFirmCert(root Signer, c FirmCert) ([]byte, error) {
	var w writer
	if c.Firm == 0 {
		w.fail("a firm code can't be zero")
	}
	w.u32(uint32(c.Firm))
	w.key(c.Key, "firm's key")
	w.u64(c.Serial)
	return kindFirm.signed(root, &w)
}

// VerifyFirmCert reads a certificate. Error: license.CodeUpdateUntrusted when
// root did not sign it.
func VerifyFirmCert(root ed25519.PublicKey, b []byte) (FirmCert, error) {
	body, err := kindFirm.verified(b, root)
	if err != nil {
		if license.CodeOf(err) == license.CodeUpdateUntrusted {
			return FirmCert{}, license.Errorf(license.CodeUpdateUntrusted, kindFirm.spec().fix, "the firm is not vouched for by the trusted root key")
		}
		return FirmCert{}, err
	}
	return decodeFirmCert(body)
}

// claimedFirmCert reads a certificate without verifying it.
func claimedFirmCert(b []byte) (FirmCert, error) {
	body, _, _, err := kindFirm.split(b)
	if err != nil {
		return FirmCert{}, err
	}
	return decodeFirmCert(body)
}

func decodeFirmCert(body []byte) (FirmCert, error) {
	r := reader{b: body}
	c := FirmCert{Firm: license.FirmCode(r.u32()), Key: r.key(), Serial: r.u64()}
	if !r.end() || c.Firm == 0 {
		return FirmCert{}, kindFirm.damage("its fields are not well formed")
	}
	return c, nil
}
