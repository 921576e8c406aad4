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
	// Clock is the container's own time; a TimeCertificate over TimeNonce sets
	// it right.
	Clock     Clock
	TimeNonce [16]byte
	// Trail are the container's last fingerprints, this one last, so that a copy
	// or a restored backup is noticed: it goes on differently.
	Trail []Sighting
	// Meters are what was used, by product and issue.
	Meters []Meter
}

// Clock is what a container knows of the time, in milliseconds.
type Clock struct {
	Highest   time.Time // that it has ever seen
	Certified time.Time // that the platform has last vouched for; zero: never
}

// Sighting is one fingerprint: Count goes up by one with each, and Value is
// random.
type Sighting struct {
	Count uint64
	Value [16]byte
}

// Meter is what was used of a license under one issue.
type Meter struct {
	Product license.Product
	Issue   uint32
	First   time.Time // of the first use, in milliseconds; zero: none
	Units   uint64    // taken
}

// MostTrail is how many sightings a fingerprint carries.
const MostTrail = 16

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
	w.instant(f.Clock.Highest, "highest time seen")
	w.instant(f.Clock.Certified, "certified time")
	w.raw(f.TimeNonce[:])
	w.trail(f.Trail)
	w.meters(f.Meters)
	return w
}

func (w *writer) trail(all []Sighting) {
	if !w.list(len(all), MostTrail, "sightings") {
		return
	}
	for i, s := range all {
		if s.Count == 0 || (i > 0 && s.Count != all[i-1].Count+1) {
			w.fail("the sightings don't follow one another")
		}
		w.u64(s.Count)
		w.raw(s.Value[:])
	}
}

func (r *reader) trail() []Sighting {
	var all []Sighting
	for n := r.list(MostTrail); n > 0 && !r.bad; n-- {
		s := Sighting{Count: r.u64(), Value: r.array16()}
		if k := len(all); s.Count == 0 || (k > 0 && s.Count != all[k-1].Count+1) {
			r.bad = true
		}
		all = append(all, s)
	}
	return all
}

func (w *writer) meters(all []Meter) {
	all = slices.SortedFunc(slices.Values(all), func(a, b Meter) int { return a.Product.Compare(b.Product) })
	if !w.list(len(all), MostMeters, "meters") {
		return
	}
	for i, m := range all {
		if i > 0 && all[i-1].Product == m.Product {
			w.fail("the meter of %s comes twice", m.Product)
		}
		w.meter(m)
	}
}

func (r *reader) meters() []Meter {
	var all []Meter
	for n := r.list(MostMeters); n > 0 && !r.bad; n-- {
		m := r.meter()
		if k := len(all); k > 0 && all[k-1].Product.Compare(m.Product) >= 0 {
			r.bad = true
		}
		all = append(all, m)
	}
	return all
}

func (w *writer) meter(m Meter) {
	if m.Units > license.MostUnits {
		w.fail("the meter of %s shows more units than there can be", m.Product)
	}
	w.product(m.Product)
	w.u32(m.Issue)
	w.instant(m.First, "first use")
	w.u64(m.Units)
}

func (r *reader) meter() Meter {
	m := Meter{Product: r.product(), Issue: r.u32(), First: r.instant(), Units: r.u64()}
	r.bad = r.bad || m.Units > license.MostUnits
	return m
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
	f.Clock = Clock{Highest: r.instant(), Certified: r.instant()}
	f.TimeNonce = r.array16()
	f.Trail = r.trail()
	f.Meters = r.meters()
	if !r.end() {
		return Fingerprint{}, kindFingerprint.damage("its fields are not well formed")
	}
	return f, nil
}
