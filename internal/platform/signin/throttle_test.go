package signin

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/ratelimit"
)

func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := throttle{ratelimit.NewMemory()}
		for i := range freeTries {
			if err := th.allow(t.Context(), passwordTry, "a@example.com"); err != nil {
				t.Fatalf("try %d: %v", i+1, err)
			}
		}
		// From here on a pause that doubles, up to a minute.
		pause := time.Second
		for range 8 {
			err := th.allow(t.Context(), passwordTry, "A@example.com")
			if license.CodeOf(err) != license.CodeThrottled || ratelimit.RetryAfter(err) != int(pause/time.Second) {
				t.Fatalf("at once: %v, again in %d s", err, ratelimit.RetryAfter(err))
			}
			time.Sleep(pause - time.Nanosecond)
			if err := th.allow(t.Context(), passwordTry, "a@example.com"); license.CodeOf(err) != license.CodeThrottled {
				t.Fatalf("just before %s: %v", pause, err)
			}
			time.Sleep(time.Nanosecond)
			if err := th.allow(t.Context(), passwordTry, "a@example.com"); err != nil {
				t.Fatalf("after %s: %v", pause, err)
			}
			pause = min(2*pause, mostPause)
		}
		if err := th.allow(t.Context(), passwordTry, "b@example.com"); err != nil {
			t.Errorf("another account: %v", err)
		}
		time.Sleep(mostPause)
		if err := th.succeeded(t.Context(), passwordTry, "a@example.com"); err != nil {
			t.Fatal(err)
		}
		for range freeTries {
			if err := th.allow(t.Context(), passwordTry, "a@example.com"); err != nil {
				t.Errorf("after a success: %v", err)
			}
		}
	})
}

// What accounts are counted by goes to Redis, and is no address.
func TestThrottleKeysTellNoAddress(t *testing.T) {
	if key := (throttle{}).key(passwordTry, "ada@example.com"); strings.Contains(key, "ada") || len(key) > 64 {
		t.Error(key)
	}
}
