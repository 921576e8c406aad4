package seal

import (
	"crypto/ed25519"
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// Bounds of a token: each of its texts in bytes, and the tags of its handle.
const (
	MostTokenText = 256
	MostTokenTag  = 64
	MostTokenTags = 16
)

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
	// Licenses that the handle takes; 0 counts as 1.
	Licenses uint32
	Borrowed bool
	Tags     []string // each once, in any order
}

// version is the oldest that has a place for all of t: servers and backends of
// before read the tokens of handles as they knew them.
func (t Token) version() byte {
	if t.Licenses > 1 || t.Borrowed || len(t.Tags) > 0 {
		return versionTagged
	}
	return Version
}

// SignToken signs t with the group's token key.
func SignToken(s Signer, t Token) ([]byte, error) {
	w := encodeToken(t)
	if w.err != nil {
		return nil, w.err
	}
	return kindToken.signedAs(t.version(), s, w.b)
}

// OpenToken verifies a token. Errors: license.CodeTokenInvalid,
// CodeFormatUnknown, CodeTooLarge.
func OpenToken(b []byte, key ed25519.PublicKey) (Token, error) {
	body, err := kindToken.verified(b, key)
	if err != nil {
		return Token{}, err
	}
	return decodeToken(kindToken.version(b), body)
}

// mostKnown is how many tokens are known again at least, of so many lately.
const mostKnown = 1 << 16

// Tokens signs and opens the tokens of one key. It knows again what it signed or
// verified lately, and so verifies most tokens of its own programs no more. Safe
// for concurrent use.
type Tokens struct {
	signer Signer
	key    ed25519.PublicKey

	mu          sync.Mutex
	known, past map[[sha256.Size]byte]struct{}
}

// NewTokens makes what signs and opens by a group's token key.
func NewTokens(s Signer) *Tokens {
	return &Tokens{signer: s, key: s.Public(), known: make(map[[sha256.Size]byte]struct{})}
}

// Sign is SignToken.
func (k *Tokens) Sign(t Token) ([]byte, error) {
	b, err := SignToken(k.signer, t)
	if err == nil {
		k.know(sha256.Sum256(b))
	}
	return b, err
}

// Open is OpenToken.
func (k *Tokens) Open(b []byte) (Token, error) {
	digest := sha256.Sum256(b)
	if k.knows(digest) {
		body, _, _, err := kindToken.split(b)
		if err != nil {
			return Token{}, err
		}
		return decodeToken(kindToken.version(b), body)
	}
	t, err := OpenToken(b, k.key)
	if err == nil {
		k.know(digest)
	}
	return t, err
}

func (k *Tokens) knows(digest [sha256.Size]byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.known[digest]; ok {
		return true
	}
	_, ok := k.past[digest]
	return ok
}

func (k *Tokens) know(digest [sha256.Size]byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.known) >= mostKnown {
		k.past, k.known = k.known, make(map[[sha256.Size]byte]struct{}, mostKnown)
	}
	k.known[digest] = struct{}{}
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
	if t.version() == Version {
		return w
	}
	w.u32(max(t.Licenses, 1))
	w.bool(t.Borrowed)
	tags := slices.Sorted(slices.Values(t.Tags))
	if w.list(len(tags), MostTokenTags, "tags") {
		for i, tag := range tags {
			if tag == "" || i > 0 && tag == tags[i-1] {
				w.fail("a token needs tags that differ")
			}
			w.text(tag, MostTokenTag, "tag")
		}
	}
	return w
}

func decodeToken(version byte, body []byte) (Token, error) {
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
	t.IssuedAt, t.Licenses = r.instant(), 1
	if version == versionTagged {
		t.Licenses, t.Borrowed = r.u32(), r.bool()
		r.bad = r.bad || t.Licenses == 0
		for range r.list(MostTokenTags) {
			tag := r.text(MostTokenTag)
			r.bad = r.bad || tag == "" || len(t.Tags) > 0 && tag <= t.Tags[len(t.Tags)-1]
			t.Tags = append(t.Tags, tag)
		}
		r.bad = r.bad || t.version() == Version // that would be a second encoding of it
	}
	if !r.end() || t.Handle == "" {
		return Token{}, kindToken.damage("its fields are not well formed")
	}
	return t, nil
}
