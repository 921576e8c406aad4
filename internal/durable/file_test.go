package durable_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quorate/quorate/internal/durable"
)

func write(t *testing.T, path, content string) *durable.File {
	t.Helper()
	f, err := durable.NewFile(path, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, content); err != nil {
		t.Fatal(err)
	}
	return f
}

func want(t *testing.T, path, content string, entries int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if content == "" && !errors.Is(err, fs.ErrNotExist) || content != "" && (err != nil || string(b) != content) {
		t.Errorf("%s has %q, %v; want %q", path, b, err, content)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != entries {
		t.Errorf("the folder has %v, %v; want %d entries", left, err, entries)
	}
}

func TestFileIsThereWholeOrNotAtAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	f := write(t, path, "one")
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before it is committed: %v", err)
	}
	if err := f.Commit(false); err != nil {
		t.Fatal(err)
	}
	want(t, path, "one", 1)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Errorf("closed after it was committed: %v", err)
	}
	if err := f.Commit(true); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("committed twice: %v", err)
	}
	want(t, path, "one", 1)

	given := write(t, path, "two")
	if err := errors.Join(given.Close(), given.Close()); err != nil {
		t.Errorf("closed: %v", err)
	}
	want(t, path, "one", 1)
}

func TestFileReplacesOnlyWhenAsked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	if err := write(t, path, "one").Commit(false); err != nil {
		t.Fatal(err)
	}
	second := write(t, path, "two")
	if err := second.Commit(false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over another: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	want(t, path, "one", 1)
	if err := write(t, path, "three").Commit(true); err != nil {
		t.Error(err)
	}
	want(t, path, "three", 1)
}

func TestFileHasOneWinner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		f := write(t, path, "x")
		wg.Go(func() {
			defer f.Close()
			switch err := f.Commit(false); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, fs.ErrExist):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d winners", won.Load())
	}
	want(t, path, "x", 1)
}

func TestFileSaysWhyItFails(t *testing.T) {
	if _, err := durable.NewFile(filepath.Join(t.TempDir(), "none", "data"), 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a folder that is not there: %v", err)
	}
}
