package vendortools

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// TestProvisionReadsEveryOption: the item of a specification may have each.
func TestProvisionReadsEveryOption(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"settings.bin": "readable", "seed.key": "secret"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var item provisionItem
	if err := json.Unmarshal([]byte(`{"name": "All", "quantity": 20, "featureMap": 1, "activation": "2026-12-01",
		"expiration": "2027-12-01T08:00:00Z", "units": 500, "usagePeriod": "90d", "maintenance": {"from": "2026-01-01", "until": "2026-12-31"},
		"minimumVersion": "10.4", "text": "for ships", "accessList": ["user:anna", "!subnet:10.9.0.0/16"],
		"linger": "90s", "protectedData": "settings.bin", "secretData": "seed.key"}`), &item); err != nil {
		t.Fatal(err)
	}
	s, err := item.spec(dir)
	if err != nil {
		t.Fatal(err)
	}
	n := uint64(500)
	want := license.Options{
		Quantity: 20, FeatureMap: 1, Units: &n, UsagePeriod: 90 * 24 * time.Hour, MinimumVersion: "10.4", Text: "for ships", Linger: 90 * time.Second,
		Activation: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), Expiration: time.Date(2027, 12, 1, 8, 0, 0, 0, time.UTC),
		Maintenance: license.Maintenance{From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)},
		AccessList:  []license.AccessRule{{Kind: license.AccessUser, Value: "anna"}, {Deny: true, Kind: license.AccessSubnet, Value: "10.9.0.0/16"}},
	}
	if !s.Options.Equal(want) || string(s.Protected) != "readable" || string(s.Secret) != "secret" || s.Name != "All" {
		t.Errorf("%+v instead of %+v", s.Options, want)
	}
	for _, text := range []string{`{"activation": "soon"}`, `{"linger": "1.5s"}`, `{"accessList": ["anna"]}`, `{"secretData": "nothing"}`} {
		var bad provisionItem
		if err := json.Unmarshal([]byte(text), &bad); err == nil {
			if _, err = bad.spec(dir); err == nil {
				t.Errorf("%s was read", text)
			}
		}
	}
}

// A fingerprint comes as container create writes it, or as a request file.
func TestProvisionReadsFingerprints(t *testing.T) {
	identity, err := seal.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	root := seal.NewSigner(make([]byte, 32))
	serial := license.Serial{Mask: 130, Number: 77}
	print, err := seal.SignFingerprint(identity, seal.Fingerprint{Serial: serial, Root: root.Public(), TimeNonce: [16]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := seal.SignTime(root, seal.TimeCertificate{Serial: serial, Nonce: [16]byte{1}, At: time.Unix(1_800_000_000, 0)})
	if err != nil {
		t.Fatal(err)
	}
	pack := func(kind armor.Kind, message []byte) string {
		text, err := armor.Encode(armor.File{Kind: kind, Messages: [][]byte{message}})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	bare := base64.StdEncoding.EncodeToString(print) + "\n"
	damaged := []byte(bare)
	// Another letter, of which each is Base64.
	at := len(damaged) / 2
	damaged[at] = "AB"[bytes.Count(damaged[at:at+1], []byte("A"))]
	dir := t.TempDir()
	for name, content := range map[string]string{
		"bare": bare, "armoured": pack(armor.Request, print), "damaged": string(damaged), "letter": "Dear customer", "base64": "aGVsbG8=",
		"one.lupd": pack(armor.Update, certificate),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"bare", "armoured", filepath.Join(dir, "bare")} {
		b, err := readFingerprint(dir, name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if f, err := seal.OpenFingerprint(b); err != nil || f.Serial != serial {
			t.Errorf("%s: %+v, %v", name, f.Serial, err)
		}
	}
	for name, code := range map[string]license.Code{
		"damaged": license.CodeFingerprintForged, "letter": license.CodeFormatUnknown, "base64": license.CodeFormatUnknown,
		"one.lupd": license.CodeInvalidInput, "nowhere": license.CodeNotFound,
	} {
		if _, err := readFingerprint(dir, name); license.CodeOf(err) != code {
			t.Errorf("%s: %v instead of %s", name, err, code)
		}
	}
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
		c := Provision{File: "-"}
		if _, err := c.read(strings.NewReader(string(b))); license.CodeOf(err) == license.CodeInternal {
			t.Fatalf("an error without a code: %v", err)
		}
	})
}
