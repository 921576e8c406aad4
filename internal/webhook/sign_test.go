package webhook_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/webhook"
)

// TestSignedAsSpecified: the specification's own library verifies what is signed
// here, by each of the secrets, and what it signs is verified here.
func TestSignedAsSpecified(t *testing.T) {
	now, body := time.Now(), []byte(`{"type":"order.created"}`)
	secret, old, foreign := webhook.NewSecret(), webhook.NewSecret(), webhook.NewSecret()
	h := http.Header{}
	webhook.Sign(h, "evt_1", now, body, secret, old)
	for what, c := range map[string]struct {
		secret webhook.Secret
		holds  bool
	}{"the secret": {secret, true}, "the secret before": {old, true}, "another": {foreign, false}} {
		theirs, err := standardwebhooks.NewWebhook(c.secret.Text())
		if err != nil {
			t.Fatal(err)
		}
		if err := theirs.Verify(body, h); (err == nil) != c.holds {
			t.Errorf("%s: their library says %v", what, err)
		}
		if err := webhook.Verify(h, body, now, c.secret); (err == nil) != c.holds {
			t.Errorf("%s: we say %v", what, err)
		}
		if err := theirs.Verify(append([]byte(" "), body...), h); err == nil {
			t.Errorf("%s: a changed body passes", what)
		}
		signed, err := theirs.Sign("evt_2", now, body)
		if err != nil {
			t.Fatal(err)
		}
		theirHeader := http.Header{}
		webhook.Sign(theirHeader, "evt_2", now, body)
		theirHeader.Set(webhook.HeaderSignature, "v2,x v1a,y "+signed)
		if err := webhook.Verify(theirHeader, body, now, c.secret); err != nil {
			t.Errorf("%s: what they signed: %v", what, err)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	now, body, secret := time.Now(), []byte(`{}`), webhook.NewSecret()
	signed := func(change func(http.Header)) http.Header {
		h := http.Header{}
		webhook.Sign(h, "evt_1", now, body, secret)
		change(h)
		return h
	}
	for what, h := range map[string]http.Header{
		"no headers":        {},
		"another id":        signed(func(h http.Header) { h.Set(webhook.HeaderID, "evt_2") }),
		"no id":             signed(func(h http.Header) { h.Del(webhook.HeaderID) }),
		"another time":      signed(func(h http.Header) { h.Set(webhook.HeaderTimestamp, "1") }),
		"no time":           signed(func(h http.Header) { h.Set(webhook.HeaderTimestamp, "now") }),
		"no signature":      signed(func(h http.Header) { h.Del(webhook.HeaderSignature) }),
		"an odd signature":  signed(func(h http.Header) { h.Set(webhook.HeaderSignature, "v1,!!") }),
		"another version's": signed(func(h http.Header) { h.Set(webhook.HeaderSignature, "v2"+h.Get(webhook.HeaderSignature)[2:]) }),
	} {
		if err := webhook.Verify(h, body, now, secret); license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, off := range []time.Duration{webhook.Tolerance + 2*time.Second, -webhook.Tolerance - 2*time.Second} {
		if err := webhook.Verify(signed(func(http.Header) {}), body, now.Add(off), secret); err == nil {
			t.Errorf("%s off passes", off)
		}
	}
	if err := webhook.Verify(signed(func(http.Header) {}), body, now.Add(webhook.Tolerance-2*time.Second), secret); err != nil {
		t.Error(err)
	}
}

func TestSecrets(t *testing.T) {
	s := webhook.NewSecret()
	again, err := webhook.ParseSecret(" " + s.Text() + "\n")
	if err != nil || string(again) != string(s) || len(s) != 32 || !strings.HasPrefix(s.Text(), "whsec_") {
		t.Errorf("%q, %v", s.Text(), err)
	}
	for _, bad := range []string{"", "whsec_", "whsec_AAAA", s.Text()[6:], "whsec_!!", "whsec_" + strings.Repeat("A", 88), strings.Repeat("A", 1<<20)} {
		if _, err := webhook.ParseSecret(bad); license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("%.80q: %v", bad, err)
		}
	}
}

// FuzzTexts reads anything as a secret.
func FuzzTexts(f *testing.F) {
	f.Add(webhook.NewSecret().Text())
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := webhook.ParseSecret(text); err == nil {
			if again, err := webhook.ParseSecret(s.Text()); err != nil || string(again) != string(s) {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}

func FuzzVerify(f *testing.F) {
	f.Add("evt_1", "1700000000", "v1,AAAA v2,", []byte("{}"))
	f.Fuzz(func(t *testing.T, id, at, signature string, body []byte) {
		h := http.Header{webhook.HeaderID: {id}, webhook.HeaderTimestamp: {at}, webhook.HeaderSignature: {signature}}
		if webhook.Verify(h, body, time.Unix(1_700_000_000, 0), webhook.Secret("nobody knows this secret")) == nil {
			t.Error("a signature was guessed")
		}
	})
}
