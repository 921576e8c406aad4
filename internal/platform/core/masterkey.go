package core

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/quorate/quorate/internal/durable"
	"github.com/quorate/quorate/internal/license"
)

// KeyWrapper keeps private keys secret at rest: the platform's root key, the
// firms' and the products' keys are in the database only as what Seal gave, and
// so is the data of items, of up to license.MostData bytes.
// MasterKey is the driver for a local key; one for a PKCS#11 token or a cloud
// KMS wraps with a key that never leaves it. What Seal gives is the driver's own
// format, of at most 4000 bytes for a key of 64 and 16000 for the longest data
// (columns are bounded), and
// should begin with something that tells it from other drivers'. An error that
// is not about the sealed bytes (a KMS that is down) is license.CodeUnavailable.
// RewrapKeys goes from one wrapper to another. Safe for concurrent use.
type KeyWrapper interface {
	// Seal encrypts a key. What it is for goes along authenticated: it opens
	// only with the same purpose, so that sealed keys can't be swapped.
	Seal(ctx context.Context, purpose string, key []byte) ([]byte, error)
	// Open gives the key back. Another master key, another purpose and a
	// changed byte are all license.CodeKeyRefused.
	Open(ctx context.Context, purpose string, sealed []byte) ([]byte, error)
}

// MasterKeySize is the size of a master key.
const MasterKeySize = 32

// MasterKey is the KeyWrapper with a local key: AES-256-GCM.
type MasterKey struct{ aead cipher.AEAD }

const masterKeyVersion = 1

// NewMasterKey makes a wrapper of 32 random bytes.
func NewMasterKey(key []byte) (*MasterKey, error) {
	if len(key) != MasterKeySize {
		return nil, license.Errorf(license.CodeInvalidInput, "make one with: head -c 32 /dev/urandom | base64",
			"the master key has %d bytes instead of %d", len(key), MasterKeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &MasterKey{aead}, nil
}

// ParseMasterKey reads a master key as text: 32 bytes in Base64.
func ParseMasterKey(text string) (*MasterKey, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return nil, license.Errorf(license.CodeInvalidInput, "make one with: head -c 32 /dev/urandom | base64",
			"the master key is not Base64")
	}
	return NewMasterKey(key)
}

// LoadMasterKey reads the master key from a file that only its owner may read.
func LoadMasterKey(path string) (*MasterKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the master key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, license.Errorf(license.CodeInvalidInput, "chmod 600 "+path, "others may read the master key %s", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the master key: %w", err)
	}
	return ParseMasterKey(string(text))
}

// LoadOrCreateMasterKey reads the master key from a file, or makes both. The
// file is never overwritten.
func LoadOrCreateMasterKey(path string) (*MasterKey, error) {
	key, err := LoadMasterKey(path)
	if !errors.Is(err, os.ErrNotExist) {
		return key, err
	}
	secret := make([]byte, MasterKeySize)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	if err := durable.Create(path, []byte(base64.StdEncoding.EncodeToString(secret)+"\n")); err != nil {
		if errors.Is(err, os.ErrExist) {
			return LoadMasterKey(path)
		}
		return nil, fmt.Errorf("write the master key: %w", err)
	}
	return NewMasterKey(secret)
}

// Seal implements KeyWrapper.
func (m *MasterKey) Seal(_ context.Context, purpose string, key []byte) ([]byte, error) {
	return m.aead.Seal([]byte{masterKeyVersion}, nil, key, []byte(purpose)), nil
}

// Open implements KeyWrapper.
func (m *MasterKey) Open(_ context.Context, purpose string, sealed []byte) ([]byte, error) {
	if len(sealed) > 1 && sealed[0] == masterKeyVersion {
		if key, err := m.aead.Open(nil, nil, sealed[1:], []byte(purpose)); err == nil {
			return key, nil
		}
	}
	return nil, license.Errorf(license.CodeKeyRefused, "start the platform with the master key that its database was made with",
		"a stored key does not open")
}
