package container

import (
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// rotate replaces the vendor's key, and gives the vendor as he was before.
func (v *vendor) rotate(t testing.TB) (before *vendor) {
	t.Helper()
	old := *v
	cert, err := seal.VerifyFirmCert(v.root.Public(), v.cert)
	ok(t, err)
	v.firm = newSigner(t)
	cert.Key, cert.Serial = v.firm.Public(), cert.Serial+1
	r, err := seal.SignRotation(old.firm, v.firm, firm, cert.Serial)
	ok(t, err)
	cert.Rotations = append(cert.Rotations, r)
	v.cert, err = seal.SignFirmCert(v.root, cert)
	ok(t, err)
	return &old
}

// forget makes the file what an earlier version of this package wrote.
func forget(t testing.TB, c *Container, path string) *Container {
	t.Helper()
	before := c.current().clone()
	clear(before.keys)
	before.notes = notes{}
	ok(t, c.Close())
	rewrite(t, path, func(b *bolt.Bucket) error {
		records, err := before.records()
		if err != nil {
			return err
		}
		if records[recordHeader][macSize+len(formatTag)] != versionPlain {
			t.Error("the older file is not one")
		}
		old, err := all(b)
		if err != nil {
			return err
		}
		for name := range old {
			if err := b.Delete([]byte(name)); err != nil {
				return err
			}
		}
		for name, r := range records {
			if err := b.Put([]byte(name), r); err != nil {
				return err
			}
		}
		return nil
	})
	c, err := Open(path)
	ok(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func version(t testing.TB, c *Container) byte {
	t.Helper()
	var v byte
	ok(t, c.view(func(b *bolt.Bucket) error { v = b.Get([]byte(recordHeader))[macSize+len(formatTag)]; return nil }))
	return v
}

// TestRotation: a container follows its firm's keys over any number of
// rotations, and over restarts, and never goes back.
func TestRotation(t *testing.T) {
	v := newVendor(t)
	path := filepath.Join(t.TempDir(), "container")
	c, to := v.create(t, path, 1)
	install(t, c, v.next(t, to, v.plain(20)))
	first := v.rotate(t)
	second := v.rotate(t)
	install(t, c, v.next(t, to, v.plain(21)))
	ok(t, c.Close())
	c, err := Open(path)
	ok(t, err)
	defer func() { ok(t, c.Close()) }()
	for _, old := range []*vendor{first, second} {
		_, err = c.Stage(old.seal(t, *to, to.number+1, to.previous, v.plain(99)))
		code(t, err, license.CodeUpdateUntrusted)
	}
	if quantity(c) != 21 || version(t, c) != formatVersion {
		t.Fatalf("holds %d, version %d", quantity(c), version(t, c))
	}
	install(t, c, v.next(t, to, v.plain(22)))
}

// TestRotationOfAnOlderFile: a file that keeps no keys yet takes an update from
// after a rotation, and one from before it if it comes first.
func TestRotationOfAnOlderFile(t *testing.T) {
	v := newVendor(t)
	path := filepath.Join(t.TempDir(), "container")
	c, to := v.create(t, path, 1)
	install(t, c, v.next(t, to, v.plain(20)))
	c = forget(t, c, path)
	old := v.rotate(t)
	install(t, c, old.next(t, to, v.plain(21)))
	c = forget(t, c, path)
	bare, err := seal.SignFirmCert(v.root, seal.FirmCert{Firm: firm, Key: v.firm.Public(), Serial: 2})
	ok(t, err)
	noChain := *v
	noChain.cert = bare
	_, err = c.Stage(noChain.seal(t, *to, to.number+1, to.previous, v.plain(99)))
	code(t, err, license.CodeUpdateUntrusted)
	install(t, c, v.next(t, to, v.plain(22)))
	_, err = c.Stage(old.seal(t, *to, to.number+1, to.previous, v.plain(99)))
	code(t, err, license.CodeUpdateUntrusted)
}

// TestStagingTeaches: a staged update's key is kept, and the key that it
// replaced can't be activated any more, nor staged in its place.
func TestStagingTeaches(t *testing.T) {
	v := newVendor(t)
	c, to := v.container(t)
	install(t, c, v.next(t, to, v.plain(20)))
	old := v.rotate(t)
	earlier := old.seal(t, *to, 2, to.previous, v.plain(98))
	_, err := c.Stage(earlier)
	ok(t, err)
	later := v.seal(t, *to, 2, to.previous, v.plain(21))
	s, err := c.Stage(later)
	ok(t, err)
	_, err = c.Stage(earlier)
	code(t, err, license.CodeUpdateUntrusted)
	_, err = c.Activate(s.Digest, nil)
	ok(t, err)
	// What is installed gives its receipt, whichever key it was signed with.
	again, err := c.Stage(later)
	ok(t, err)
	if !again.Installed || quantity(c) != 21 {
		t.Fatalf("%+v, %d", again, quantity(c))
	}
}

// TestFreshContainer: one that has seen nothing of a firm believes the root,
// and from then on the firm's keys.
func TestFreshContainer(t *testing.T) {
	v := newVendor(t)
	old := v.rotate(t)
	c, to := v.container(t)
	install(t, c, v.next(t, to, v.plain(20)))
	_, err := c.Stage(old.seal(t, *to, 2, to.previous, v.plain(99)))
	code(t, err, license.CodeUpdateUntrusted)
	usurper := *v
	usurper.firm = newSigner(t)
	usurper.cert, err = seal.SignFirmCert(v.root, seal.FirmCert{Firm: firm, Key: usurper.firm.Public(), Serial: 3})
	ok(t, err)
	_, err = c.Stage(usurper.seal(t, *to, 2, to.previous, v.plain(99)))
	code(t, err, license.CodeUpdateUntrusted)
}
