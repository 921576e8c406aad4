package seal

import (
	"bytes"
	"testing"

	"github.com/quorate/quorate/internal/license"
)

// What can be told of a message without keys, and what is refused even so.
func TestClaims(t *testing.T) {
	k := newKit(t)
	u := k.update(t)
	h, cert, err := ClaimUpdate(u)
	ok(t, err)
	if h.Number != 4 || h.Serial != k.serial() || h.Identity != k.self.Public().Digest() || cert.Firm != firmCode || !cert.Key.Equal(k.firm.Public()) {
		t.Errorf("the update claims %+v, %+v", h, cert)
	}
	for i := range u {
		if i%5 != 0 && i > 300 {
			continue
		}
		b := bytes.Clone(u)
		b[i] ^= 1
		if _, _, err := ClaimUpdate(b); err == nil {
			t.Fatalf("byte %d altered, and nobody noticed", i)
		}
	}

	b, err := SignReceipt(k.self, k.receipt())
	ok(t, err)
	r, err := ClaimReceipt(b)
	ok(t, err)
	if r != k.receipt() {
		t.Errorf("the receipt claims %+v", r)
	}
	b[len(b)-1] ^= 1
	if _, err := ClaimReceipt(b); err != nil {
		t.Errorf("a receipt is verified without its key: %v", err)
	}
	_, err = ClaimReceipt(b[:len(b)-1])
	code(t, err, license.CodeReceiptForged)
	_, err = ClaimReceipt(u[:MostReceipt])
	code(t, err, license.CodeFormatUnknown)
	_, _, err = ClaimUpdate(b)
	code(t, err, license.CodeFormatUnknown)
}
