package filetools

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

func fuzzRoot() seal.Signer { return seal.NewSigner(bytes.Repeat([]byte{1}, 32)) }

// FuzzFiles reads anything as a file, as a person may give it: armoured, or a
// bare fingerprint. What is taken can be written and read again.
func FuzzFiles(f *testing.F) {
	serial := license.Serial{Mask: 130, Number: 1874829}
	identity, err := seal.NewIdentity()
	if err != nil {
		f.Fatal(err)
	}
	b, err := seal.SignFingerprint(identity, seal.Fingerprint{Serial: serial, Root: fuzzRoot().Public(), TimeNonce: [16]byte{1}})
	if err != nil {
		f.Fatal(err)
	}
	request, err := armor.Encode(armor.File{Kind: armor.Request, Messages: [][]byte{b}})
	if err != nil {
		f.Fatal(err)
	}
	certificate, err := seal.SignTime(fuzzRoot(), seal.TimeCertificate{Serial: serial, Nonce: [16]byte{1}, At: time.Unix(1_800_000_000, 0)})
	if err != nil {
		f.Fatal(err)
	}
	update, err := armor.Encode(armor.File{Kind: armor.Update, Messages: [][]byte{certificate}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(request)
	f.Add(update)
	f.Add([]byte(base64.StdEncoding.EncodeToString(b) + "\n"))
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
			if i := inspectPart(p, fuzzRoot().Public(), nil); i.Signature == "" || i.Container == "" {
				t.Fatalf("inspected as %+v", i)
			}
		}
	})
}

// FuzzFlags reads anything as what is written on a command line.
func FuzzFlags(f *testing.F) {
	for _, s := range []string{base64.StdEncoding.EncodeToString(fuzzRoot().Public()), "00112233445566778899aabbccddeeff", "machine", "file:/media/stick", "none", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		taken := func(err error) bool {
			if err != nil && license.CodeOf(err) != license.CodeInvalidInput {
				t.Fatal(err)
			}
			return err == nil
		}
		if k, err := parseRoot(s); taken(err) && base64.StdEncoding.EncodeToString(k) != strings.NewReplacer("\r", "", "\n", "").Replace(s) {
			t.Fatalf("a root key of %q", s)
		}
		_, err := ParseActivationID(s)
		taken(err)
		for _, kind := range []license.Kind{license.KindUniversal, license.KindDongle} {
			_, _, err = parseBind(s, kind)
			taken(err)
		}
	})
}
