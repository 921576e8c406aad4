package protect

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"filippo.io/age/plugin"

	"github.com/quorate/quorate/internal/license"
)

func TestRecipientText(t *testing.T) {
	k := newKit(t)
	text := k.to.String()
	if !strings.HasPrefix(text, "age1quorate1") || len(text) > 2048 {
		t.Errorf("%d characters: %.20s…", len(text), text)
	}
	r, err := ParseRecipient(text)
	if err != nil || r.Product() != k.product || !bytes.Equal(r.public, k.to.public) {
		t.Fatalf("%+v, %v", r, err)
	}
	if got, err := k.read(encrypt(t, []byte("content"), false, r)); err != nil || string(got) != "content" {
		t.Errorf("%q, %v", got, err)
	}
	_, data, err := plugin.ParseRecipient(text)
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func([]byte) []byte) string {
		return plugin.EncodeRecipient(PluginName, change(bytes.Clone(data)))
	}
	for name, bad := range map[string]string{
		"nothing":           "",
		"a word":            "age1quorate1",
		"a letter changed":  strings.Replace(text, text[40:41], map[bool]string{true: "p", false: "q"}[text[40] == 'q'], 1),
		"a letter missing":  text[:len(text)-1],
		"upper case":        strings.ToUpper(text),
		"another plugin":    plugin.EncodeRecipient("yubikey", data),
		"an identity":       Locator{k.product, []string{"http://a:1"}}.String(),
		"no bytes":          with(func([]byte) []byte { return nil }),
		"a later version":   with(func(b []byte) []byte { b[0]++; return b }),
		"no firm":           with(func(b []byte) []byte { clear(b[1:5]); return b }),
		"a key cut off":     with(func(b []byte) []byte { return b[:len(b)-1] }),
		"a byte follows":    with(func(b []byte) []byte { return append(b, 0) }),
		"no key":            with(func(b []byte) []byte { return b[:headSize] }),
		"a key that is not": with(func(b []byte) []byte { copy(b[headSize:], bytes.Repeat([]byte{0xff}, 1184)); return b }),
		"far too long":      with(func(b []byte) []byte { return append(b, make([]byte, 1<<20)...) }),
	} {
		_, err := ParseRecipient(bad)
		wantCode(t, name, err, license.CodeInvalidInput, license.CodeFormatUnknown)
	}
	if _, err := NewRecipient(k.product, []byte("key")); license.CodeOf(err) != license.CodeInvalidInput {
		t.Errorf("a key that is not: %v", err)
	}
}

func TestIdentityText(t *testing.T) {
	p := license.Product{Firm: 6000010, Code: 14}
	pin := "https://licenses.example.com:7443?pin=sha256:" + strings.Repeat("A", 43)
	for _, want := range []Locator{
		{},
		{p, []string{"http://127.0.0.1:7400"}},
		{p, []string{pin, pin + "&pin=sha256:" + strings.Repeat("B", 43)}},
		{license.Product{Firm: 1}, slicesOf("http://a:1", mostServers)},
		{p, []string{"https://" + strings.Repeat("a", mostAddress-8)}},
	} {
		if err := want.Check(); err != nil {
			t.Error(err)
		}
		text := want.String()
		if !strings.HasPrefix(text, "AGE-PLUGIN-QUORATE-1") {
			t.Errorf("%.30s…", text)
		}
		got, err := ParseIdentity(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
	for name, bad := range map[string]Locator{
		"no server":         {Product: p},
		"no product":        {Servers: []string{"http://a:1"}},
		"an empty server":   {p, []string{""}},
		"a space":           {p, []string{"http://a:1 "}},
		"an end of line":    {p, []string{"http://a:1\n"}},
		"not UTF-8":         {p, []string{"http://a\xff:1"}},
		"a control code":    {p, []string{"http://a\x1b[0m:1"}},
		"too many servers":  {p, slicesOf("http://a:1", mostServers+1)},
		"too long a server": {p, []string{"https://" + strings.Repeat("a", mostAddress)}},
	} {
		wantCode(t, name, bad.Check(), license.CodeInvalidInput)
		_, err := ParseIdentity(bad.String())
		wantCode(t, name, err, license.CodeInvalidInput)
	}
	text := Locator{p, []string{"http://a:1"}}.String()
	_, data, err := plugin.ParseIdentity(text)
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func([]byte) []byte) string {
		return plugin.EncodeIdentity(PluginName, change(bytes.Clone(data)))
	}
	for name, bad := range map[string]string{
		"nothing":         "",
		"lower case":      strings.ToLower(text),
		"cut off":         text[:len(text)-1],
		"another plugin":  plugin.EncodeIdentity("yubikey", data),
		"a later version": with(func(b []byte) []byte { b[0]++; return b }),
		"a byte follows":  with(func(b []byte) []byte { return append(b, 0) }),
		"a server's half": with(func(b []byte) []byte { return b[:len(b)-1] }),
		"no length":       with(func(b []byte) []byte { return b[:headSize+2] }),
		"no count":        with(func(b []byte) []byte { return b[:headSize] }),
		"a version only":  with(func(b []byte) []byte { return b[:1] }),
		"another count":   with(func(b []byte) []byte { b[headSize]++; return b }),
		"far too long":    with(func(b []byte) []byte { return append(b, make([]byte, 1<<20)...) }),
	} {
		_, err := ParseIdentity(bad)
		wantCode(t, name, err, license.CodeInvalidInput, license.CodeFormatUnknown)
	}
}

func slicesOf(s string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = s
	}
	return all
}

// No error repeats what was given: it may be a secret of somebody else.
func TestErrorsRepeatNoInput(t *testing.T) {
	secret := "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGF"
	_, a := ParseRecipient(secret)
	_, b := ParseIdentity(secret)
	_, c := newKit(t).read([]byte(secret))
	for _, err := range []error{a, b, c} {
		if err == nil || strings.Contains(errors.Join(err).Error(), "GFPYY") {
			t.Errorf("%v", err)
		}
	}
}
