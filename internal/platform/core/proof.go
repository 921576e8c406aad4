package core

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/platformkey"
	"github.com/quorate/quorate/internal/store"
)

// proofKeyName is what the sealed key of proofs is for, and its name in the table.
const proofKeyName = "proofs"

const proofKeySize = 32

// Proof tells a secret of a request from other ones, so that Once can compare
// it: a plain digest of a short secret would let whoever reads the database try
// secrets out. about says what the secret is of. The platform's key of proofs is
// made with the first one.
func (p *Core) Proof(ctx context.Context, tx *store.Tx, secret []byte, about ...string) ([]byte, error) {
	key, err := p.proofKey(System(ctx, "proof"), tx)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	proof := hmac.New(sha256.New, key)
	for _, part := range about {
		proof.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		proof.Write([]byte(part))
	}
	proof.Write(secret)
	return proof.Sum(nil), nil
}

func (p *Core) proofKey(ctx context.Context, tx *store.Tx) ([]byte, error) {
	find := func() ([]byte, error) {
		known, err := tx.PlatformKey.Query().Where(platformkey.Name(proofKeyName)).Only(ctx)
		if err != nil {
			return nil, err
		}
		return p.Keys.Open(ctx, proofKeyName, known.Sealed)
	}
	if key, err := find(); !ent.IsNotFound(err) {
		return key, err
	}
	if err := tx.LockName(ctx, "platform key "+proofKeyName); err != nil {
		return nil, err
	}
	if key, err := find(); !ent.IsNotFound(err) { // another replica was faster
		return key, err
	}
	key := make([]byte, proofKeySize)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	sealed, err := p.Keys.Seal(ctx, proofKeyName, key)
	if err != nil {
		return nil, err
	}
	return key, tx.PlatformKey.Create().SetName(proofKeyName).SetSealed(sealed).Exec(ctx)
}
