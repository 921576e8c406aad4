package firmkeys

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io"
	"time"
	"unicode/utf8"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// Bounds of firm key files.
const (
	MostFirmKeyFile = 2 << 20
	mostFirmKeys    = 4096

	LeastPassphrase = 12
	MostPassphrase  = 1024

	// keyFileWork is scrypt's cost, as a power of two: about a second and 256
	// MiB. A file that wants more is not opened.
	KeyFileWork = 18
)

const (
	keyFileFormat  = "quorate-firm-key"
	keyFileVersion = 1
)

// firmKeyFile is what an exported key is, inside the encryption: an armoured
// age file with a passphrase.
type firmKeyFile struct {
	Format  string           `json:"format"`
	Version int              `json:"version"`
	Firm    license.FirmCode `json:"firm"`
	Name    string           `json:"name"`
	Seed    []byte           `json:"seed"` // of the last of Keys
	Keys    []firmKeyEntry   `json:"keys"` // from the first to the present one
}

type firmKeyEntry struct {
	Serial    int               `json:"serial"`
	PublicKey ed25519.PublicKey `json:"publicKey"`
	CreatedAt time.Time         `json:"createdAt"`
	RetiredAt *time.Time        `json:"retiredAt,omitempty"`
	Rotation  []byte            `json:"rotation,omitempty"`
}

// present is the key that Seed is of.
func (f firmKeyFile) present() firmKeyEntry { return f.Keys[len(f.Keys)-1] }

// rotations are those that the certificate of the present key carries.
func (f firmKeyFile) rotations() (all [][]byte) {
	for _, k := range f.Keys[1:] {
		all = append(all, k.Rotation)
	}
	return all
}

func newFirmKeyFile(f *ent.Firm, keys []*ent.FirmKey, seed []byte) firmKeyFile {
	out := firmKeyFile{Format: keyFileFormat, Version: keyFileVersion, Firm: license.FirmCode(f.Code), Name: f.Name, Seed: seed}
	for _, k := range keys {
		out.Keys = append(out.Keys, firmKeyEntry{
			Serial: k.Serial, PublicKey: k.PublicKey, CreatedAt: k.CreatedAt, RetiredAt: k.RetiredAt, Rotation: k.Rotation,
		})
	}
	return out
}

func checkPassphrase(s string) error {
	if n := utf8.RuneCountInString(s); n < LeastPassphrase || len(s) > MostPassphrase {
		return license.Errorf(license.CodeInvalidInput, "take a longer one, such as six random words",
			"the passphrase has %d characters; at least %d are needed, at most %d possible", n, LeastPassphrase, MostPassphrase)
	}
	return nil
}

func encryptFirmKey(f firmKeyFile, passphrase string, work int) ([]byte, error) {
	plain, err := json.Marshal(f)
	if err != nil {
		return nil, errors.New("the firm's key can't be written")
	}
	defer clear(plain)
	to, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, err
	}
	to.SetWorkFactor(work)
	var out bytes.Buffer
	text := armor.NewWriter(&out)
	w, err := age.Encrypt(text, to)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := errors.Join(w.Close(), text.Close()); err != nil {
		return nil, err
	}
	if out.Len() > MostFirmKeyFile {
		return nil, license.Errorf(license.CodeTooLarge, "the firm has rotated its keys too often to export them", "the key file of firm %d would be too large", f.Firm)
	}
	return out.Bytes(), nil
}

func damagedKeyFile(what string) error {
	return license.Errorf(license.CodeInvalidInput, "give the file that quorate firm export wrote, or another copy of it", "the firm key file is damaged: %s", what)
}

// decryptFirmKey opens a key file and checks all that it says of itself. No
// error tells anything of the content.
func decryptFirmKey(file []byte, passphrase string) (firmKeyFile, error) {
	var f firmKeyFile
	if len(file) > MostFirmKeyFile {
		return f, license.Errorf(license.CodeTooLarge, "give the file that quorate firm export wrote", "the firm key file is larger than %d bytes", MostFirmKeyFile)
	}
	if !bytes.HasPrefix(bytes.TrimSpace(file), []byte(armor.Header)) {
		return f, license.Errorf(license.CodeFormatUnknown, "give the file that quorate firm export wrote", "this is not a firm key file")
	}
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return f, checkPassphrase(passphrase)
	}
	identity.SetMaxWorkFactor(KeyFileWork)
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(file)), identity)
	var mismatch *age.NoIdentityMatchError
	switch {
	case errors.As(err, &mismatch):
		return f, license.Errorf(license.CodeKeyRefused, "give the passphrase that it was exported with", "the passphrase does not open the firm key file")
	case err != nil:
		return f, damagedKeyFile("its encryption can't be read")
	}
	plain, err := io.ReadAll(io.LimitReader(r, MostFirmKeyFile))
	defer clear(plain)
	if err != nil {
		return f, damagedKeyFile("its encryption does not hold")
	}
	var head struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if err := json.Unmarshal(plain, &head); err != nil || head.Format != keyFileFormat {
		return f, license.Errorf(license.CodeFormatUnknown, "give the file that quorate firm export wrote", "this is not a firm key file")
	}
	if head.Version != keyFileVersion {
		return f, license.Errorf(license.CodeFormatUnknown, "upgrade the software that reads it", "the firm key file has version %d, and only version %d is known here", head.Version, keyFileVersion)
	}
	d := json.NewDecoder(bytes.NewReader(plain))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil || d.More() {
		return firmKeyFile{}, damagedKeyFile("its fields are not well formed")
	}
	return f, f.check()
}

// check verifies that the keys follow one another up to the one of the seed.
func (f firmKeyFile) check() error {
	n := len(f.Keys)
	if n == 0 || n > mostFirmKeys || len(f.Seed) != ed25519.SeedSize || f.Firm == 0 || f.Name == "" || len(f.Name) > 200 {
		return damagedKeyFile("a field is missing or too long")
	}
	for i, k := range f.Keys {
		switch {
		case k.Serial != i+1 || len(k.PublicKey) != ed25519.PublicKeySize || k.CreatedAt.IsZero():
			return damagedKeyFile("its keys are not in order")
		case (k.RetiredAt == nil) != (i == n-1):
			return damagedKeyFile("its last key is not the only present one")
		case i == 0:
			if len(k.Rotation) != 0 {
				return damagedKeyFile("its first key has a rotation")
			}
			continue
		}
		r, err := seal.VerifyRotation(k.Rotation)
		if err != nil || r.Firm != f.Firm || r.Serial != uint64(k.Serial) || !bytes.Equal(r.New, k.PublicKey) || !bytes.Equal(r.Old, f.Keys[i-1].PublicKey) { //nolint:gosec // G115: from 1
			return damagedKeyFile("its keys do not follow one another")
		}
	}
	if !bytes.Equal(seal.NewSigner(f.Seed).Public(), f.present().PublicKey) {
		return damagedKeyFile("its private key is not that of its last public one")
	}
	return nil
}
