package container

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// The records. Each value is a MAC, then the payload, which is sealed in a bound
// file.
const (
	bucketName = "container"

	recordHeader   = "header"
	recordIdentity = "identity"
	recordBinding  = "binding"
	recordGroup    = "group"
	recordStaged   = "staged"
	recordState    = "state"
	prefixFirm     = "firm/"
	prefixFirmKey  = "firmkey/"
	prefixLicense  = "license/"

	formatTag     = "quorate-container"
	formatVersion = versionBound // the newest; each file is written as the oldest that has what is in it
	versionPlain  = 1
	versionKeys   = 2 // with firms' keys
	versionBound  = 3 // with a binding, and sealed records, or with what the container notes by itself
	macSize       = sha256.Size
)

// installed is how far the container is with a firm's updates.
type installed struct {
	number  uint64
	digest  [32]byte
	receipt []byte
}

// state is everything in the file. One is never changed once it is shared.
type state struct {
	serial     license.Serial
	activation [16]byte
	root       [32]byte
	identity   *seal.Identity
	macKey     []byte
	lock       *lock // nil: bound to nothing

	version  uint64 // counts the changes of licenses
	group    *seal.Group
	licenses map[license.Product]seal.Grant
	firms    map[license.FirmCode]installed
	keys     map[license.FirmCode]seal.FirmCert // the newest that was seen: serial and key alone
	staged   []byte                             // the update file as it came; nil: none

	notes

	written map[string][]byte // the records as the file has them
}

// Format keeps keys and data out of every log and error.
func (s state) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "container.state("+s.serial.String()+")")
}

func (s *state) clone() *state {
	t := *s
	t.licenses, t.firms, t.keys = maps.Clone(s.licenses), maps.Clone(s.firms), maps.Clone(s.keys)
	t.notes = s.notes.clone()
	return &t
}

// held gives the licenses by product, sharing nothing with the state.
func (s *state) held() []license.Held {
	var all []license.Held
	for _, g := range s.licenses {
		all = append(all, cloneHeld(g.License))
	}
	slices.SortFunc(all, func(a, b license.Held) int { return a.Product.Compare(b.Product) })
	return all
}

func cloneHeld(h license.Held) license.Held {
	h.Options = h.Options.Clone()
	if h.Predecessor != nil {
		o := h.Predecessor.Clone()
		h.Predecessor = &o
	}
	return h
}

func licenseRecord(p license.Product) string {
	b := binary.BigEndian.AppendUint32([]byte(prefixLicense), uint32(p.Firm))
	return string(binary.BigEndian.AppendUint32(b, uint32(p.Code)))
}

func firmRecord(f license.FirmCode) string {
	return string(binary.BigEndian.AppendUint32([]byte(prefixFirm), uint32(f)))
}

func firmKeyRecord(f license.FirmCode) string {
	return string(binary.BigEndian.AppendUint32([]byte(prefixFirmKey), uint32(f)))
}

func mac(key []byte, name string, payload []byte) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(name)))) //nolint:gosec // G115: names are short
	_, _ = h.Write([]byte(name))
	_, _ = h.Write(payload)
	return h.Sum(nil)
}

func macKey(i *seal.Identity) ([]byte, error) { return i.Derive("container file") }

// records gives the file's content.
func (s *state) records() (map[string][]byte, error) {
	r := make(map[string][]byte)
	put := s.putting(r)
	version := byte(versionPlain)
	switch {
	case s.lock != nil, !s.notes.empty():
		version = versionBound
	case len(s.keys) > 0:
		version = versionKeys
	}
	header := append([]byte(formatTag), version)
	header = binary.BigEndian.AppendUint16(header, s.serial.Mask)
	header = binary.BigEndian.AppendUint64(header, s.serial.Number)
	header = append(header, s.activation[:]...)
	put(recordHeader, append(header, s.root[:]...))
	put(recordIdentity, s.identity.Marshal())
	if s.lock != nil {
		put(recordBinding, s.lock.binding.marshal())
	}
	if s.group != nil {
		b, err := seal.MarshalGroup(*s.group)
		if err != nil {
			return nil, err
		}
		put(recordGroup, b)
	}
	if s.staged != nil {
		put(recordStaged, s.staged)
	}
	for f, i := range s.firms {
		b := binary.BigEndian.AppendUint64(nil, i.number)
		b = append(b, i.digest[:]...)
		put(firmRecord(f), append(b, i.receipt...))
	}
	for f, c := range s.keys {
		put(firmKeyRecord(f), append(binary.BigEndian.AppendUint64(nil, c.Serial), c.Key...))
	}
	for p, g := range s.licenses {
		b, err := seal.MarshalGrant(g)
		if err != nil {
			return nil, err
		}
		put(licenseRecord(p), b)
	}
	s.notes.records(notes{}, r, put)
	put(recordState, summary(s.version, r))
	return r, nil
}

// recordsAfter is records, at the cost of what differs where the container's own
// notes alone do.
func (s *state) recordsAfter(before *state) (map[string][]byte, error) {
	// What updates bring comes by staging or with another version.
	if s.version != before.version || s.lock != before.lock || !bytes.Equal(s.staged, before.staged) || before.notes.empty() {
		return s.records()
	}
	r := maps.Clone(before.written)
	put := s.putting(r)
	s.notes.records(before.notes, r, put)
	put(recordState, summary(s.version, r))
	return r, nil
}

// putting gives what adds a record.
func (s *state) putting(r map[string][]byte) func(name string, payload []byte) {
	return func(name string, payload []byte) {
		m := mac(s.macKey, name, payload)
		r[name] = append(m, s.lock.crypt(name, m, payload)...)
	}
}

