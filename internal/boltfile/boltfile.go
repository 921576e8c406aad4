// Package boltfile opens and makes bbolt files whose damage is an error: bbolt
// itself trusts its file, and a damaged one makes it panic, read past its end or
// follow a page that points to itself for ever.
package boltfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// ErrInUse: another process has the file open.
var ErrInUse = errors.New("the file is open in another process")

// Damaged wraps what is wrong with a file.
type Damaged struct{ Err error }

func (d *Damaged) Error() string { return "the file is damaged: " + d.Err.Error() }

// Unwrap gives what is wrong.
func (d *Damaged) Unwrap() error { return d.Err }

// patience is how long Open waits for another process to let the file go.
const patience = time.Second

// Create makes a complete file beside path, filled by fill, and then gives it
// its name. A file that is there already stays as it is: no error.
func Create(path string, fill func(*bbolt.Tx) error) error {
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
	db, err := bbolt.Open(tmp, 0o600, &bbolt.Options{Timeout: patience})
	if err != nil {
		return err
	}
	if err := errors.Join(db.Update(fill), db.Close()); err != nil {
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

// Open opens a file that is there, without changing it, after it has checked all
// of it. verify looks at what it holds; its error is Open's. Errors: ErrInUse,
// *Damaged, fs.ErrNotExist, fs.ErrPermission and others of the system.
func Open(path string, verify func(*bbolt.Tx) error) (db *bbolt.DB, err error) {
	var file *os.File
	defer Guard(&err, func(cause error) error {
		if file != nil {
			_ = file.Close()
		}
		db = nil
		return &Damaged{cause}
	})()
	if err := precheck(path); err != nil {
		return nil, err
	}
	db, err = bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:      patience,
		FreelistType: bbolt.FreelistMapType,
		OpenFile: func(path string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(path, flag&^os.O_CREATE, mode)
			file = f
			return f, err
		},
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, ErrInUse
	case errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrNotExist):
		return nil, err
	case err != nil:
		return nil, &Damaged{err}
	}
	err = db.View(func(tx *bbolt.Tx) error {
		if err := checkTree(tx); err != nil {
			return &Damaged{err}
		}
		return verify(tx)
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// precheck checks the pages while nobody has the file.
func precheck(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for deadline := time.Now().Add(patience); ; {
		if locked(f) {
			break
		}
		if time.Now().After(deadline) {
			return ErrInUse
		}
		<-time.After(20 * time.Millisecond)
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() == 0 {
		// A file gets its name when it is complete.
		return &Damaged{errors.New("it is empty")}
	}
	if err := checkPages(f, info.Size()); err != nil {
		return &Damaged{err}
	}
	return nil
}

func checkTree(tx *bbolt.Tx) error {
	info, err := os.Stat(tx.DB().Path())
	if err != nil {
		return err
	}
	if info.Size() < tx.Size() {
		return errors.New("it is cut off")
	}
	var first error
	for err := range tx.Check() {
		if first == nil {
			first = err
		}
	}
	return first
}

// Guard turns a panic, or a read past the end of a mapped file, into an error:
// defer Guard(&err, wrap)() around every use of a file.
func Guard(err *error, wrap func(error) error) func() {
	old := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(old)
		if r := recover(); r != nil {
			*err = wrap(fmt.Errorf("bbolt: %v", r))
		}
	}
}
