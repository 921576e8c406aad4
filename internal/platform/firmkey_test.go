package platform_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/firmkeys"
	"github.com/quorate/quorate/internal/seal"
)

const passphrase = "six words that nobody would guess"

func (l *lab) keys(f *ent.Firm) []*ent.FirmKey {
	l.t.Helper()
	all, err := l.FirmKeys(l.vendor(), f.ID)
	if err != nil {
		l.t.Fatal(err)
	}
	return all
}

func (l *lab) rotate(f *ent.Firm) *ent.Firm {
	l.t.Helper()
	out, err := l.RotateFirmKey(l.vendor(), f.ID, 0)
	if err != nil {
		l.t.Fatal(err)
	}
	return out
}

func TestRotateFirmKey(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		f := l.provision().Firm
		if all := l.keys(f); len(all) != 1 || all[0].Serial != 1 || all[0].RetiredAt != nil || !bytes.Equal(all[0].PublicKey, f.PublicKey) {
			t.Fatalf("a new firm has %+v", all)
		}
		first, err := seal.VerifyFirmCert(l.first.Root, f.Cert)
		if err != nil {
			t.Fatal(err)
		}
		rotated, err := l.RotateFirmKey(l.vendor(), "6000010", 1)
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.RotateFirmKey(l.vendor(), f.ID, 1)
		wantCode(t, "the same again", err, license.CodeConflict)
		again := l.rotate(f)
		cert, err := seal.VerifyFirmCert(l.first.Root, again.Cert)
		if err != nil || cert.Serial != 3 || len(cert.Rotations) != 2 || !bytes.Equal(cert.Key, again.PublicKey) {
			t.Fatalf("%+v, %v", cert, err)
		}
		if err := cert.Succeeds(first); err != nil {
			t.Error(err)
		}
		all := l.keys(f)
		if len(all) != 3 || all[0].Serial != 3 || all[0].RetiredAt != nil || all[1].RetiredAt == nil || all[2].RetiredAt == nil ||
			!bytes.Equal(all[1].PublicKey, rotated.PublicKey) || !bytes.Equal(all[2].PublicKey, f.PublicKey) {
			t.Errorf("history %+v", all)
		}
		if n := l.audited("firm.rotateKey"); n != 2 {
			t.Errorf("%d audit entries", n)
		}
		for what, c := range map[string]struct {
			ctx  context.Context
			firm string
			code license.Code
		}{
			"an administrator": {l.with(auth.Administrator), f.ID, license.CodeForbidden},
			"an operator":      {l.with(auth.Operator), f.ID, license.CodeForbidden},
			"nobody":           {t.Context(), f.ID, license.CodeUnauthenticated},
			"a stranger":       {l.stranger(), f.ID, license.CodeNotFound},
			"no such firm":     {l.vendor(), "6000011", license.CodeNotFound},
		} {
			_, err := l.RotateFirmKey(c.ctx, c.firm, 0)
			wantCode(t, "rotate: "+what, err, c.code)
			_, err = l.ExportFirmKey(c.ctx, c.firm, passphrase)
			wantCode(t, "export: "+what, err, c.code)
		}
		if len(l.keys(f)) != 3 {
			t.Error("a refused rotation left something")
		}
	})
}

// TestCustomersDoNotHaveTheKeys: a customer sees a vendor's firm, and its owner
// is an owner, but not of the keys.
func TestCustomersDoNotHaveTheKeys(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		l.CheapKeyFiles()
		made := l.provision()
		customer := l.customer(made.Group)
		if _, err := l.FirmKeys(customer, made.Firm.ID); err != nil {
			t.Errorf("the public keys: %v", err)
		}
		_, err := l.RotateFirmKey(customer, made.Firm.ID, 0)
		wantCode(t, "rotate", err, license.CodeNotFound)
		_, err = l.ExportFirmKey(customer, made.Firm.ID, passphrase)
		wantCode(t, "export", err, license.CodeNotFound)
		file, err := l.ExportFirmKey(l.vendor(), made.Firm.ID, passphrase)
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.ImportFirmKey(customer, product.Firm, file, passphrase)
		wantCode(t, "import", err, license.CodeNotFound)
		key, err := core.NewMasterKey(make([]byte, core.MasterKeySize))
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.RewrapKeys(customer, key)
		wantCode(t, "rewrap", err, license.CodeForbidden)
	})
}

