package memlease

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

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
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createJournal(path); err != nil {
			return nil, lease.Unavailable(fmt.Errorf("making %s: %w", path, err))
		}
	} else if err != nil {
		return nil, lease.Unavailable(err)
	} else if info.Size() == 0 {
		// A journal gets its name when it is complete.
		return nil, corrupt(path, errors.New("the file is empty"))
	}
	j := &journal{path: path}
	if err := j.open(); err != nil {
		return nil, err
	}
	j.commit = j.update
	return j, nil
}

// open opens the file without changing it, and checks all of it. A damaged
// file makes bbolt panic or read past its end.
func (j *journal) open() (err error) {
	var file *os.File
	defer guard(&err, func(cause error) error {
		if file != nil {
			_ = file.Close()
		}
		return corrupt(j.path, cause)
	})()
	if err := j.precheck(); err != nil {
		return err
	}
	db, err := bbolt.Open(j.path, 0o600, &bbolt.Options{
		Timeout:      time.Second,
		FreelistType: bbolt.FreelistMapType,
		OpenFile: func(path string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(path, flag&^os.O_CREATE, mode)
			file = f
			return f, err
		},
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return inUse(j.path, err)
	case errors.Is(err, fs.ErrPermission):
		return lease.Unavailable(err)
	case err != nil:
		return corrupt(j.path, err)
	}
	if err := db.View(checkFormat); err != nil {
		_ = db.Close()
		if license.CodeOf(err) == license.CodeFormatUnknown {
			return err
		}
		return corrupt(j.path, err)
	}
	j.db = db
	return nil
}

func inUse(path string, err error) error {
	return &license.Error{
		Code:    license.CodeJournalInUse,
		Message: fmt.Sprintf("the seat journal %s is open in another process", path),
		Fix:     "stop the other server, or give this one a folder of its own",
		Err:     err,
	}
}

// precheck checks the pages while nobody has the file.
func (j *journal) precheck() error {
	f, err := os.Open(j.path)
	if err != nil {
		return lease.Unavailable(err)
	}
	defer f.Close()
	for deadline := time.Now().Add(time.Second); ; {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			return inUse(j.path, err)
		}
		<-time.After(20 * time.Millisecond)
	}
	info, err := f.Stat()
	if err != nil {
		return lease.Unavailable(err)
	}
	if err := checkPages(f, info.Size()); err != nil {
		return corrupt(j.path, err)
	}
	return nil
}

// guard turns a panic, or a read past the end of a mapped file, into an error.
func guard(err *error, wrap func(error) error) func() {
	old := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(old)
		if r := recover(); r != nil {
			*err = wrap(fmt.Errorf("bbolt: %v", r))
		}
	}
}

func checkFormat(tx *bbolt.Tx) error {
	b := tx.Bucket(bucketJournal)
	if b == nil {
		return errors.New("it is no seat journal")
	}
	if f := string(b.Get(keyFormat)); f != format && f != "2" && f != "1" {
		return license.Errorf(license.CodeFormatUnknown, "use the version of the program that wrote it, or a newer one",
			"the seat journal has the format %q, not one of 1 to %s", f, format)
	}
	info, err := os.Stat(tx.DB().Path())
	if err != nil {
		return err
	}
	if info.Size() < tx.Size() {
		return errors.New("the file is cut off")
	}
	var first error
	for err := range tx.Check() {
		if first == nil {
			first = err
		}
	}
	return first
}

// createJournal makes a complete file beside path and then gives it its name.
func createJournal(path string) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	tmp := f.Name()
	defer os.Remove(tmp)
	if err := f.Close(); err != nil {
		return err
	}
	db, err := bbolt.Open(tmp, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket(bucketJournal)
		if err != nil {
			return err
		}
		if _, err := tx.CreateBucket(bucketGroups); err != nil {
			return err
		}
		return b.Put(keyFormat, []byte(format))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	// Link fails where another process was faster; rename would replace its file.
	if err := os.Link(tmp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (j *journal) close() error { return j.db.Close() }

// update writes all or nothing.
func (j *journal) update(writes []write) (err error) {
	defer guard(&err, func(cause error) error { return corrupt(j.path, cause) })()
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
