package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"
)

// TokenKind is what a token is for; its prefix tells.
type TokenKind string

// The kinds of tokens.
const (
	APIToken  TokenKind = "qrt_" // programs at the GraphQL API
	LinkToken TokenKind = "qrl_" // servers at the link
	// InviteToken is a person's way into an organization, once.
	InviteToken TokenKind = "qri_"
	// ResetToken is a person's way back into his account, once.
	ResetToken TokenKind = "qrp_"
)

const tokenBytes = 32

// NewToken makes a token with its digest. The token is shown once and never
// stored; the digest is stored.
func NewToken(kind TokenKind) (token string, hash []byte, err error) {
	secret := make([]byte, tokenBytes)
	if _, err := rand.Read(secret); err != nil {
		return "", nil, err
	}
	token = string(kind) + base64.RawURLEncoding.EncodeToString(secret)
	return token, digest(token), nil
}

// TokenHash gives the digest of a token of the kind; false when it can't be one.
func TokenHash(kind TokenKind, token string) ([]byte, bool) {
	rest, ok := strings.CutPrefix(token, string(kind))
	if !ok || len(rest) != base64.RawURLEncoding.EncodedLen(tokenBytes) {
		return nil, false
	}
	return digest(token), true
}

// SameHash compares two digests in constant time.
func SameHash(a, b []byte) bool {
	return len(a) == sha256.Size && subtle.ConstantTimeCompare(a, b) == 1
}

func digest(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}
