package seal

import (
	"maps"
	"slices"
	"testing"

	"github.com/quorate/quorate/internal/license"
)

// FuzzClaim gives what reads messages without a key anything: it never panics,
// refuses with a code, and what it tells is what the message itself has.
func FuzzClaim(f *testing.F) {
	k := newKit(f)
	all := k.messages(f)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		b := all[name].bytes
		if name == "update" { // one that is the same in every process
			b = vectorOf(f, "update")
		}
		f.Add(b)
		f.Add(b[:len(b)-1])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		coded := func(what string, err error) bool {
			if c := license.CodeOf(err); c == license.CodeInternal {
				t.Fatalf("%s: an error without a code: %v", what, err)
			}
			return err == nil
		}
		h, cert, err := ClaimUpdate(b)
		if coded("update", err) && (h.Firm != cert.Firm || h.Serial.Kind() == "" || h.Number == 0) {
			t.Fatalf("an update says %+v, signed by %d", h, cert.Firm)
		}
		if r, err := ClaimReceipt(b); coded("receipt", err) {
			if r.Serial.Kind() == "" || r.Firm == 0 {
				t.Fatalf("a receipt says %+v", r)
			}
		}
		c, err := ClaimTime(b)
		if coded("time", err) && (!IsTime(b) || c.Serial.Kind() == "" || c.At.IsZero() || c.Nonce == [16]byte{}) {
			t.Fatalf("a time certificate says %+v", c)
		}
		_, err = VerifyUpdate(b, k.stranger.Public())
		if coded("update", err) {
			t.Fatal("a stranger's update holds")
		}
	})
}
