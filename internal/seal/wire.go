package seal

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"time"
	"unicode/utf8"

	"github.com/quorate/quorate/internal/license"
)

// Version is the version byte of every message: it fixes all algorithms. A
// firm certificate that carries rotations has versionRotated, and a token of
// several licenses, a borrowed one or one with tags versionTagged, with the same
// algorithms.
const (
	Version        = 1
	versionRotated = 2
	versionTagged  = 2
)

// Bounds of messages, in bytes, and of what they carry.
const (
	MostUpdate      = 1 << 20
	MostFingerprint = 1 << 20
	MostReceipt     = 1 << 10
	MostStatement   = 1 << 20
	MostToken       = 4 << 10
	MostFirmCert    = 32 << 10
	MostRotation    = 1 << 10
	MostIdentity    = 4 << 10
	MostWrapped     = 4 << 10
	MostTime        = 1 << 10

	// mostHoldings leaves room for the rest of a fingerprint.
	mostHoldings = MostFingerprint - 128<<10

	// MostLicenses is how many licenses one container may hold, so that what it
	// holds always fits a fingerprint and a statement.
	MostLicenses = 512
	MostFirms    = 512
	// MostMeters is how many products' use a container remembers, also after
	// their licenses are gone.
	MostMeters = 1024
	// MostRotations is how many rotations a firm certificate carries: a container
	// takes part in so many at once.
	MostRotations = 128

	LeastNonce = 16
	MostNonce  = 64
)

// latest is the last millisecond of the year 9999, beyond which time.Time has
// no text form.
const latest = 253402300799_999

type kind uint8

const (
	kindIdentity kind = iota
	kindPublic
	kindFirm
	kindFingerprint
	kindUpdate
	kindReceipt
	kindStatement
	kindToken
	kindWrapped
	kindRotation
	kindTime
)

type spec struct {
	tag, name string
	most      int
	damaged   license.Code // what a broken one is reported as
	fix       string
}

func (k kind) spec() spec {
	switch k {
	case kindIdentity:
		return spec{"quorate-identity", "container identity", MostIdentity, license.CodeInvalidInput, "restore it from a backup"}
	case kindPublic:
		return spec{"quorate-public", "public identity", MostIdentity, license.CodeInvalidInput, "have the container make a new fingerprint"}
	case kindFirm:
		return spec{"quorate-firm", "firm certificate", MostFirmCert, license.CodeUpdateUntrusted, "get an update from the platform that this container was created for"}
	case kindRotation:
		return spec{"quorate-rotation", "rotation", MostRotation, license.CodeUpdateUntrusted, "get an update from the platform that this container was created for"}
	case kindTime:
		return spec{"quorate-time", "time certificate", MostTime, license.CodeTimeForged, "have the time certified again"}
	case kindFingerprint:
		return spec{"quorate-fingerprint", "fingerprint", MostFingerprint, license.CodeFingerprintForged, "have the container make a new fingerprint"}
	case kindUpdate:
		return spec{"quorate-update", "update", MostUpdate, license.CodeUpdateTampered, "get the update from the platform again"}
	case kindReceipt:
		return spec{"quorate-receipt", "receipt", MostReceipt, license.CodeReceiptForged, "have the container hand in its receipt again"}
	case kindStatement:
		return spec{"quorate-statement", "statement", MostStatement, license.CodeGuardRefused, "have the backend make a new statement"}
	case kindToken:
		return spec{"quorate-token", "handle token", MostToken, license.CodeTokenInvalid, "access the license anew"}
	default:
		return spec{"quorate-wrapped-key", "wrapped key", MostWrapped, license.CodeKeyRefused, "get the protected file from the vendor again"}
	}
}

func (k kind) damage(what string) *license.Error {
	s := k.spec()
	return license.Errorf(s.damaged, s.fix, "the %s is damaged: %s", s.name, what)
}

// frame gives tag, version and body: for signed messages, what is signed.
func (k kind) frame(body []byte) ([]byte, error) { return k.frameAs(Version, body) }

func (k kind) frameAs(version byte, body []byte) ([]byte, error) {
	s := k.spec()
	b := make([]byte, 0, 1+len(s.tag)+1+4+len(body)+ed25519.SignatureSize)
	b = append(b, byte(len(s.tag)))
	b = append(b, s.tag...)
	b = append(b, version)
	b = binary.BigEndian.AppendUint32(b, uint32(len(body))) //nolint:gosec // G115: bounded by the next line
	b = append(b, body...)
	if len(b)+ed25519.SignatureSize > s.most {
		return nil, license.Errorf(license.CodeTooLarge, "split it into smaller ones", "the %s would be larger than %d bytes", s.name, s.most)
	}
	return b, nil
}

