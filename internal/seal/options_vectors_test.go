package seal

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
	"time"
)

// hostile is a body that nobody may take.
type hostile struct {
	name string
	body []byte
}

// hostileOptions are bodies with the kit's first license, of which one option is
// not as options can be.
func hostileOptions(t *testing.T, body []byte) (all []hostile) {
	t.Helper()
	at := func(text string) int {
		i := bytes.Index(body, []byte(text))
		if i < 0 {
			t.Fatalf("no %q in the body", text)
		}
		return i
	}
	options := at("Chart Processing") + len("Chart Processing")
	rules := at("!subnet:10.0.0.0/8") + len("!subnet:10.0.0.0/8") // the linger time follows
	add := func(name string, edit func(b []byte)) {
		b := bytes.Clone(body)
		edit(b)
		all = append(all, hostile{name, b})
	}
	u64 := binary.BigEndian.PutUint64
	add("a local-only TMR license", func(b []byte) { clear(b[options : options+4]) })
	add("an activation time after the expiration time", func(b []byte) { u64(b[options+8:], uint64(time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC).Unix())) })
	add("an expiration time beyond the year 9999", func(b []byte) { u64(b[options+16:], math.MaxInt64) })
	add("a usage period of a TMR license", func(b []byte) { u64(b[options+24:], 1) })
	add("a flag of the units that is neither 0 nor 1", func(b []byte) { b[options+32] = 2 })
	add("more units than can be counted", func(b []byte) { u64(b[options+33:], 1<<53+1) })
	add("a version that is none", func(b []byte) { b[at("10.4.1")+3] = 'x' })
	add("a text that is no UTF-8", func(b []byte) { b[at("für Anna")+1] = 0xff })
	add("an access rule of an unknown kind", func(b []byte) { b[at("user:anna")] = 'x' })
	add("an access rule with a subnet with bits beyond its length", func(b []byte) { b[at("10.0.0.0/8")+7] = '1' })
	add("an access rule with a control character", func(b []byte) { b[at("user:anna")+6] = 7 })
	add("too many access rules", func(b []byte) { binary.BigEndian.PutUint16(b[at("user:anna")-6:], 65) })
	add("a linger time of weeks", func(b []byte) { u64(b[rules:], 7*24*3600+1) })
	return all
}

// hostileData are payloads whose first grant's data does not fit its names.
func hostileData(t *testing.T, payload []byte) (all []hostile) {
	t.Helper()
	names := append(append([]byte{1}, make([]byte, 15)...), append([]byte{2}, make([]byte, 15)...)...)
	named, data := bytes.Index(payload, names), bytes.Index(payload, []byte("settings"))
	if named < 0 || data < 0 {
		t.Fatal("the payload has no data")
	}
	unnamed := bytes.Clone(payload)
	clear(unnamed[named : named+16])
	missing := bytes.Clone(payload[:data])
	binary.BigEndian.PutUint32(missing[data-4:], 0)
	long := bytes.Clone(payload[:data])
	binary.BigEndian.PutUint32(long[data-4:], 4097)
	return []hostile{
		{"protected data without a name", unnamed},
		{"a name without protected data", append(missing, payload[data+len("settings"):]...)},
		{"protected data that is too long", append(append(long, make([]byte, 4097)...), payload[data+len("settings"):]...)},
	}
}
