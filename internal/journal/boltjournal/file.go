package boltjournal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"

	"go.etcd.io/bbolt"

	"github.com/quorate/quorate/internal/boltfile"
	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/license"
)

const format = "quorate-journal-1"

var (
	bucketJournal = []byte("journal")
	bucketRecords = []byte("records")
	bucketEvents  = []byte("events")
	keyFormat     = []byte("format")
	keyState      = []byte("state")
	keyOf         = []byte("container")
)

func begin(tx *bbolt.Tx, of license.Serial) error {
	for _, name := range [][]byte{bucketJournal, bucketRecords, bucketEvents} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	if err := tx.Bucket(bucketJournal).Put(keyFormat, []byte(format)); err != nil {
		return err
	}
	if err := tx.Bucket(bucketJournal).Put(keyOf, sealed(bucketJournal, keyOf, []byte(of.String()))); err != nil {
		return err
	}
	return putState(tx, journal.Begin(journal.Term{}))
}

// belongs says whether the journal is of a container.
func belongs(tx *bbolt.Tx, path string, of license.Serial) error {
	name, err := opened(bucketJournal, keyOf, tx.Bucket(bucketJournal).Get(keyOf))
	if err != nil {
		return &boltfile.Damaged{Err: err}
	}
	if string(name) != of.String() {
		return license.Errorf(license.CodeInvalidInput, "name this backend's own file, or one that isn't there yet: it is filled from the other two",
			"the journal of seats %s is of the container %.40q, not of %s", path, name, of)
	}
	return nil
}

// verify reads every value against its checksum.
func verify(tx *bbolt.Tx) error {
	b := tx.Bucket(bucketJournal)
	if b == nil || tx.Bucket(bucketRecords) == nil || tx.Bucket(bucketEvents) == nil {
		return errors.New("it is no journal of seats")
	}
	if f := string(b.Get(keyFormat)); f != format {
		return license.Errorf(license.CodeFormatUnknown, "use the version of the program that wrote it, or a newer one",
			"the journal of seats has the format %.40q, not %q", f, format)
	}
	if _, err := readState(tx); err != nil {
		return err
	}
	err := tx.Bucket(bucketRecords).ForEach(func(k, v []byte) error {
		_, err := decodeRecord(k, v)
		return err
	})
	return errors.Join(err, tx.Bucket(bucketEvents).ForEach(func(k, v []byte) error {
		_, err := decodeEvent(k, v)
		return err
	}))
}

func sum(bucket, key, content []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Update(crc32.Checksum(bucket, table), table, key), table, content)
}

func sealed(bucket, key, content []byte) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(content)), sum(bucket, key, content))
	return append(b, content...)
}

func opened(bucket, key, value []byte) ([]byte, error) {
	if len(value) < 4 || binary.BigEndian.Uint32(value) != sum(bucket, key, value[4:]) {
		return nil, fmt.Errorf("a value in %s does not match its checksum", bucket)
	}
	return value[4:], nil
}

func putState(tx *bbolt.Tx, s journal.State) error {
	content, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return tx.Bucket(bucketJournal).Put(keyState, sealed(bucketJournal, keyState, content))
}

func readState(tx *bbolt.Tx) (s journal.State, err error) {
	content, err := opened(bucketJournal, keyState, tx.Bucket(bucketJournal).Get(keyState))
	if err != nil {
		return s, err
	}
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	return s, d.Decode(&s)
}

func recordKey(k journal.Key) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(k.Product.Firm))
	b = binary.BigEndian.AppendUint32(b, uint32(k.Product.Code))
	return binary.BigEndian.AppendUint32(b, k.Seat)
}

func encodeRecord(r journal.Record) (key, value []byte) {
	key = recordKey(r.Key)
	content := binary.BigEndian.AppendUint64(make([]byte, 0, 16+len(r.Holder)), r.Epoch)
	content = append(binary.BigEndian.AppendUint64(content, r.N), r.Holder...)
	return key, sealed(bucketRecords, key, content)
}

func decodeRecord(key, value []byte) (journal.Record, error) {
	r, err := sharedRecord(key, value)
	r.Holder = bytes.Clone(r.Holder)
	return r, err
}

// sharedRecord gives a record whose holder is part of value.
func sharedRecord(key, value []byte) (r journal.Record, err error) {
	content, err := opened(bucketRecords, key, value)
	if err != nil {
		return r, err
	}
	if len(key) != 12 || len(content) < 16 {
		return r, errors.New("a seat's record has the wrong length")
	}
	r.Product = license.Product{
		Firm: license.FirmCode(binary.BigEndian.Uint32(key)), Code: license.ProductCode(binary.BigEndian.Uint32(key[4:])),
	}
	r.Seat = binary.BigEndian.Uint32(key[8:])
	r.Epoch, r.N = binary.BigEndian.Uint64(content), binary.BigEndian.Uint64(content[8:])
	r.Holder = content[16:]
	return r, nil
}

func eventKey(position uint64) []byte { return binary.BigEndian.AppendUint64(nil, position) }

func encodeEvent(e journal.Event) (key, value []byte) {
	key = eventKey(e.Position)
	return key, sealed(bucketEvents, key, append(binary.BigEndian.AppendUint64(nil, e.Epoch), e.Data...))
}

func decodeEvent(key, value []byte) (e journal.Event, err error) {
	content, err := opened(bucketEvents, key, value)
	if err != nil {
		return e, err
	}
	if len(key) != 8 || len(content) < 8 {
		return e, errors.New("an event has the wrong length")
	}
	e.Position, e.Epoch, e.Data = binary.BigEndian.Uint64(key), binary.BigEndian.Uint64(content), bytes.Clone(content[8:])
	return e, nil
}
