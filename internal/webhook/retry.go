package webhook

import (
	"math/rand/v2"
	"time"
)

// pauses before the second and each further attempt, as the specification
// suggests.
func pauses() []time.Duration {
	return []time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
		10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
}

// MostAttempts is how often a message is sent at most.
func MostAttempts() int { return len(pauses()) + 1 }

// Pause is how long to wait after so many attempts, from the first; false: no
// further one is made. A tenth more or less keeps receivers that came back from
// getting everything at once.
func Pause(attempts int) (time.Duration, bool) {
	all := pauses()
	if attempts < 1 || attempts > len(all) {
		return 0, false
	}
	p := all[attempts-1]
	return p - p/10 + rand.N(p/5), true //nolint:gosec // G404: jitter is no secret
}
