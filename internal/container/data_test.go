package container

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

func TestData(t *testing.T) {
	v := newVendor(t)
	c, to := v.container(t)
	protected, secret := license.DataName{1}, license.DataName{2}
	_, err := c.ProtectedData(chart, protected)
	code(t, err, license.CodeNoLicense)
	install(t, c, v.next(t, to, v.plain(1)))
	for _, name := range []license.DataName{protected, {}} {
		_, err = c.ProtectedData(chart, name)
		code(t, err, license.CodeNoLicense)
		_, err = c.UseSecret(chart, name, []byte("context"))
		code(t, err, license.CodeNoLicense)
	}
	g := v.grant(chart, 1, 0, nil)
	g.License.Options.Protected, g.License.Options.Secret = protected, secret
	g.Protected, g.Secret = []byte("protected data"), []byte("secret data")
	install(t, c, v.next(t, to, seal.Payload{Set: []seal.Grant{g}}))
	for range 2 { // a use leaves what is kept as it is
		b, err := c.ProtectedData(chart, protected)
		ok(t, err)
		if string(b) != "protected data" {
			t.Fatalf("data is %q", b)
		}
		key, err := c.UseSecret(chart, secret, []byte("context"))
		ok(t, err)
		// Made anew by hand, as docs/formats.md tells it.
		h := hmac.New(sha256.New, []byte("secret data"))
		h.Write([]byte("\x12quorate-use-secret\x01\x00\x5b\x8d\x8a\x00\x00\x00\x0e\x00\x00\x00\x07context"))
		if !bytes.Equal(key, h.Sum(nil)) {
			t.Fatalf("key is %x", key)
		}
	}
	one, err := c.UseSecret(chart, secret, []byte("context"))
	ok(t, err)
	other, err := c.UseSecret(chart, secret, []byte("contexT"))
	ok(t, err)
	if bytes.Equal(one, other) {
		t.Fatal("the key does not depend on the context")
	}
	// A name of the other kind of data opens nothing.
	_, err = c.ProtectedData(chart, secret)
	code(t, err, license.CodeNoLicense)
	_, err = c.UseSecret(chart, protected, []byte("context"))
	code(t, err, license.CodeNoLicense)
	_, err = c.UseSecret(chart, secret, nil)
	code(t, err, license.CodeInvalidInput)
	_, err = c.UseSecret(chart, secret, make([]byte, MostContext+1))
	code(t, err, license.CodeInvalidInput)
	_, err = c.UseSecret(chart, secret, make([]byte, MostContext))
	ok(t, err)

	// None of it leaves with what the container tells of itself.
	f, err := c.Fingerprint(nil)
	ok(t, err)
	s, err := c.Statement(make([]byte, 16))
	ok(t, err)
	_, held := c.Licenses()
	shown := fmt.Sprintf("%s %s %+v %+v %+v", f, s, held, c.current(), c.current().licenses)
	for _, hidden := range []string{"protected data", "secret data"} {
		if strings.Contains(shown, hidden) || strings.Contains(shown, fmt.Sprint([]byte(hidden))) {
			t.Fatalf("the %s is told", hidden)
		}
	}
	install(t, c, v.next(t, to, v.plain(1)))
	_, err = c.ProtectedData(chart, protected)
	code(t, err, license.CodeNoLicense)
}
