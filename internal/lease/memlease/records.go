package memlease

import (
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/book"
	"github.com/quorate/quorate/internal/license"
)

type storedEpoch struct {
	Epoch    uint64 `json:"epoch"`
	Position uint64 `json:"position"`
	Owner    string `json:"owner"`
}

type storedClient struct {
	Address     string `json:"address,omitempty"`
	User        string `json:"user,omitempty"`
	Process     uint32 `json:"process,omitempty"`
	Application string `json:"application,omitempty"`
}

// storedSeat is a seat's record. Without an id the seat is free.
type storedSeat struct {
	N        uint64       `json:"n"` // the last used
	ID       string       `json:"id,omitempty"`
	Has      uint64       `json:"has,omitempty"` // the handle's n, if another
	Mode     string       `json:"mode,omitempty"`
	Station  string       `json:"station,omitempty"`
	Client   storedClient `json:"client,omitzero"`
	Licenses uint32       `json:"licenses,omitempty"`
	Tags     []string     `json:"tags,omitempty"`
	Borrowed bool         `json:"borrowed,omitempty"`
	// A lingering seat has Linger, a living handle the others.
	Linger   int64  `json:"linger,omitempty"` // nanoseconds
	Lease    int64  `json:"lease,omitempty"`  // nanoseconds
	Accesses uint32 `json:"accesses,omitempty"`
	First    int64  `json:"first,omitempty"` // Unix nanoseconds
}

type storedEvent struct {
	Kind     string       `json:"kind"`
	At       int64        `json:"at"` // Unix nanoseconds
	Handle   string       `json:"handle"`
	Firm     uint32       `json:"firm"`
	Product  uint32       `json:"product"`
	Mode     string       `json:"mode"`
	Station  string       `json:"station,omitempty"`
	Client   storedClient `json:"client"`
	Seat     uint32       `json:"seat,omitempty"`
	N        uint64       `json:"n,omitempty"`
	Reason   string       `json:"reason,omitempty"`
	By       string       `json:"by,omitempty"`
	Licenses uint32       `json:"licenses,omitempty"`
	Borrowed bool         `json:"borrowed,omitempty"`
	Rule     string       `json:"rule,omitempty"`
	Seq      uint64       `json:"seq,omitempty"`
}

func epochWrite(g *group, owner string) write {
	return jsonWrite(g.serial, bucketEpoch, keyEpoch, storedEpoch{g.book.Epoch(), g.book.Position(), owner})
}

// effectWrites are the writes of what a book decided.
func effectWrites(serial license.Serial, e book.Effects) []write {
	writes := make([]write, 0, len(e.Records)+len(e.Events)+len(e.Dropped)+len(e.Seqs))
	for _, r := range e.Records {
		writes = append(writes, recordWrite(serial, r))
	}
	for _, x := range e.Events {
		writes = append(writes, eventWrite(serial, x))
	}
	for _, x := range e.Dropped {
		writes = append(writes, write{group: serial, bucket: bucketEvents, key: eventKey(x)})
	}
	for firm, seq := range e.Seqs {
		key := binary.BigEndian.AppendUint32(nil, uint32(firm))
		writes = append(writes, checked(serial, bucketSeqs, key, binary.BigEndian.AppendUint64(nil, seq)))
	}
	return writes
}

// recordKey is the product and the seat; of handles without a number, n too.
func recordKey(r book.Record) []byte {
	key := binary.BigEndian.AppendUint32(nil, uint32(r.Product.Firm))
	key = binary.BigEndian.AppendUint32(key, uint32(r.Product.Code))
	key = binary.BigEndian.AppendUint32(key, r.Seat)
	if r.Seat == 0 {
		key = binary.BigEndian.AppendUint64(key, r.N)
	}
	return key
}

func recordWrite(serial license.Serial, r book.Record) write {
	s := storedSeat{N: r.N}
	switch {
	case r.Handle != nil:
		h := r.Handle
		s.ID, s.Has, s.Mode, s.Station, s.Client = h.ID, h.N, string(h.Mode), h.Station, storedClient(h.Client)
		s.Licenses, s.Tags, s.Borrowed = h.Licenses, h.Tags, h.Borrowed
		s.Lease, s.Accesses, s.First = int64(h.Lease), h.Accesses, h.First.UnixNano()
	case r.Linger != nil:
		l := r.Linger
		s.ID, s.Has, s.Mode, s.Station, s.Client = l.ID, l.N, string(l.Mode), l.Station, storedClient(l.Client)
		s.Licenses, s.Tags, s.Borrowed, s.Linger = l.Licenses, l.Tags, l.Borrowed, int64(l.Linger)
	case r.Seat == 0:
		return write{group: serial, bucket: bucketRecords, key: recordKey(r)}
	}
	if s.Has == s.N {
		s.Has = 0
	}
	return jsonWrite(serial, bucketRecords, recordKey(r), s)
}

// record is what was stored under a key.
func (s storedSeat) record(key []byte) book.Record {
	r := book.Record{Product: productOf(key), Seat: binary.BigEndian.Uint32(key[8:]), N: s.N}
	n, mode := s.Has, license.AccessMode(s.Mode)
	if n == 0 {
		n = s.N
	}
	switch {
	case s.ID == "":
	case s.Linger != 0:
		r.Linger = &book.LingerRecord{
			ID: s.ID, N: n, Mode: mode, Station: s.Station, Client: lease.Client(s.Client),
			Licenses: s.Licenses, Tags: s.Tags, Borrowed: s.Borrowed, Linger: time.Duration(s.Linger),
		}
	default:
		r.Handle = &book.HandleRecord{
			ID: s.ID, N: n, Mode: mode, Station: s.Station, Client: lease.Client(s.Client),
			Licenses: s.Licenses, Tags: s.Tags, Borrowed: s.Borrowed,
			Lease: time.Duration(s.Lease), Accesses: s.Accesses, First: time.Unix(0, s.First).UTC(),
		}
	}
	return r
}

func productOf(key []byte) license.Product {
	return license.Product{
		Firm: license.FirmCode(binary.BigEndian.Uint32(key)), Code: license.ProductCode(binary.BigEndian.Uint32(key[4:])),
	}
}

func eventWrite(serial license.Serial, e lease.Event) write {
	return jsonWrite(serial, bucketEvents, eventKey(e), storedEvent{
		Kind: string(e.Kind), At: e.At.UnixNano(), Handle: e.Handle,
		Firm: uint32(e.Pool.Product.Firm), Product: uint32(e.Pool.Product.Code), Mode: string(e.Mode),
		Station: e.Station, Client: storedClient(e.Client), Seat: e.Seat, N: e.N,
		Reason: string(e.Reason), By: e.By, Licenses: e.Licenses, Borrowed: e.Borrowed, Rule: e.Rule, Seq: e.Seq,
	})
}

func eventKey(e lease.Event) []byte { return binary.BigEndian.AppendUint64(nil, e.Position) }

func jsonWrite(serial license.Serial, bucket, key []byte, v any) write {
	b, err := json.Marshal(v)
	if err != nil {
		// The stored types have numbers, strings and booleans only.
		panic(err)
	}
	return checked(serial, bucket, key, b)
}

func checked(serial license.Serial, bucket, key, content []byte) write {
	value := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(content)), sum(serial.String(), bucket, key, content))
	return write{serial, bucket, key, append(value, content...)}
}

func sum(group string, bucket, key, content []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	c := crc32.Checksum([]byte(group), table)
	for _, b := range [][]byte{bucket, key, content} {
		c = crc32.Update(c, table, []byte{0})
		c = crc32.Update(c, table, b)
	}
	return c
}
