package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hpke"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// UpdateHeader is the part of an update that anyone may read.
type UpdateHeader struct {
	Firm     license.FirmCode
	Serial   license.Serial
	Identity [32]byte // PublicIdentity.Digest of the container
	Number   uint64   // firm update counter, from 1
	Previous [32]byte // Digest of the update before; zero for the first
	IssuedAt time.Time
}

// SealUpdate makes an update. Sealing is randomized: two calls give two
// different updates of one number, and a container takes only one of them. So
// whoever issues keeps the bytes before he hands them out; PrepareUpdate and
// SignUpdate let him keep them even before they are signed.
func SealUpdate(firm Signer, firmCert []byte, to PublicIdentity, h UpdateHeader, p Payload) ([]byte, error) {
	prepared, err := PrepareUpdate(firmCert, to, h, p)
	if err != nil {
		return nil, err
	}
	return SignUpdate(firm, prepared)
}

// PrepareUpdate checks everything and gives the bytes to be signed. They hold
// no secret in the clear. A zero h.Identity is set to to's.
func PrepareUpdate(firmCert []byte, to PublicIdentity, h UpdateHeader, p Payload) ([]byte, error) {
	if h.Identity == [32]byte{} {
		h.Identity = to.Digest()
	}
	var w writer
	if h.Identity != to.Digest() {
		w.fail("the update's header names another identity than it is sealed to")
	}
	cert, err := claimedFirmCert(firmCert)
	if err != nil {
		return nil, err
	}
	if cert.Firm != h.Firm {
		w.fail("the certificate is for firm %d, the update for firm %d", cert.Firm, h.Firm)
	}
	w.bytes(firmCert, 1, MostFirmCert, "firm certificate")
	w.header(h)
	plain := encodePayload(p, h.Firm)
	if w.err == nil {
		w.err = plain.err
	}
	if w.err != nil {
		return nil, w.err
	}
	key, err := hpke.MLKEM768X25519().NewPublicKey(to.Seal)
	if err != nil {
		return nil, license.Errorf(license.CodeInvalidInput, "have the container make a new fingerprint", "the container's sealing key is invalid")
	}
	sealed, err := hpke.Seal(key, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), sealInfo(w.b), plain.b)
	if err != nil {
		return nil, &license.Error{Code: license.CodeUnavailable, Message: "the update could not be sealed", Fix: "try again", Err: err}
	}
	w.bytes(sealed, 1, MostUpdate, "sealed payload")
	if w.err != nil {
		return nil, w.err
	}
	return kindUpdate.frame(w.b)
}

// SignUpdate signs what PrepareUpdate gave. Ed25519 is deterministic, so
// signing the same bytes again gives the same update.
func SignUpdate(firm Signer, prepared []byte) ([]byte, error) {
	body, rest, err := kindUpdate.unframe(prepared)
	if err != nil {
		return nil, err
	}
	if len(rest) != 0 {
		return nil, kindUpdate.damage("bytes follow its end")
	}
	cert, _, _, err := decodeUpdate(body)
	if err != nil {
		return nil, err
	}
	claimed, err := claimedFirmCert(cert)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(claimed.Key, firm.Public()) {
		return nil, license.Errorf(license.CodeInvalidInput, "sign with the key in the firm's certificate", "the update's certificate is for another key")
	}
	return kindUpdate.sign(firm, prepared)
}

// VerifyUpdate verifies the signature and the chain up to root, and gives the
// header, without opening the update. Errors: license.CodeUpdateTampered,
// CodeUpdateUntrusted, CodeFormatUnknown, CodeTooLarge.
func VerifyUpdate(b []byte, root ed25519.PublicKey) (UpdateHeader, error) {
	_, h, _, err := verifyUpdate(b, root)
	return h, err
}

// UpdateCert verifies an update and gives the certificate of the key that it is
// signed with. Errors: those of VerifyUpdate.
func UpdateCert(b []byte, root ed25519.PublicKey) (FirmCert, error) {
	_, _, _, err := verifyUpdate(b, root)
	if err != nil {
		return FirmCert{}, err
	}
	body, _, _, err := kindUpdate.split(b)
	if err != nil {
		return FirmCert{}, err
	}
	r := reader{b: body}
	return claimedFirmCert(r.bytes(1, MostFirmCert))
}

// PreparedCert tells whether what PrepareUpdate gave is to be signed with the
// key of this certificate.
func PreparedCert(prepared, firmCert []byte) bool {
	body, _, err := kindUpdate.unframe(prepared)
	if err != nil {
		return false
	}
	r := reader{b: body}
	return bytes.Equal(r.bytes(1, MostFirmCert), firmCert)
}

