package store

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/session"
	"github.com/quorate/quorate/internal/auth"
)

// Sessions keeps the dashboard's sessions. Its methods are those that the scs
// session manager asks of a store. The cookie's value is kept as a digest only,
// so that reading the table signs nobody in.
type Sessions struct{ store *Store }

// Sessions gives the session store.
func (s *Store) Sessions() *Sessions { return &Sessions{s} }

// FindCtx gives a session's data; false when there is none or it has ended.
func (s *Sessions) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	found, err := s.store.client.Session.Get(as(ctx), sessionID(token))
	switch {
	case ent.IsNotFound(err):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	case !time.Now().Before(found.ExpiresAt):
		return nil, false, nil
	}
	return found.Data, true, nil
}

// CommitCtx keeps a session's data until expiry.
func (s *Sessions) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	ctx = as(ctx)
	id, expiry := sessionID(token), expiry.UTC().Truncate(time.Microsecond)
	return s.store.WithTx(ctx, func(tx *Tx) error {
		n, err := tx.Session.Update().Where(session.ID(id)).SetData(data).SetExpiresAt(expiry).Save(ctx)
		if err != nil || n == 1 {
			return err
		}
		return tx.Session.Create().SetID(id).SetData(data).SetExpiresAt(expiry).Exec(ctx)
	})
}

// DeleteCtx ends a session. No session is no error.
func (s *Sessions) DeleteCtx(ctx context.Context, token string) error {
	ctx = as(ctx)
	return s.store.WithTx(ctx, func(tx *Tx) error {
		_, err := tx.Session.Delete().Where(session.ID(sessionID(token))).Exec(ctx)
		return err
	})
}

// DeleteExpired removes the sessions that have ended.
func (s *Sessions) DeleteExpired(ctx context.Context) error {
	ctx = as(ctx)
	return s.store.WithTx(ctx, func(tx *Tx) error {
		_, err := tx.Session.Delete().Where(session.ExpiresAtLTE(time.Now().UTC())).Exec(ctx)
		return err
	})
}

// Find is FindCtx for callers without a context.
func (s *Sessions) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is CommitCtx for callers without a context.
func (s *Sessions) Commit(token string, data []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, data, expiry)
}

// Delete is DeleteCtx for callers without a context.
func (s *Sessions) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }

func as(ctx context.Context) context.Context { return auth.With(ctx, auth.System("sessions")) }

func sessionID(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
