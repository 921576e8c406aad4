package container

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/quorate/quorate/internal/container/pages"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// pageHeader is what stands before the content of a page, and of a bucket.
const pageHeader = 16

// sample makes a container's file with licenses, a group, a receipt, a staged
// update and everything that is noted in it; large makes it a tree of several
// pages.
func sample(t testing.TB, large bool) (path string, want string) {
	t.Helper()
	g := newTrio(t)
	g.start(t)
	path = g.path(t)
	c, err := Open(path)
	ok(t, err)
	if large {
		var set []seal.Grant
		for i := range 120 {
			set = append(set, g.grant(license.Product{Firm: firm, Code: license.ProductCode(100 + i)}, 1, 0, nil)) //nolint:gosec // G115: small
		}
		g.c[0] = c
		g.roll(t, 0, g.next(t, g.to[0], seal.Payload{Set: set}))
	}
	counted := g.units(100, 2)
	counted.Set[0].License.Product.Code = 15
	g.c[0] = c
	g.roll(t, 0, g.next(t, g.to[0], counted))
	_, err = c.TakeUnits(license.Product{Firm: firm, Code: 15}, request(1), 3)
	ok(t, err)
	ok(t, c.WriteMeter(4, meterOf(0, 5, license.Taken{Request: request(2), Units: 5})))
	b, err := seal.SignTime(g.root, seal.TimeCertificate{Serial: c.Serial(), Nonce: c.TimeNonce(), At: time.Now()})
	ok(t, err)
	ok(t, c.Certify(b))
	for range 3 {
		_, err = c.Fingerprint(nil)
		ok(t, err)
	}
	_, err = c.Stage(g.issue(t, 0, 30, 8, &license.Options{Quantity: 20, TMRID: 7}))
	ok(t, err)
	want = content(c)
	ok(t, c.Close())
	return path, want
}

// path closes backend 0 and gives its file.
func (g *trio) path(t testing.TB) string {
	t.Helper()
	path := g.c[0].db.Path()
	ok(t, g.c[0].Close())
	return path
}

// content is everything that must not change unnoticed. A staged update is not
// part of it, nor is the last minute: they may get lost with a meta page, and
// come again.
func content(c *Container) string {
	s := c.current()
	version, held := c.Licenses()
	h := sha256.New()
	for _, f := range s.firms {
		fmt.Fprintf(h, "%d %x %x", f.number, f.digest, f.receipt)
	}
	for _, l := range held {
		p := l.Predecessor
		if l.Predecessor = nil; l.Options.Units != nil {
			fmt.Fprint(h, *l.Options.Units)
			l.Options.Units = nil
		}
		fmt.Fprintf(h, "%v %v %x", l, p, s.licenses[l.Product].ProductKey)
	}
	all, err := c.PromiseMeters(s.promised)
	if err != nil {
		return err.Error()
	}
	fmt.Fprintf(h, "%v %v %d %v %x %v", all, c.Use(license.Product{Firm: firm, Code: 15}), s.promised, s.trail, s.clock.nonce, s.clock.certified.UnixMilli())
	fmt.Fprintf(h, "%d %v %v %x", version, s.serial, s.group, c.Identity().Digest())
	return fmt.Sprintf("%x", h.Sum(nil))
}

// TestFlippedBytes damages bytes all over the file, one at a time, and every
// byte of the pages' heads: either it is reported, and the file is left alone, or
// everything still verifies and is the same.
func TestFlippedBytes(t *testing.T) {
	for name, large := range map[string]bool{"small": false, "large": true} {
		t.Run(name, func(t *testing.T) {
			path, want := sample(t, large)
			step := 13
			if large {
				step = 127
			}
			flipBytes(t, path, want, step)
		})
	}
}

func flipBytes(t *testing.T, path, want string, step int, option ...Option) {
	good, err := os.ReadFile(path)
	ok(t, err)
	used := lastUsed(t, path)
	if testing.Short() {
		step *= 31
	}
	reported, harmless := 0, 0
	for at := range used {
		if inPage := at % os.Getpagesize(); at%step != 0 && (testing.Short() || inPage >= 48) {
			continue
		}
		bad := bytes.Clone(good)
		bad[at] ^= 1 << (at / step % 8)
		err := verifyImage(bad, option...)
		// Open, which is slower, must come to the same on a part of them.
		if at%11 == 0 {
			opened := openBytes(t, bad, want, option...)
			if (opened == nil) != (err == nil) {
				t.Fatalf("byte %d: open gives %v, the image %v", at, opened, err)
			}
		}
		if err != nil {
			code(t, err, license.CodeContainerCorrupt)
			reported++
			continue
		}
		harmless++
	}
	t.Logf("of %d bytes in use: %d damages were reported, %d touched nothing that counts", used, reported, harmless)
	if reported == 0 {
		t.Fatal("no damage was reported")
	}
}

