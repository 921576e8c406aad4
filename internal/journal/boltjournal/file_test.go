package boltjournal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/license"
)

var product = license.Product{Firm: 6000010, Code: 14}

func coded(t *testing.T, what string, err error, want license.Code) {
	t.Helper()
	if license.CodeOf(err) != want {
		t.Errorf("%s: %v, want %s", what, err, want)
	}
}

func claim(t *testing.T, j *Journal, epoch uint64) journal.Promise {
	t.Helper()
	s, err := j.Claim(t.Context(), journal.Term{Epoch: epoch, Owner: "a"})
	if err != nil {
		t.Fatal(err)
	}
	return journal.Promise{Term: s.Promised, Incarnation: s.Incarnation}
}

func batch(seat uint32, n uint64) journal.Batch {
	return journal.Batch{
		Records: []journal.Record{{Key: journal.Key{Product: product, Seat: seat}, N: n, Holder: []byte("holder")}},
		Events:  []journal.Event{{Position: n, Data: []byte("event")}},
	}
}

func TestOneProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	_, err := Open(path, own)
	coded(t, "opened twice", err, license.CodeJournalInUse)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	_, err = j.State(t.Context())
	coded(t, "closed", err, license.CodeUnavailable)
	_, err = j.Claim(t.Context(), journal.Term{Epoch: 1, Owner: "a"})
	coded(t, "closed", err, license.CodeUnavailable)
	open(t, path)
}

func TestLostFileBeginsAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	p := claim(t, j, 7)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	j = open(t, path)
	if s, err := j.State(t.Context()); err != nil || s.Incarnation == p.Incarnation || s.Voting || s.Version != 1 {
		t.Errorf("the new file says %+v, %v", s, err)
	}
	_, err := j.Confirm(t.Context(), p)
	coded(t, "the old promise", err, license.CodeConflict)
}

func TestFolderThatIsNotThere(t *testing.T) {
	_, err := Open(filepath.Join(t.TempDir(), "none", "journal"), own)
	coded(t, "no folder", err, license.CodeUnavailable)
}

// TestDamage changes one byte after the other: the file is refused, or it was
// nothing that counts. Nothing panics and nothing hangs.
func TestDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	p := claim(t, j, 7)
	for n := range uint64(20) {
		if _, err := j.Write(t.Context(), p, batch(uint32(n)+1, n+1)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := j.Records(t.Context(), p, journal.Key{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	try := func(what string, at int, content []byte) {
		t.Helper()
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := Open(path, own)
		if err != nil {
			if code := license.CodeOf(err); code != license.CodeJournalCorrupt && code != license.CodeFormatUnknown {
				t.Errorf("%s %d: %v", what, at, err)
			}
			refused++
			return
		}
		got, err := j.Records(t.Context(), p, journal.Key{}, 100)
		_ = j.Close()
		// The meta page before the last one may be in force: one write is missing.
		if err != nil || len(got) < len(want)-1 {
			t.Errorf("%s %d: %d records, %v", what, at, len(got), err)
		}
		for i, r := range got {
			if r.Key != want[i].Key || r.N != want[i].N || !bytes.Equal(r.Holder, want[i].Holder) {
				t.Errorf("%s %d: record %+v, want %+v", what, at, r, want[i])
			}
		}
	}
	step := 23
	if testing.Short() {
		step = 211
	}
	for at := 0; at < len(whole); at += step {
		changed := bytes.Clone(whole)
		changed[at] ^= 0x41
		try("byte", at, changed)
	}
	for at := 0; at < len(whole); at += 4096 {
		try("cut at", at, whole[:at])
	}
	if refused < 10 {
		t.Errorf("%d damages were seen", refused)
	}
}

// TestFailedWrite: after a write whose end is open the file is read again.
func TestFailedWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	p := claim(t, j, 7)
	if _, err := j.Write(t.Context(), p, batch(1, 1)); err != nil {
		t.Fatal(err)
	}
	fault := errors.New("the disk is full")
	for name, commit := range map[string]func(*bbolt.DB, func(*bbolt.Tx) error) error{
		"before": func(*bbolt.DB, func(*bbolt.Tx) error) error { return fault },
		"after":  func(db *bbolt.DB, f func(*bbolt.Tx) error) error { return errors.Join(db.Update(f), fault) },
		"panic":  func(*bbolt.DB, func(*bbolt.Tx) error) error { panic("page 7 already freed") },
	} {
		was, err := j.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		good := j.commit
		j.commit = commit
		_, err = j.Write(t.Context(), p, batch(1, was.Version))
		coded(t, name, err, license.CodeUnavailable)
		j.commit = good
		now, err := j.State(t.Context())
		if err != nil || (now.Version != was.Version) != (name == "after") {
			t.Errorf("%s: version %d after %d, %v", name, now.Version, was.Version, err)
		}
		if _, err := j.Write(t.Context(), p, batch(1, was.Version)); err != nil { // the same again
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOtherFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	err := j.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketJournal).Put(keyFormat, []byte("quorate-journal-9")) })
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = Open(path, own)
	coded(t, "another format", err, license.CodeFormatUnknown)
}

// The journal of another backend, or of another group, has seats that aren't
// this one's.
func TestOtherContainer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open(path, license.Serial{Mask: 130, Number: 27845973})
	coded(t, "another container", err, license.CodeInvalidInput)
	open(t, path)
}

// FuzzValues gives the readers of values anything with a good checksum.
func FuzzValues(f *testing.F) {
	k, v := encodeRecord(batch(1, 2).Records[0])
	f.Add(k, v[4:])
	k, v = encodeEvent(journal.Event{Position: 7, Epoch: 3, Data: []byte("x")})
	f.Add(k, v[4:])
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, key, content []byte) {
		if r, err := decodeRecord(key, sealed(bucketRecords, key, content)); err == nil {
			k, v := encodeRecord(r)
			if !bytes.Equal(k, key) || !bytes.Equal(v[4:], content) {
				t.Errorf("%q, %q came back as %q, %q", key, content, k, v[4:])
			}
		}
		if e, err := decodeEvent(key, sealed(bucketEvents, key, content)); err == nil {
			k, v := encodeEvent(e)
			if !bytes.Equal(k, key) || !bytes.Equal(v[4:], content) {
				t.Errorf("%q, %q came back as %q, %q", key, content, k, v[4:])
			}
		}
		if _, err := decodeRecord(key, content); err == nil {
			t.Error("a value without its checksum was taken")
		}
	})
}
