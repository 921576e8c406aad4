package rpc

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/durable"
	"github.com/quorate/quorate/internal/license"
)

// Key is a server's TLS identity: an Ed25519 key, and a self-signed
// certificate that is only its wrapping.
type Key struct {
	private ed25519.PrivateKey
	cert    tls.Certificate
	pin     string
}

// NewKey makes a key that is kept nowhere.
func NewKey() (*Key, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return newKey(private)
}

func newKey(private ed25519.PrivateKey) (*Key, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "quorate"},
		DNSNames:     []string{"quorate"},
		// The pin is what counts, and it does not age.
		NotBefore:             time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:              time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &Key{
		private: private,
		cert:    tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private, Leaf: leaf},
		pin:     pinOf(leaf),
	}, nil
}

// Pin is what peers know the key by: "sha256:" and the base64url of the
// SHA-256 of the public key (SubjectPublicKeyInfo).
func (k *Key) Pin() string { return k.pin }

const pinPrefix = "sha256:"

func pinOf(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return pinPrefix + base64.RawURLEncoding.EncodeToString(sum[:])
}

// CheckPin refuses what is not a pin with CodeInvalidInput.
func CheckPin(pin string) error {
	rest, ok := strings.CutPrefix(pin, pinPrefix)
	if ok {
		if b, err := base64.RawURLEncoding.Strict().DecodeString(rest); err == nil && len(b) == sha256.Size {
			return nil
		}
	}
	return license.Errorf(license.CodeInvalidInput,
		"copy it from the other server: it starts with sha256: and has 43 characters after that",
		"%q is not a pin", license.Clip(pin, 80))
}

// MatchPin says whether pin is one of pins, in a time that doesn't depend on
// where they differ. An empty pin matches nothing.
func MatchPin(pins []string, pin string) bool {
	match := 0
	for _, p := range pins {
		match |= subtle.ConstantTimeCompare([]byte(p), []byte(pin))
	}
	return match == 1 && pin != ""
}

const pemType = "PRIVATE KEY"

// LoadOrCreateKey reads the key at path or, where there is none, makes one and
// has it on disk before it returns. Of several processes that create it at
// once one wins and all return the winner's. A damaged file is reported and
// stays as it is; a file that others may read is refused.
func LoadOrCreateKey(path string) (*Key, error) {
	k, err := loadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	k, err = NewKey()
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return nil, err
	}
	err = durable.Create(path, pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}))
	if errors.Is(err, fs.ErrExist) {
		return loadKey(path)
	}
	if err != nil {
		return nil, keyError(path, err, "can't be written", "check the folder and its permissions")
	}
	return k, nil
}

func loadKey(path string) (*Key, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, keyError(path, err, "can't be read", "check the path and its permissions")
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, keyError(path, nil, "can be read by others", "chmod 600 it, or replace the key if others had access")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, keyError(path, err, "can't be read", "check the path and its permissions")
	}
	const fix = "restore it from a backup; or move it away for a new key, and tell the peers its pin"
	block, rest := pem.Decode(b)
	if block == nil || block.Type != pemType || len(strings.TrimSpace(string(rest))) != 0 {
		return nil, keyError(path, nil, "is damaged", fix)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, keyError(path, nil, "is damaged", fix) // the cause may quote the key
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, keyError(path, nil, "is not an Ed25519 key", fix)
	}
	return newKey(private)
}

func keyError(path string, err error, what, fix string) error {
	return &license.Error{
		Code: license.CodeInvalidInput, Err: err,
		Message: fmt.Sprintf("the TLS key %s %s", path, what),
		Fix:     fix,
	}
}