// unframe gives the body, and what follows it, of a message of this kind.
func (k kind) unframe(b []byte) (body, rest []byte, err error) {
	s := k.spec()
	if len(b) > s.most {
		return nil, nil, license.Errorf(license.CodeTooLarge, s.fix, "the %s is larger than %d bytes", s.name, s.most)
	}
	if len(b) == 0 || len(b) < 1+int(b[0])+1 {
		return nil, nil, license.Errorf(license.CodeFormatUnknown, s.fix, "this is not a %s", s.name)
	}
	n := int(b[0])
	if string(b[1:1+n]) != s.tag {
		return nil, nil, license.Errorf(license.CodeFormatUnknown, "check which file you gave", "this is not a %s", s.name)
	}
	b = b[1+n:]
	if newest := k.newest(); b[0] < Version || b[0] > newest {
		return nil, nil, license.Errorf(license.CodeFormatUnknown, "upgrade the software that reads it", "the %s has version %d, and only versions up to %d are known here", s.name, b[0], newest)
	}
	b = b[1:]
	if len(b) < 4 {
		return nil, nil, k.damage("it is incomplete")
	}
	size := int64(binary.BigEndian.Uint32(b))
	if size > int64(len(b)-4) {
		return nil, nil, k.damage("it is incomplete")
	}
	return b[4 : 4+size], b[4+size:], nil
}

// newest is the newest version of the kind.
func (k kind) newest() byte {
	switch k {
	case kindFirm:
		return versionRotated
	case kindToken:
		return versionTagged
	default:
		return Version
	}
}

// version gives that of a message which unframe took.
func (k kind) version(b []byte) byte { return b[1+len(k.spec().tag)] }

// split takes a signed message apart without verifying it.
func (k kind) split(b []byte) (body, signed, sig []byte, err error) {
	body, sig, err = k.unframe(b)
	if err != nil {
		return nil, nil, nil, err
	}
	switch {
	case len(sig) < ed25519.SignatureSize:
		return nil, nil, nil, k.damage("it is incomplete")
	case len(sig) > ed25519.SignatureSize:
		return nil, nil, nil, k.damage("bytes follow its end")
	}
	return body, b[:len(b)-ed25519.SignatureSize], sig, nil
}

// verified gives the body of a message signed by key.
func (k kind) verified(b []byte, key ed25519.PublicKey) ([]byte, error) {
	body, signed, sig, err := k.split(b)
	if err != nil {
		return nil, err
	}
	if !verify(key, signed, sig) {
		return nil, k.damage("its signature does not hold")
	}
	return body, nil
}

// signed frames and signs a body. The signature is checked before it leaves,
// so a faulty signer can't make a message that nobody accepts.
func (k kind) signed(s Signer, w *writer) ([]byte, error) {
	if w.err != nil {
		return nil, w.err
	}
	return k.signedAs(Version, s, w.b)
}

func (k kind) signedAs(version byte, s Signer, body []byte) ([]byte, error) {
	b, err := k.frameAs(version, body)
	if err != nil {
		return nil, err
	}
	return k.sign(s, b)
}

func (k kind) sign(s Signer, framed []byte) ([]byte, error) {
	sig, err := s.Sign(framed)
	if err != nil {
		return nil, &license.Error{
			Code: license.CodeUnavailable, Err: err,
			Message: "the " + k.spec().name + " could not be signed",
			Fix:     "check the key store, then try again",
		}
	}
	// Tokens are made all the time, and a key that lies here signs right.
	_, here := s.(seedSigner)
	if unchecked := here && k == kindToken; !unchecked && !verify(s.Public(), framed, sig) {
		return nil, license.Errorf(license.CodeUnavailable, "check the key store", "the signer made a %s signature that does not hold", k.spec().name)
	}
	return append(framed[:len(framed):len(framed)], sig...), nil
}

func verify(key ed25519.PublicKey, msg, sig []byte) bool {
	return len(key) == ed25519.PublicKeySize && len(sig) == ed25519.SignatureSize && ed25519.Verify(key, msg, sig)
}

// hash is SHA-256 over a tag and length-prefixed parts.
func hash(tag string, parts ...[]byte) [32]byte {
	h := sha256.New()
	h.Write([]byte{byte(len(tag))})
	h.Write([]byte(tag))
	h.Write([]byte{Version})
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write(p)
	}
	return [32]byte(h.Sum(nil))
}

// writer builds a body. The first value that has no encoding sets err; later
// calls do no harm.
type writer struct {
	b   []byte
	err error
}

func (w *writer) fail(format string, args ...any) {
	if w.err == nil {
		w.err = license.Errorf(license.CodeInvalidInput, "correct the value", format, args...)
	}
}

