package memlease

import (
	"encoding/binary"
	"encoding/json"
	"hash/crc32"

	"github.com/quorate/quorate/internal/lease"
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

type storedHandle struct {
	Firm     uint32       `json:"firm"`
	Product  uint32       `json:"product"`
	Mode     string       `json:"mode"`
	Seat     uint32       `json:"seat"`
	N        uint64       `json:"n"`
	Lease    int64        `json:"lease"` // nanoseconds
	Station  string       `json:"station,omitempty"`
	Client   storedClient `json:"client"`
	Accesses uint32       `json:"accesses"`
	First    int64        `json:"first"` // Unix nanoseconds
}

// storedLinger is what is left of a handle whose seat lingers.
type storedLinger struct {
	Firm    uint32       `json:"firm"`
	Product uint32       `json:"product"`
	Mode    string       `json:"mode"`
	Seat    uint32       `json:"seat"`
	N       uint64       `json:"n"`
	Linger  int64        `json:"linger"` // nanoseconds
	Station string       `json:"station,omitempty"`
	Client  storedClient `json:"client"`
}

type storedEvent struct {
	Kind    string       `json:"kind"`
	At      int64        `json:"at"` // Unix nanoseconds
	Handle  string       `json:"handle"`
	Firm    uint32       `json:"firm"`
	Product uint32       `json:"product"`
	Mode    string       `json:"mode"`
	Station string       `json:"station,omitempty"`
	Client  storedClient `json:"client"`
	Seat    uint32       `json:"seat,omitempty"`
	N       uint64       `json:"n,omitempty"`
	Reason  string       `json:"reason,omitempty"`
	By      string       `json:"by,omitempty"`
}

func epochWrite(g *group, owner string) write {
	return jsonWrite(g.serial, bucketEpoch, keyEpoch, storedEpoch{g.epoch, g.position, owner})
}

func handleWrite(g *group, h *handle) write {
	return jsonWrite(g.serial, bucketHandles, []byte(h.id), storedHandle{
		Firm: uint32(h.product.Firm), Product: uint32(h.product.Code), Mode: string(h.mode), Seat: h.seat, N: h.n,
		Lease: int64(h.lease), Station: h.station, Client: storedClient(h.client),
		Accesses: h.accesses, First: h.first.UnixNano(),
	})
}

func handleDelete(g *group, h *handle) write {
	return write{group: g.serial, bucket: bucketHandles, key: []byte(h.id)}
}

func lingerWrite(g *group, h *handle) write {
	return jsonWrite(g.serial, bucketLingers, []byte(h.id), storedLinger{
		Firm: uint32(h.product.Firm), Product: uint32(h.product.Code), Mode: string(h.mode), Seat: h.seat, N: h.n,
		Linger: int64(h.linger), Station: h.station, Client: storedClient(h.client),
	})
}

func lingerDelete(g *group, h *handle) write {
	return write{group: g.serial, bucket: bucketLingers, key: []byte(h.id)}
}

func seatWrite(g *group, h *handle) write { return nWrite(g.serial, h.product, h.seat, h.n) }

func nWrite(serial license.Serial, p license.Product, seat uint32, n uint64) write {
	key := binary.BigEndian.AppendUint32(nil, uint32(p.Firm))
	key = binary.BigEndian.AppendUint32(key, uint32(p.Code))
	key = binary.BigEndian.AppendUint32(key, seat)
	return checked(serial, bucketSeats, key, binary.BigEndian.AppendUint64(nil, n))
}

func eventWrite(g *group, e lease.Event) write {
	return jsonWrite(g.serial, bucketEvents, eventKey(e), storedEvent{
		Kind: string(e.Kind), At: e.At.UnixNano(), Handle: e.Handle,
		Firm: uint32(e.Pool.Product.Firm), Product: uint32(e.Pool.Product.Code), Mode: string(e.Mode),
		Station: e.Station, Client: storedClient(e.Client), Seat: e.Seat, N: e.N,
		Reason: string(e.Reason), By: e.By,
	})
}

func eventDelete(g *group, e lease.Event) write {
	return write{group: g.serial, bucket: bucketEvents, key: eventKey(e)}
}

func eventKey(e lease.Event) []byte { return binary.BigEndian.AppendUint64(nil, e.Position) }

func jsonWrite(serial license.Serial, bucket, key []byte, v any) write {
	b, err := json.Marshal(v)
	if err != nil {
		// The stored types have numbers and strings only.
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
