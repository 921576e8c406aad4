package container

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

func TestCreate(t *testing.T) {
	v := newVendor(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "container")
	c, to := v.create(t, path, 1874829)
	if c.Serial() != to.serial || c.ActivationID() != [16]byte{1} || !bytes.Equal(c.Root(), v.root.Public()) {
		t.Fatal("the container is not what it was created with")
	}
	info, err := os.Stat(path)
	ok(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Fatalf("mode is %o", info.Mode().Perm())
	}
	entries, err := os.ReadDir(dir)
	ok(t, err)
	if len(entries) != 1 {
		t.Fatalf("there is more than the container: %v", entries)
	}
	identity := c.Identity()
	ok(t, c.Close())
	ok(t, c.Close())

	before, err := os.ReadFile(path)
	ok(t, err)
	_, err = Create(path, Params{Serial: to.serial, Root: v.root.Public()})
	code(t, err, license.CodeContainerExists)
	after, err := os.ReadFile(path)
	ok(t, err)
	if !bytes.Equal(before, after) {
		t.Fatal("create changed an existing container")
	}

	c, err = Open(path)
	ok(t, err)
	defer func() { ok(t, c.Close()) }()
	if !c.Identity().Equal(identity) {
		t.Fatal("the identity changed")
	}
}

func TestCreateRefuses(t *testing.T) {
	v := newVendor(t)
	path := filepath.Join(t.TempDir(), "container")
	good := license.Serial{Mask: license.MaskUniversal, Number: 1}
	for name, p := range map[string]Params{
		"no serial":      {Root: v.root.Public()},
		"unknown mask":   {Root: v.root.Public(), Serial: license.Serial{Mask: 99, Number: 1}},
		"virtual":        {Root: v.root.Public(), Serial: license.Serial{Mask: license.MaskVirtual, Number: 1}},
		"no root key":    {Serial: good},
		"short root key": {Serial: good, Root: v.root.Public()[:31]},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Create(path, p)
			code(t, err, license.CodeInvalidInput)
			if _, err := os.Stat(path); err == nil {
				t.Fatal("a file was made")
			}
		})
	}
	_, err := Create(filepath.Join(t.TempDir(), "no such folder", "container"), Params{Serial: good, Root: v.root.Public()})
	code(t, err, license.CodeUnavailable)
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(filepath.Join(dir, "absent"))
	code(t, err, license.CodeNotFound)
	if _, err := os.Stat(filepath.Join(dir, "absent")); err == nil {
		t.Fatal("open made a file")
	}
	_, err = Open(dir)
	code(t, err, license.CodeContainerCorrupt)
	for name, content := range map[string][]byte{
		"empty": nil,
		"short": []byte("quorate"),
		"zeros": make([]byte, 32<<10),
		"text":  bytes.Repeat([]byte("not a container\n"), 4096),
	} {
		path := filepath.Join(dir, name)
		ok(t, os.WriteFile(path, content, 0o600))
		_, err := Open(path)
		code(t, err, license.CodeContainerCorrupt)
		after, err := os.ReadFile(path)
		ok(t, err)
		if !bytes.Equal(content, after) {
			t.Fatalf("%s: the file was changed", name)
		}
	}
}

func TestOpenInUse(t *testing.T) {
	v := newVendor(t)
	path := filepath.Join(t.TempDir(), "container")
	c, _ := v.create(t, path, 1)
	_, err := Open(path)
	code(t, err, license.CodeContainerInUse)
	ok(t, c.Close())
	c, err = Open(path)
	ok(t, err)
	ok(t, c.Close())
}

func TestClosed(t *testing.T) {
	v := newVendor(t)
	c, to := v.container(t)
	update := v.next(t, to, v.plain(20))
	watch := c.Watch(t.Context())
	ok(t, c.Close())
	if _, open := <-watch; open {
		t.Fatal("the watcher was told of a change")
	}
	if _, open := <-c.Watch(t.Context()); open {
		t.Fatal("a watcher of a closed container was told of a change")
	}
	_, err := c.Stage(update)
	code(t, err, license.CodeUnavailable)
	_, err = c.Activate(seal.Digest(update), nil)
	code(t, err, license.CodeUnavailable)
	_, err = c.Fingerprint(nil)
	code(t, err, license.CodeUnavailable)
	_, err = c.Statement(make([]byte, 16))
	code(t, err, license.CodeUnavailable)
	_, err = c.OpenKey(chart, nil)
	code(t, err, license.CodeUnavailable)
	_, err = c.UseSecret(chart, license.DataName{1}, []byte{1})
	code(t, err, license.CodeUnavailable)
	_, err = c.PromiseMeters(1)
	code(t, err, license.CodeUnavailable)
	code(t, c.Certify(nil), license.CodeUnavailable)
	if c.Moment().At.IsZero() || c.TimeNonce() == [16]byte{} {
		t.Fatal("a closed container tells no time")
	}
}

