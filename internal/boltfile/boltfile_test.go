package boltfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/quorate/quorate/internal/boltfile"
)

var bucket = []byte("bucket")

func fill(tx *bbolt.Tx) error {
	b, err := tx.CreateBucket(bucket)
	if err != nil {
		return err
	}
	for i := range byte(200) {
		if err := b.Put([]byte{i}, make([]byte, 40)); err != nil {
			return err
		}
	}
	return nil
}

func look(tx *bbolt.Tx) error {
	b := tx.Bucket(bucket)
	if b == nil {
		return errors.New("there is no bucket")
	}
	return b.ForEach(func(_, _ []byte) error { return nil })
}

func TestCreateAndOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if _, err := boltfile.Open(path, look); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := boltfile.Create(path, fill); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := boltfile.Create(path, func(*bbolt.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	db, err := boltfile.Open(path, look)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := boltfile.Open(path, look); !errors.Is(err, boltfile.ErrInUse) {
		t.Errorf("opened twice: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("looking at the file changed it: %v", err)
	}
	mine := errors.New("not what I look for")
	if _, err := boltfile.Open(path, func(*bbolt.Tx) error { return mine }); !errors.Is(err, mine) {
		t.Errorf("refused: %v", err)
	}
	var damaged *boltfile.Damaged
	if _, err := boltfile.Open(path, func(*bbolt.Tx) error { panic("page 3") }); !errors.As(err, &damaged) {
		t.Errorf("panic: %v", err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("%d files are left, %v", len(entries), err)
	}
}

func TestCreateSaysWhyItFails(t *testing.T) {
	dir := t.TempDir()
	if err := boltfile.Create(filepath.Join(dir, "none", "file"), fill); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	mine := errors.New("can't fill")
	if err := boltfile.Create(filepath.Join(dir, "file"), func(*bbolt.Tx) error { return mine }); !errors.Is(err, mine) {
		t.Errorf("fill: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("%d files are left, %v", len(entries), err)
	}
}

// FuzzOpen gives Open anything instead of a file: it says that it is damaged, or
// reads it; it never panics, and ends.
func FuzzOpen(f *testing.F) {
	path := filepath.Join(f.TempDir(), "file")
	if err := boltfile.Create(path, fill); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{})
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	for at := 0; at < len(whole); at += 511 {
		changed := append([]byte(nil), whole...)
		changed[at] ^= 0x10
		f.Add(changed)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := boltfile.Open(path, look)
		if err == nil {
			err = db.Close()
		}
		if errors.Is(err, boltfile.ErrInUse) {
			t.Fatalf("in use: %v", err)
		}
	})
}
