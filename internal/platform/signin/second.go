package signin

import (
	"bytes"
	"context"
	"slices"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/user"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// Enrolment is what an authenticator is set up with, shown once.
type Enrolment struct {
	Secret string `json:"secret"` // to type in
	URI    string `json:"uri"`
	QR     string `json:"qr"` // the URI as a picture, a data: URL
}

func wrongCode() error {
	return core.AtField("code", unauthenticated("type the code that your authenticator shows now, or a recovery code that is left; no code counts twice", "the code is wrong"))
}

// ByCode takes a one-time code, or a recovery code, of a person whose password
// was right. Each counts once. Errors: CodeUnauthenticated, CodeThrottled.
func (s *Service) ByCode(ctx context.Context, c Claim, code string) error {
	ctx = core.System(ctx, "sign-in")
	who, _, err := s.visitor(ctx, c)
	if err != nil {
		return err
	}
	if who.TotpAt == nil {
		return nil // switched off since
	}
	return s.takeCode(ctx, who, code)
}

func (s *Service) takeCode(ctx context.Context, who *ent.User, code string) error {
	if err := s.throttle.allow(ctx, codeTry, who.ID); err != nil {
		return err
	}
	took, err := s.takeTimed(ctx, who, code)
	if err == nil && !took {
		took, err = s.takeRecovery(ctx, who.ID, code)
	}
	if err != nil {
		return err
	}
	if !took {
		return wrongCode()
	}
	return s.throttle.succeeded(ctx, codeTry, who.ID)
}

// takeTimed takes a one-time code. Of requests with the same code one succeeds.
func (s *Service) takeTimed(ctx context.Context, who *ent.User, code string) (bool, error) {
	secret, err := s.core.Keys.Open(ctx, core.SecondFactorPurpose(who.ID), who.TotpSecret)
	if err != nil {
		return false, err
	}
	step, ok := auth.CheckTOTP(secret, code, core.Now())
	if !ok {
		return false, nil
	}
	n := 0
	err = s.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		n, err = tx.User.Update().Where(user.ID(who.ID), user.TotpStepLT(step), user.TotpAtNotNil(), user.TotpSecret(who.TotpSecret)).
			SetTotpStep(step).Save(ctx)
		return err
	})
	return n == 1, err
}

func (s *Service) takeRecovery(ctx context.Context, id, code string) (took bool, err error) {
	digest, ok := auth.RecoveryDigest(code)
	if !ok {
		return false, nil
	}
	err = s.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		took = false
		who, err := tx.User.Query().Where(user.ID(id), user.TotpAtNotNil(), store.Locked).Only(ctx)
		if ent.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		i := slices.IndexFunc(who.Recovery, func(d []byte) bool { return bytes.Equal(d, digest) })
		if i < 0 {
			return nil
		}
		took = true
		return tx.User.UpdateOne(who).SetRecovery(slices.Delete(slices.Clone(who.Recovery), i, i+1)).Exec(ctx)
	})
	return took, err
}

// BeginSecond makes the secret of a second factor, which counts once a code of
// it was given to ConfirmSecond. Errors: CodeForbidden for a wrong password,
// CodeThrottled, CodeConflict when there is a second factor.
func (s *Service) BeginSecond(ctx context.Context, c Claim, password string) (Enrolment, error) {
	ctx = core.System(ctx, "account")
	who, _, err := s.own(ctx, c)
	if err != nil {
		return Enrolment{}, err
	}
	if who.TotpAt != nil {
		return Enrolment{}, hasSecond()
	}
	if err := s.prove(ctx, who, password); err != nil {
		return Enrolment{}, err
	}
	secret, made, err := auth.NewTOTP("Quorate", who.Email)
	if err != nil {
		return Enrolment{}, err
	}
	sealed, err := s.core.Keys.Seal(ctx, core.SecondFactorPurpose(who.ID), secret)
	if err != nil {
		return Enrolment{}, err
	}
	err = s.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		n, err := tx.User.Update().Where(user.ID(who.ID), user.TotpAtIsNil()).SetTotpSecret(sealed).SetTotpStep(0).Save(ctx)
		if err == nil && n == 0 {
			err = hasSecond()
		}
		return err
	})
	if err != nil {
		return Enrolment{}, err
	}
	return Enrolment{Secret: made.Secret, URI: made.URI, QR: made.QR}, nil
}

func hasSecond() error {
	return license.Errorf(license.CodeConflict, "switch the present one off first", "there is a second factor already")
}

// ConfirmSecond switches the second factor on by a code of it, and gives the
// recovery codes, this once. Errors: CodeForbidden for a wrong code,
// CodeThrottled, CodeConflict when nothing was begun.
func (s *Service) ConfirmSecond(ctx context.Context, c Claim, code string) ([]string, error) {
	ctx = core.System(ctx, "account")
	who, by, err := s.own(ctx, c)
	if err != nil {
		return nil, err
	}
	if who.TotpAt != nil || len(who.TotpSecret) == 0 {
		return nil, license.Errorf(license.CodeConflict, "begin again", "no second factor is waiting for its first code")
	}
	if err := s.throttle.allow(ctx, codeTry, who.ID); err != nil {
		return nil, err
	}
	secret, err := s.core.Keys.Open(ctx, core.SecondFactorPurpose(who.ID), who.TotpSecret)
	if err != nil {
		return nil, err
	}
	step, ok := auth.CheckTOTP(secret, code, core.Now())
	if !ok {
		return nil, stillWrongCode()
	}
	codes, digests := auth.NewRecovery()
	err = s.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		n, err := tx.User.Update().Where(user.ID(who.ID), user.TotpAtIsNil(), user.TotpSecret(who.TotpSecret)).
			SetTotpAt(core.Now()).SetTotpStep(step).SetRecovery(digests).Save(ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			return license.Errorf(license.CodeConflict, "begin again", "the second factor was begun anew meanwhile")
		}
		return audit(ctx, tx, by, "second_factor.enabled", by.ID, nil)
	})
	if err != nil {
		return nil, err
	}
	return codes, s.throttle.succeeded(ctx, codeTry, who.ID)
}

// stillWrongCode is wrongCode for who is signed in and stays it.
func stillWrongCode() error {
	return core.AtField("code", forbidden("type the code that your authenticator shows now; its clock must be right", "the code is wrong"))
}

// EndSecond switches the second factor off. Errors: CodeForbidden for a wrong
// password or code, CodeThrottled.
func (s *Service) EndSecond(ctx context.Context, c Claim, password, code string) error {
	ctx = core.System(ctx, "account")
	who, by, err := s.own(ctx, c)
	if err != nil {
		return err
	}
	if who.TotpAt == nil {
		return nil
	}
	if err := s.prove(ctx, who, password); err != nil {
		return err
	}
	err = s.takeCode(ctx, who, code)
	if license.CodeOf(err) == license.CodeUnauthenticated {
		return stillWrongCode()
	}
	if err != nil {
		return err
	}
	return s.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		err := tx.User.UpdateOneID(who.ID).ClearTotpSecret().ClearTotpAt().ClearRecovery().Exec(ctx)
		if err != nil {
			return err
		}
		return audit(ctx, tx, by, "second_factor.disabled", by.ID, nil)
	})
}