// TestFlippedBytesOfNewContainer goes on with what opens: a damage that was
// overlooked would show when the file is written.
func TestFlippedBytesOfNewContainer(t *testing.T) {
	v := newVendor(t)
	path := filepath.Join(t.TempDir(), "container")
	c, to := v.create(t, path, 1)
	ok(t, c.Close())
	update := v.next(t, to, v.plain(20))
	good, err := os.ReadFile(path)
	ok(t, err)
	harmless, opened := 0, 0
	for at, value := range good {
		// All of the heads, and some of the rest.
		if at%os.Getpagesize() >= 48 && (value == 0 && at%97 != 0 || at%13 != 0) || testing.Short() && at%7 != 0 {
			continue
		}
		bad := bytes.Clone(good)
		bad[at] ^= 1 << (at % 8)
		if verifyImage(bad) != nil {
			continue
		}
		if harmless++; harmless%8 != 0 {
			continue
		}
		opened++
		damagedPath := filepath.Join(t.TempDir(), "container")
		ok(t, os.WriteFile(damagedPath, bad, 0o600))
		for range 2 {
			c, err := Open(damagedPath)
			ok(t, err)
			install(t, c, update)
			ok(t, c.Close())
		}
		ok(t, os.Remove(damagedPath))
	}
	t.Logf("%d damaged files opened and took an update", opened)
}

func lastUsed(t testing.TB, path string) int {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true})
	ok(t, err)
	defer func() { ok(t, db.Close()) }()
	size := int64(0)
	ok(t, db.View(func(tx *bolt.Tx) error { size = tx.Size(); return nil }))
	return int(size)
}

func verifyImage(b []byte, option ...Option) error {
	records, err := pages.Read(b, os.Getpagesize(), bucketName)
	if err == nil {
		_, err = decode(records, optionsOf(option).unlock)
	}
	return damaged(err)
}

// openBytes opens a file of these bytes, checks that a failed Open left it as it
// was and that a successful one gives the expected content.
func openBytes(t testing.TB, b []byte, want string, option ...Option) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "container")
	ok(t, os.WriteFile(path, b, 0o600))
	defer func() { _ = os.Remove(path) }()
	c, err := Open(path, option...)
	if err != nil {
		code(t, err, license.CodeContainerCorrupt)
		after, rerr := os.ReadFile(path)
		ok(t, rerr)
		if !bytes.Equal(b, after) {
			t.Fatal("a failed open changed the file")
		}
		return err
	}
	defer func() { ok(t, c.Close()) }()
	if content(c) != want {
		t.Fatal("a damaged file opened with other content")
	}
	return nil
}

// TestTruncated cuts the file at each page, and in the middle of pages.
func TestTruncated(t *testing.T) {
	path, want := sample(t, true)
	good, err := os.ReadFile(path)
	ok(t, err)
	for n := 0; n < lastUsed(t, path); n += os.Getpagesize() / 2 {
		if openBytes(t, good[:n], want) == nil {
			t.Fatalf("the first %d bytes opened", n)
		}
	}
}

// TestDamagedMeta: one damaged meta page never brings an older state back.
func TestDamagedMeta(t *testing.T) {
	v := newVendor(t)
	path := filepath.Join(t.TempDir(), "container")
	c, to := v.create(t, path, 1)
	for n := uint32(1); n <= 5; n++ {
		install(t, c, v.next(t, to, v.plain(n)))
		want := content(c)
		ok(t, c.Close())
		good, err := os.ReadFile(path)
		ok(t, err)
		for page := range 2 {
			bad := bytes.Clone(good)
			bad[page*os.Getpagesize()+pageHeader+20] ^= 1
			ok(t, openBytes(t, bad, want))
		}
		both := bytes.Clone(good)
		both[pageHeader+20] ^= 1
		both[os.Getpagesize()+pageHeader+20] ^= 1
		if openBytes(t, both, want) == nil {
			t.Fatal("it opened without a meta page")
		}
		c, err = Open(path)
		ok(t, err)
	}
	ok(t, c.Close())
}