// summary stands for all records but its own.
func summary(version uint64, records map[string][]byte) []byte {
	h := sha256.New()
	n := uint32(0)
	for _, name := range slices.Sorted(maps.Keys(records)) {
		if name == recordState {
			continue
		}
		n++
		_, _ = h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(name)))) //nolint:gosec // G115: names are short
		_, _ = h.Write([]byte(name))
		_, _ = h.Write(records[name][:macSize])
	}
	b := binary.BigEndian.AppendUint64(nil, version)
	b = binary.BigEndian.AppendUint32(b, n)
	return h.Sum(b)
}

// open gives a record's payload, if it is what was written.
func (s *state) open(name string, v []byte) ([]byte, bool) {
	if len(v) < macSize {
		return nil, false
	}
	payload := s.lock.crypt(name, v[:macSize], v[macSize:])
	return payload, hmac.Equal(v[:macSize], mac(s.macKey, name, payload))
}

// opener gives the lock of what a container is bound to.
type opener func(binding) (*lock, error)

// decode verifies all records, then reads them. It asks for the lock of a bound
// file first: nothing can be verified without it.
func decode(records map[string][]byte, unlock opener) (*state, error) {
	s := &state{licenses: make(map[license.Product]seal.Grant), firms: make(map[license.FirmCode]installed), keys: make(map[license.FirmCode]seal.FirmCert)}
	s.meters, s.written = make(map[meterID]meter), records
	for name, v := range records {
		if len(v) < macSize {
			return nil, fmt.Errorf("the record %q is too short", name)
		}
	}
	if records[recordIdentity] == nil || records[recordHeader] == nil || records[recordState] == nil {
		return nil, errors.New("a record is missing")
	}
	var err error
	if v := records[recordBinding]; v != nil {
		b, ok := parseBinding(v[macSize:])
		if !ok {
			return nil, errors.New("the binding is not readable")
		}
		if s.lock, err = unlock(b); err != nil {
			return nil, err
		}
	}
	identity := records[recordIdentity]
	if s.identity, err = seal.ParseIdentity(s.lock.crypt(recordIdentity, identity[:macSize], identity[macSize:])); err != nil {
		return nil, errors.New("the identity is not readable")
	}
	if s.macKey, err = macKey(s.identity); err != nil {
		return nil, errors.New("the identity is not usable")
	}
	payloads := make(map[string][]byte, len(records))
	for name, v := range records {
		p, ok := s.open(name, v)
		if !ok {
			return nil, fmt.Errorf("the record %q was altered", name)
		}
		payloads[name] = p
	}
	if err := s.header(payloads[recordHeader]); err != nil {
		return nil, err
	}
	sum := payloads[recordState]
	if len(sum) < 8 {
		return nil, errors.New("the state's record is too short")
	}
	s.version = binary.BigEndian.Uint64(sum)
	if !bytes.Equal(sum, summary(s.version, records)) {
		return nil, errors.New("a record is missing, or of another state than the rest")
	}
	for name, p := range payloads {
		if err := s.record(name, p); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *state) header(b []byte) error {
	rest, ok := bytes.CutPrefix(b, []byte(formatTag))
	if !ok || len(rest) < 1 {
		return errors.New("the header is not well formed")
	}
	if rest[0] < 1 || rest[0] > formatVersion {
		return license.Errorf(license.CodeFormatUnknown, "open it with the version of the software that wrote it, or a newer one",
			"the container file has version %d, and only versions up to %d are known here", rest[0], formatVersion)
	}
	rest = rest[1:]
	if len(rest) != 2+8+len(s.activation)+len(s.root) {
		return errors.New("the header is not well formed")
	}
	s.serial = license.Serial{Mask: binary.BigEndian.Uint16(rest), Number: binary.BigEndian.Uint64(rest[2:])}
	copy(s.activation[:], rest[10:])
	copy(s.root[:], rest[10+len(s.activation):])
	return nil
}

func (s *state) record(name string, b []byte) error {
	bad := fmt.Errorf("the record %q is not well formed", name)
	switch {
	case name == recordHeader, name == recordIdentity, name == recordBinding, name == recordState:
	case name == recordStaged:
		s.staged = bytes.Clone(b)
	case name == recordGroup:
		g, ok := seal.ParseGroup(b)
		if !ok {
			return bad
		}
		s.group = &g
	case strings.HasPrefix(name, prefixLicense):
		g, ok := seal.ParseGrant(b)
		if !ok || licenseRecord(g.License.Product) != name {
			return bad
		}
		s.licenses[g.License.Product] = g
	case strings.HasPrefix(name, prefixFirmKey) && len(name) == len(prefixFirmKey)+4 && len(b) == 8+ed25519.PublicKeySize:
		f := license.FirmCode(binary.BigEndian.Uint32([]byte(name[len(prefixFirmKey):])))
		s.keys[f] = seal.FirmCert{Firm: f, Serial: binary.BigEndian.Uint64(b), Key: bytes.Clone(b[8:])}
	case strings.HasPrefix(name, prefixFirm) && len(name) == len(prefixFirm)+4 && len(b) >= 8+32:
		i := installed{number: binary.BigEndian.Uint64(b), digest: [32]byte(b[8:40]), receipt: bytes.Clone(b[40:])}
		s.firms[license.FirmCode(binary.BigEndian.Uint32([]byte(name[len(prefixFirm):])))] = i
	case !s.note(name, b):
		return bad
	}
	return nil
}
