package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"

	"github.com/quorate/quorate/internal/license"
)

// Bounds of passwords, in bytes.
const (
	LeastPassword = 10
	MostPassword  = 256
)

// Cost is what one argon2id hash costs.
type Cost struct {
	Time    uint32
	Memory  uint32 // KiB
	Threads uint8
}

// DefaultCost is the second recommended option of RFC 9106.
func DefaultCost() Cost { return Cost{Time: 3, Memory: 64 << 10, Threads: 4} }

// Hasher hashes passwords, a bounded number at a time. Safe for concurrent use.
type Hasher struct {
	cost Cost
	free chan struct{}
	// decoy is verified for unknown accounts, so that the time taken doesn't
	// tell whether an account exists.
	decoy string
}

// NewHasher makes a Hasher that works on at most parallel passwords at once.
func NewHasher(cost Cost, parallel int) *Hasher {
	h := &Hasher{cost: cost, free: make(chan struct{}, max(parallel, 1))}
	h.decoy = h.encode(make([]byte, 16), make([]byte, 32))
	return h
}

// Hash gives what may be stored for a password. Errors: CodeInvalidInput for
// one that is too short or too long; ctx's, when it ends while waiting.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if len(password) < LeastPassword || len(password) > MostPassword {
		return "", license.Errorf(license.CodeInvalidInput,
			fmt.Sprintf("choose one of %d to %d bytes", LeastPassword, MostPassword), "the password is too short or too long")
	}
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", err
	}
	key, err := h.derive(ctx, password, salt, h.cost, 32)
	if err != nil {
		return "", err
	}
	return h.encode(salt, key), nil
}

func (h *Hasher) encode(salt, key []byte) string {
	b := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		h.cost.Memory, h.cost.Time, h.cost.Threads, b.EncodeToString(salt), b.EncodeToString(key))
}

// Verify says whether password is the one that stored was made of. An empty
// stored stands for an unknown account: it takes as long and is never true.
func (h *Hasher) Verify(ctx context.Context, stored, password string) (bool, error) {
	known := stored != ""
	if !known {
		stored = h.decoy
	}
	if len(password) > MostPassword {
		password, known = "", false
	}
	cost, salt, want, err := decode(stored)
	if err != nil {
		return false, err
	}
	got, err := h.derive(ctx, password, salt, cost, uint32(len(want)))
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(got, want) == 1 && known, nil
}

func (h *Hasher) derive(ctx context.Context, password string, salt []byte, c Cost, size uint32) ([]byte, error) {
	select {
	case h.free <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-h.free }()
	return argon2.IDKey([]byte(password), salt, c.Time, c.Memory, c.Threads, size), nil
}

func decode(stored string) (c Cost, salt, key []byte, err error) {
	broken := errors.New("a stored password hash is damaged")
	parts := strings.Split(stored, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return c, nil, nil, broken
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &c.Memory, &c.Time, &c.Threads); err != nil || n != 3 {
		return c, nil, nil, broken
	}
	if c.Time == 0 || c.Threads == 0 || c.Time > 16 || c.Memory > 1<<20 {
		return c, nil, nil, broken
	}
	salt, errSalt := base64.RawStdEncoding.DecodeString(parts[4])
	key, errKey := base64.RawStdEncoding.DecodeString(parts[5])
	if errSalt != nil || errKey != nil || len(salt) < 8 || len(key) < 16 {
		return c, nil, nil, broken
	}
	return c, salt, key, nil
}
