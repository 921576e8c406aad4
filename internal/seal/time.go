package seal

import (
	"crypto/ed25519"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// TimeCertificate is the platform's word for what time it is, in answer to one
// container's nonce. It is signed with the root key.
type TimeCertificate struct {
	Serial license.Serial
	Nonce  [16]byte // the TimeNonce of the container's fingerprint
	At     time.Time
}

// SignTime signs a certificate with the platform's root key.
func SignTime(root Signer, c TimeCertificate) ([]byte, error) {
	return kindTime.signed(root, encodeTime(c))
}

// OpenTime verifies a certificate. Whether it is for the caller, and answers his
// nonce, is for him to check. Errors: license.CodeTimeForged, CodeFormatUnknown,
// CodeTooLarge.
func OpenTime(b []byte, root ed25519.PublicKey) (TimeCertificate, error) {
	body, err := kindTime.verified(b, root)
	if err != nil {
		return TimeCertificate{}, err
	}
	return decodeTime(body)
}

// IsTime says whether a message claims to be a time certificate.
func IsTime(b []byte) bool {
	tag := kindTime.spec().tag
	return len(b) > len(tag) && int(b[0]) == len(tag) && string(b[1:1+len(tag)]) == tag
}

// ClaimTime reads a certificate without verifying it: for showing alone.
func ClaimTime(b []byte) (TimeCertificate, error) {
	body, _, _, err := kindTime.split(b)
	if err != nil {
		return TimeCertificate{}, err
	}
	return decodeTime(body)
}

func encodeTime(c TimeCertificate) *writer {
	w := new(writer)
	if c.Nonce == ([16]byte{}) || c.At.IsZero() {
		w.fail("a time certificate needs a nonce and a time")
	}
	w.serial(c.Serial)
	w.raw(c.Nonce[:])
	w.instant(c.At, "certified time")
	return w
}

func decodeTime(body []byte) (TimeCertificate, error) {
	r := reader{b: body}
	c := TimeCertificate{Serial: r.serial(), Nonce: r.array16(), At: r.instant()}
	if !r.end() || c.Nonce == ([16]byte{}) || c.At.IsZero() {
		return TimeCertificate{}, kindTime.damage("its fields are not well formed")
	}
	return c, nil
}
