package firmkeys

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

const fuzzPassphrase = "correct horse battery staple"

// sealedFile is a key file with any content, of the cheapest work.
func sealedFile(t *testing.T, plain []byte) []byte {
	t.Helper()
	to, err := age.NewScryptRecipient(fuzzPassphrase)
	if err != nil {
		t.Fatal(err)
	}
	to.SetWorkFactor(1)
	var out bytes.Buffer
	text := armor.NewWriter(&out)
	w, err := age.Encrypt(text, to)
	if err == nil {
		_, err = io.Copy(w, bytes.NewReader(plain))
	}
	if err != nil || w.Close() != nil || text.Close() != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// FuzzFirmKeyFile gives the reader of exported keys anything, inside the
// encryption and without one: it refuses with a code, and what it takes is a key
// with the history that leads to it.
func FuzzFirmKeyFile(f *testing.F) {
	first, second := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	rotation, err := seal.SignRotation(seal.NewSigner(first), seal.NewSigner(second), 6000010, 2)
	if err != nil {
		f.Fatal(err)
	}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	one := firmKeyFile{Format: keyFileFormat, Version: keyFileVersion, Firm: 6000010, Name: "Charts", Seed: first,
		Keys: []firmKeyEntry{{Serial: 1, PublicKey: seal.NewSigner(first).Public(), CreatedAt: at}}}
	two := one
	two.Seed = second
	two.Keys = []firmKeyEntry{
		{Serial: 1, PublicKey: seal.NewSigner(first).Public(), CreatedAt: at, RetiredAt: &at},
		{Serial: 2, PublicKey: seal.NewSigner(second).Public(), CreatedAt: at, Rotation: rotation},
	}
	for _, k := range []firmKeyFile{one, two, {Format: keyFileFormat, Version: 2}, {}} {
		b, err := json.Marshal(k)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(append(b, b...))
	}
	f.Add([]byte(armor.Header + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		for _, file := range [][]byte{b, sealedFile(t, b)} {
			k, err := decryptFirmKey(file, fuzzPassphrase)
			if license.CodeOf(err) == license.CodeInternal {
				t.Fatalf("an error without a code: %v", err)
			}
			if err == nil && !seal.NewSigner(k.Seed).Public().Equal(k.present().PublicKey) {
				t.Fatal("a key with another history was taken")
			}
		}
	})
}
