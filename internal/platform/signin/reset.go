package signin

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/member"
	"github.com/quorate/quorate/ent/user"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// ResetTime is how long the link to a new password can be followed.
const ResetTime = time.Hour

// resetTry is what tries of such links are counted by.
const resetTry = "reset"

// Reset is a link to a new password, as whoever has it sees it.
type Reset struct {
	Email     string    `json:"email"`
	ExpiresAt time.Time `json:"expiresAt"`
	// EndsSecondFactor: following it removes the second factor, too.
	EndsSecondFactor bool `json:"endsSecondFactor"`
}

// BeginReset makes the token of a link by which a person sets a new password, this
// once, and voids an earlier one. Only the platform's operator may call it, as it
// tells whether there is an account. Errors: CodeInvalidInput, CodeNotFound.
func (s *Service) BeginReset(ctx context.Context, email string, second bool) (string, Reset, error) {
	ctx = core.System(ctx, "operator")
	email, err := core.NormalEmail(email)
	if err != nil {
		return "", Reset{}, err
	}
	token, digest, err := auth.NewToken(auth.ResetToken)
	if err != nil {
		return "", Reset{}, err
	}
	out := Reset{Email: email, ExpiresAt: core.Now().Add(ResetTime), EndsSecondFactor: second}
	err = s.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		who, err := tx.User.Query().Where(user.Email(email), store.Locked).Only(ctx)
		if ent.IsNotFound(err) {
			return license.Errorf(license.CodeNotFound, "check the address; who came by an identity provider signs in there", "nobody has an account with the address %s", core.Clip(email))
		}
		if err != nil {
			return err
		}
		if err := tx.User.UpdateOne(who).SetResetDigest(digest).SetResetUntil(out.ExpiresAt).SetResetSecond(second).Exec(ctx); err != nil {
			return err
		}
		of, err := tx.Member.Query().Where(member.UserID(who.ID)).All(ctx)
		if err != nil {
			return err
		}
		for _, m := range of {
			if err := core.Audit(ctx, tx, m.OrganizationID, "account.reset_begun", m.ID, nil, map[string]any{"email": email, "endsSecondFactor": second}); err != nil {
				return err
			}
		}
		return nil
	})
	return token, out, err
}

func noReset() error {
	return license.Errorf(license.CodeNotFound, "ask the platform's operator for a new one", "the link is not known, has been used or replaced, or has ended")
}

// tryReset gives the account of a link's token, throttled like a sign-in.
func (s *Service) tryReset(ctx context.Context, token string) (*ent.User, error) {
	digest, ok := auth.TokenHash(auth.ResetToken, token)
	if err := s.throttle.allow(ctx, resetTry, hex.EncodeToString(digest)); err != nil {
		return nil, err
	}
	if !ok {
		return nil, noReset()
	}
	who, err := s.resetOf(ctx, s.client(), digest, false)
	if err != nil {
		return nil, err
	}
	return who, s.throttle.succeeded(ctx, resetTry, hex.EncodeToString(digest))
}

// resetOf gives the account of a link's digest while it can be followed.
func (*Service) resetOf(ctx context.Context, c *ent.Client, digest []byte, locked bool) (*ent.User, error) {
	q := c.User.Query().Where(user.ResetDigest(digest), user.ResetUntilGT(core.Now()))
	if locked {
		q.Where(store.Locked)
	}
	who, err := q.Only(ctx)
	if ent.IsNotFound(err) {
		err = noReset()
	}
	return who, err
}

// Reset shows whose password a link's token sets. Errors: CodeNotFound,
// CodeThrottled.
func (s *Service) Reset(ctx context.Context, token string) (Reset, error) {
	who, err := s.tryReset(core.System(ctx, "reset"), token)
	if err != nil {
		return Reset{}, err
	}
	return Reset{Email: who.Email, ExpiresAt: *who.ResetUntil, EndsSecondFactor: who.ResetSecond}, nil
}

// EndReset sets the password that a link's token is for, and ends all sessions of
// the person, whose key it gives. It signs nobody in: that asks for the second
// factor, where it is left, and for the identity provider where one is enforced.
// Errors: CodeNotFound, CodeThrottled, CodeInvalidInput.
func (s *Service) EndReset(ctx context.Context, token, password string) (key string, err error) {
	ctx = core.System(ctx, "reset")
	who, err := s.tryReset(ctx, token)
	if err != nil {
		return "", err
	}
	if err := checkPassword(password); err != nil {
		return "", err
	}
	// Hashing takes long, so it is not done inside the transaction.
	hash, err := s.passwords.Hash(ctx, password)
	if err != nil {
		return "", err
	}
	err = s.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		now, err := s.resetOf(ctx, tx.Client, who.ResetDigest, true)
		if err != nil {
			return err
		}
		set := tx.User.UpdateOne(now).SetPasswordHash(hash).SetPasswordAt(core.Now()).ClearResetDigest().ClearResetUntil().SetResetSecond(false)
		if now.ResetSecond {
			set.ClearTotpSecret().ClearTotpAt().ClearRecovery()
		}
		if err := set.Exec(ctx); err != nil {
			return err
		}
		of, err := tx.Member.Query().Where(member.UserID(now.ID)).WithOrganization().All(ctx)
		if err != nil {
			return err
		}
		for _, m := range of {
			facts := map[string]any{"secondFactorEnded": now.ResetSecond && now.TotpAt != nil}
			if err := audit(ctx, tx, principal(m, m.Edges.Organization), "password.reset", m.ID, facts); err != nil {
				return err
			}
		}
		return nil
	})
	return who.ID, err
}
