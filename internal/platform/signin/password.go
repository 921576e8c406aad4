package signin

import (
	"context"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/member"
	"github.com/quorate/quorate/ent/user"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// ByPassword signs in by password. An unknown address and a wrong password are
// the same error and take as long: CodeUnauthenticated. After some failures the
// account has to wait: CodeThrottled. second: the claim counts only once ByCode
// has taken a code.
func (s *Service) ByPassword(ctx context.Context, email, password string) (c Claim, second bool, err error) {
	ctx = core.System(ctx, "sign-in")
	email, err = core.NormalEmail(email)
	if err != nil {
		email = "" // no account has it; and what was sent need not be kept
	}
	if err := s.throttle.allow(ctx, passwordTry, email); err != nil {
		return Claim{}, false, err
	}
	// Before the password is checked: what was changed meanwhile ends the session.
	now := core.Now()
	found, err := s.client().User.Query().Where(user.Email(email)).Only(ctx)
	if err != nil && !ent.IsNotFound(err) {
		return Claim{}, false, err
	}
	ok, err := s.passwords.Verify(ctx, hashOf(found), password)
	if err != nil {
		return Claim{}, false, err
	}
	if !ok {
		return Claim{}, false, wrongPassword()
	}
	if err := s.throttle.succeeded(ctx, passwordTry, email); err != nil {
		return Claim{}, false, err
	}
	c, err = s.firstOf(ctx, Claim{User: found.ID, Since: now})
	return c, found.TotpAt != nil, err
}

func hashOf(u *ent.User) string {
	if u == nil || u.PasswordHash == nil {
		return ""
	}
	return *u.PasswordHash
}

// Account is what a person sees of his own account.
type Account struct {
	Name  string `json:"name"`
	Email string `json:"email"`
	// Provider is the identity provider that vouched; then the account is seen
	// to there.
	Provider      string `json:"provider,omitempty"`
	SecondFactor  bool   `json:"secondFactor"`
	RecoveryCodes int    `json:"recoveryCodes"`
}

// Account gives the claim's person's own account. Error: CodeUnauthenticated.
func (s *Service) Account(ctx context.Context, c Claim) (Account, error) {
	ctx = core.System(ctx, "account")
	who, p, err := s.visitor(ctx, c)
	if err != nil {
		return Account{}, err
	}
	if c.Provider == "" {
		return Account{Name: who.Name, Email: who.Email, SecondFactor: who.TotpAt != nil, RecoveryCodes: len(who.Recovery)}, nil
	}
	idp, err := s.client().IdentityProvider.Get(ctx, c.Provider)
	if err != nil {
		return Account{}, err
	}
	return Account{Name: p.Name, Email: p.Email, Provider: idp.Name}, nil
}

// own gives the claim's person where he may change his account: an
// organization's identity provider must not reach beyond the organization.
func (s *Service) own(ctx context.Context, c Claim) (*ent.User, auth.Principal, error) {
	who, p, err := s.visitor(ctx, c)
	if err == nil && c.Provider != "" {
		err = forbidden("sign in by password to change it, or have your identity provider change it",
			"an identity provider signed you in, for its organization alone")
	}
	return who, p, err
}

// prove checks the password of who is signed in, throttled like a sign-in. The
// error is CodeForbidden: the session goes on.
func (s *Service) prove(ctx context.Context, who *ent.User, password string) error {
	if err := s.throttle.allow(ctx, passwordTry, who.Email); err != nil {
		return err
	}
	ok, err := s.passwords.Verify(ctx, hashOf(who), password)
	if err != nil {
		return err
	}
	if !ok {
		return core.AtField("password", forbidden("type your present password", "the password is wrong"))
	}
	return s.throttle.succeeded(ctx, passwordTry, who.Email)
}

// ChangePassword replaces the password, and ends all sessions that began before:
// the claim that it gives goes on. Errors: CodeForbidden for a wrong present
// password, CodeThrottled, CodeInvalidInput, CodeConflict.
func (s *Service) ChangePassword(ctx context.Context, c Claim, present, fresh string) (Claim, error) {
	ctx = core.System(ctx, "account")
	who, by, err := s.own(ctx, c)
	if err != nil {
		return c, err
	}
	if err := s.prove(ctx, who, present); err != nil {
		return c, err
	}
	if err := checkPassword(fresh); err != nil {
		return c, err
	}
	hash, err := s.passwords.Hash(ctx, fresh)
	if err != nil {
		return c, err
	}
	now := core.Now()
	err = s.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		n, err := tx.User.Update().Where(user.ID(who.ID), user.PasswordHash(hashOf(who))).
			SetPasswordHash(hash).SetPasswordAt(now).ClearResetDigest().ClearResetUntil().Save(ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			return license.Errorf(license.CodeConflict, "sign in again", "the password was changed meanwhile")
		}
		return audit(ctx, tx, by, "password.changed", by.ID, nil)
	})
	if err == nil {
		c.Since = now
	}
	return c, err
}

// Rename changes the person's name, in all organizations. Error: CodeInvalidInput.
func (s *Service) Rename(ctx context.Context, c Claim, name string) error {
	ctx = core.System(ctx, "account")
	who, by, err := s.own(ctx, c)
	if err != nil {
		return err
	}
	if err := core.CheckName("account", name); err != nil {
		return err
	}
	return s.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		if err := tx.User.UpdateOneID(who.ID).SetName(name).Exec(ctx); err != nil {
			return err
		}
		if err := tx.Member.Update().Where(member.UserID(who.ID)).SetName(name).Exec(ctx); err != nil {
			return err
		}
		return audit(ctx, tx, by, "member.renamed", by.ID, map[string]any{"name": name})
	})
}
