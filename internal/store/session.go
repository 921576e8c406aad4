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

// SessionIdle is how long a session lasts that nobody uses.
const SessionIdle = 12 * time.Hour

// seenEvery is how exactly the last use of a session is known, so that reading
// doesn't write a row each time.
const seenEvery = time.Minute

// Sessions keeps the dashboard's sessions. Its methods are those that the scs
// session manager asks of a store, with the Visit of their context. The
// cookie's value is kept as a digest only, so that reading the table signs
// nobody in.
type Sessions struct{ store *Store }

// Sessions gives the session store.
func (s *Store) Sessions() *Sessions { return &Sessions{s} }

// Visit is what is kept of the request beside a session's data. A request has
// its own.
type Visit struct {
	Key     string    // by whom sessions are listed and ended; empty: nobody's
	Since   time.Time // when the session began
	Agent   string
	Address string
	// Ended: the session that was to be replaced was not there any more.
	Ended bool
}

type visitKey struct{}

// WithVisit has what is done with a session in ctx know of v.
func WithVisit(ctx context.Context, v *Visit) context.Context {
	return context.WithValue(ctx, visitKey{}, v)
}

// VisitOf gives the Visit of ctx; one that nobody reads if it has none.
func VisitOf(ctx context.Context) *Visit {
	if v, ok := ctx.Value(visitKey{}).(*Visit); ok {
		return v
	}
	return &Visit{}
}

// FindCtx gives a session's data, and notes that it is in use; false when there
// is none or it has ended.
func (s *Sessions) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	v, ctx := VisitOf(ctx), as(ctx)
	id, now := sessionID(token), sessionNow()
	found, err := s.store.client.Session.Get(ctx, id)
	switch {
	case ent.IsNotFound(err):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	case !now.Before(found.ExpiresAt), found.SeenAt != nil && now.Sub(*found.SeenAt) >= SessionIdle:
		return nil, false, nil
	case found.SeenAt != nil && now.Sub(*found.SeenAt) < seenEvery && (v.Address == "" || v.Address == found.Address):
		return found.Data, true, nil
	}
	err = s.store.WithTx(ctx, func(tx *Tx) error {
		// Only while it is there: what was ended meanwhile must not come back.
		seen := tx.Session.Update().Where(session.ID(id)).SetSeenAt(now)
		if v.Address != "" {
			seen.SetAddress(clip(v.Address, 64)).SetAgent(clip(v.Agent, 200))
		}
		return seen.Exec(ctx)
	})
	return found.Data, err == nil, err
}

// Lasts says whether a token's session is there and has not ended. It is no use
// of it.
func (s *Sessions) Lasts(ctx context.Context, token string) (bool, error) {
	now := sessionNow()
	return s.store.client.Session.Query().Where(session.ID(sessionID(token)), session.ExpiresAtGT(now),
		session.Or(session.SeenAtIsNil(), session.SeenAtGT(now.Add(-SessionIdle)))).Exist(as(ctx))
}

// CommitCtx keeps a session's data until expiry.
func (s *Sessions) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	v, ctx := VisitOf(ctx), as(ctx)
	id, expiry, now := sessionID(token), expiry.UTC().Truncate(time.Microsecond), sessionNow()
	return s.store.WithTx(ctx, func(tx *Tx) error {
		n, err := tx.Session.Update().Where(session.ID(id)).SetData(data).SetExpiresAt(expiry).SetSeenAt(now).Save(ctx)
		if err != nil || n == 1 {
			return err
		}
		made := tx.Session.Create().SetID(id).SetData(data).SetExpiresAt(expiry).SetSeenAt(now).
			SetAgent(clip(v.Agent, 200)).SetAddress(clip(v.Address, 64)).SetCreatedAt(now)
		if v.Key != "" {
			made.SetUserID(v.Key)
		}
		if !v.Since.IsZero() {
			made.SetCreatedAt(v.Since)
		}
		return made.Exec(ctx)
	})
}

// DeleteCtx ends a session. No session is no error, but noted in the Visit.
func (s *Sessions) DeleteCtx(ctx context.Context, token string) error {
	v, ctx := VisitOf(ctx), as(ctx)
	return s.store.WithTx(ctx, func(tx *Tx) error {
		n, err := tx.Session.Delete().Where(session.ID(sessionID(token))).Exec(ctx)
		v.Ended = n == 0
		return err
	})
}

// mostDeleted is how many sessions one statement removes.
const mostDeleted = 500

// DeleteExpired removes the sessions that have ended.
func (s *Sessions) DeleteExpired(ctx context.Context) error {
	ctx = as(ctx)
	now := sessionNow()
	over := session.Or(session.ExpiresAtLTE(now), session.SeenAtLTE(now.Add(-SessionIdle)))
	for {
		ids, err := s.store.client.Session.Query().Where(over).Limit(mostDeleted).IDs(ctx)
		if err != nil || len(ids) == 0 {
			return err
		}
		if err := s.store.WithTx(ctx, func(tx *Tx) error {
			_, err := tx.Session.Delete().Where(session.IDIn(ids...), over).Exec(ctx)
			return err
		}); err != nil {
			return err
		}
	}
}

// Of lists the sessions of a key that last, the one used last first: at most 200.
func (s *Sessions) Of(ctx context.Context, key string) ([]*ent.Session, error) {
	if key == "" {
		return nil, nil
	}
	now := sessionNow()
	return s.store.client.Session.Query().
		Where(session.UserID(key), session.ExpiresAtGT(now), session.SeenAtGT(now.Add(-SessionIdle))).
		Order(ent.Desc(session.FieldSeenAt), ent.Asc(session.FieldID)).Limit(200).All(as(ctx))
}

// End ends the key's session with the id, if it has one.
func (s *Sessions) End(ctx context.Context, key, id string) error {
	ctx = as(ctx)
	return s.store.WithTx(ctx, func(tx *Tx) error {
		_, err := tx.Session.Delete().Where(session.UserID(key), session.ID(id)).Exec(ctx)
		return err
	})
}

// EndOthers ends the key's sessions but the one of the token.
func (s *Sessions) EndOthers(ctx context.Context, key, token string) error {
	ctx = as(ctx)
	return s.store.WithTx(ctx, func(tx *Tx) error {
		_, err := tx.Session.Delete().Where(session.UserID(key), session.IDNEQ(sessionID(token))).Exec(ctx)
		return err
	})
}

// EndAll ends all sessions of a user, those that an identity provider vouched for,
// too.
func (s *Sessions) EndAll(ctx context.Context, user string) error {
	ctx = as(ctx)
	return s.store.WithTx(ctx, func(tx *Tx) error {
		_, err := tx.Session.Delete().Where(session.Or(session.UserID(user), session.UserIDHasPrefix(user+"/"))).Exec(ctx)
		return err
	})
}

// ID is the id of a token's session.
func (*Sessions) ID(token string) string { return sessionID(token) }

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

func sessionNow() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// clip makes what a browser sent fit a column.
func clip(s string, most int) string {
	clean := make([]rune, 0, most)
	size := 0
	for _, r := range s {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			continue
		}
		if size += len(string(r)); size > most {
			break
		}
		clean = append(clean, r)
	}
	return string(clean)
}

func sessionID(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
