package options

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/quorate/quorate/internal/license"
)

func TestProtectedData(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.update(nil)
		p := l.gets("a program")
		_, err := p.data()
		wantCode(t, "no data", err, license.CodeNotFound)
		for name, content := range map[string][]byte{
			"a byte": {0}, "some": []byte("settings"), "the most": bytes.Repeat([]byte{7}, license.MostData),
		} {
			l.update(func(o *terms) { o.protected = content })
			if got, err := p.data(); !bytes.Equal(got, content) || err != nil {
				t.Errorf("%s: %d bytes, %v", name, len(got), err)
			}
			if l.listed().GetOptions().GetProtected() == nil {
				t.Errorf("%s: not listed", name)
			}
		}
		l.update(nil)
		_, err = p.data()
		wantCode(t, "removed by an update", err, license.CodeNotFound)
		l.update(func(o *terms) { o.protected = []byte("settings") })
		p.release()
		_, err = p.data()
		wantCode(t, "without a handle", err, license.CodeHandleUnknown)
		wantCode(t, "a byte too many", l.tryUpdate(func(o *terms) { o.protected = make([]byte, license.MostData+1) }), license.CodeInvalidInput)
	})
}

// A key depends on the secret data, the product and what it is for, and on no
// machine: so those who have the secret data compute it, and nobody else does.
func TestSecretData(t *testing.T) {
	keys := map[string][]byte{}
	run(t, func(t *testing.T, l *lab) {
		l.update(nil)
		p := l.gets("a program")
		_, err := p.derive("files")
		wantCode(t, "no data", err, license.CodeNotFound)
		derive := func(secret, use string) []byte {
			t.Helper()
			key, err := p.derive(use)
			ok(t, err)
			if len(key) != sha256.Size || bytes.Contains(key, []byte(secret)) {
				t.Errorf("the key of %q for %q is %x", secret, use, key)
			}
			if other := keys[secret+"/"+use]; other != nil && !bytes.Equal(key, other) {
				t.Errorf("%q for %q gives two keys", secret, use)
			}
			keys[secret+"/"+use] = key
			return key
		}
		set := func(secret string) { l.update(func(o *terms) { o.secret = []byte(secret) }) }
		set("one")
		one := derive("one", "files")
		if bytes.Equal(one, derive("one", "models")) || !bytes.Equal(one, derive("one", "files")) {
			t.Error("the key doesn't depend on what it is for alone")
		}
		set("two")
		if bytes.Equal(one, derive("two", "files")) {
			t.Error("another secret gives the same key")
		}
		set("one")
		derive("one", "files")
		l.update(func(o *terms) { o.secret, o.protected = []byte("one"), []byte("shown") })
		derive("one", "files")
		if got, err := p.data(); string(got) != "shown" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		l.update(nil)
		_, err = p.derive("files")
		wantCode(t, "removed by an update", err, license.CodeNotFound)
	})
	if len(keys) != 3 {
		t.Errorf("keys %v", keys)
	}
}
