package container

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/quorate/quorate/internal/container/pages"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// FuzzImage gives the reader of images anything: it never panics, and what it
// accepts bbolt can read too.
func FuzzImage(f *testing.F) {
	path, _ := sample(f, false)
	good, err := os.ReadFile(path)
	ok(f, err)
	f.Add(good[:lastUsed(f, path)], uint16(0), byte(0))
	f.Add(good[:lastUsed(f, path)], uint16(4096), byte(1))
	v := newVendor(f)
	fresh := filepath.Join(f.TempDir(), "container")
	c, _ := v.create(f, fresh, 1)
	ok(f, c.Close())
	inline, err := os.ReadFile(fresh)
	ok(f, err)
	inline = inline[:lastUsed(f, fresh)]
	f.Add(inline, uint16(0), byte(0))
	// The bucket's page is in its value; its number is damaged.
	at := bytes.LastIndex(inline, []byte(bucketName)) + len(bucketName) + pageHeader
	f.Add(inline, uint16(at), byte(22)) //nolint:gosec // G115: small
	f.Add([]byte{}, uint16(0), byte(0))
	f.Fuzz(func(t *testing.T, b []byte, at uint16, mask byte) {
		if int(at) < len(b) {
			b = bytes.Clone(b)
			b[at] ^= mask
		}
		if _, err := pages.Read(b, 4096, bucketName); err != nil {
			return
		}
		path := filepath.Join(t.TempDir(), "image")
		ok(t, os.WriteFile(path, b, 0o600))
		db, err := bolt.Open(path, 0o600, &bolt.Options{NoFreelistSync: true})
		ok(t, err)
		defer func() { ok(t, db.Close()) }()
		// What follows must not panic; each change takes pages that bbolt thinks
		// free, and must leave the rest readable.
		for i := range 3 {
			var before, after map[string][]byte
			ok(t, db.View(func(tx *bolt.Tx) (err error) { before, err = all(tx.Bucket([]byte(bucketName))); return err }))
			ok(t, db.Update(func(tx *bolt.Tx) error {
				return tx.Bucket([]byte(bucketName)).Put([]byte{'~', byte(i)}, make([]byte, 5000))
			}))
			ok(t, db.View(func(tx *bolt.Tx) (err error) { after, err = all(tx.Bucket([]byte(bucketName))); return err }))
			for name, v := range before {
				if name[0] != '~' && !bytes.Equal(after[name], v) {
					t.Fatalf("the record %q changed", name)
				}
			}
		}
	})
}

// FuzzNotes gives the readers of the container's notes anything: what they accept
// has one encoding.
func FuzzNotes(f *testing.F) {
	path, _ := sample(f, false)
	c, err := Open(path)
	ok(f, err)
	n := c.current().notes
	ok(f, c.Close())
	put := func(name string, payload []byte) { f.Add(name, payload) }
	n.records(notes{}, nil, put)
	f.Add(prefixMeter+"123456789012", meter{}.marshal())
	f.Add(recordTrail, make([]byte, 8+16*(seal.MostTrail+1)))
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		n := notes{meters: map[meterID]meter{}}
		if !n.note(name, bytes.Clone(b)) {
			return
		}
		written := false
		n.records(notes{}, nil, func(again string, payload []byte) {
			written = again == name && bytes.Equal(payload, b)
		})
		if !written {
			t.Fatalf("%q: %x is read as something else", name, b)
		}
	})
}

// FuzzBinding gives the readers of bindings and of key files anything: what they
// accept is in its one encoding.
func FuzzBinding(f *testing.F) {
	key := bytes.Repeat([]byte{7}, bindingKeySize)
	for _, values := range [][]string{{"a", "b", "c"}, {"a", "", "c"}, {"", "b", "c"}} {
		l, err := bindToTraits(key, traits(values...))
		ok(f, err)
		f.Add(l.binding.marshal())
	}
	l, err := bindTo(BindFile, "/media/stick/quorate.key", key, key)
	ok(f, err)
	f.Add(l.binding.marshal())
	text := keyFile{serial: license.Serial{Mask: 3, Number: 1874829}, key: [32]byte{9}}.encode()
	f.Add(text)
	f.Add(bytes.ReplaceAll(text, []byte("\n"), []byte(" \r\n")))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, raw := range [][]byte{b, fixSum(b)} {
			if p, fine := parseBinding(raw); fine {
				if !bytes.Equal(p.marshal(), raw) || len(p.wraps) == 0 || len(p.wraps) > 3 || len(p.file) > mostPath {
					t.Fatalf("a binding has two encodings, or is out of bounds: %x", raw)
				}
				_, err := optionsOf([]Option{machine("a", "b", "c"), WithKeyFile("/nowhere/at/all")}).unlock(p)
				if c := license.CodeOf(err); c != "" && c != license.CodeContainerForeign {
					t.Fatalf("it is refused with %v", err)
				}
			}
		}
		if k, fine := parseKeyFile(b); fine {
			lines := strings.Split(strings.TrimSpace(string(b)), "\n")
			for i := range lines {
				lines[i] = strings.TrimRight(lines[i], " \t\r")
			}
			if strings.Join(lines, "\n")+"\n" != string(k.encode()) {
				t.Fatalf("a key file has two encodings: %q", b)
			}
		}
	})
}

// fixSum gives a binding its checksum, which a fuzzer can't guess.
func fixSum(b []byte) []byte {
	if len(b) < sha256.Size {
		return nil
	}
	b = b[:len(b)-sha256.Size]
	sum := sha256.Sum256(b)
	return append(bytes.Clone(b), sum[:]...)
}
