package memlease

import (
	"encoding/binary"
	"encoding/json"
	"testing"

	"github.com/quorate/quorate/internal/license"
)

// FuzzRecords gives the readers of the journal's records anything, as a bug of
// another version could write it under a checksum that holds: they refuse it, or
// take it in, and never panic.
func FuzzRecords(f *testing.F) {
	text := func(v any) []byte {
		b, err := json.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	seat := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 6000010), 14), 1)
	f.Add([]byte("epoch"), text(storedEpoch{Epoch: 3, Position: 4}), seat, make([]byte, 8))
	f.Add([]byte("handle"), text(storedHandle{Firm: 6000010, Product: 14, Mode: "USER_LIMIT", Seat: 1, N: 1, Lease: 1}), seat, []byte{0, 0, 0, 0, 0, 0, 0, 1})
	f.Add([]byte("linger"), text(storedLinger{Firm: 6000010, Product: 14, Mode: "USER_LIMIT", Seat: 1, N: 1, Linger: 1}), seat, []byte{0, 0, 0, 0, 0, 0, 0, 1})
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x07"), text(storedEvent{Kind: "RELEASED", Firm: 6000010, Product: 14, Handle: "h"}), seat[:4], []byte{})
	f.Add([]byte{}, []byte("{}{}"), append(seat[:8:8], 0xff, 0xff, 0xff, 0xff), make([]byte, 8))
	f.Fuzz(func(t *testing.T, key, content, seatKey, seat []byte) {
		for _, load := range []func(g *group) error{
			func(g *group) error { return g.loadEpoch(key, content) },
			func(g *group) error { return g.loadHandle(key, content) },
			func(g *group) error { return g.loadLinger(key, content) },
			func(g *group) error { return g.loadEvent(key, content, 10) },
		} {
			g := newGroup(license.Serial{Mask: 131, Number: 4837572})
			if g.loadSeat(seatKey, seat) != nil || load(g) != nil {
				continue
			}
			if err := g.loadFree(); err != nil {
				t.Fatal(err)
			}
			for _, p := range g.pools {
				for _, s := range p.free {
					if s == 0 || p.held[s] != nil {
						t.Fatalf("the seat %d is free and held", s)
					}
				}
			}
		}
	})
}