// TestRotationsAtOnce: of several that mean the same key one happens.
func TestRotationsAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		f := l.provision().Firm
		var all sync.WaitGroup
		errs := make([]error, 4)
		for i := range errs {
			all.Go(func() { _, errs[i] = l.RotateFirmKey(l.vendor(), f.ID, 1) })
		}
		all.Wait()
		done := 0
		for _, err := range errs {
			if err == nil {
				done++
			} else {
				wantCode(t, "another", err, license.CodeConflict)
			}
		}
		if done != 1 || len(l.keys(f)) != 2 {
			t.Errorf("%d rotations, %d keys", done, len(l.keys(f)))
		}
	})
}

// TestManyRotations: the certificate carries the newest rotations only.
func TestManyRotations(t *testing.T) {
	l := newLab(t, databases.SQLite(t))
	f := l.provision().Firm
	for range seal.MostRotations + 2 {
		f = l.rotate(f)
	}
	cert, err := seal.VerifyFirmCert(l.first.Root, f.Cert)
	if err != nil || len(cert.Rotations) != seal.MostRotations || cert.Serial != seal.MostRotations+3 {
		t.Fatalf("key %d with %d rotations, %v", cert.Serial, len(cert.Rotations), err)
	}
	l.CheapKeyFiles()
	file, err := l.ExportFirmKey(l.vendor(), f.ID, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.ImportFirmKey(l.vendor(), product.Firm, file, passphrase); err != nil {
		t.Fatal(err)
	}
}

// openKeyFile is what anybody with the passphrase and the age tool can do.
func openKeyFile(t *testing.T, file []byte) map[string]any {
	t.Helper()
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(file)), identity)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.NewDecoder(r).Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func encrypt(t *testing.T, plain []byte) []byte {
	t.Helper()
	to, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	to.SetWorkFactor(4)
	var out bytes.Buffer
	text := armor.NewWriter(&out)
	w, err := age.Encrypt(text, to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), text.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func keyFile(t *testing.T, content any) []byte {
	t.Helper()
	plain, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	return encrypt(t, plain)
}

// firstKey is a file of a firm's first key of a known seed.
func firstKey(t *testing.T, code int, seed []byte) []byte {
	t.Helper()
	return keyFile(t, map[string]any{
		"format": "quorate-firm-key", "version": 1, "firm": code, "name": "Imported", "seed": seed,
		"keys": []any{map[string]any{"serial": 1, "publicKey": []byte(seal.NewSigner(seed).Public()), "createdAt": time.Now().UTC()}},
	})
}

func TestFirmKeyFiles(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		l.CheapKeyFiles()
		f := l.provision().Firm
		older, err := l.ExportFirmKey(l.vendor(), f.ID, passphrase)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(older), "-----BEGIN AGE ENCRYPTED FILE-----\n") || bytes.Contains(older, []byte("6000010")) {
			t.Errorf("exported:\n%s", older)
		}
		// Over itself it changes nothing but the sealing.
		got, err := l.ImportFirmKey(l.vendor(), product.Firm, older, passphrase)
		if err != nil || got.Made || got.Serial != 1 || !bytes.Equal(got.Firm.PublicKey, f.PublicKey) || !bytes.Equal(got.Firm.Cert, f.Cert) {
			t.Fatalf("%+v, %v", got, err)
		}
		f = l.rotate(l.rotate(f))
		newer, err := l.ExportFirmKey(l.vendor(), "6000010", passphrase)
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.ImportFirmKey(l.vendor(), product.Firm, older, passphrase)
		wantCode(t, "an older key", err, license.CodeConflict)

		// On another platform the firm is made, with all its history.
		other := newLab(t, databases.SQLite(t))
		_, err = other.ImportFirmKey(other.with(auth.Administrator), product.Firm, newer, passphrase)
		wantCode(t, "an administrator", err, license.CodeForbidden)
		got, err = other.ImportFirmKey(other.vendor(), product.Firm, newer, passphrase)
		if err != nil || !got.Made || got.Serial != 3 || got.Firm.Name != f.Name || !bytes.Equal(got.Firm.PublicKey, f.PublicKey) {
			t.Fatalf("%+v, %v", got, err)
		}
		cert, err := seal.VerifyFirmCert(other.first.Root, got.Firm.Cert)
		if err != nil || cert.Serial != 3 || len(cert.Rotations) != 2 {
			t.Errorf("%+v, %v", cert, err)
		}
		moved, here := other.keys(got.Firm), l.keys(f)
		for i, k := range moved {
			if len(moved) != 3 || k.Serial != here[i].Serial || !k.CreatedAt.Equal(here[i].CreatedAt) || (k.RetiredAt == nil) != (i == 0) {
				t.Errorf("history %+v", k)
			}
		}
		other.rotate(got.Firm) // the private key is there
		if other.audited("firm.importKey") != 1 || l.audited("firm.exportKey") != 2 || l.audited("firm.importKey") != 1 {
			t.Error("not audited")
		}

		// A database from before the rotations catches up.
		behind := newLab(t, databases.SQLite(t))
		if _, err := behind.ImportFirmKey(behind.vendor(), product.Firm, older, passphrase); err != nil {
			t.Fatal(err)
		}
		got, err = behind.ImportFirmKey(behind.vendor(), product.Firm, newer, passphrase)
		if err != nil || got.Made || got.Serial != 3 || len(behind.keys(got.Firm)) != 3 || behind.keys(got.Firm)[2].RetiredAt == nil {
			t.Errorf("%+v, %v", got, err)
		}
		_, err = behind.ImportFirmKey(behind.stranger(), product.Firm, newer, passphrase)
		wantCode(t, "another vendor's", err, license.CodeConflict)
	})
}

