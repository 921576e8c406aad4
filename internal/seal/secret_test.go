package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// TestSecretsStay prints and logs everything that has a secret inside.
func TestSecretsStay(t *testing.T) {
	k := newKit(t)
	g := k.payload().Set[0]
	values := map[string]any{
		"identity": k.self, "identity value": *k.self, "signer": k.firm, "grant": g, "grant pointer": &g,
		"payload": k.payload(), "list": []any{k.self, g}, "field": struct{ I *Identity }{k.self},
	}
	var log bytes.Buffer
	loggers := []*slog.Logger{slog.New(slog.NewTextHandler(&log, nil)), slog.New(slog.NewJSONHandler(&log, nil))}
	for name, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s", "%q", "%d"} {
			log.WriteString(fmt.Sprintf(verb, v) + "\n")
		}
		if b, err := json.Marshal(v); err == nil {
			log.Write(b)
		}
		for _, l := range loggers {
			l.Info(name, "value", v)
		}
	}
	for name, secret := range map[string][]byte{
		"signing key": seed(10), "sealing key": seed(11), "product key": k.productKey, "firm key": seed(2),
	} {
		part := secret[:8]
		for _, form := range []string{
			fmt.Sprintf("%x", part), fmt.Sprintf("%d", part), fmt.Sprintf("%#v", part), string(part), base64.StdEncoding.EncodeToString(part[:6]),
		} {
			form = strings.Trim(strings.TrimPrefix(form, "[]byte"), "[]{}")
			if strings.Contains(log.String(), form) {
				t.Errorf("the %s shows as %q", name, form)
			}
		}
	}
}

func TestGrantAndGroupEncodings(t *testing.T) {
	k := newKit(t)
	for _, g := range k.payload().Set {
		b, err := MarshalGrant(g)
		ok(t, err)
		h, fine := ParseGrant(b)
		if !fine || h.License.Product != g.License.Product || !h.License.Options.Equal(g.License.Options) || !bytes.Equal(h.ProductKey, g.ProductKey) {
			t.Fatal("a grant changed")
		}
		if _, fine := ParseGrant(append(b, 0)); fine {
			t.Fatal("a byte may follow a grant")
		}
	}
	b, err := MarshalGroup(*k.group())
	ok(t, err)
	g, fine := ParseGroup(b)
	if !fine || !g.Equal(*k.group()) {
		t.Fatal("a group changed")
	}
	g.Members[1].Key[0] ^= 1
	if g.Equal(*k.group()) {
		t.Fatal("a group equals another")
	}
	if _, fine := ParseGroup(b[:len(b)-1]); fine {
		t.Fatal("a group may lack a byte")
	}
}

func TestNewSeed(t *testing.T) {
	a, err := NewSeed()
	ok(t, err)
	b, err := NewSeed()
	ok(t, err)
	if len(a) != 32 || bytes.Equal(a, b) || !bytes.Equal(NewSigner(a).Public(), NewSigner(a).Public()) || bytes.Equal(NewSigner(a).Public(), NewSigner(b).Public()) {
		t.Fatal("seeds don't make keys of their own")
	}
}
