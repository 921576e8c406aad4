package container

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	bolt "go.etcd.io/bbolt"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// MostContext bounds what secret data is used on, in bytes.
const MostContext = 4 << 10

const (
	useSecretTag     = "quorate-use-secret"
	useSecretVersion = 1
)

// OpenKey opens a data key that was wrapped for a product. Whether the license
// is in force, valid and accessed with a handle is for the caller to check.
// Errors: license.CodeNoLicense, CodeKeyRefused.
func (c *Container) OpenKey(p license.Product, wrapped []byte) ([]byte, error) {
	g, err := c.secrets(p)
	if err != nil {
		return nil, err
	}
	defer wipe(g)
	return seal.UnwrapKey(g.ProductKey, p, wrapped)
}

// ProtectedData gives the protected data that has this name. The caller checks
// what OpenKey's does. Error: license.CodeNoLicense, also where the held
// license's data has another name.
func (c *Container) ProtectedData(p license.Product, name license.DataName) ([]byte, error) {
	g, err := c.secrets(p)
	if err != nil {
		return nil, err
	}
	defer wipe(g)
	if name == (license.DataName{}) || name != g.License.Options.Protected {
		return nil, noData(p, "protected")
	}
	return bytes.Clone(g.Protected), nil
}

// UseSecret makes a key of 32 bytes out of the secret data that has this name
// and the context, of 1 to MostContext bytes: always the same one. The secret
// stays in the container. The caller checks what OpenKey's does. Errors:
// license.CodeNoLicense, also where the held license's data has another name,
// CodeInvalidInput.
func (c *Container) UseSecret(p license.Product, name license.DataName, context []byte) ([]byte, error) {
	if len(context) == 0 || len(context) > MostContext {
		return nil, license.Errorf(license.CodeInvalidInput, "give from 1 to 4096 bytes", "the context for the secret data has %d bytes", len(context))
	}
	g, err := c.secrets(p)
	if err != nil {
		return nil, err
	}
	defer wipe(g)
	if name == (license.DataName{}) || name != g.License.Options.Secret {
		return nil, noData(p, "secret")
	}
	h := hmac.New(sha256.New, g.Secret)
	head := append([]byte{byte(len(useSecretTag))}, useSecretTag...)
	head = append(head, useSecretVersion)
	head = binary.BigEndian.AppendUint32(head, uint32(p.Firm))
	head = binary.BigEndian.AppendUint32(head, uint32(p.Code))
	head = binary.BigEndian.AppendUint32(head, uint32(len(context))) //nolint:gosec // G115: bounded
	_, _ = h.Write(head)
	_, _ = h.Write(context)
	return h.Sum(nil), nil
}

func noData(p license.Product, kind string) error {
	return license.Errorf(license.CodeNoLicense, "access the license anew", "the license for %s in the container has no %s data of this name", p, kind)
}

// secrets reads a license with its secrets from the file, for one use: the
// caller wipes them.
func (c *Container) secrets(p license.Product) (grant seal.Grant, err error) {
	s := c.current()
	found := false
	err = c.view(func(b *bolt.Bucket) error {
		name := licenseRecord(p)
		v := b.Get([]byte(name))
		if v == nil {
			return nil
		}
		payload, ok := s.open(name, v)
		if !ok {
			return corrupt("a license was altered")
		}
		if s.lock != nil { // else these are the file's own pages
			defer clear(payload)
		}
		if grant, found = seal.ParseGrant(payload); !found {
			return corrupt("a license is not well formed")
		}
		return nil
	})
	if err == nil && !found {
		err = noLicense(p)
	}
	return grant, err
}

func wipe(g seal.Grant) {
	clear(g.ProductKey)
	clear(g.Protected)
	clear(g.Secret)
}