func TestImportRefuses(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		l.CheapKeyFiles()
		f := l.rotate(l.provision().Firm)
		good, err := l.ExportFirmKey(l.vendor(), f.ID, passphrase)
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.ExportFirmKey(l.vendor(), f.ID, "short")
		wantCode(t, "a short passphrase", err, license.CodeInvalidInput)
		_, err = l.ExportFirmKey(l.vendor(), f.ID, strings.Repeat("x", firmkeys.MostPassphrase+1))
		wantCode(t, "an endless passphrase", err, license.CodeInvalidInput)
		stranger := bytes.Repeat([]byte{7}, 32)
		edit := func(change func(m map[string]any, keys []any)) []byte {
			m := openKeyFile(t, good)
			change(m, m["keys"].([]any))
			return keyFile(t, m)
		}
		entry := func(e any) map[string]any { return e.(map[string]any) }
		flipped := bytes.Clone(good)
		flipped[len(flipped)/2] ^= 1
		last := strings.LastIndex(string(good), "\n-----END")
		line := base64.StdEncoding.EncodeToString(stranger)
		cases := map[string]struct {
			code license.Code
			pass string
			file []byte
		}{
			"nothing":                   {license.CodeFormatUnknown, passphrase, nil},
			"something else":            {license.CodeFormatUnknown, passphrase, []byte("hello")},
			"another passphrase":        {license.CodeKeyRefused, passphrase + ".", good},
			"no passphrase":             {license.CodeInvalidInput, "", good},
			"a flipped bit":             {license.CodeInvalidInput, passphrase, flipped},
			"cut off":                   {license.CodeInvalidInput, passphrase, good[:len(good)/2]},
			"cut off at a line":         {license.CodeInvalidInput, passphrase, append(bytes.Clone(good[:last-60]), good[last:]...)},
			"too large":                 {license.CodeTooLarge, passphrase, make([]byte, firmkeys.MostFirmKeyFile+1)},
			"other content":             {license.CodeFormatUnknown, passphrase, encrypt(t, []byte("a diary"))},
			"other JSON":                {license.CodeFormatUnknown, passphrase, encrypt(t, []byte("{}"))},
			"a newer version":           {license.CodeFormatUnknown, passphrase, edit(func(m map[string]any, _ []any) { m["version"] = 2 })},
			"an unknown field":          {license.CodeInvalidInput, passphrase, edit(func(m map[string]any, _ []any) { m["x"] = 1 })},
			"another firm's":            {license.CodeInvalidInput, passphrase, firstKey(t, 6000011, stranger)},
			"no keys":                   {license.CodeInvalidInput, passphrase, edit(func(m map[string]any, _ []any) { m["keys"] = nil })},
			"no name":                   {license.CodeInvalidInput, passphrase, edit(func(m map[string]any, _ []any) { m["name"] = "" })},
			"another private key":       {license.CodeInvalidInput, passphrase, edit(func(m map[string]any, _ []any) { m["seed"] = line })},
			"a short private key":       {license.CodeInvalidInput, passphrase, edit(func(m map[string]any, _ []any) { m["seed"] = "AAAA" })},
			"another key before":        {license.CodeInvalidInput, passphrase, edit(func(_ map[string]any, k []any) { entry(k[0])["publicKey"] = line })},
			"no rotation":               {license.CodeInvalidInput, passphrase, edit(func(_ map[string]any, k []any) { delete(entry(k[1]), "rotation") })},
			"a rotation to the first":   {license.CodeInvalidInput, passphrase, edit(func(_ map[string]any, k []any) { entry(k[0])["rotation"] = "AAAA" })},
			"keys out of order":         {license.CodeInvalidInput, passphrase, edit(func(_ map[string]any, k []any) { entry(k[1])["serial"] = 3 })},
			"two present keys":          {license.CodeInvalidInput, passphrase, edit(func(_ map[string]any, k []any) { delete(entry(k[0]), "retiredAt") })},
			"no present key":            {license.CodeInvalidInput, passphrase, edit(func(_ map[string]any, k []any) { entry(k[1])["retiredAt"] = time.Now().UTC() })},
			"another key of the number": {license.CodeConflict, passphrase, rotatedFile(t, stranger)},
			"an older key":              {license.CodeConflict, passphrase, firstKey(t, int(product.Firm), stranger)},
		}
		for what, c := range cases {
			_, err := l.ImportFirmKey(l.vendor(), product.Firm, c.file, c.pass)
			wantCode(t, what, err, c.code)
			var e *license.Error
			if errors.As(err, &e) && (e.Fix == "" || strings.Contains(err.Error(), line)) {
				t.Errorf("%s: %v", what, err)
			}
		}
		now, err := l.Store().Client().Firm.Get(l.system(), f.ID)
		if err != nil || !bytes.Equal(now.SealedKey, f.SealedKey) || len(l.keys(f)) != 2 || l.audited("firm.importKey") != 0 {
			t.Error("a refused import changed something")
		}
	})
}

