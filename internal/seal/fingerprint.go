package seal

import (
	"cmp"
	"crypto/ed25519"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// FirmState is how far a container is with one firm's updates.
type FirmState struct {
	Firm    license.FirmCode
	Counter uint64   // number of the last installed update
	Digest  [32]byte // Digest of that update; zero when there was none
}

// Fingerprint is a container's request for an update: who it is and what it
// holds.
type Fingerprint struct {
	Serial       license.Serial
	ActivationID [16]byte
	Identity     PublicIdentity
	Root         ed25519.PublicKey // the platform it was created under
	Firms        []FirmState
	Licenses     []license.Held
	Nonce        []byte // of who asked for it, up to 64 bytes; empty in a file
	At           time.Time
}

// SignFingerprint signs f as i; f.Identity is set to i's.
func SignFingerprint(i *Identity, f Fingerprint) ([]byte, error) {
	f.Identity = i.Public()
	w := encodeFingerprint(f)
	return kindFingerprint.signed(identitySigner{i}, w)
}

// OpenFingerprint reads a fingerprint and verifies that the identity in it
// signed it. Whether that identity is the recorded one of the serial is for the
// caller to check. Errors: license.CodeFingerprintForged, CodeFormatUnknown,
// CodeTooLarge.
func OpenFingerprint(b []byte) (Fingerprint, error) {
	body, signed, sig, err := kindFingerprint.split(b)
	if err != nil {
		return Fingerprint{}, err
	}
	if len(body) < ed25519.PublicKeySize || !verify(ed25519.PublicKey(body[:ed25519.PublicKeySize]), signed, sig) {
		return Fingerprint{}, kindFingerprint.damage("its signature does not hold")
	}
	return decodeFingerprint(body)
}

// The signing key comes first, so that it can be read before the rest.
func encodeFingerprint(f Fingerprint) *writer {
	w := new(writer)
	w.identity(f.Identity)
	w.serial(f.Serial)
	w.raw(f.ActivationID[:])
	w.key(f.Root, "root key")
	firms := slices.SortedFunc(slices.Values(f.Firms), func(a, b FirmState) int { return cmp.Compare(a.Firm, b.Firm) })
	if w.list(len(firms), MostFirms, "firms") {
		for i, s := range firms {
			if s.Firm == 0 || (i > 0 && firms[i-1].Firm == s.Firm) {
				w.fail("the firm %d is zero or comes twice", s.Firm)
			}
			if (s.Counter == 0) != (s.Digest == [32]byte{}) {
				w.fail("the firm %d has a counter without a digest or the reverse", s.Firm)
			}
			w.u32(uint32(s.Firm))
			w.u64(s.Counter)
			w.raw(s.Digest[:])
		}
	}
	w.holdings(f.Licenses)
	w.bytes(f.Nonce, 0, MostNonce, "nonce")
	w.instant(f.At, "fingerprint's time")
	return w
}

func decodeFingerprint(body []byte) (Fingerprint, error) {
	r := reader{b: body}
	f := Fingerprint{Identity: r.identity(), Serial: r.serial(), ActivationID: r.array16(), Root: r.key()}
	for n := r.list(MostFirms); n > 0 && !r.bad; n-- {
		s := FirmState{Firm: license.FirmCode(r.u32()), Counter: r.u64(), Digest: r.array32()}
		if s.Firm == 0 || (len(f.Firms) > 0 && f.Firms[len(f.Firms)-1].Firm >= s.Firm) || (s.Counter == 0) != (s.Digest == [32]byte{}) {
			r.bad = true
		}
		f.Firms = append(f.Firms, s)
	}
	f.Licenses = r.holdings()
	f.Nonce = r.bytes(0, MostNonce)
	f.At = r.instant()
	if !r.end() {
		return Fingerprint{}, kindFingerprint.damage("its fields are not well formed")
	}
	return f, nil
}
