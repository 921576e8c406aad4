package signin

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/ratelimit"
	"github.com/quorate/quorate/internal/store"
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

// One password tried at many accounts is slowed down by where it comes from, and
// costs the accounts nothing.
func TestThrottleByAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := &counted{Limiter: ratelimit.NewMemory()}
		th := throttle{limits}
		from := func(address string) context.Context {
			return store.WithVisit(t.Context(), &store.Visit{Address: address})
		}
		for i := range addressRate.Burst {
			if err := th.allow(from("198.51.100.7"), passwordTry, fmt.Sprint(i)); err != nil {
				t.Fatalf("try %d: %v", i+1, err)
			}
		}
		tried := limits.tries
		pause := addressRate.Per / time.Duration(addressRate.Burst)
		for _, what := range []string{passwordTry, codeTry} {
			err := th.allow(from("198.51.100.7"), what, "victim")
			if license.CodeOf(err) != license.CodeThrottled || ratelimit.RetryAfter(err) != int(pause/time.Second) {
				t.Errorf("%s: %v, again in %d s", what, err, ratelimit.RetryAfter(err))
			}
		}
		if limits.tries != tried {
			t.Error("it counts against the account")
		}
		if err := th.succeeded(t.Context(), passwordTry, "0"); err != nil {
			t.Fatal(err)
		}
		if err := th.allow(from("198.51.100.7"), passwordTry, "0"); license.CodeOf(err) != license.CodeThrottled {
			t.Errorf("a success gives tries back: %v", err)
		}
		if err := th.allow(from("198.51.100.8"), passwordTry, "victim"); err != nil {
			t.Errorf("another address: %v", err)
		}
		time.Sleep(pause)
		if err := th.allow(from("198.51.100.7"), passwordTry, "victim"); err != nil {
			t.Errorf("after %s: %v", pause, err)
		}
		time.Sleep(addressRate.Per)
		for i := range addressRate.Burst { // neighbours in one network of 64 bits are one
			if err := th.allow(from(fmt.Sprintf("2001:db8::%x", i+1)), passwordTry, fmt.Sprint("n", i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := th.allow(from("2001:db8::ffff:1"), passwordTry, "x"); license.CodeOf(err) != license.CodeThrottled {
			t.Errorf("a neighbour: %v", err)
		}
		if err := th.allow(from("2001:db8:0:1::1"), passwordTry, "x"); err != nil {
			t.Errorf("another network: %v", err)
		}
		ended, cancel := context.WithCancel(from("198.51.100.9"))
		cancel()
		if err := th.allow(ended, passwordTry, "y"); err == nil {
			t.Error("what could not be counted is allowed")
		}
	})
}

// counted counts the tries of accounts.
type counted struct {
	ratelimit.Limiter
	tries int
}

func (c *counted) Try(ctx context.Context, key string, p ratelimit.Pauses) (time.Duration, error) {
	c.tries++
	return c.Limiter.Try(ctx, key, p)
}

// Who tries is counted as one, however he writes his address; where nobody knows
// it all are one.
func TestThrottleNetworks(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8:1:2:3::4": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64", "": "", "@": "",
	} {
		if got := network(address); got != want {
			t.Errorf("%q counts as %q, not %q", address, got, want)
		}
	}
}
