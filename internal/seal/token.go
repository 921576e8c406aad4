package seal

import (
	"crypto/ed25519"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// MostTokenText bounds each text of a token, in bytes.
const MostTokenText = 256

// Token is a handle's proof: whoever verifies it can take the handle in again
// after its record was lost. The texts about the client are shown, never
// trusted.
type Token struct {
	Container         license.Serial // with Product: the pool
	Product           license.Product
	Handle            string
	Mode              license.AccessMode
	Station           string
	Seat              uint32
	Epoch, N          uint64
	Lease             time.Duration // in whole milliseconds, rounded up
	ClientAddress     string
	ClientUser        string
	ClientProcess     uint32
	ClientApplication string
	IssuedAt          time.Time
}

// SignToken signs t with the group's token key.
func SignToken(s Signer, t Token) ([]byte, error) { return kindToken.signed(s, encodeToken(t)) }

// OpenToken verifies a token. Errors: license.CodeTokenInvalid,
// CodeFormatUnknown, CodeTooLarge.
func OpenToken(b []byte, key ed25519.PublicKey) (Token, error) {
	body, err := kindToken.verified(b, key)
	if err != nil {
		return Token{}, err
	}
	return decodeToken(body)
}

// modeNumbers gives the modes by their number, from 1.
func modeNumbers() []license.AccessMode {
	return []license.AccessMode{"", license.UserLimit, license.StationShare, license.Exclusive, license.NoUserLimit}
}

func encodeToken(t Token) *writer {
	w := new(writer)
	if !t.Mode.Valid() {
		w.fail("a token needs an access mode")
	}
	ms := (t.Lease + time.Millisecond - 1) / time.Millisecond
	if t.Lease <= 0 || ms <= 0 {
		w.fail("a token needs a lease")
	}
	if t.Handle == "" {
		w.fail("a token needs a handle")
	}
	w.serial(t.Container)
	w.product(t.Product)
	w.text(t.Handle, MostTokenText, "handle")
	w.u8(uint8(max(slices.Index(modeNumbers(), t.Mode), 0))) //nolint:gosec // G115: at most 4
	w.text(t.Station, MostTokenText, "station")
	w.u32(t.Seat)
	w.u64(t.Epoch)
	w.u64(t.N)
	w.u64(uint64(max(ms, 0)))
	w.text(t.ClientAddress, MostTokenText, "client's address")
	w.text(t.ClientUser, MostTokenText, "client's user")
	w.u32(t.ClientProcess)
	w.text(t.ClientApplication, MostTokenText, "client's application")
	w.instant(t.IssuedAt, "time of issue")
	return w
}

func decodeToken(body []byte) (Token, error) {
	r := reader{b: body}
	t := Token{Container: r.serial(), Product: r.product(), Handle: r.text(MostTokenText)}
	modes := modeNumbers()
	mode := int(r.u8())
	if mode == 0 || mode >= len(modes) {
		r.bad = true
	} else {
		t.Mode = modes[mode]
	}
	t.Station = r.text(MostTokenText)
	t.Seat, t.Epoch, t.N = r.u32(), r.u64(), r.u64()
	ms := r.u64()
	if ms == 0 || ms > uint64(1<<63-1)/uint64(time.Millisecond) {
		r.bad = true
	} else {
		t.Lease = time.Duration(ms) * time.Millisecond //nolint:gosec // G115: checked above
	}
	t.ClientAddress, t.ClientUser = r.text(MostTokenText), r.text(MostTokenText)
	t.ClientProcess = r.u32()
	t.ClientApplication = r.text(MostTokenText)
	t.IssuedAt = r.instant()
	if !r.end() || t.Handle == "" {
		return Token{}, kindToken.damage("its fields are not well formed")
	}
	return t, nil
}
