package container

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/quorate/quorate/internal/container/pages"
	"github.com/quorate/quorate/internal/durable"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// lockPatience is how long Open waits for another process to let the file go.
const lockPatience = time.Second

// mostFile bounds a container's file, in bytes: far above what the most
// licenses and the largest update take.
const mostFile = 256 << 20

// Create makes a container at path, readable by its owner alone, and opens it.
// The file appears whole or not at all; the key file that it is bound to is there
// before it. Errors: license.CodeContainerExists when there is any file at path,
// CodeConflict when there is one where the key file should be (both stay as they
// are), CodeInvalidInput for a machine with fewer than two traits.
func Create(path string, p Params, option ...Option) (*Container, error) {
	o := optionsOf(option)
	switch kind := p.Serial.Kind(); {
	case kind == "" || p.Serial.Number == 0:
		return nil, license.Errorf(license.CodeInvalidInput, "give it a serial such as 130-1874829", "%s is not a container serial", p.Serial)
	case kind == license.KindVirtual:
		return nil, license.Errorf(license.CodeInvalidInput, "create its three backends", "%s is a virtual container, which is never stored", p.Serial)
	case len(p.Root) != ed25519.PublicKeySize:
		return nil, license.Errorf(license.CodeInvalidInput, "give it the root key of the platform", "the root key has %d bytes: it must have %d", len(p.Root), ed25519.PublicKeySize)
	}
	if err := bindable(p.Serial, p.Bind, o.keyFile); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(path); err == nil {
		return nil, exists(path)
	}
	s := &state{serial: p.Serial, activation: p.ActivationID, root: [32]byte(p.Root), identity: p.Identity}
	var err error
	if s.identity == nil {
		if s.identity, err = seal.NewIdentity(); err != nil {
			return nil, err
		}
	}
	if s.macKey, err = macKey(s.identity); err != nil {
		return nil, unavailable("the container's keys are not usable", err)
	}
	var undo func()
	if s.lock, undo, err = o.bind(p.Bind, p.Serial); err != nil {
		return nil, err
	}
	if err := build(path, s); err != nil {
		undo()
		return nil, err
	}
	return Open(path, option...)
}

// build writes the file beside path, then links it there, which fails rather
// than replace anything.
func build(path string, s *state) error {
	var tail [8]byte
	if _, err := rand.Read(tail[:]); err != nil {
		return unavailable("the container could not be created", err)
	}
	temporary := path + ".new-" + hex.EncodeToString(tail[:])
	defer func() { _ = os.Remove(temporary) }()
	db, err := bolt.Open(temporary, 0o600, &bolt.Options{NoFreelistSync: true, OpenFile: func(name string, _ int, mode os.FileMode) (*os.File, error) {
		return os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	}})
	if err != nil {
		return unavailable("the container could not be created", err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		if _, err := tx.CreateBucket([]byte(bucketName)); err != nil {
			return err
		}
		records, err := s.records()
		if err != nil {
			return err
		}
		return write(tx, nil, records)
	})
	err = errors.Join(err, db.Update(nothing), db.Close())
	if err != nil {
		return unavailable("the container could not be created", err)
	}
	if err := os.Link(temporary, path); errors.Is(err, fs.ErrExist) {
		return exists(path)
	} else if err != nil {
		return unavailable("the container could not be created", err)
	}
	return syncFolder(filepath.Dir(path))
}

func syncFolder(name string) error {
	if err := durable.SyncFolder(name); err != nil {
		return unavailable("the container's folder could not be written", err)
	}
	return nil
}

// nothing is a transaction that changes nothing but goes to disk all the same:
// it brings the other meta page up to date.
func nothing(*bolt.Tx) error { return nil }

// Open opens a container. Nothing is written before all of it verified. Errors:
// license.CodeContainerCorrupt and CodeContainerForeign (the file stays as it is),
// CodeContainerInUse, CodeNotFound, CodeFormatUnknown.
//
// A container that is bound to a machine is bound anew when one of its traits has
// changed: see Rebound.
func Open(path string, option ...Option) (*Container, error) {
	o := optionsOf(option)
	c, err := open(path, o)
	if err != nil {
		return nil, err
	}
	if err := c.rebind(o); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	c.write.Lock()
	defer c.write.Unlock()
	c.keepTime()
	return c, nil
}

