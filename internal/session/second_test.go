package session_test

import (
	"encoding/base32"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/quorate/quorate/ent/user"
	"github.com/quorate/quorate/internal/license"
)

// codeOf is the code of a secret a number of steps from now.
func codeOf(t *testing.T, secret string, steps int) string {
	t.Helper()
	code, err := totp.GenerateCode(secret, time.Now().Add(time.Duration(steps)*30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// steady waits until no step ends soon, so that codes stay what they are.
func steady() {
	if left := 30 - time.Now().Unix()%30; left < 5 {
		<-time.After(time.Duration(left) * time.Second)
	}
}

// enrol switches a second factor on, and gives its secret and recovery codes.
// The present step's code has counted then.
func (b *browser) enrol() (secret string, recovery []string) {
	b.l.t.Helper()
	made := b.post("/auth/second/begin", object{"password": password})
	secret, _ = made.body["secret"].(string)
	if made.status != 200 || !strings.HasPrefix(made.body["qr"].(string), "data:image/png;base64,") || !strings.Contains(made.body["uri"].(string), secret) {
		b.l.t.Fatalf("%+v", made)
	}
	done := b.post("/auth/second/confirm", object{"code": codeOf(b.l.t, secret, 0)})
	if done.status != 200 {
		b.l.t.Fatalf("%+v", done)
	}
	for _, c := range done.body["recoveryCodes"].([]any) {
		recovery = append(recovery, c.(string))
	}
	return secret, recovery
}

func TestSecondFactor(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		steady()
		as := l.first.Organization.ID + " " + l.first.Owner.ID + " OWNER"
		b := l.browser("one")
		b.signIn(email, password)
		want(t, "a wrong password", b.post("/auth/second/begin", object{"password": "wrong"}), 403, license.CodeForbidden)
		want(t, "nothing begun", b.post("/auth/second/confirm", object{"code": "123456"}), 409, license.CodeConflict)
		b.post("/auth/second/begin", object{"password": password})
		want(t, "a wrong code", b.post("/auth/second/confirm", object{"code": "12345x"}), 403, license.CodeForbidden)
		before := b.cookie()
		secret, recovery := b.enrol()
		if b.cookie() == before || len(recovery) != 10 {
			t.Errorf("the session keeps its id, or %d recovery codes", len(recovery))
		}
		b.wantWho("who enrolled", as)
		want(t, "twice", b.post("/auth/second/begin", object{"password": password}), 409, license.CodeConflict)
		row := l.client().User.Query().Where(user.Email(email)).OnlyX(l.system())
		if strings.Contains(string(row.TotpSecret), secret) {
			t.Error("the secret is kept unsealed")
		}
		raw, _ := base32.StdEncoding.DecodeString(secret)
		if strings.Contains(string(row.TotpSecret), string(raw)) {
			t.Error("the secret is kept unsealed")
		}

		two := l.browser("two")
		first := two.signIn(email, password)
		if first.status != 200 || first.body["secondFactor"] != true || first.body["member"] != nil {
			t.Fatalf("the first step: %+v", first)
		}
		half := two.cookie()
		two.wantWho("after the first step", "")
		for _, path := range []string{"/auth/account", "/auth/sessions", "/auth/organizations", "/auth/session"} {
			want(t, path, two.ask("GET", path, nil), 401, license.CodeUnauthenticated)
		}
		want(t, "the code that it was enrolled with", two.post("/auth/code", object{"code": codeOf(t, secret, 0)}), 401, license.CodeUnauthenticated)
		want(t, "a code of long ago", two.post("/auth/code", object{"code": codeOf(t, secret, -2)}), 401, license.CodeUnauthenticated)
		want(t, "a code", two.post("/auth/code", object{"code": codeOf(t, secret, 1)}), 200, "")
		two.wantWho("after the second step", as)
		two.plant(half)
		two.wantWho("the id of the first step", "")
		want(t, "no code is asked for", l.browser("x").post("/auth/code", object{"code": codeOf(t, secret, 1)}), 401, license.CodeUnauthenticated)

		two.signIn(email, password)
		want(t, "the same code again", two.post("/auth/code", object{"code": codeOf(t, secret, 1)}), 401, license.CodeUnauthenticated)
		want(t, "a recovery code", two.post("/auth/code", object{"code": strings.ToUpper(recovery[3])}), 200, "")
		two.signIn(email, password)
		want(t, "the same recovery code", two.post("/auth/code", object{"code": recovery[3]}), 401, license.CodeUnauthenticated)
		if a := b.ask("GET", "/auth/account", nil).body["account"].(object); a["secondFactor"] != true || a["recoveryCodes"] != 9.0 {
			t.Errorf("account %v", a)
		}

		want(t, "off without password", b.post("/auth/second/end", object{"password": "wrong", "code": recovery[0]}), 403, license.CodeForbidden)
		want(t, "off without code", b.post("/auth/second/end", object{"password": password, "code": "000000x"}), 403, license.CodeForbidden)
		want(t, "off", b.post("/auth/second/end", object{"password": password, "code": recovery[0]}), 204, "")
		if res := two.signIn(email, password); res.body["member"] == nil {
			t.Errorf("without second factor: %+v", res)
		}
	})
}

// TestACodeCountsOnce: of requests at the same time, too.
func TestACodeCountsOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		steady()
		b := l.browser("one")
		b.signIn(email, password)
		secret, recovery := b.enrol()
		for what, code := range map[string]string{"one-time": codeOf(t, secret, 1), "recovery": recovery[0]} {
			all := make([]*browser, 4)
			for i := range all {
				all[i] = l.browser("racing")
				all[i].signIn(email, password)
			}
			var wg sync.WaitGroup
			var mu sync.Mutex
			passed := 0
			for _, r := range all {
				wg.Go(func() {
					if res := r.post("/auth/code", object{"code": code}); res.status == 200 {
						mu.Lock()
						passed++
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			if passed != 1 {
				t.Errorf("the %s code counts %d times", what, passed)
			}
		}
	})
}

func TestCodesAreThrottled(t *testing.T) {
	steady()
	l := newLab(t, databases.SQLite(t), false)
	b := l.browser("one")
	b.signIn(email, password)
	secret, _ := b.enrol()
	b.signIn(email, password)
	throttled := false
	for range 8 {
		if a := b.post("/auth/code", object{"code": "12345x"}); a.status == 429 && a.header.Get("Retry-After") != "" {
			throttled = true
		}
	}
	if !throttled {
		t.Error("codes may be guessed without end")
	}
	want(t, "the right code during the pause", b.post("/auth/code", object{"code": codeOf(t, secret, 1)}), 429, license.CodeThrottled)
}

// TestTheFirstStepEnds: five minutes after the password no code counts.
func TestTheFirstStepEnds(t *testing.T) {
	steady()
	l := newLab(t, databases.SQLite(t), false)
	b := l.browser("one")
	b.signIn(email, password)
	_, recovery := b.enrol()
	b.signIn(email, password)
	l.later(5 * time.Minute)
	want(t, "too late", b.post("/auth/code", object{"code": recovery[0]}), 401, license.CodeUnauthenticated)
}
