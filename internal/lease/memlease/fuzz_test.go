package memlease

import (
	"encoding/binary"
	"encoding/json"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/book"
	"github.com/quorate/quorate/internal/license"
)

// FuzzRecords gives the readers of the journal's records anything, as a bug of
// another version could write it under a checksum that holds: they refuse it, or
// take it in, and never panic, nor does a book that goes on from there.
func FuzzRecords(f *testing.F) {
	text := func(v any) []byte {
		b, err := json.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	key := func(seat uint32) []byte {
		return recordKey(book.Record{Product: license.Product{Firm: 6000010, Code: 14}, Seat: seat, N: 7})
	}
	one := binary.BigEndian.AppendUint64(nil, 1)
	f.Add([]byte("epoch"), text(storedEpoch{Epoch: 3, Position: 4}), key(1), text(storedSeat{N: 1}))
	f.Add(key(1), text(storedSeat{N: 2, ID: "h", Has: 1, Mode: "STATION_SHARE", Station: "s", Licenses: 3, Tags: []string{"a", "a"}, Lease: 1}), key(1), one)
	f.Add(key(0), text(storedSeat{N: 7, ID: "h", Mode: "NO_USER_LIMIT", Lease: 1}), key(0), one)
	f.Add(key(2), text(storedSeat{N: 2, ID: "l", Mode: "USER_LIMIT", Linger: 1}), key(2), text(storedSeat{N: 1}))
	f.Add([]byte("handle"), text(earlierHandle{Firm: 6000010, Product: 14, Mode: "USER_LIMIT", Seat: 1, N: 1, Lease: 1}), key(1), one)
	f.Add([]byte("handle"), text(earlierHandle{Firm: 6000010, Product: 14, Mode: "NO_USER_LIMIT", N: 1, Lease: 1}), key(0)[:12], one)
	f.Add(one, text(storedEvent{Kind: "RELEASED", Firm: 6000010, Product: 14, Handle: "h", Seq: 4}), key(1)[:4], one)
	f.Add([]byte{}, []byte("{}{}"), append(key(1)[:8:8], 0xff, 0xff, 0xff, 0xff), one)
	serial := license.Serial{Mask: 131, Number: 4837572}
	f.Fuzz(func(t *testing.T, key, content, key2, content2 []byte) {
		g := newGroup(serial, Options{MostEnded: 10})
		e := earlier{n: map[seatKey]uint64{}, records: map[seatKey]book.Record{}}
		_ = e.seat(key2, content2)
		if e.handle(key, content) == nil || e.linger(key, content) == nil {
			for _, r := range e.all() {
				_ = g.book.Load(r)
			}
		}
		_ = g.loadSeq(key2, content2)
		_ = g.loadRecord(key2, content2)
		_ = g.loadRecord(key, content)
		_ = g.loadEvent(key, content)
		_, _ = g.loadEpoch(content)
		now := time.Now()
		g.book.Claim(1, now)
		for product := range records(g.book) {
			pool := lease.Pool{Container: serial, Product: product}
			r := lease.Request{
				ID: "new", Pool: pool, Mode: license.StationShare, Station: "s", Quantity: 1 << 30, Lease: time.Minute,
			}
			before := records(g.book)[product]
			grant, err := g.book.Access(now, r)
			if err == nil && !grant.Repeated && (grant.Seat == 0 || before[grant.Seat].Handle != nil) {
				t.Fatalf("granted %+v, the seat was %+v", grant, before[grant.Seat])
			}
			_, _ = g.book.List(now, pool)
			_, _ = g.book.Usage(now.Add(time.Hour), pool)
		}
	})
}

func records(b *book.Book) map[license.Product]map[uint32]book.Record {
	all := map[license.Product]map[uint32]book.Record{}
	for r := range b.Records() {
		if all[r.Product] == nil {
			all[r.Product] = map[uint32]book.Record{}
		}
		all[r.Product][r.Seat] = r
	}
	return all
}
