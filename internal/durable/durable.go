// Package durable writes files that must be there whole after a crash, or not
// at all: keys, without which other data is worth nothing, and files that take
// long to write.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// Create makes a file that only its owner may read. When it returns nil, the
// file outlives a power loss; after a crash it is there whole or not at all. It
// never overwrites: where there is a file, the error is fs.ErrExist. Of several
// processes that create the same file one wins.
func Create(path string, content []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	if _, err := f.Write(content); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil { // fails where path exists
		return err
	}
	return SyncFolder(dir)
}