// OpenUpdate verifies an update, then opens it as i. Errors: those of
// VerifyUpdate; license.CodeUpdateForeign when it is for another container,
// CodeUpdateTampered when the seal does not hold, CodeUpdateUntrusted when it
// sets licenses of another firm.
func OpenUpdate(b []byte, root ed25519.PublicKey, i *Identity) (UpdateHeader, Payload, error) {
	info, h, sealed, err := verifyUpdate(b, root)
	if err != nil {
		return UpdateHeader{}, Payload{}, err
	}
	if h.Identity != i.Public().Digest() {
		return UpdateHeader{}, Payload{}, license.Errorf(license.CodeUpdateForeign, "install it on the container it is for", "the update is for another container, %s", h.Serial)
	}
	plain, err := hpke.Open(i.seal, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), info, sealed)
	if err != nil {
		return UpdateHeader{}, Payload{}, kindUpdate.damage("its seal does not hold")
	}
	p, ok := decodePayload(plain)
	clear(plain)
	if !ok {
		return UpdateHeader{}, Payload{}, kindUpdate.damage("its fields are not well formed")
	}
	if other, found := p.foreign(h.Firm); found {
		return UpdateHeader{}, Payload{}, license.Errorf(license.CodeUpdateUntrusted, kindFirm.spec().fix, "the update of firm %d has licenses of another firm, %s", h.Firm, other)
	}
	return h, p, nil
}

// Digest names an update file.
func Digest(b []byte) [32]byte { return hash("quorate-update-digest", b) }

func verifyUpdate(b []byte, root ed25519.PublicKey) (info []byte, h UpdateHeader, sealed []byte, err error) {
	body, signed, sig, err := kindUpdate.split(b)
	if err != nil {
		return nil, UpdateHeader{}, nil, err
	}
	// Both signatures must hold. The one by the key that the certificate claims
	// comes first, so that damage anywhere is told from a firm of another root.
	first := reader{b: body}
	cert := first.bytes(1, MostFirmCert)
	claimed, err := claimedFirmCert(cert)
	if first.bad || err != nil || !verify(claimed.Key, signed, sig) {
		return nil, UpdateHeader{}, nil, kindUpdate.damage("its signature does not hold")
	}
	firm, err := VerifyFirmCert(root, cert)
	if err != nil {
		return nil, UpdateHeader{}, nil, err
	}
	_, h, sealed, err = decodeUpdate(body)
	if err != nil {
		return nil, UpdateHeader{}, nil, err
	}
	if h.Firm != firm.Firm {
		return nil, UpdateHeader{}, nil, license.Errorf(license.CodeUpdateUntrusted, kindFirm.spec().fix, "the update is for firm %d, but signed by firm %d", h.Firm, firm.Firm)
	}
	return sealInfo(body[:len(body)-4-len(sealed)]), h, sealed, nil
}

func decodeUpdate(body []byte) (cert []byte, h UpdateHeader, sealed []byte, err error) {
	r := reader{b: body}
	cert = r.bytes(1, MostFirmCert)
	h = r.header()
	sealed = r.bytes(1, MostUpdate)
	if !r.end() {
		return nil, UpdateHeader{}, nil, kindUpdate.damage("its fields are not well formed")
	}
	return cert, h, sealed, nil
}

// sealInfo binds the sealed payload to the certificate and the header.
func sealInfo(before []byte) []byte {
	const tag = "quorate-update-seal"
	b := append([]byte{byte(len(tag))}, tag...)
	return append(append(b, Version), before...)
}

func (w *writer) header(h UpdateHeader) {
	if h.Firm == 0 {
		w.fail("a firm code can't be zero")
	}
	if h.Number == 0 || (h.Number == 1) != (h.Previous == [32]byte{}) {
		w.fail("update number %d must name the update before it, and only the first, number 1, has none", h.Number)
	}
	w.u32(uint32(h.Firm))
	w.serial(h.Serial)
	w.raw(h.Identity[:])
	w.u64(h.Number)
	w.raw(h.Previous[:])
	w.instant(h.IssuedAt, "time of issue")
}

func (r *reader) header() UpdateHeader {
	h := UpdateHeader{
		Firm: license.FirmCode(r.u32()), Serial: r.serial(), Identity: r.array32(),
		Number: r.u64(), Previous: r.array32(), IssuedAt: r.instant(),
	}
	if h.Firm == 0 || h.Number == 0 || (h.Number == 1) != (h.Previous == [32]byte{}) {
		r.bad = true
	}
	return h
}
