package container

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// machine gives traits with these values; "" is absent.
func machine(values ...string) Option {
	return WithTraits(func() [3]Trait { return traits(values...) })
}

func traits(values ...string) [3]Trait {
	return [3]Trait{{"system id", values[0]}, {"hardware id", values[1]}, {"network card", values[2]}}
}

// bound makes a container bound to a machine known by a, b and c.
func (v *vendor) bound(t testing.TB, path string) (*Container, *target) {
	t.Helper()
	return v.bind(t, path, license.Serial{Mask: license.MaskUniversal, Number: 1874829}, BindMachine, machine("a", "b", "c"))
}

func (v *vendor) bind(t testing.TB, path string, serial license.Serial, to Bind, option ...Option) (*Container, *target) {
	t.Helper()
	c, err := Create(path, Params{Serial: serial, Root: v.root.Public(), ActivationID: [16]byte{1}, Bind: to}, option...)
	ok(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c, &target{serial: serial, identity: c.Identity()}
}

// boundFile makes a bound container's file with a license and a staged update.
func boundFile(t testing.TB) (path, want string) {
	t.Helper()
	v := newVendor(t)
	path = filepath.Join(t.TempDir(), "container")
	c, to := v.bound(t, path)
	install(t, c, v.next(t, to, v.plain(20)))
	_, err := c.Stage(v.next(t, to, v.plain(30)))
	ok(t, err)
	want = content(c)
	ok(t, c.Close())
	return path, want
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	ok(t, err)
	return b
}

// TestTraits opens a container that was bound to a, b and c on machines of each
// kind.
func TestTraits(t *testing.T) {
	path, want := boundFile(t)
	good := read(t, path)
	for _, tt := range []struct {
		now     [3]string
		opens   bool
		rebound []string
	}{
		{[3]string{"a", "b", "c"}, true, nil},
		{[3]string{"a", "b", "x"}, true, []string{"network card"}},
		{[3]string{"a", "x", "c"}, true, []string{"hardware id"}},
		{[3]string{"x", "b", "c"}, true, []string{"system id"}},
		{[3]string{"a", "b", ""}, true, nil},
		{[3]string{"a", "", "c"}, true, nil},
		{[3]string{"", "b", "c"}, true, nil},
		{[3]string{"a", "x", "y"}, false, nil},
		{[3]string{"x", "b", "y"}, false, nil},
		{[3]string{"x", "y", "c"}, false, nil},
		{[3]string{"a", "x", ""}, false, nil},
		{[3]string{"a", "", "x"}, false, nil},
		{[3]string{"x", "", "c"}, false, nil},
		{[3]string{"", "b", "x"}, false, nil},
		{[3]string{"a", "", ""}, false, nil},
		{[3]string{"", "b", ""}, false, nil},
		{[3]string{"", "", "c"}, false, nil},
		{[3]string{"", "", ""}, false, nil},
		{[3]string{"x", "y", "z"}, false, nil},
		{[3]string{"b", "a", "c"}, false, nil}, // each in its place
		{[3]string{"c", "b", "a"}, false, nil},
		{[3]string{"ab", "", "c"}, false, nil},
		{[3]string{"a\x00\x00\x00\x01b", "", "c"}, false, nil},
	} {
		t.Run(fmt.Sprintf("%q", tt.now), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "container")
			ok(t, os.WriteFile(path, good, 0o600))
			c, err := Open(path, machine(tt.now[:]...))
			if !tt.opens {
				code(t, err, license.CodeContainerForeign)
				if !bytes.Equal(read(t, path), good) {
					t.Fatal("the file was changed")
				}
				return
			}
			ok(t, err)
			if content(c) != want || !slices.Equal(c.Rebound(), tt.rebound) {
				t.Fatalf("it opened with other content, or rebound %v", c.Rebound())
			}
			ok(t, c.Close())
			if tt.rebound == nil && !bytes.Equal(read(t, path), good) {
				t.Fatal("the file was changed though nothing had")
			}
			// What was absent still counts, and what changed counts anew.
			now := tt.now
			for i, v := range []string{"a", "b", "c"} {
				if now[i] == "" {
					now[i] = v
				}
			}
			for gone := range now {
				then := now
				then[gone] = "gone"
				c, err := Open(path, machine(then[:]...))
				ok(t, err)
				ok(t, c.Close())
				if tt.rebound == nil {
					ok(t, os.WriteFile(path, good, 0o600))
					continue
				}
				c, err = Open(path, machine(now[:]...))
				ok(t, err)
				ok(t, c.Close())
			}
		})
	}
}

