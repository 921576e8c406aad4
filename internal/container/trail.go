package container

import (
	"crypto/rand"
	"encoding/binary"
	"slices"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// Fingerprint makes a signed request for an update: what the file holds at this
// moment. The nonce, of up to 64 bytes, is of who asks. Each fingerprint is noted
// in the trail, durably before it leaves, so that of a container and its copy,
// or of one that was put back, no two go on alike.
func (c *Container) Fingerprint(nonce []byte) ([]byte, error) {
	if len(nonce) > seal.MostNonce {
		return nil, license.Errorf(license.CodeInvalidInput, "give a shorter one", "the nonce has %d bytes: %d are the most", len(nonce), seal.MostNonce)
	}
	c.write.Lock()
	defer c.write.Unlock()
	at, r := c.now()
	err := c.change(func(s *state) (*state, error) {
		next := s.clone()
		err := next.clock.renew(at)
		if err != nil {
			return nil, err
		}
		next.trail, err = sight(next.trail)
		return next, err
	})
	if err != nil {
		return nil, err
	}
	s := c.current()
	f := seal.Fingerprint{
		Serial: s.serial, ActivationID: s.activation, Root: s.root[:],
		Licenses: s.held(), Nonce: nonce, At: r.wall,
		Clock:     seal.Clock{Highest: s.clock.highest, Certified: s.clock.certified},
		TimeNonce: s.clock.nonce, Trail: slices.Clone(s.trail), Meters: s.used(),
	}
	for firm, i := range s.firms {
		f.Firms = append(f.Firms, seal.FirmState{Firm: firm, Counter: i.number, Digest: i.digest})
	}
	return seal.SignFingerprint(s.identity, f)
}

// sight appends the next sighting, and forgets the oldest.
func sight(trail []seal.Sighting) ([]seal.Sighting, error) {
	s := seal.Sighting{Count: 1}
	if n := len(trail); n > 0 {
		s.Count = trail[n-1].Count + 1
	}
	if _, err := rand.Read(s.Value[:]); err != nil {
		return nil, unavailable("a fingerprint could not be made", err)
	}
	trail = append(trail, s)
	return trail[max(0, len(trail)-seal.MostTrail):], nil
}

func marshalTrail(all []seal.Sighting) []byte {
	b := binary.BigEndian.AppendUint64(nil, all[0].Count)
	for _, s := range all {
		b = append(b, s.Value[:]...)
	}
	return b
}

func parseTrail(b []byte) ([]seal.Sighting, bool) {
	r := fields{b: b}
	count := r.u64()
	n := len(r.b) / 16
	if r.bad || count == 0 || n == 0 || n > seal.MostTrail || count > 1<<63 {
		return nil, false
	}
	var all []seal.Sighting
	for i := range n {
		all = append(all, seal.Sighting{Count: count + uint64(i), Value: r.array16()}) //nolint:gosec // G115: small
	}
	return all, r.end()
}
