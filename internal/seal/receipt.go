package seal

import (
	"crypto/ed25519"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// Receipt is a container's word that it has installed an update.
type Receipt struct {
	Serial license.Serial
	Firm   license.FirmCode
	Number uint64
	Update [32]byte // Digest of the update
	At     time.Time
}

// SignReceipt signs r as i.
func SignReceipt(i *Identity, r Receipt) ([]byte, error) {
	return kindReceipt.signed(identitySigner{i}, encodeReceipt(r))
}

// OpenReceipt verifies a receipt with the container's signing key. Errors:
// license.CodeReceiptForged, CodeFormatUnknown, CodeTooLarge.
func OpenReceipt(b []byte, key ed25519.PublicKey) (Receipt, error) {
	body, err := kindReceipt.verified(b, key)
	if err != nil {
		return Receipt{}, err
	}
	return decodeReceipt(body)
}

func encodeReceipt(r Receipt) *writer {
	w := new(writer)
	if r.Firm == 0 || r.Number == 0 {
		w.fail("a receipt needs a firm and a number")
	}
	w.serial(r.Serial)
	w.u32(uint32(r.Firm))
	w.u64(r.Number)
	w.raw(r.Update[:])
	w.instant(r.At, "receipt's time")
	return w
}

func decodeReceipt(body []byte) (Receipt, error) {
	r := reader{b: body}
	out := Receipt{Serial: r.serial(), Firm: license.FirmCode(r.u32()), Number: r.u64(), Update: r.array32(), At: r.instant()}
	if !r.end() || out.Firm == 0 || out.Number == 0 {
		return Receipt{}, kindReceipt.damage("its fields are not well formed")
	}
	return out, nil
}

// Statement is what a container holds at the moment it is asked. The nonce is
// chosen by who asks, so an old statement can't stand for a new one.
type Statement struct {
	Serial   license.Serial
	Nonce    []byte // 16 to 64 bytes
	Licenses []license.Held
}

// SignStatement signs s as i.
func SignStatement(i *Identity, s Statement) ([]byte, error) {
	return kindStatement.signed(identitySigner{i}, encodeStatement(s))
}

// OpenStatement verifies a statement with the container's signing key; the
// caller compares serial and nonce. Errors: license.CodeGuardRefused,
// CodeFormatUnknown, CodeTooLarge.
func OpenStatement(b []byte, key ed25519.PublicKey) (Statement, error) {
	body, err := kindStatement.verified(b, key)
	if err != nil {
		return Statement{}, err
	}
	return decodeStatement(body)
}

func encodeStatement(s Statement) *writer {
	w := new(writer)
	w.serial(s.Serial)
	w.bytes(s.Nonce, LeastNonce, MostNonce, "nonce")
	w.holdings(s.Licenses)
	return w
}

func decodeStatement(body []byte) (Statement, error) {
	r := reader{b: body}
	s := Statement{Serial: r.serial(), Nonce: r.bytes(LeastNonce, MostNonce), Licenses: r.holdings()}
	if !r.end() {
		return Statement{}, kindStatement.damage("its fields are not well formed")
	}
	return s, nil
}
