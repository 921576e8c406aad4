package memlease

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"go.etcd.io/bbolt"

	"github.com/quorate/quorate/internal/boltfile"
	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// The file: a bucket "journal" with the format's number, and in "groups" a
// bucket for each group, named by its serial, with these buckets: "epoch",
// "records" of the seats by product and seat, "events" by position, and "seqs",
// how many events of a firm were counted, where older ones were dropped. Every
// value is a CRC-32C over bucket, key and content, then the content.
//
// A file of an earlier format becomes one of this with the first that is
// written to it.
const format = "3"

var (
	bucketJournal = []byte("journal")
	bucketGroups  = []byte("groups")
	bucketEpoch   = []byte("epoch")
	bucketRecords = []byte("records")
	bucketEvents  = []byte("events")
	bucketSeqs    = []byte("seqs")
	bucketHandles = []byte("handles") // the last three of earlier formats
	bucketSeats   = []byte("seats")
	bucketLingers = []byte("lingers")
	keyFormat     = []byte("format")
	keyEpoch      = []byte("epoch")
)

// write is one change of the file: a nil value deletes.
type write struct {
	group       license.Serial
	bucket, key []byte
	value       []byte
}

type journal struct {
	path string
	db   *bbolt.DB
	// commit writes all or nothing; an error leaves open which. A field, so
	// that tests can make it fail.
	commit func([]write) error
}

func corrupt(path string, err error) error {
	return &license.Error{
		Code:    license.CodeJournalCorrupt,
		Message: fmt.Sprintf("the seat journal %s is damaged", path),
		Fix:     "keep the file for inspection, move it away and start again: programs then take their licenses anew",
		Err:     err,
	}
}

func openJournal(path string) (*journal, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := boltfile.Create(path, begin); err != nil {
			return nil, lease.Unavailable(fmt.Errorf("making %s: %w", path, err))
		}
	}
	j := &journal{path: path}
	if err := j.open(); err != nil {
		return nil, err
	}
	j.commit = j.update
	return j, nil
}

// open opens the file without changing it, and checks all of it.
func (j *journal) open() error {
	db, err := boltfile.Open(j.path, checkFormat)
	var damaged *boltfile.Damaged
	switch {
	case err == nil:
		j.db = db
		return nil
	case errors.Is(err, boltfile.ErrInUse):
		return &license.Error{
			Code:    license.CodeJournalInUse,
			Message: fmt.Sprintf("the seat journal %s is open in another process", j.path),
			Fix:     "stop the other server, or give this one a folder of its own",
			Err:     err,
		}
	case license.CodeOf(err) == license.CodeFormatUnknown:
		return err
	case errors.As(err, &damaged):
		return corrupt(j.path, err)
	}
	return lease.Unavailable(err)
}

func checkFormat(tx *bbolt.Tx) error {
	b := tx.Bucket(bucketJournal)
	if b == nil {
		return &boltfile.Damaged{Err: errors.New("it is no seat journal")}
	}
	if f := string(b.Get(keyFormat)); f != format && f != "2" && f != "1" {
		return license.Errorf(license.CodeFormatUnknown, "use the version of the program that wrote it, or a newer one",
			"the seat journal has the format %q, not one of 1 to %s", f, format)
	}
	return nil
}

func begin(tx *bbolt.Tx) error {
	b, err := tx.CreateBucket(bucketJournal)
	if err != nil {
		return err
	}
	if _, err := tx.CreateBucket(bucketGroups); err != nil {
		return err
	}
	return b.Put(keyFormat, []byte(format))
}

func (j *journal) close() error { return j.db.Close() }

// update writes all or nothing.
func (j *journal) update(writes []write) (err error) {
	defer boltfile.Guard(&err, func(cause error) error { return corrupt(j.path, cause) })()
	return j.db.Update(func(tx *bbolt.Tx) error {
		if string(tx.Bucket(bucketJournal).Get(keyFormat)) != format {
			if err := convert(tx); err != nil {
				return err
			}
		}
		groups := tx.Bucket(bucketGroups)
		for _, w := range writes {
			g, err := groups.CreateBucketIfNotExists([]byte(w.group.String()))
			if err != nil {
				return err
			}
			b, err := g.CreateBucketIfNotExists(w.bucket)
			if err != nil {
				return err
			}
			if w.value == nil {
				err = b.Delete(w.key)
			} else {
				err = b.Put(w.key, w.value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}
