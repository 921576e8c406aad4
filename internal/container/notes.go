package container

import (
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// The records of what the container notes by itself.
const (
	recordClock   = "clock"
	recordTrail   = "trail"
	recordPromise = "promise"
	prefixMeter   = "meter/"
)

// notes are what the container notes by itself, beside what updates bring.
type notes struct {
	clock    clock
	trail    []seal.Sighting // the oldest first; nil: no fingerprint was made
	meters   map[meterID]meter
	promised uint64 // the epoch under which meters may be written at least
}

func (n notes) clone() notes {
	n.trail, n.meters = slices.Clone(n.trail), maps.Clone(n.meters)
	return n
}

func (n notes) empty() bool {
	return n.clock.nonce == [16]byte{} && n.trail == nil && len(n.meters) == 0 && n.promised == 0
}

// settled says whether damage to one meta page could undo more than the last
// taking of units or the last reading of the clock.
func (n notes) settled(before notes) bool {
	return n.clock.nonce == before.clock.nonce && n.promised == before.promised && slices.Equal(n.trail, before.trail)
}

// records makes r, which has those of before, have these.
func (n notes) records(before notes, r map[string][]byte, put func(name string, payload []byte)) {
	if n.clock.nonce != [16]byte{} && n.clock != before.clock {
		put(recordClock, n.clock.marshal())
	}
	if n.trail != nil && !slices.Equal(n.trail, before.trail) {
		put(recordTrail, marshalTrail(n.trail))
	}
	if n.promised != before.promised {
		put(recordPromise, binary.BigEndian.AppendUint64(nil, n.promised))
	}
	for id := range before.meters {
		if _, ok := n.meters[id]; !ok {
			delete(r, id.record())
		}
	}
	for id, m := range n.meters {
		if was, ok := before.meters[id]; !ok || !m.same(was) {
			put(id.record(), m.marshal())
		}
	}
}

// note reads a record; false when it is another one than these, or not well
// formed.
func (n *notes) note(name string, b []byte) bool {
	var ok bool
	switch {
	case name == recordClock:
		var err error
		n.clock, err = parseClock(b)
		return err == nil
	case name == recordTrail:
		n.trail, ok = parseTrail(b)
	case name == recordPromise:
		r := fields{b: b}
		n.promised = r.u64()
		ok = r.end() && n.promised != 0
	case strings.HasPrefix(name, prefixMeter):
		r := fields{b: []byte(name[len(prefixMeter):])}
		id := meterID{product: license.Product{Firm: license.FirmCode(r.u32()), Code: license.ProductCode(r.u32())}, issue: r.u32()}
		if ok = r.end(); ok {
			n.meters[id], ok = parseMeter(b)
		}
	}
	return ok
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.BigEndian.AppendUint64(b, 0)
	}
	return binary.BigEndian.AppendUint64(b, uint64(t.UnixMilli())) //nolint:gosec // G115: bounded
}

// fields takes a record apart. What is not there sets bad; later calls give zero
// values.
type fields struct {
	b   []byte
	bad bool
}

func (r *fields) raw(n int) []byte {
	if r.bad || n > len(r.b) {
		r.bad = true
		return make([]byte, n)
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *fields) u8() uint8         { return r.raw(1)[0] }
func (r *fields) u32() uint32       { return binary.BigEndian.Uint32(r.raw(4)) }
func (r *fields) u64() uint64       { return binary.BigEndian.Uint64(r.raw(8)) }
func (r *fields) array16() [16]byte { return [16]byte(r.raw(16)) }
func (r *fields) text(n int) string { return string(r.raw(n)) }
func (r *fields) end() bool         { return !r.bad && len(r.b) == 0 }

func (r *fields) time() time.Time {
	ms := r.u64()
	switch {
	case ms == 0:
		return time.Time{}
	case ms > latestMilli:
		r.bad = true
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC() //nolint:gosec // G115: checked above
}