func open(path string, o *options) (*Container, error) {
	if err := inspect(path, o.unlock); err != nil {
		return nil, err
	}
	var db *bolt.DB
	// inspect has let its lock go, so another process may have had the file
	// meanwhile. It left a sound one; whether it is our container is verified
	// again below.
	err := guarded(func() (err error) {
		db, err = bolt.Open(path, 0o600, &bolt.Options{Timeout: lockPatience, NoFreelistSync: true, OpenFile: existing})
		return err
	})
	if err != nil {
		return nil, opening(path, err)
	}
	c := &Container{db: db, update: db.Update, unlock: o.unlock, watchers: make(map[chan struct{}]struct{})}
	if c.state, err = c.load(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	c.unlock = c.state.lock.same
	now := o.look().ticks
	c.time = timekeeper{look: o.look, highest: c.state.clock.highest, at: now, opened: now, tried: now}
	return c, nil
}

// existing never creates a file.
func existing(name string, flag int, mode os.FileMode) (*os.File, error) {
	return os.OpenFile(name, flag&^os.O_CREATE, mode)
}

// inspect verifies the file while it holds the lock against writers.
func inspect(path string, unlock opener) error {
	info, err := os.Stat(path)
	if err != nil {
		return opening(path, err)
	}
	if !info.Mode().IsRegular() || info.Size() == 0 || info.Size() > mostFile {
		return corrupt("it is not a container file")
	}
	var db *bolt.DB
	var file *os.File // db's, which closes it
	err = guarded(func() (err error) {
		db, err = bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: lockPatience, OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			file, err = existing(name, flag, mode)
			return file, err
		}})
		return err
	})
	if err != nil {
		return opening(path, err)
	}
	defer func() { _ = db.Close() }()
	b, err := io.ReadAll(io.NewSectionReader(file, 0, mostFile))
	if err != nil {
		return opening(path, err)
	}
	defer clear(b)
	records, err := pages.Read(b, db.Info().PageSize, bucketName)
	if err == nil {
		_, err = decode(records, unlock)
	}
	return damaged(err)
}

// guarded runs what reads bbolt's pages. Damage that appears under an open file
// makes bbolt panic, or the memory behind the file fault: both are reported.
func guarded(f func() error) (err error) {
	before := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(before)
		if r := recover(); r != nil {
			err = &license.Error{
				Code: license.CodeContainerCorrupt, Message: corruptMessage + ": its pages are not readable", Fix: corruptFix,
				Err: fmt.Errorf("panic: %v", r),
			}
		}
	}()
	return f()
}

// view runs f on the records.
func (c *Container) view(f func(*bolt.Bucket) error) error {
	err := guarded(func() error {
		return c.db.View(func(tx *bolt.Tx) error {
			b := tx.Bucket([]byte(bucketName))
			if b == nil {
				return corrupt("its records are missing")
			}
			return f(b)
		})
	})
	return closedError(err)
}

// load verifies everything that the file holds, and reads it where it is not
// what was verified or written before.
func (c *Container) load() (s *state, err error) {
	known := c.current()
	err = c.view(func(b *bolt.Bucket) error {
		if known != nil && holds(b, known.written) {
			s = known
			return nil
		}
		records, err := all(b)
		if err != nil {
			return err
		}
		s, err = decode(records, c.unlock)
		return damaged(err)
	})
	return s, err
}

// holds says whether the bucket has just these records, each found by its key as
// well as by walking.
func holds(b *bolt.Bucket, records map[string][]byte) bool {
	n := 0
	err := b.ForEach(func(k, v []byte) error {
		if want, ok := records[string(k)]; !ok || v == nil || !bytes.Equal(v, want) || len(b.Get(k)) != len(v) {
			return errors.New("another record")
		}
		n++
		return nil
	})
	return err == nil && n == len(records)
}