func TestFingerprint(t *testing.T) {
	v := newVendor(t)
	c, to := v.container(t)
	update := v.next(t, to, v.plain(20))
	install(t, c, update)
	b, err := c.Fingerprint([]byte("sixteen bytes it"))
	ok(t, err)
	f, err := seal.OpenFingerprint(b)
	ok(t, err)
	if f.Serial != to.serial || f.ActivationID != c.ActivationID() || !f.Identity.Equal(to.identity) || !bytes.Equal(f.Root, v.root.Public()) ||
		string(f.Nonce) != "sixteen bytes it" || f.At.IsZero() {
		t.Fatalf("fingerprint is %+v", f)
	}
	if got := c.Counters(); len(got) != 1 || got[firm] != 1 {
		t.Errorf("%v updates are counted", got)
	}
	if want := (seal.FirmState{Firm: firm, Counter: 1, Digest: seal.Digest(update)}); len(f.Firms) != 1 || f.Firms[0] != want {
		t.Fatalf("firms are %+v", f.Firms)
	}
	if len(f.Licenses) != 1 || f.Licenses[0].Options.Quantity != 20 {
		t.Fatalf("licenses are %+v", f.Licenses)
	}
	_, err = c.Fingerprint(make([]byte, seal.MostNonce+1))
	code(t, err, license.CodeInvalidInput)
}

func TestStatement(t *testing.T) {
	v := newVendor(t)
	c, to := v.container(t)
	install(t, c, v.next(t, to, v.plain(20)))
	nonce := bytes.Repeat([]byte{7}, 16)
	b, err := c.Statement(nonce)
	ok(t, err)
	s, err := seal.OpenStatement(b, to.identity.Sign)
	ok(t, err)
	if s.Serial != to.serial || !bytes.Equal(s.Nonce, nonce) || len(s.Licenses) != 1 {
		t.Fatalf("statement is %+v", s)
	}
	for _, n := range []int{0, 15, 65} {
		_, err := c.Statement(make([]byte, n))
		code(t, err, license.CodeInvalidInput)
	}
}

func TestOpenKey(t *testing.T) {
	v := newVendor(t)
	c, to := v.container(t)
	wrapped, err := seal.WrapKey(v.public, chart, []byte("data key"))
	ok(t, err)
	_, err = c.OpenKey(chart, wrapped)
	code(t, err, license.CodeNoLicense)
	install(t, c, v.next(t, to, v.plain(20)))
	key, err := c.OpenKey(chart, wrapped)
	ok(t, err)
	if string(key) != "data key" {
		t.Fatalf("key is %q", key)
	}
	// The container's own copy of the secret survives a call.
	_, err = c.OpenKey(chart, wrapped)
	ok(t, err)
	wrapped[len(wrapped)-1] ^= 1
	_, err = c.OpenKey(chart, wrapped)
	code(t, err, license.CodeKeyRefused)

	without := v.grant(chart, 20, 0, nil)
	without.ProductKey = nil
	install(t, c, v.next(t, to, seal.Payload{Set: []seal.Grant{without}}))
	wrapped[len(wrapped)-1] ^= 1
	_, err = c.OpenKey(chart, wrapped)
	code(t, err, license.CodeKeyRefused)

	install(t, c, v.next(t, to, seal.Payload{Remove: []license.Product{chart}}))
	_, err = c.OpenKey(chart, wrapped)
	code(t, err, license.CodeNoLicense)
}

func TestWatch(t *testing.T) {
	v := newVendor(t)
	c, to := v.container(t)
	ctx, cancel := context.WithCancel(t.Context())
	first, second := c.Watch(ctx), c.Watch(t.Context())
	version, _ := c.Licenses()
	update := v.next(t, to, v.plain(20))
	s, err := c.Stage(update)
	ok(t, err)
	select {
	case <-first:
		t.Fatal("staging was told of as a change")
	default:
	}
	_, err = c.Activate(s.Digest, nil)
	ok(t, err)
	<-first
	if now, held := c.Licenses(); now != version+1 || len(held) != 1 {
		t.Fatalf("version is %d after %d", now, version)
	}
	install(t, c, v.next(t, to, v.plain(30)))
	<-first
	<-second // told of both at once
	select {
	case <-second:
		t.Fatal("a change was told of twice")
	default:
	}
	cancel()
	if _, open := <-first; open {
		t.Fatal("the watcher is open after its context ended")
	}
}

func TestLicensesAreCopies(t *testing.T) {
	v := newTrio(t)
	install(t, v.c[0], v.issue(t, 0, 30, 8, &license.Options{Quantity: 20, TMRID: 7}))
	_, held := v.c[0].Licenses()
	held[0].Predecessor.Quantity = 1000
	g, _ := v.c[0].Group()
	g.Members[1].Key[0] ^= 1
	one, _ := v.c[0].License(chart)
	one.Predecessor.Quantity = 1000
	_, held = v.c[0].Licenses()
	if one, found := v.c[0].License(chart); held[0].Predecessor.Quantity != 20 || !found || one.Predecessor.Quantity != 20 || one.Product != chart {
		t.Fatal("a caller changed the container's state")
	}
	if _, found := v.c[0].License(license.Product{Firm: firm, Code: 15}); found {
		t.Fatal("there is a license for another product")
	}
	if g, in := v.c[0].Group(); !in || !g.Equal(v.group) {
		t.Fatal("a caller changed the container's group")
	}
}
