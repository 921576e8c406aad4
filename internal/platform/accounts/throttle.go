package accounts

import (
	"strings"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
)

// Failed sign-ins: after freeTries the next is possible only after a pause that
// doubles up to mostPause.
const (
	freeTries = 5
	mostPause = time.Minute
)

// throttle slows down guessing of passwords per account.
type throttle struct {
	mu       sync.Mutex
	accounts map[string]*tries
}

type tries struct {
	failed int
	last   time.Time
}

func newThrottle() *throttle { return &throttle{accounts: make(map[string]*tries)} }

// allow refuses a try with license.CodeThrottled while the account's pause
// lasts, else it counts the try as failed until succeeded is called: tries
// that run at the same time count too.
func (t *throttle) allow(account string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	account = strings.ToLower(account)
	at := time.Now()
	a := t.accounts[account]
	if a == nil {
		t.evict(at)
		a = &tries{}
		t.accounts[account] = a
	}
	if wait := a.last.Add(a.pause()).Sub(at); a.failed >= freeTries && wait > 0 {
		return &license.Error{
			Code: license.CodeThrottled, Message: "too many failed sign-ins for this account",
			Fix:     "wait " + wait.Round(time.Second).String() + " and try again",
			Details: map[string]any{"retryAfterSeconds": int(wait.Seconds()) + 1},
		}
	}
	a.failed++
	a.last = at
	return nil
}

func (a *tries) pause() time.Duration {
	if a.failed < freeTries {
		return 0
	}
	return min(time.Second<<min(a.failed-freeTries, 10), mostPause)
}

func (t *throttle) succeeded(account string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.accounts, strings.ToLower(account))
}

func (t *throttle) evict(at time.Time) {
	if len(t.accounts) >= core.MostTracked {
		core.Forget(t.accounts, func(a *tries) time.Time { return a.last }, at.Add(-10*mostPause))
	}
}
