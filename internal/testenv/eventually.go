package testenv

import (
	"errors"
	"testing"
	"time"
)

// errEnded stops poll: what is waited for will not come.
var errEnded = errors.New("the process ended")

// Eventually calls f until it returns nil, every few milliseconds, and fails
// the test with the last error when timeout has passed.
func Eventually(t testing.TB, timeout time.Duration, f func() error) {
	t.Helper()
	if err := poll(timeout, f); err != nil {
		t.Fatalf("not within %v: %v", timeout, err)
	}
}

func poll(timeout time.Duration, f func() error) error {
	began := time.Now()
	deadline := began.Add(timeout)
	for {
		err := f()
		if err == nil || errors.Is(err, errEnded) || time.Now().After(deadline) {
			return err
		}
		// What takes longer is looked at more seldom: looking costs, too.
		<-time.After(min(max(time.Since(began)/10, 5*time.Millisecond), 25*time.Millisecond))
	}
}