// TestRebind changes a machine part by part, until nothing of it is left.
func TestRebind(t *testing.T) {
	path, want := boundFile(t)
	now := []string{"a", "b", "c"}
	for i := range 9 {
		now[i%3] = fmt.Sprint("new", i)
		c, err := Open(path, machine(now...))
		ok(t, err)
		if name := traits(now...)[i%3].Name; content(c) != want || !slices.Equal(c.Rebound(), []string{name}) {
			t.Fatalf("content or traits are others: %v", c.Rebound())
		}
		ok(t, c.Close())
		c, err = Open(path, machine(now...))
		ok(t, err)
		if c.Rebound() != nil {
			t.Fatalf("it was bound again: %v", c.Rebound())
		}
		ok(t, c.Close())
		if i == 1 { // two have changed, one after the other: the two from the start are another machine
			_, err := Open(path, machine("a", "b", "x"))
			code(t, err, license.CodeContainerForeign)
		}
	}
	_, err := Open(path, machine("a", "b", "c"))
	code(t, err, license.CodeContainerForeign)
}

// TestTwoTraits: a machine with two traits is enough, and a third one that comes
// later counts from then on.
func TestTwoTraits(t *testing.T) {
	v := newVendor(t)
	path := filepath.Join(t.TempDir(), "container")
	serial := license.Serial{Mask: 128, Number: 1}
	c, _ := v.bind(t, path, serial, BindMachine, machine("a", "", "c"))
	if c.Rebound() != nil {
		t.Fatal("a new container is bound anew")
	}
	ok(t, c.Close())
	_, err := Open(path, machine("a", "b", "x"))
	code(t, err, license.CodeContainerForeign)
	c, err = Open(path, machine("a", "b", "c"))
	ok(t, err)
	if !slices.Equal(c.Rebound(), []string{"hardware id"}) {
		t.Fatalf("rebound %v", c.Rebound())
	}
	ok(t, c.Close())
	c, err = Open(path, machine("x", "b", "c"))
	ok(t, err)
	ok(t, c.Close())
}

// TestBoundLife goes through a bound container's life: nothing is different.
func TestBoundLife(t *testing.T) {
	v := newVendor(t)
	path := filepath.Join(t.TempDir(), "container")
	c, to := v.bound(t, path)
	wrapped, err := seal.WrapKey(v.public, chart, []byte("data key"))
	ok(t, err)
	for n := uint32(1); n <= 5; n++ {
		receipt := install(t, c, v.next(t, to, v.plain(n)))
		if bind, file := c.Bound(); bind != BindMachine || file != "" || quantity(c) != n || version(t, c) != versionBound {
			t.Fatalf("bound to %d %q, quantity %d, version %d", bind, file, quantity(c), version(t, c))
		}
		key, err := c.OpenKey(chart, wrapped)
		ok(t, err)
		if string(key) != "data key" {
			t.Fatalf("key is %q", key)
		}
		ok(t, c.Close())
		c, err = Open(path, machine("a", "b", "c"))
		ok(t, err)
		receipts, err := c.Receipts()
		ok(t, err)
		if len(receipts) != 1 || !bytes.Equal(receipts[0], receipt) || !c.Identity().Equal(to.identity) {
			t.Fatal("the receipt or the identity changed")
		}
	}
	// Bound anew, it goes on as before.
	ok(t, c.Close())
	c, err = Open(path, machine("a", "b", "x"))
	ok(t, err)
	defer func() { ok(t, c.Close()) }()
	install(t, c, v.next(t, to, v.plain(6)))
	_, err = c.Fingerprint(nil)
	ok(t, err)
}

