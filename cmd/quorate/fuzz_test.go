package main

import (
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// FuzzFiles reads anything as a file, as a person may give it: armoured, or a
// bare fingerprint. What is taken can be written and read again.
func FuzzFiles(f *testing.F) {
	identity, err := seal.NewIdentity()
	if err != nil {
		f.Fatal(err)
	}
	b, err := seal.SignFingerprint(identity, seal.Fingerprint{Serial: filesSerial, Root: filesRoot().Public(), TimeNonce: [16]byte{1}})
	if err != nil {
		f.Fatal(err)
	}
	request, err := armor.Encode(armor.File{Kind: armor.Request, Messages: [][]byte{b}})
	if err != nil {
		f.Fatal(err)
	}
	certificate, err := seal.SignTime(filesRoot(), seal.TimeCertificate{Serial: filesSerial, Nonce: [16]byte{1}, At: time.Unix(1_800_000_000, 0)})
	if err != nil {
		f.Fatal(err)
	}
	update, err := armor.Encode(armor.File{Kind: armor.Update, Messages: [][]byte{certificate}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(request)
	f.Add(update)
	f.Add([]byte(rootText(b) + "\n"))
	f.Add([]byte("aGVsbG8="))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := parseFile(b)
		if license.CodeOf(err) == license.CodeInternal {
			t.Fatalf("an error without a code: %v", err)
		}
		if err != nil {
			return
		}
		text, err := armor.Encode(file)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parseFile(text); err != nil || len(again.Messages) != len(file.Messages) {
			t.Fatalf("it reads otherwise the second time: %v", err)
		}
		parts, err := armor.Parts(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range parts {
			if i := inspectPart(p, filesRoot().Public(), nil); i.Signature == "" || i.Container == "" {
				t.Fatalf("inspected as %+v", i)
			}
		}
	})
}

// FuzzFlags reads anything as what is written on a command line.
func FuzzFlags(f *testing.F) {
	for _, s := range []string{
		"130-1874829@https://10.0.0.21:7500?pin=sha256:" + strings.Repeat("A", 43), "x@https://h", rootText(filesRoot().Public()),
		"00112233445566778899aabbccddeeff", "machine", "file:/media/stick", "none", "2026-12-01", "2026-12-01T08:00:00Z", "90d", "36h", "1.5s", "99999d", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		taken := func(err error) bool {
			if err != nil && license.CodeOf(err) != license.CodeInvalidInput {
				t.Fatal(err)
			}
			return err == nil
		}
		if b, err := parseBackend(1, s); taken(err) && (!strings.HasPrefix(b.URL, "https://") || b.Pin == "" || b.Serial.Kind() == "") {
			t.Fatalf("the backend %+v", b)
		}
		if k, err := parseRoot(s); taken(err) && rootText(k) != strings.NewReplacer("\r", "", "\n", "").Replace(s) {
			t.Fatalf("a root key of %q", s)
		}
		_, err := parseActivationID(s)
		taken(err)
		for _, kind := range []license.Kind{license.KindUniversal, license.KindDongle} {
			_, _, err = parseBind(s, kind)
			taken(err)
		}
		_, err = parseTime(s)
		taken(err)
		if d, err := parseLong(s); taken(err) && d < 0 {
			t.Fatalf("%q is %s", s, d)
		}
	})
}

// FuzzSpecification reads anything as a specification for provision.
func FuzzSpecification(f *testing.F) {
	f.Add([]byte(`{"customer": "Acme", "firm": {"code": 6000010, "name": "V"}, "product": {"code": 14, "name": "P"},
		"item": {"name": "I", "quantity": 20, "featureMap": 1},
		"group": {"name": "G", "virtual": "131-4837572", "firstTmrId": 1, "tokenKey": "AAAA", "fingerprints": ["nowhere", "", ""],
		"servers": [{"name": "a", "address": "10.0.0.11"}]}}`))
	f.Add([]byte(`{"group": {"virtual": "131-1", "fingerprints": []}}`))
	f.Add([]byte(`{"more": 1}`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, b []byte) {
		if strings.Contains(string(b), "..") || strings.Contains(string(b), `\`) {
			return // it names files: here there are none
		}
		c := provisionCmd{File: "-"}
		if _, err := c.read(strings.NewReader(string(b))); license.CodeOf(err) == license.CodeInternal {
			t.Fatalf("an error without a code: %v", err)
		}
	})
}
