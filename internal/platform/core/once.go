package core

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/idempotencykey"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/store"
)

// KeyAge is how long an idempotency key is remembered; the same request later
// makes something anew.
const KeyAge = 30 * 24 * time.Hour

// Bounds of idempotency keys, and of the ids that are kept with one, in bytes.
const (
	mostKey    = 200
	mostResult = 2000
)

// Once has make run at most once for an organization's operation and key, and
// gives the ids of what it made; again says that it had run before, and nothing
// was made now. With an empty key make just runs. Requests of one key at the
// same time wait for each other, until tx ends; when make or tx fails, the key
// is as if it never was.
//
// input is the request, as JSON of it tells; it must hold no secret, as its
// digest is kept. Only what may be done again by the same caller is asked for:
// his capability is checked before. Errors: license.CodeConflict for the key
// with another input, license.CodeInvalidInput for one that is too long.
func Once(ctx context.Context, tx *store.Tx, organization, operation, key string, input any, make func() ([]string, error)) (ids []string, again bool, err error) {
	if key == "" {
		ids, err = make()
		return ids, false, err
	}
	ids, again, digest, err := made(ctx, tx, organization, operation, key, input)
	if err != nil || again {
		return ids, again, err
	}
	if ids, err = make(); err != nil {
		return nil, false, err
	}
	result := strings.Join(ids, " ")
	if len(result) > mostResult {
		return nil, false, license.Errorf(license.CodeInvalidInput, "make less at once, or leave the idempotency key out",
			"%d things are too many to be made under one idempotency key", len(ids))
	}
	err = tx.IdempotencyKey.Create().SetOrganizationID(organization).SetOperation(operation).SetKey(key).
		SetDigest(digest).SetResult(result).Exec(ctx)
	return ids, false, err
}

// Made is the question that Once asks before it makes anything, for those whose
// way there is long: the ids of what was made under the key, if it was. They ask
// Once all the same. Errors: those of Once.
func Made(ctx context.Context, tx *store.Tx, organization, operation, key string, input any) (ids []string, again bool, err error) {
	if key == "" {
		return nil, false, nil
	}
	ids, again, _, err = made(ctx, tx, organization, operation, key, input)
	return ids, again, err
}

// made gives what was made under a key, which it locks until tx ends, and the
// digest of the input.
func made(ctx context.Context, tx *store.Tx, organization, operation, key string, input any) (ids []string, again bool, digest []byte, err error) {
	if len(key) > mostKey || key != ClipText(key) {
		return nil, false, nil, AtField("idempotencyKey", license.Errorf(license.CodeInvalidInput,
			fmt.Sprintf("use a text of up to %d bytes, such as a UUID", mostKey), "the idempotency key is too long, or is not a text"))
	}
	if digest, err = digestOf(input); err != nil {
		return nil, false, nil, err
	}
	if err := tx.LockName(ctx, strings.Join([]string{"once", organization, operation, key}, "\x00")); err != nil {
		return nil, false, nil, err
	}
	known, err := tx.IdempotencyKey.Query().Where(idempotencykey.OrganizationID(organization),
		idempotencykey.Operation(operation), idempotencykey.Key(key)).Only(ctx)
	switch {
	case err == nil && !bytes.Equal(known.Digest, digest):
		return nil, false, nil, AtField("idempotencyKey", license.Errorf(license.CodeConflict, "take a new key for a new request",
			"the idempotency key %s was used with another input", Clip(key)))
	case err == nil:
		return strings.Fields(known.Result), true, digest, nil
	case !ent.IsNotFound(err):
		return nil, false, nil, err
	}
	return nil, false, digest, nil
}

func digestOf(input any) ([]byte, error) {
	text, err := json.Marshal(input)
	if err != nil {
		return nil, fmt.Errorf("remember a request: %w", err)
	}
	sum := sha256.Sum256(text)
	return sum[:], nil
}

// ForgetKeys removes idempotency keys that are older than KeyAge, a bounded
// number at a time, and says how many.
func ForgetKeys(ctx context.Context, tx *store.Tx, most int) (int, error) {
	ids, err := tx.IdempotencyKey.Query().Where(idempotencykey.CreatedAtLT(Now().Add(-KeyAge))).Limit(most).IDs(ctx)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	return tx.IdempotencyKey.Delete().Where(idempotencykey.IDIn(ids...)).Exec(ctx)
}