// TestNothingInTheClear: a copied file has none of the secrets in it.
func TestNothingInTheClear(t *testing.T) {
	v := newVendor(t)
	dir := t.TempDir()
	for name, bind := range map[string]Bind{"bound": BindMachine, "unbound": BindNone, "to a file": BindFile} {
		path := filepath.Join(dir, name)
		c, to := v.bind(t, path, license.Serial{Mask: license.MaskUniversal, Number: 7}, bind, machine("a", "b", "c"), WithKeyFile(filepath.Join(dir, "key")))
		identity := c.current().identity.Marshal()
		install(t, c, v.next(t, to, v.plain(20)))
		ok(t, c.Close())
		b := read(t, path)
		for what, secret := range map[string][]byte{"identity": identity[len(identity)-40:], "product key": v.private, "license": []byte("Chart Processing")} {
			if bytes.Contains(b, secret) != (bind == BindNone) {
				t.Errorf("%s: the %s in the clear: %v", name, what, bind != BindNone)
			}
		}
	}
}

// TestBindRefuses: nothing is made where a container can't be bound.
func TestBindRefuses(t *testing.T) {
	v := newVendor(t)
	dir := t.TempDir()
	there := filepath.Join(dir, "there")
	ok(t, os.WriteFile(there, []byte("somebody's"), 0o600))
	key, here := filepath.Join(dir, "key"), machine("a", "b", "c")
	serial := func(mask uint16) license.Serial { return license.Serial{Mask: mask, Number: 5} }
	for name, tt := range map[string]struct {
		serial license.Serial
		to     Bind
		option []Option
		code   license.Code
		says   string
	}{
		"no traits known":     {serial(130), BindMachine, nil, license.CodeInvalidInput, "which one this is"},
		"no traits":           {serial(130), BindMachine, []Option{machine("", "", "")}, license.CodeInvalidInput, "known by nothing alone"},
		"one trait":           {serial(129), BindMachine, []Option{machine("", "b", "")}, license.CodeInvalidInput, "known by its hardware id alone, and two traits of three are needed"},
		"dongle to nothing":   {serial(1), BindNone, nil, license.CodeInvalidInput, "5 stands in for a dongle: it has to be bound to a key file"},
		"dongle to a machine": {serial(3), BindMachine, []Option{here}, license.CodeInvalidInput, "--bind file:PATH"},
		"cloud to a machine":  {serial(140), BindMachine, []Option{here}, license.CodeInvalidInput, "bound to nothing"},
		"cloud to a file":     {serial(140), BindFile, []Option{WithKeyFile(key)}, license.CodeInvalidInput, "bound to nothing"},
		"virtual":             {serial(131), BindNone, nil, license.CodeInvalidInput, "never stored"},
		"no name":             {serial(2), BindFile, nil, license.CodeInvalidInput, "no usable name"},
		"bad name":            {serial(2), BindFile, []Option{WithKeyFile(dir + "/a\nb")}, license.CodeInvalidInput, "no usable name"},
		"long name":           {serial(2), BindFile, []Option{WithKeyFile(dir + "/" + strings.Repeat("x/", 2048))}, license.CodeInvalidInput, "no usable name"},
		"file there":          {serial(2), BindFile, []Option{WithKeyFile(there)}, license.CodeConflict, there},
		"no folder":           {serial(2), BindFile, []Option{WithKeyFile(dir + "/none/key")}, license.CodeNotFound, "there is no folder"},
		"unknown":             {serial(130), 9, nil, license.CodeInvalidInput, "nothing that a container can be bound to"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, "container")
			_, err := Create(path, Params{Serial: tt.serial, Root: v.root.Public(), Bind: tt.to}, tt.option...)
			code(t, err, tt.code)
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("it says %q", err)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 1 || string(read(t, there)) != "somebody's" {
				t.Fatalf("left over: %v, %v", left, err)
			}
		})
	}
	// The key file goes with the container that could not be made.
	_, err := Create(filepath.Join(dir, "none", "container"), Params{Serial: serial(1), Root: v.root.Public(), Bind: BindFile}, WithKeyFile(key))
	code(t, err, license.CodeUnavailable)
	_, err = Create(there, Params{Serial: serial(1), Root: v.root.Public(), Bind: BindFile}, WithKeyFile(key))
	code(t, err, license.CodeContainerExists)
	_, err = Create(key, Params{Serial: serial(1), Root: v.root.Public(), Bind: BindFile}, WithKeyFile(key))
	if err == nil {
		t.Fatal("a container lies where its key file should")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Fatalf("left over: %v, %v", left, err)
	}
}