// all copies the records. Each must be found by its key as well as by walking.
func all(b *bolt.Bucket) (map[string][]byte, error) {
	records := make(map[string][]byte)
	err := b.ForEach(func(k, v []byte) error {
		if v == nil || len(b.Get(k)) != len(v) {
			return corrupt("its records are out of order")
		}
		records[string(k)] = append(make([]byte, 0, len(v)), v...)
		return nil
	})
	return records, err
}

// commit verifies what the file holds, lets f make a new state of it, and writes
// that. bbolt's transaction begins after that: what is refused costs none, and
// giving one up over a damaged file would end the process. It needs c.write.
func (c *Container) commit(f func(*state) (*state, error)) error {
	if c.failed {
		return license.Errorf(license.CodeUnavailable, "check the disk, then restart the license server", "the container takes no changes since a write to its file failed")
	}
	s, err := c.load()
	if err != nil {
		return err
	}
	next, err := f(s)
	if err != nil {
		return err
	}
	if next.written, err = next.recordsAfter(s); err != nil {
		return unavailable("the container could not be written", err)
	}
	err = guarded(func() error {
		return c.update(func(tx *bolt.Tx) error { return write(tx, s.written, next.written) })
	})
	switch {
	case err == nil:
	case errors.Is(err, bolterrors.ErrDatabaseNotOpen):
		return closedError(err)
	default:
		// The commit failed before, while or after it reached the disk.
		c.failed = true
		if license.CodeOf(err) == license.CodeContainerCorrupt {
			return err
		}
		return unavailable("the container could not be written", err)
	}
	if now := c.current(); next.version != now.version || next.lock != now.lock || !next.settled(now.notes) {
		// The other meta page follows. The first commit is durable, so the change
		// holds in any case.
		if err := guarded(func() error { return c.update(nothing) }); err != nil {
			c.failed = true
		}
	}
	c.publish(next)
	return nil
}

// write makes the bucket, which holds the records before, hold those after.
func write(tx *bolt.Tx, before, after map[string][]byte) error {
	b := tx.Bucket([]byte(bucketName))
	for name := range before {
		if _, ok := after[name]; !ok {
			if err := b.Delete([]byte(name)); err != nil {
				return err
			}
		}
	}
	for name, v := range after {
		if string(before[name]) == string(v) {
			continue
		}
		if err := b.Put([]byte(name), v); err != nil {
			return err
		}
	}
	return nil
}

const (
	corruptMessage = "the container file is damaged"
	corruptFix     = "restore it from a backup, or replace the container with a new one; the file was left as it is"
)

func corrupt(what string) *license.Error {
	return license.Errorf(license.CodeContainerCorrupt, corruptFix, "%s: %s", corruptMessage, what)
}

// damaged reports an error without a code as damage.
func damaged(err error) error {
	if err == nil || license.CodeOf(err) != license.CodeInternal {
		return err
	}
	return &license.Error{Code: license.CodeContainerCorrupt, Message: corruptMessage + ": " + err.Error(), Fix: corruptFix}
}

func unavailable(what string, err error) *license.Error {
	return &license.Error{Code: license.CodeUnavailable, Message: what, Fix: "check the disk and its free space, then try again", Err: err}
}

func exists(path string) *license.Error {
	return license.Errorf(license.CodeContainerExists, "choose another path, or open the container", "there is a file at %s already", path)
}

func closedError(err error) error {
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return license.Errorf(license.CodeUnavailable, "open it again", "the container is closed")
	}
	return err
}

func opening(path string, err error) error {
	var system *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return license.Errorf(license.CodeNotFound, "check the path, or create a container there", "there is no container at %s", path)
	case errors.Is(err, bolterrors.ErrTimeout):
		return license.Errorf(license.CodeContainerInUse, "stop the other license server first", "another process has the container at %s open", path)
	case errors.Is(err, fs.ErrPermission):
		return license.Errorf(license.CodeForbidden, "run as the owner of the file", "the container at %s can't be read and written by this user", path)
	case errors.As(err, &system):
		return unavailable("the container could not be read", err)
	}
	return damaged(err)
}