// rewrite edits the records as somebody with a bbolt tool would.
func rewrite(t testing.TB, path string, f func(*bolt.Bucket) error) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{NoFreelistSync: true})
	ok(t, err)
	ok(t, db.Update(func(tx *bolt.Tx) error { return f(tx.Bucket([]byte(bucketName))) }))
	ok(t, db.Close())
}

// TestEditedRecords changes records behind the container's back.
func TestEditedRecords(t *testing.T) {
	name, meter := []byte(licenseRecord(chart)), []byte(meterID{chart, 0}.record())
	var old, oldMeter, oldClock []byte
	for what, edit := range map[string]func(b *bolt.Bucket) error{
		"license gone":      func(b *bolt.Bucket) error { return b.Delete(name) },
		"license altered":   func(b *bolt.Bucket) error { v := bytes.Clone(b.Get(name)); v[len(v)-40] ^= 1; return b.Put(name, v) },
		"license moved":     func(b *bolt.Bucket) error { return b.Put([]byte(prefixLicense+"12345678"), bytes.Clone(b.Get(name))) },
		"license too short": func(b *bolt.Bucket) error { return b.Put(name, []byte("short")) },
		"older license":     func(b *bolt.Bucket) error { return b.Put(name, old) },
		"unknown record":    func(b *bolt.Bucket) error { return b.Put([]byte("more"), make([]byte, 64)) },
		"group gone":        func(b *bolt.Bucket) error { return b.Delete([]byte(recordGroup)) },
		"meter gone":        func(b *bolt.Bucket) error { return b.Delete(meter) },
		"meter altered":     func(b *bolt.Bucket) error { v := bytes.Clone(b.Get(meter)); v[len(v)-1] ^= 1; return b.Put(meter, v) },
		"meter moved": func(b *bolt.Bucket) error {
			return b.Put([]byte(meterID{chart, 9}.record()), bytes.Clone(b.Get(meter)))
		},
		"older meter":   func(b *bolt.Bucket) error { return b.Put(meter, oldMeter) },
		"clock gone":    func(b *bolt.Bucket) error { return b.Delete([]byte(recordClock)) },
		"older clock":   func(b *bolt.Bucket) error { return b.Put([]byte(recordClock), oldClock) },
		"trail gone":    func(b *bolt.Bucket) error { return b.Delete([]byte(recordTrail)) },
		"promise gone":  func(b *bolt.Bucket) error { return b.Delete([]byte(recordPromise)) },
		"staged gone":   func(b *bolt.Bucket) error { return b.Delete([]byte(recordStaged)) },
		"counter gone":  func(b *bolt.Bucket) error { return b.Delete([]byte(firmRecord(firm))) },
		"identity gone": func(b *bolt.Bucket) error { return b.Delete([]byte(recordIdentity)) },
		"state gone":    func(b *bolt.Bucket) error { return b.Delete([]byte(recordState)) },
		"header gone":   func(b *bolt.Bucket) error { return b.Delete([]byte(recordHeader)) },
		"bucket inside": func(b *bolt.Bucket) error { _, err := b.CreateBucket([]byte("inside")); return err },
		"bucket gone":   func(b *bolt.Bucket) error { return b.Tx().DeleteBucket([]byte(bucketName)) },
		"bucket beside": func(b *bolt.Bucket) error { _, err := b.Tx().CreateBucket([]byte("beside")); return err },
	} {
		t.Run(what, func(t *testing.T) {
			g := newTrio(t)
			g.start(t)
			path := g.c[0].db.Path()
			ok(t, g.c[0].WriteMeter(1, meterOf(0, 1)))
			ok(t, g.c[0].view(func(b *bolt.Bucket) error {
				old, oldMeter, oldClock = bytes.Clone(b.Get(name)), bytes.Clone(b.Get(meter)), bytes.Clone(b.Get([]byte(recordClock)))
				return nil
			}))
			ok(t, g.c[0].WriteMeter(1, meterOf(0, 2)))
			_, err := g.c[0].Fingerprint(nil)
			ok(t, err)
			g.roll(t, 0, g.issue(t, 0, 30, 8, nil))
			_, err = g.c[0].Stage(g.issue(t, 0, 40, 9, nil))
			ok(t, err)
			ok(t, g.c[0].Close())
			rewrite(t, path, edit)
			before, err := os.ReadFile(path)
			ok(t, err)
			_, err = Open(path)
			code(t, err, license.CodeContainerCorrupt)
			after, err := os.ReadFile(path)
			ok(t, err)
			if !bytes.Equal(before, after) {
				t.Fatal("the file was changed")
			}
		})
	}
}

