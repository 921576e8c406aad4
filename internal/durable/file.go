package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// File is a file that is being written: it gets its name only when it is whole.
// Close it in any case; one that was not committed is gone then.
type File struct {
	f    *os.File
	path string
	done bool
}

// NewFile begins a file that will be named path and have this mode. Nothing is
// at path before Commit. It lies in path's folder until then, so that giving it
// its name moves no bytes.
func NewFile(path string, mode fs.FileMode) (*File, error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(mode); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return &File{f: f, path: path}, nil
}

// Write adds to the file.
func (w *File) Write(b []byte) (int, error) { return w.f.Write(b) }

// Commit gives the file its name. When it returns nil, the file is there whole,
// even after a power loss. With replace it takes the place of what is there, in
// one step; without, the error is fs.ErrExist where anything is, and of several
// processes that commit the same file one wins.
func (w *File) Commit(replace bool) error {
	if w.done {
		return fs.ErrClosed
	}
	if err := w.f.Sync(); err != nil {
		return err
	}
	give := os.Link // fails where path exists
	if replace {
		give = os.Rename
	}
	if err := give(w.f.Name(), w.path); err != nil {
		return err
	}
	w.done = true
	var left error
	if !replace {
		left = os.Remove(w.f.Name())
	}
	return errors.Join(left, w.f.Close(), SyncFolder(filepath.Dir(w.path)))
}

// Close gives up a file that was not committed. Closing twice is safe, and
// after Commit it does nothing.
func (w *File) Close() error {
	if w.done {
		return nil
	}
	w.done = true
	return errors.Join(w.f.Close(), os.Remove(w.f.Name()))
}

// SyncFolder makes the names in a folder outlive a power loss. On Windows, which
// knows no such call, the file system's journal does so.
func SyncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
