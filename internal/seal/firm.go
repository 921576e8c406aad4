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
	// Rotations lead to Key, the last one last: how the firm's older keys passed
	// on. Those who know one of these keys want to see them (Succeeds). Up to
	// MostRotations.
	Rotations [][]byte
}

// Succeeds says whether whoever knows the firm by another certificate may go
// over to this one: it is the same, or each key in between passed on to the
// next. A known certificate without a key stands for any of its serial. Error:
// license.CodeUpdateUntrusted. Only of a verified certificate.
func (c FirmCert) Succeeds(known FirmCert) error {
	switch {
	case c.Serial < known.Serial:
		return license.Errorf(license.CodeUpdateUntrusted, "have the vendor issue it again with the firm's present key",
			"the update is signed with key %d of firm %d, which key %d has replaced", c.Serial, c.Firm, known.Serial)
	case c.Serial == known.Serial:
		if known.Key != nil && !bytes.Equal(known.Key, c.Key) {
			return license.Errorf(license.CodeUpdateUntrusted, "tell the vendor: somebody certified two keys of one number",
				"the update is signed with another key %d of firm %d than the known one", c.Serial, c.Firm)
		}
		return nil
	}
	missing := c.Serial - known.Serial
	if missing > uint64(len(c.Rotations)) {
		return license.Errorf(license.CodeUpdateUntrusted, "get an update from a platform that has the rotations of the firm's keys",
			"nothing shows how key %d of firm %d became key %d", known.Serial, c.Firm, c.Serial)
	}
	first, err := VerifyRotation(c.Rotations[uint64(len(c.Rotations))-missing])
	if err != nil {
		return err
	}
	if known.Key != nil && !bytes.Equal(known.Key, first.Old) {
		return license.Errorf(license.CodeUpdateUntrusted, "tell the vendor: somebody rotated a key that was never the firm's",
			"the update's rotations of firm %d begin with another key %d than the known one", c.Firm, known.Serial)
	}
	return nil
}

// SignFirmCert makes a certificate. Rotations that do not lead to its key are
// license.CodeInvalidInput.
func SignFirmCert(root Signer, c FirmCert) ([]byte, error) {
	var w writer
	if c.Firm == 0 {
		w.fail("a firm code can't be zero")
	}
	w.u32(uint32(c.Firm))
	w.key(c.Key, "firm's key")
	w.u64(c.Serial)
	if len(c.Rotations) == 0 {
		return kindFirm.signed(root, &w)
	}
	if w.list(len(c.Rotations), MostRotations, "rotations") {
		for _, r := range c.Rotations {
			w.bytes(r, 1, MostRotation, "rotation")
		}
	}
	if w.err == nil && chain(c) != nil {
		w.fail("the rotations of firm %d do not lead to its key %d", c.Firm, c.Serial)
	}
	if w.err != nil {
		return nil, w.err
	}
	return kindFirm.signedAs(versionRotated, root, w.b)
}

// VerifyFirmCert reads a certificate and verifies its rotations. Error:
// license.CodeUpdateUntrusted when root did not sign it, or when a rotation is
// missing between two, or not signed by both keys.
func VerifyFirmCert(root ed25519.PublicKey, b []byte) (FirmCert, error) {
	_, err := kindFirm.verified(b, root)
	if err != nil {
		if license.CodeOf(err) == license.CodeUpdateUntrusted {
			return FirmCert{}, license.Errorf(license.CodeUpdateUntrusted, kindFirm.spec().fix, "the firm is not vouched for by the trusted root key")
		}
		return FirmCert{}, err
	}
	c, err := claimedFirmCert(b)
	if err != nil {
		return FirmCert{}, err
	}
	return c, chain(c)
}

// claimedFirmCert reads a certificate without verifying it.
func claimedFirmCert(b []byte) (FirmCert, error) {
	body, _, _, err := kindFirm.split(b)
	if err != nil {
		return FirmCert{}, err
	}
	return decodeFirmCert(kindFirm.version(b), body)
}

func decodeFirmCert(version byte, body []byte) (FirmCert, error) {
	r := reader{b: body}
	c := FirmCert{Firm: license.FirmCode(r.u32()), Key: r.key(), Serial: r.u64()}
	if version == versionRotated {
		n := r.list(MostRotations)
		r.bad = r.bad || n == 0 // that would be a second encoding of none
		for range n {
			c.Rotations = append(c.Rotations, r.bytes(1, MostRotation))
		}
	}
	if !r.end() || c.Firm == 0 {
		return FirmCert{}, kindFirm.damage("its fields are not well formed")
	}
	return c, nil
}

// chain verifies that each rotation follows the one before, up to the
// certificate's key.
func chain(c FirmCert) error {
	broken := func(format string, args ...any) error {
		return license.Errorf(license.CodeUpdateUntrusted, kindFirm.spec().fix, format, args...)
	}
	n := uint64(len(c.Rotations))
	if n >= c.Serial && n > 0 {
		return broken("key %d of firm %d has %d rotations before it", c.Serial, c.Firm, n)
	}
	key := c.Key
	for i := range n {
		at, serial := n-1-i, c.Serial-i
		r, err := VerifyRotation(c.Rotations[at])
		switch {
		case err != nil:
			return err
		case r.Firm != c.Firm:
			return broken("a rotation of firm %d is among those of firm %d", r.Firm, c.Firm)
		case r.Serial != serial:
			return broken("the rotation to key %d of firm %d is missing: there is the one to key %d", serial, c.Firm, r.Serial)
		case !bytes.Equal(r.New, key):
			return broken("the rotations of firm %d do not lead to its key %d", c.Firm, serial)
		}
		key = r.Old
	}
	return nil
}
