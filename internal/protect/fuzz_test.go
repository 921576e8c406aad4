package protect

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/plugin"

	"github.com/quorate/quorate/internal/license"
)

// FuzzStanza gives the parser of stanzas anything. It never panics, asks only
// for the product that the stanza names, with the key as it stands there, and
// every refusal has a code.
func FuzzStanza(f *testing.F) {
	k := newKit(f)
	stanzas, err := k.to.Wrap(make([]byte, fileKeySize))
	if err != nil {
		f.Fatal(err)
	}
	body := stanzas[0].Body
	f.Add("6000010:14", body)
	f.Add("6000010:15", body)
	f.Add("06000010:14", body)
	f.Add("6000010:14 6000010:14", body)
	f.Add("", body)
	f.Add("6000010:14", []byte{})
	f.Add("6000010:14", body[:len(body)-1])
	f.Add("6000010:14", append(bytes.Clone(body), 0))
	f.Add("4294967295:4294967295", bytes.Repeat([]byte{0xff}, 5000))
	f.Fuzz(func(t *testing.T, args string, body []byte) {
		s := &age.Stanza{Type: StanzaType, Args: strings.Fields(args), Body: body}
		id := NewIdentity(license.Product{}, func(p license.Product, wrapped []byte) ([]byte, error) {
			if len(s.Args) != 1 || s.Args[0] != p.String() || !bytes.Equal(wrapped, body) {
				t.Fatalf("asked for %s", p)
			}
			return k.open(p, wrapped)
		})
		key, err := id.Unwrap([]*age.Stanza{s})
		if (err == nil) != (len(key) == fileKeySize) || err != nil && license.CodeOf(err) == license.CodeInternal {
			t.Fatalf("%d bytes, %v", len(key), err)
		}
	})
}

// FuzzOpen reads anything as a protected file.
func FuzzOpen(f *testing.F) {
	k := newKit(f)
	content := []byte("content")
	for _, armored := range []bool{false, true} {
		file := encrypt(f, content, armored, k.to)
		f.Add(file)
		f.Add(file[:len(file)/2])
		f.Add(bytes.Replace(file, []byte("quorate"), []byte("X25519"), 1))
	}
	f.Add([]byte(intro))
	f.Add([]byte("-----BEGIN AGE ENCRYPTED FILE-----\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := Open(bytes.NewReader(file), k.identity())
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if err != nil && license.CodeOf(err) == license.CodeInternal {
			t.Fatalf("an error without a code: %v", err)
		}
	})
}

// FuzzTexts reads anything as a recipient and as an identity: what is accepted
// is in its one spelling.
func FuzzTexts(f *testing.F) {
	k := newKit(f)
	f.Add([]byte(k.to.String()))
	f.Add([]byte(Locator{}.String()))
	f.Add([]byte(Locator{k.product, []string{"http://127.0.0.1:7400", "https://b:1?pin=sha256:x"}}.String()))
	_, data, err := plugin.ParseRecipient(k.to.String())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	_, data, err = plugin.ParseIdentity(Locator{k.product, []string{"http://a:1"}}.String())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, s := range []string{string(b), plugin.EncodeRecipient(PluginName, b), plugin.EncodeIdentity(PluginName, b)} {
			if r, err := ParseRecipient(s); err == nil && r.String() != s {
				t.Fatal("a recipient has two spellings")
			}
			if l, err := ParseIdentity(s); err == nil && l.String() != s {
				t.Fatalf("an identity has two spellings: %+v", l)
			}
		}
	})
}