// TestForeign says why a container does not open, in words that help.
func TestForeign(t *testing.T) {
	path, _ := boundFile(t)
	for says, option := range map[string][]Option{
		"the container is bound to another machine: ":                                                              {machine("x", "y", "z")},
		"the container is bound to another machine (this user can't read its hardware id): ":                       {machine("a", "", "z")},
		"this one is known by its system id alone (this user can't read its hardware id and network card): run it": {machine("a", "", "")},
	} {
		_, err := Open(path, option...)
		code(t, err, license.CodeContainerForeign)
		if !strings.Contains(err.Error(), says) {
			t.Errorf("it says %q, not %q", err, says)
		}
	}
	for _, option := range [][]Option{nil, {WithKeyFile(path)}} {
		_, err := Open(path, option...)
		code(t, err, license.CodeInvalidInput)
	}
}

// TestKeyFile: a container that is bound to a key file opens with it alone,
// wherever both lie.
func TestKeyFile(t *testing.T) {
	v := newVendor(t)
	dir := t.TempDir()
	t.Chdir(dir)
	path, key := filepath.Join(dir, "container"), filepath.Join(dir, "stick.key")
	serial := license.Serial{Mask: 3, Number: 77}
	c, to := v.bind(t, path, serial, BindFile, WithKeyFile("stick.key"))
	install(t, c, v.next(t, to, v.plain(20)))
	if bind, file := c.Bound(); bind != BindFile || file != key {
		t.Fatalf("it is bound to %d, %s", bind, file)
	}
	want := content(c)
	ok(t, c.Close())
	info, err := os.Stat(key)
	ok(t, err)
	text := read(t, key)
	if info.Mode().Perm() != 0o600 || !bytes.Contains(text, []byte("\nContainer: 3-77\n")) {
		t.Fatalf("mode %o, text %s", info.Mode().Perm(), text)
	}
	good := read(t, path)
	open := func(want2 license.Code, says string, option ...Option) {
		t.Helper()
		c, err := Open(path, option...)
		code(t, err, want2)
		if err != nil {
			if !strings.Contains(err.Error(), says) {
				t.Fatalf("it says %q, not %q", err, says)
			}
			if !bytes.Equal(read(t, path), good) {
				t.Fatal("the file was changed")
			}
			return
		}
		if content(c) != want || c.Rebound() != nil {
			t.Fatal("it opened with other content")
		}
		ok(t, c.Close())
	}
	open("", "")
	open("", "", machine("x", "", ""))
	moved := filepath.Join(dir, "moved.key")
	ok(t, os.Rename(key, moved))
	open(license.CodeContainerForeign, "bound to the key file "+key+", which is not there: insert the medium")
	open("", "", WithKeyFile(moved))
	open(license.CodeContainerForeign, "bound to the key file "+dir+"/nothing, which is not there", WithKeyFile(dir+"/nothing"))
	open(license.CodeContainerForeign, dir+" is none, or damaged", WithKeyFile(dir))
	ok(t, os.Chmod(moved, 0o644)) // as all files are on some media
	open("", "", WithKeyFile(moved))

	other, _ := v.bind(t, filepath.Join(dir, "other"), license.Serial{Mask: 1, Number: 8}, BindFile, WithKeyFile(key))
	ok(t, other.Close())
	open(license.CodeContainerForeign, "another key file than "+key+", which is that of a container 1-8")

	for name, altered := range map[string][]byte{
		"empty":   nil,
		"short":   text[:len(text)-40],
		"long":    append(bytes.Clone(text), bytes.Repeat([]byte("\n"), mostKeyFile)...),
		"renamed": bytes.Replace(text, []byte("3-77"), []byte("3-78"), 1),
		"twice":   append(bytes.Clone(text), text...),
	} {
		t.Run(name, func(t *testing.T) {
			ok(t, os.WriteFile(key, altered, 0o600))
			open(license.CodeContainerForeign, key+" is none, or damaged: restore it from a copy")
		})
	}
	for i := range text {
		altered := bytes.Clone(text)
		altered[i] ^= 1
		if _, fine := parseKeyFile(altered); fine && !bytes.Equal(bytes.TrimSpace(altered), bytes.TrimSpace(text)) {
			t.Fatalf("with byte %d altered it is a key file", i)
		}
	}
	ok(t, os.WriteFile(key, []byte("\r\n"+strings.ReplaceAll(string(text), "\n", " \r\n")+"\r\n"), 0o600))
	open("", "")
}

