package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// The headers of a message.
const (
	HeaderID        = "webhook-id"
	HeaderTimestamp = "webhook-timestamp"
	HeaderSignature = "webhook-signature"
)

const (
	secretPrefix = "whsec_"
	secretSize   = 32
	leastSecret  = 24 // of the specification, in bytes
	mostSecret   = 64
	signedV1     = "v1,"
)

// Secret is what a receiver verifies messages with.
type Secret []byte

// NewSecret makes a secret.
func NewSecret() Secret {
	s := make(Secret, secretSize)
	_, _ = rand.Read(s) // never fails
	return s
}

// Text is the secret as receivers take it. It is not String, so that no log
// shows it.
func (s Secret) Text() string { return secretPrefix + base64.StdEncoding.EncodeToString(s) }

// ParseSecret reads a secret's text. Error: CodeInvalidInput.
func ParseSecret(text string) (Secret, error) {
	bad := license.Errorf(license.CodeInvalidInput, "give it as it was shown, beginning with whsec_", "this is no secret of a webhook")
	rest, ok := strings.CutPrefix(strings.TrimSpace(text), secretPrefix)
	if !ok || len(rest) > 2*mostSecret {
		return nil, bad
	}
	s, err := base64.StdEncoding.DecodeString(rest)
	if err != nil || len(s) < leastSecret || len(s) > mostSecret {
		return nil, bad
	}
	return s, nil
}

func (s Secret) sign(id, at string, body []byte) []byte {
	h := hmac.New(sha256.New, s)
	for _, part := range [][]byte{[]byte(id), []byte("."), []byte(at), []byte("."), body} {
		_, _ = h.Write(part) // never fails
	}
	return h.Sum(nil)
}

// Sign sets a message's headers: one signature of each secret.
func Sign(h http.Header, id string, at time.Time, body []byte, secrets ...Secret) {
	seconds := strconv.FormatInt(at.Unix(), 10)
	signed := make([]string, len(secrets))
	for i, s := range secrets {
		signed[i] = signedV1 + base64.StdEncoding.EncodeToString(s.sign(id, seconds, body))
	}
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, seconds)
	h.Set(HeaderSignature, strings.Join(signed, " "))
}

// Tolerance is how far the time of a message may be from the receiver's.
const Tolerance = 5 * time.Minute

// Verify says whether a message was signed with a secret, no longer ago than
// Tolerance. Error: CodeInvalidInput.
func Verify(h http.Header, body []byte, now time.Time, s Secret) error {
	id, at := h.Get(HeaderID), h.Get(HeaderTimestamp)
	seconds, err := strconv.ParseInt(at, 10, 64)
	if id == "" || err != nil {
		return license.Errorf(license.CodeInvalidInput, "give the three headers webhook-id, webhook-timestamp and webhook-signature as they came", "the message has no id or no timestamp")
	}
	if off := now.Sub(time.Unix(seconds, 0)); off > Tolerance || off < -Tolerance {
		return license.Errorf(license.CodeInvalidInput, "refuse it: it may be a repetition, or one of the clocks is wrong",
			"the message is of %s, more than 5 minutes from now", time.Unix(seconds, 0).UTC().Format(time.RFC3339))
	}
	want := s.sign(id, at, body)
	for _, signature := range strings.Fields(h.Get(HeaderSignature)) {
		text, ok := strings.CutPrefix(signature, signedV1)
		if !ok {
			continue
		}
		if got, err := base64.StdEncoding.DecodeString(text); err == nil && hmac.Equal(got, want) {
			return nil
		}
	}
	return license.Errorf(license.CodeInvalidInput, "refuse it: another secret signed it, or it was changed", "no signature of the message holds")
}
