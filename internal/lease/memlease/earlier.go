package memlease

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/book"
	"github.com/quorate/quorate/internal/license"
)

// Of the formats 1 and 2: handles by id, seats' n, and from format 2 on
// lingers by the id of the released handle, in buckets of their own.

// earlierHandle is a handle, or with Linger what is left of one.
type earlierHandle struct {
	Firm     uint32       `json:"firm"`
	Product  uint32       `json:"product"`
	Mode     string       `json:"mode"`
	Seat     uint32       `json:"seat"`
	N        uint64       `json:"n"`
	Lease    int64        `json:"lease"`  // nanoseconds
	Linger   int64        `json:"linger"` // nanoseconds
	Station  string       `json:"station,omitempty"`
	Client   storedClient `json:"client"`
	Accesses uint32       `json:"accesses"`
	First    int64        `json:"first"` // Unix nanoseconds
}

type earlier struct {
	n       map[seatKey]uint64
	records map[seatKey]book.Record
	without []book.Record // of handles without a seat
}

type seatKey struct {
	product license.Product
	seat    uint32
}

// earlierRecords gives the records of a group of an earlier format.
func earlierRecords(serial license.Serial, b *bbolt.Bucket) ([]book.Record, error) {
	e := earlier{n: map[seatKey]uint64{}, records: map[seatKey]book.Record{}}
	err := errors.Join(
		read(serial, b, bucketSeats, e.seat),
		read(serial, b, bucketHandles, e.handle),
		read(serial, b, bucketLingers, e.linger),
	)
	return e.all(), err
}

func (e *earlier) all() []book.Record {
	all := e.without
	for k, n := range e.n {
		r := e.records[k]
		r.Product, r.Seat, r.N = k.product, k.seat, n
		if k.seat != 0 {
			all = append(all, r)
		}
	}
	return all
}

func (e *earlier) seat(key, content []byte) error {
	if len(key) != 12 || len(content) != 8 {
		return errors.New("a seat's record has the wrong length")
	}
	e.n[seatKey{productOf(key), binary.BigEndian.Uint32(key[8:])}] = binary.BigEndian.Uint64(content)
	return nil
}

func (e *earlier) enter(x earlierHandle, r book.Record) error {
	k := seatKey{license.Product{Firm: license.FirmCode(x.Firm), Code: license.ProductCode(x.Product)}, x.Seat}
	if _, taken := e.records[k]; taken || e.n[k] < x.N {
		return fmt.Errorf("the seat %d of %s contradicts its handle", x.Seat, k.product)
	}
	if x.Seat == 0 {
		r.Product, r.N = k.product, x.N
		e.without = append(e.without, r)
		return nil
	}
	e.records[k] = r
	return nil
}

func (e *earlier) handle(key, content []byte) error {
	var x earlierHandle
	if err := decode(content, &x); err != nil {
		return err
	}
	return e.enter(x, book.Record{Handle: &book.HandleRecord{
		ID: string(key), N: x.N, Mode: license.AccessMode(x.Mode), Station: x.Station, Client: lease.Client(x.Client),
		Licenses: 1, Lease: time.Duration(x.Lease), Accesses: x.Accesses, First: time.Unix(0, x.First).UTC(),
	}})
}

func (e *earlier) linger(key, content []byte) error {
	var x earlierHandle
	if err := decode(content, &x); err != nil {
		return err
	}
	if x.Seat == 0 {
		return errors.New("a handle lingers without a seat")
	}
	return e.enter(x, book.Record{Linger: &book.LingerRecord{
		ID: string(key), N: x.N, Mode: license.AccessMode(x.Mode), Station: x.Station, Client: lease.Client(x.Client),
		Licenses: 1, Linger: time.Duration(x.Linger),
	}})
}

// convert brings a file of an earlier format to this one, all of its groups.
func convert(tx *bbolt.Tx) error {
	groups := tx.Bucket(bucketGroups)
	var names [][]byte
	err := groups.ForEachBucket(func(name []byte) error {
		names = append(names, bytes.Clone(name))
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range names {
		serial, err := license.ParseSerial(string(name))
		if err != nil {
			return err
		}
		g := groups.Bucket(name)
		records, err := earlierRecords(serial, g)
		if err != nil {
			return err
		}
		to, err := g.CreateBucketIfNotExists(bucketRecords)
		if err != nil {
			return err
		}
		for _, r := range records {
			w := recordWrite(serial, r)
			if err := to.Put(w.key, w.value); err != nil {
				return err
			}
		}
		for _, old := range [][]byte{bucketHandles, bucketSeats, bucketLingers} {
			if g.Bucket(old) == nil {
				continue
			}
			if err := g.DeleteBucket(old); err != nil {
				return err
			}
		}
	}
	return tx.Bucket(bucketJournal).Put(keyFormat, []byte(format))
}