func (w *writer) u8(v uint8)   { w.b = append(w.b, v) }
func (w *writer) u16(v uint16) { w.b = binary.BigEndian.AppendUint16(w.b, v) }
func (w *writer) u32(v uint32) { w.b = binary.BigEndian.AppendUint32(w.b, v) }
func (w *writer) u64(v uint64) { w.b = binary.BigEndian.AppendUint64(w.b, v) }
func (w *writer) raw(v []byte) { w.b = append(w.b, v...) }
func (w *writer) count(n int)  { w.u16(uint16(n)) } //nolint:gosec // G115: callers bound n by list
func (w *writer) bool(v bool)  { w.u8(map[bool]uint8{true: 1}[v]) }
func (w *writer) list(n, most int, what string) bool {
	if n > most {
		w.fail("%d %s are more than %d", n, what, most)
		return false
	}
	w.count(n)
	return true
}

func (w *writer) bytes(v []byte, least, most int, what string) {
	if len(v) < least || len(v) > most {
		w.fail("the %s has %d bytes: from %d to %d are possible", what, len(v), least, most)
		return
	}
	w.u32(uint32(len(v))) //nolint:gosec // G115: at most most
	w.raw(v)
}

func (w *writer) text(s string, most int, what string) {
	if !utf8.ValidString(s) {
		w.fail("the %s is not UTF-8", what)
		return
	}
	w.bytes([]byte(s), 0, most, what)
}

func (w *writer) key(k ed25519.PublicKey, what string) {
	if len(k) != ed25519.PublicKeySize {
		w.fail("the %s has %d bytes: it must have %d", what, len(k), ed25519.PublicKeySize)
		return
	}
	w.raw(k)
}

func (w *writer) serial(s license.Serial) {
	if s.Kind() == "" || s.Number == 0 {
		w.fail("%s is not a container serial", s)
	}
	w.u16(s.Mask)
	w.u64(s.Number)
}

func (w *writer) product(p license.Product) {
	if p.Firm == 0 {
		w.fail("%s is not a product", p)
	}
	w.u32(uint32(p.Firm))
	w.u32(uint32(p.Code))
}

// instant writes a time in milliseconds; the zero time as 0. Finer parts are
// dropped.
func (w *writer) instant(t time.Time, what string) {
	if t.IsZero() {
		w.u64(0)
		return
	}
	ms := t.UnixMilli()
	if ms <= 0 || ms > latest {
		w.fail("the %s is out of range", what)
	}
	w.u64(uint64(ms)) //nolint:gosec // G115: checked above
}

// reader takes a body apart. A field that is not there, or not in its one
// encoding, sets bad; later calls give zero values.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) raw(n int) []byte {
	if r.bad || n < 0 || n > len(r.b) {
		r.bad = true
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) u8() uint8 {
	if v := r.raw(1); v != nil {
		return v[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if v := r.raw(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if v := r.raw(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if v := r.raw(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

func (r *reader) bool() bool {
	v := r.u8()
	r.bad = r.bad || v > 1
	return v == 1
}

func (r *reader) list(most int) int {
	n := int(r.u16())
	if n > most {
		r.bad = true
	}
	if r.bad {
		return 0
	}
	return n
}

// bytes gives a copy, so that nothing decoded shares memory with the input.
func (r *reader) bytes(least, most int) []byte {
	n := r.u32()
	if r.bad || uint64(n) > math.MaxInt32 || int(n) < least || int(n) > most {
		r.bad = true
		return nil
	}
	return append([]byte(nil), r.raw(int(n))...)
}

func (r *reader) text(most int) string {
	s := string(r.bytes(0, most))
	r.bad = r.bad || !utf8.ValidString(s)
	return s
}

func (r *reader) array16() (a [16]byte) { copy(a[:], r.raw(len(a))); return a }
func (r *reader) array32() (a [32]byte) { copy(a[:], r.raw(len(a))); return a }

func (r *reader) key() ed25519.PublicKey {
	return append(ed25519.PublicKey(nil), r.raw(ed25519.PublicKeySize)...)
}

func (r *reader) serial() license.Serial {
	s := license.Serial{Mask: r.u16(), Number: r.u64()}
	r.bad = r.bad || s.Kind() == "" || s.Number == 0
	return s
}

func (r *reader) product() license.Product {
	p := license.Product{Firm: license.FirmCode(r.u32()), Code: license.ProductCode(r.u32())}
	r.bad = r.bad || p.Firm == 0
	return p
}

func (r *reader) instant() time.Time {
	ms := r.u64()
	switch {
	case ms == 0:
		return time.Time{}
	case ms > latest:
		r.bad = true
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC() //nolint:gosec // G115: checked above
}

// end says whether everything was read and nothing was wrong.
func (r *reader) end() bool { return !r.bad && len(r.b) == 0 }