// rotatedFile is a file of the firm that has rotated once, with other keys.
func rotatedFile(t *testing.T, seed []byte) []byte {
	t.Helper()
	first, next := seal.NewSigner(seed), seal.NewSigner(bytes.Repeat([]byte{8}, 32))
	r, err := seal.SignRotation(first, next, product.Firm, 2)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().UTC()
	return keyFile(t, map[string]any{
		"format": "quorate-firm-key", "version": 1, "firm": product.Firm, "name": "x", "seed": bytes.Repeat([]byte{8}, 32),
		"keys": []any{
			map[string]any{"serial": 1, "publicKey": []byte(first.Public()), "createdAt": at, "retiredAt": at},
			map[string]any{"serial": 2, "publicKey": []byte(next.Public()), "createdAt": at, "rotation": r},
		},
	})
}

// TestKeyFilesTakeTime: what is exported is stretched as much as is opened at
// the most, and a file that wants more is not tried.
func TestKeyFilesTakeTime(t *testing.T) {
	l := newLab(t, databases.SQLite(t))
	f := l.provision().Firm
	file, err := l.ExportFirmKey(l.vendor(), f.ID, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	binary, err := io.ReadAll(armor.NewReader(bytes.NewReader(file)))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(binary[:200], []byte(" 18\n")) {
		t.Errorf("the header is %q", binary[:200])
	}
	var more bytes.Buffer
	w := armor.NewWriter(&more)
	if _, err := w.Write(bytes.Replace(binary, []byte(" 18\n"), []byte(" 30\n"), 1)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, err = l.ImportFirmKey(l.vendor(), product.Firm, more.Bytes(), passphrase)
	wantCode(t, "an endless stretching", err, license.CodeInvalidInput)
	if time.Since(began) > 10*time.Second {
		t.Error("it was tried")
	}
}