// TestDamageUnderOpenContainer: what is read of the file while it is open is
// verified too.
func TestDamageUnderOpenContainer(t *testing.T) {
	v := newVendor(t)
	c, to := v.container(t)
	install(t, c, v.next(t, to, v.units(20, 0)))
	wrapped, err := seal.WrapKey(v.public, chart, []byte("data key"))
	ok(t, err)
	ok(t, c.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte(bucketName))
		name := []byte(licenseRecord(chart))
		value := bytes.Clone(b.Get(name))
		value[len(value)-1] ^= 1
		return b.Put(name, value)
	}))
	_, err = c.OpenKey(chart, wrapped)
	code(t, err, license.CodeContainerCorrupt)
	_, err = c.Fingerprint(nil)
	code(t, err, license.CodeContainerCorrupt)
	_, err = c.Statement(make([]byte, 16))
	code(t, err, license.CodeContainerCorrupt)
	_, err = c.Stage(v.next(t, to, v.plain(30)))
	code(t, err, license.CodeContainerCorrupt)
	_, err = c.Activate([32]byte{}, nil)
	code(t, err, license.CodeContainerCorrupt)
	_, err = c.TakeUnits(chart, request(1), 1)
	code(t, err, license.CodeContainerCorrupt)
	_, err = c.ProtectedData(chart, license.DataName{1})
	code(t, err, license.CodeContainerCorrupt)
	_, err = c.UseSecret(chart, license.DataName{1}, []byte{1})
	code(t, err, license.CodeContainerCorrupt)
	_, err = c.PromiseMeters(1)
	code(t, err, license.CodeContainerCorrupt)
	code(t, c.Certify(nil), license.CodeContainerCorrupt)
	if c.Moment().At.IsZero() || c.TimeNonce() == [16]byte{} {
		t.Fatal("it tells no time")
	}
}

// TestPagesDamagedUnderOpenContainer scribbles over the pages of an open file:
// bbolt may panic or fault, the process goes on.
func TestPagesDamagedUnderOpenContainer(t *testing.T) {
	path, _ := sample(t, true)
	c, err := Open(path)
	ok(t, err)
	defer func() { _ = c.Close() }()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	ok(t, err)
	used := lastPages(t, c)
	_, err = f.WriteAt(bytes.Repeat([]byte{0xff}, used-2*os.Getpagesize()), int64(2*os.Getpagesize()))
	ok(t, errors.Join(err, f.Close()))
	_, err = c.Fingerprint(nil)
	code(t, err, license.CodeContainerCorrupt)
	_, err = c.OpenKey(chart, nil)
	code(t, err, license.CodeContainerCorrupt)
	// The file shrinks under the memory map: reading faults.
	ok(t, os.Truncate(path, int64(2*os.Getpagesize())))
	_, err = c.Fingerprint(nil)
	code(t, err, license.CodeContainerCorrupt)
}

func lastPages(t testing.TB, c *Container) (size int) {
	t.Helper()
	ok(t, c.db.View(func(tx *bolt.Tx) error { size = int(tx.Size()); return nil }))
	return size
}

// TestUnknownVersion: a file of a later version is not called damaged.
func TestUnknownVersion(t *testing.T) {
	v := newVendor(t)
	path := filepath.Join(t.TempDir(), "container")
	c, _ := v.create(t, path, 1)
	s := c.current()
	ok(t, c.Close())
	rewrite(t, path, func(b *bolt.Bucket) error {
		records, err := all(b)
		if err != nil {
			return err
		}
		header := records[recordHeader][macSize:]
		header[len(formatTag)] = formatVersion + 1
		records[recordHeader] = append(mac(s.macKey, recordHeader, header), header...)
		sum := summary(s.version, records)
		if err := b.Put([]byte(recordHeader), records[recordHeader]); err != nil {
			return err
		}
		return b.Put([]byte(recordState), append(mac(s.macKey, recordState, sum), sum...))
	})
	_, err := Open(path)
	code(t, err, license.CodeFormatUnknown)
}
