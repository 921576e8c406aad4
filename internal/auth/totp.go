package auth

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"image/png"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
)

// One-time codes as every authenticator has them: RFC 6238, SHA-1, six digits,
// 30 seconds.
const (
	totpPeriod  = 30
	totpSecret  = 20
	totpQR      = 240 // pixels
	recoverySum = 10
	// RecoveryCodes is how many there are.
	RecoveryCodes = 10
)

// TOTP is what an authenticator is set up with.
type TOTP struct {
	Secret string // to type in
	URI    string
	QR     string // the URI as a picture, a data: URL
}

// NewTOTP makes a secret for an account.
func NewTOTP(issuer, account string) ([]byte, TOTP, error) {
	secret := make([]byte, totpSecret)
	if _, err := rand.Read(secret); err != nil {
		return nil, TOTP{}, err
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: issuer, AccountName: account, Secret: secret, Period: totpPeriod,
		Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		return nil, TOTP{}, err
	}
	picture, err := key.Image(totpQR, totpQR)
	if err != nil {
		return nil, TOTP{}, err
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		return nil, TOTP{}, err
	}
	return secret, TOTP{Secret: key.Secret(), URI: key.URL(),
		QR: "data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes())}, nil
}

// CheckTOTP says whether a code is the secret's now, or was or will be a step
// away, and which step's it is. That none counts twice is the caller's to see
// to: by taking later steps only.
func CheckTOTP(secret []byte, code string, now time.Time) (step int64, ok bool) {
	code = strings.ReplaceAll(strings.TrimSpace(code), " ", "")
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
	at := now.Unix() / totpPeriod
	for s := at - 1; s <= at+1; s++ {
		want, err := hotp.GenerateCodeCustom(text, uint64(s), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1}) //nolint:gosec // G115: after 1970
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			step, ok = s, true
		}
	}
	return step, ok
}

// NewRecovery makes recovery codes with their digests.
func NewRecovery() (codes []string, digests [][]byte) {
	for range RecoveryCodes {
		b := make([]byte, recoverySum)
		_, _ = rand.Read(b) // crypto/rand never fails
		text := strings.ToLower(base32.StdEncoding.EncodeToString(b))
		code := text[:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:]
		digest, _ := RecoveryDigest(code)
		codes, digests = append(codes, code), append(digests, digest)
	}
	return codes, digests
}

// RecoveryDigest gives the digest of a recovery code, however it is written;
// false when it can't be one. 80 random bits need no slow hash.
func RecoveryDigest(code string) ([]byte, bool) {
	code = strings.NewReplacer("-", "", " ", "").Replace(strings.ToUpper(strings.TrimSpace(code)))
	b, err := base32.StdEncoding.DecodeString(code)
	if err != nil || len(b) != recoverySum {
		return nil, false
	}
	sum := sha256.Sum256(append([]byte("recovery "), b...))
	return sum[:], true
}
