package memlease

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/quorate/quorate/internal/boltfile"
	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// load reads everything, each value against its checksum.
func (j *journal) load(o Options) (groups map[license.Serial]*group, err error) {
	defer boltfile.Guard(&err, func(cause error) error { return corrupt(j.path, cause) })()
	groups = map[license.Serial]*group{}
	err = j.db.View(func(tx *bbolt.Tx) error {
		all := tx.Bucket(bucketGroups)
		if all == nil {
			return errors.New("it has no groups")
		}
		return all.ForEachBucket(func(name []byte) error {
			serial, err := license.ParseSerial(string(name))
			if err != nil {
				return err
			}
			g := newGroup(serial, o)
			groups[serial] = g
			return g.load(all.Bucket(name))
		})
	})
	if err != nil {
		return nil, corrupt(j.path, err)
	}
	return groups, nil
}

// read gives each value of one of a group's buckets, against its checksum.
func read(serial license.Serial, group *bbolt.Bucket, bucket []byte, f func(key, content []byte) error) error {
	values := group.Bucket(bucket)
	if values == nil {
		return nil
	}
	return values.ForEach(func(key, value []byte) error {
		if len(value) < 4 || binary.BigEndian.Uint32(value) != sum(serial.String(), bucket, key, value[4:]) {
			return fmt.Errorf("a value in %s/%s does not match its checksum", serial, bucket)
		}
		return f(key, value[4:])
	})
}

func (g *group) load(b *bbolt.Bucket) error {
	epoch := uint64(0)
	records, err := earlierRecords(g.serial, b)
	for _, r := range records {
		err = errors.Join(err, g.book.Load(r))
	}
	err = errors.Join(err,
		read(g.serial, b, bucketEpoch, func(_, content []byte) (err error) {
			epoch, err = g.loadEpoch(content)
			return err
		}),
		read(g.serial, b, bucketRecords, g.loadRecord),
		read(g.serial, b, bucketSeqs, g.loadSeq),
		read(g.serial, b, bucketEvents, g.loadEvent),
	)
	g.book.SetEpoch(epoch)
	g.visible = g.book.Position()
	return err
}

func (g *group) loadEpoch(content []byte) (uint64, error) {
	var e storedEpoch
	err := decode(content, &e)
	g.book.SetPosition(e.Position)
	return e.Epoch, err
}

func (g *group) loadRecord(key, content []byte) error {
	var s storedSeat
	if err := decode(content, &s); err != nil {
		return err
	}
	if len(key) < 12 {
		return errors.New("a seat's record has a short key")
	}
	r := s.record(key)
	if !bytes.Equal(key, recordKey(r)) {
		return errors.New("a seat's record has a wrong key")
	}
	return g.book.Load(r)
}

func (g *group) loadSeq(key, content []byte) error {
	if len(key) != 4 || len(content) != 8 {
		return errors.New("a firm's counter has the wrong length")
	}
	g.book.LoadSeq(license.FirmCode(binary.BigEndian.Uint32(key)), binary.BigEndian.Uint64(content))
	return nil
}

func (g *group) loadEvent(key, content []byte) error {
	var e storedEvent
	if err := decode(content, &e); err != nil {
		return err
	}
	if len(key) != 8 {
		return errors.New("an event's position has the wrong length")
	}
	g.book.LoadEvent(lease.Event{
		Position: binary.BigEndian.Uint64(key), Kind: lease.EventKind(e.Kind), At: time.Unix(0, e.At).UTC(),
		Handle: e.Handle,
		Pool: lease.Pool{Container: g.serial, Product: license.Product{
			Firm: license.FirmCode(e.Firm), Code: license.ProductCode(e.Product),
		}},
		Mode: license.AccessMode(e.Mode), Station: e.Station, Client: lease.Client(e.Client),
		Seat: e.Seat, N: e.N, Reason: license.Code(e.Reason), By: e.By,
		Licenses: max(e.Licenses, 1), Borrowed: e.Borrowed, Rule: e.Rule, Seq: e.Seq,
	})
	return nil
}

func decode(content []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	return d.Decode(v)
}
