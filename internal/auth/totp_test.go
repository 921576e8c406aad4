package auth_test

import (
	"bytes"
	"encoding/base64"
	"image/png"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/auth"
)

// TestCheckTOTP: the vectors of RFC 6238 (their last six digits), and which
// steps count.
func TestCheckTOTP(t *testing.T) {
	secret := []byte("12345678901234567890")
	for at, code := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037"} {
		step, ok := auth.CheckTOTP(secret, code, time.Unix(at, 0))
		if !ok || step != at/30 {
			t.Errorf("%d: %d, %v", at, step, ok)
		}
		for _, off := range []int64{-30, 30} {
			if s, ok := auth.CheckTOTP(secret, " "+code[:3]+" "+code[3:], time.Unix(at+off, 0)); !ok || s != at/30 {
				t.Errorf("%d s off: %d, %v", off, s, ok)
			}
		}
		for _, off := range []int64{-60, 60} {
			if _, ok := auth.CheckTOTP(secret, code, time.Unix(at+off, 0)); ok && at > 60 {
				t.Errorf("%d s off counts", off)
			}
		}
		for _, bad := range []string{"", code[:5], code + "0", "x" + code[1:], strings.Repeat("0", 10_000)} {
			if _, ok := auth.CheckTOTP(secret, bad, time.Unix(at, 0)); ok {
				t.Errorf("%q counts", bad)
			}
		}
	}
}

func TestNewTOTP(t *testing.T) {
	secret, made, err := auth.NewTOTP("Quorate", "o@example.com")
	if err != nil || len(secret) != 20 || len(made.Secret) != 32 || !strings.HasPrefix(made.URI, "otpauth://totp/Quorate:o@example.com?") ||
		!strings.Contains(made.URI, "secret="+made.Secret) {
		t.Fatalf("%d bytes, %+v, %v", len(secret), made, err)
	}
	picture, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(made.QR, "data:image/png;base64,"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(bytes.NewReader(picture)); err != nil {
		t.Error(err)
	}
}

func TestRecoveryCodes(t *testing.T) {
	codes, digests := auth.NewRecovery()
	if len(codes) != auth.RecoveryCodes || len(digests) != auth.RecoveryCodes {
		t.Fatalf("%d codes, %d digests", len(codes), len(digests))
	}
	seen := map[string]bool{}
	for i, code := range codes {
		for _, written := range []string{code, strings.ToUpper(code), strings.ReplaceAll(code, "-", " "), " " + strings.ReplaceAll(code, "-", "") + "\n"} {
			if d, ok := auth.RecoveryDigest(written); !ok || !bytes.Equal(d, digests[i]) {
				t.Errorf("%q is not known", written)
			}
		}
		seen[code] = true
	}
	if len(seen) != auth.RecoveryCodes {
		t.Error("a code is there twice")
	}
	for _, bad := range []string{"", "123456", codes[0][1:], codes[0] + "a", "0" + codes[0][1:], strings.Repeat("a", 10_000)} {
		if _, ok := auth.RecoveryDigest(bad); ok {
			t.Errorf("%q may be one", bad)
		}
	}
}