// TestBindingFormat keeps the bytes of the first version.
func TestBindingFormat(t *testing.T) {
	b := binding{kind: BindMachine, salt: [32]byte{1, 2, 3}, wraps: map[byte][wrapSize]byte{}}
	key := bytes.Repeat([]byte{7}, bindingKeySize)
	for i, p := range pairs() {
		ok(t, b.wrap(key, secretOf(traits("machine-id:1", "product_uuid:2", "mac:3"), p), byte(i))) //nolint:gosec // G115: small
	}
	f := binding{kind: BindFile, file: "/media/stick/quorate.key", wraps: map[byte][wrapSize]byte{}}
	k := keyFile{serial: license.Serial{Mask: 3, Number: 1874829}, key: [32]byte{9}}
	ok(t, f.wrap(key, k.key[:], 0))
	l, err := newLock(b, key)
	ok(t, err)
	got := fmt.Sprintf("machine %x\nfile %x\nkey %s\nrecord %x\n", b.marshal(), f.marshal(), base64.StdEncoding.EncodeToString(k.encode()),
		l.crypt(recordIdentity, mac(key, recordIdentity, []byte("payload")), []byte("payload")))
	name := filepath.Join("testdata", "binding.txt")
	if want := read(t, name); got != string(want) {
		t.Errorf("the format changed:\n%s", got)
	}
	for _, b := range []binding{b, f} {
		if c, fine := parseBinding(b.marshal()); !fine || !bytes.Equal(c.marshal(), b.marshal()) {
			t.Error("a binding is not readable")
		}
		r := b.marshal()
		for i := range r {
			bad := bytes.Clone(r)
			bad[i] ^= 1 << (i % 8)
			if _, fine := parseBinding(bad); fine {
				t.Errorf("with byte %d altered it is a binding", i)
			}
		}
	}
}

// TestBindingSecretsStay prints and logs what has a secret of a binding inside.
func TestBindingSecretsStay(t *testing.T) {
	v := newVendor(t)
	c, _ := v.bind(t, filepath.Join(t.TempDir(), "container"), license.Serial{Mask: 130, Number: 1}, BindMachine, machine("secret-a", "secret-b", "secret-c"))
	l := c.current().lock
	k := keyFile{key: [32]byte(l.key)}
	var log bytes.Buffer
	for _, value := range []any{traits("secret-a", "secret-b", "secret-c"), l, *l, k, &k, struct{ L *lock }{l}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s", "%q", "%d"} {
			fmt.Fprintf(&log, verb+"\n", value)
		}
		if b, err := json.Marshal(value); err == nil {
			log.Write(b)
		}
		slog.New(slog.NewJSONHandler(&log, nil)).Info("value", "v", value)
	}
	_, err := Open(c.db.Path(), machine("secret-x", "secret-y", ""))
	fmt.Fprintf(&log, "%v %+v %v", err, err, errors.Unwrap(err))
	for _, secret := range []string{"secret-", fmt.Sprintf("%x", "secret-"), hex.EncodeToString(l.key[:8]), fmt.Sprint(l.key[:8])[1:20]} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q shows", secret)
		}
	}
}
