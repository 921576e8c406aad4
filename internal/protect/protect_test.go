package protect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

const chunk = 64 << 10

func TestRoundTrip(t *testing.T) {
	k := newKit(t)
	random := rand.NewChaCha8([32]byte{1})
	for _, size := range []int{0, 1, 47, 48, 49, chunk - 1, chunk, chunk + 1, 2 * chunk, 3*chunk + 17} {
		content := make([]byte, size)
		_, _ = random.Read(content)
		for _, armored := range []bool{false, true} {
			name := fmt.Sprintf("%d bytes, armored %v", size, armored)
			file := encrypt(t, content, armored, k.to)
			got, err := k.read(file)
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s: %d bytes came back, %v", name, len(got), err)
			}
			r, err := Open(iotest.OneByteReader(bytes.NewReader(file)), k.identity())
			if err != nil {
				t.Fatal(name, err)
			}
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s, byte by byte: %d bytes came back, %v", name, len(got), err)
			}
			if armored && !bytes.HasPrefix(file, []byte(armor.Header+"\n")) {
				t.Errorf("%s: it begins with %q", name, file[:20])
			}
		}
	}
}

// An armored file that went through an editor or a mail still opens.
func TestArmorWithOtherSpace(t *testing.T) {
	k := newKit(t)
	file := encrypt(t, []byte("content"), true, k.to)
	for name, text := range map[string]string{
		"space around": "\n  \r\n" + string(file) + "\n\n",
		"CR LF":        strings.ReplaceAll(string(file), "\n", "\r\n"),
		"no last end":  strings.TrimSuffix(string(file), "\n"),
	} {
		if got, err := k.read([]byte(text)); err != nil || string(got) != "content" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// The files are age's own: age itself writes and reads them with our types.
func TestAgeAgrees(t *testing.T) {
	k := newKit(t)
	var out bytes.Buffer
	w, err := age.Encrypt(&out, k.to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "content"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := k.read(out.Bytes()); err != nil || string(got) != "content" {
		t.Errorf("%q, %v", got, err)
	}
	r, err := age.Decrypt(bytes.NewReader(encrypt(t, []byte("content"), false, k.to)), k.identity())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != "content" {
		t.Errorf("%q, %v", got, err)
	}
}

// A recovery key beside the product must be as strong as the product's.
func TestOtherRecipients(t *testing.T) {
	k := newKit(t)
	strong, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, strong.Recipient(), k.to)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := k.read(out.Bytes()); err != nil {
		t.Error(err)
	}
	if _, err := age.Decrypt(bytes.NewReader(out.Bytes()), strong); err != nil {
		t.Error(err)
	}
	weak, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := age.Encrypt(io.Discard, k.to, weak.Recipient()); err == nil {
		t.Error("a classic recipient stands beside the product")
	}
	if _, err := Encrypt(io.Discard, false); license.CodeOf(err) != license.CodeInvalidInput {
		t.Errorf("for nobody: %v", err)
	}
}

func TestSeveralProducts(t *testing.T) {
	k := newKit(t)
	foreign := recipientOf(t, k.other, bytes.Repeat([]byte{0x1f}, 32))
	stale := recipientOf(t, k.product, bytes.Repeat([]byte{0x20}, 32))
	file := encrypt(t, []byte("content"), false, foreign, stale, k.to)
	if got, err := k.read(file); err != nil || string(got) != "content" {
		t.Errorf("%q, %v", got, err)
	}
	if k.asked != 2 {
		t.Errorf("%d asked for, want only the two of the product", k.asked)
	}
	// Of any product, in the file's order.
	k.asked = 0
	r, err := Open(bytes.NewReader(file), NewIdentity(license.Product{}, k.open))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != "content" || k.asked != 3 {
		t.Errorf("%q, %v, %d asked for", got, err, k.asked)
	}
	// The first refusal is told when none opens.
	_, err = Open(bytes.NewReader(encrypt(t, nil, false, foreign, stale)), NewIdentity(license.Product{}, k.open))
	wantCode(t, "none opens", err, license.CodeNoLicense)
	// A file can't make its reader ask without end.
	k.asked = 0
	many := make([]*Recipient, 3*mostTries)
	for i := range many {
		many[i] = stale
	}
	_, err = Open(bytes.NewReader(encrypt(t, nil, false, many...)), k.identity())
	wantCode(t, "many stanzas", err, license.CodeKeyRefused)
	if k.asked != mostTries {
		t.Errorf("%d asked for, want %d", k.asked, mostTries)
	}
}

func TestOtherFiles(t *testing.T) {
	k := newKit(t)
	other := encrypt(t, []byte("x"), false, recipientOf(t, k.other, k.private))
	_, err := k.read(other)
	wantCode(t, "another product", err, license.CodeKeyRefused)
	if !errors.Is(err, age.ErrIncorrectIdentity) || !strings.Contains(err.Error(), "6000010:15") || k.asked != 0 {
		t.Errorf("another product: %v, asked %d times", err, k.asked)
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var plain bytes.Buffer
	w, err := age.Encrypt(&plain, id.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = k.read(plain.Bytes())
	wantCode(t, "an age file of somebody", err, license.CodeKeyRefused)
	if !errors.Is(err, age.ErrIncorrectIdentity) || !strings.Contains(err.Error(), "not protected for a product") {
		t.Errorf("an age file of somebody: %v", err)
	}
	for name, file := range map[string]string{
		"nothing":         "",
		"a word":          "age",
		"text":            strings.Repeat("lorem ipsum ", 1000),
		"zeros":           string(make([]byte, 4096)),
		"a later version": "age-encryption.org/v2\n" + string(other[len(intro):]),
		"a key":           "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGF",
		"armored text":    armor.Header + "\nbG9yZW0gaXBzdW0=\n" + armor.Footer + "\n",
	} {
		_, err := k.read([]byte(file))
		wantCode(t, name, err, license.CodeFormatUnknown)
	}
}

// A wrapped key of another use is not taken for a file's.
func TestWrappedKeyOfAnotherSize(t *testing.T) {
	k := newKit(t)
	wrapped, err := seal.WrapKey(k.to.public, k.product, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	_, err = k.identity().Unwrap([]*age.Stanza{{Type: StanzaType, Args: []string{k.product.String()}, Body: wrapped}})
	wantCode(t, "32 bytes", err, license.CodeKeyRefused)
}

func TestOpenersErrorComesAsItIs(t *testing.T) {
	k := newKit(t)
	mine := errors.New("mine")
	_, err := Open(bytes.NewReader(encrypt(t, nil, false, k.to)), NewIdentity(k.product, func(license.Product, []byte) ([]byte, error) { return nil, mine }))
	if err != mine { //nolint:errorlint // as it is
		t.Errorf("%v", err)
	}
}

// A source that fails is told from a file that is damaged, wherever it fails.
func TestSourceFails(t *testing.T) {
	k := newKit(t)
	mine := errors.New("mine")
	for _, armored := range []bool{false, true} {
		file := encrypt(t, make([]byte, 3*chunk), armored, k.to)
		for _, at := range []int{0, 10, 500, 1500, 5000, chunk, 2*chunk + 5000, len(file) - 1, len(file)} {
			r, err := Open(io.MultiReader(bytes.NewReader(file[:at]), iotest.ErrReader(mine)), k.identity())
			if err == nil {
				_, err = io.ReadAll(r)
			}
			if !errors.Is(err, mine) {
				t.Errorf("armored %v, %d bytes: %v", armored, at, err)
			}
		}
	}
}

type failing struct{ left int }

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

// A destination that fails is told at the latest by Close.
func TestDestinationFails(t *testing.T) {
	k := newKit(t)
	for _, armored := range []bool{false, true} {
		whole := len(encrypt(t, make([]byte, 2*chunk), armored, k.to))
		for _, most := range []int{0, 1, 1000, chunk, whole - 1} {
			w, err := Encrypt(&failing{most}, armored, k.to)
			if err == nil {
				_, err = w.Write(make([]byte, 2*chunk))
			}
			if err == nil {
				err = w.Close()
			}
			if !errors.Is(err, io.ErrShortWrite) {
				t.Errorf("armored %v, %d of %d bytes: %v", armored, most, whole, err)
			}
		}
	}
}
