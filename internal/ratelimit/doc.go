// Package ratelimit counts what callers do, so that no caller takes all there
// is: buckets of units (Take), pauses after failures (Try) and slots for what
// runs at the same time (Hold).
//
// Memory counts in one process. Shared counts in Redis, over all replicas, by
// the clock of Redis; while Redis is away each replica counts for itself, so the
// most that n replicas let through meanwhile is n times the limit. Keys hold no
// secrets and no personal data: that is the caller's to see to.
package ratelimit

import (
	"context"
	"errors"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// Limiter counts. Safe for concurrent use. An error is that of ctx alone: what
// wasn't counted is not to be done.
type Limiter interface {
	// Take takes cost units from each of the buckets, or from none of them when
	// one has too few.
	Take(ctx context.Context, c Charge) (Quota, error)
	// Try counts a try of key as failed, until Forget is called: tries that run
	// at the same time count, too. A wait above 0 is for how long there is no
	// further one; such a try isn't counted.
	Try(ctx context.Context, key string, p Pauses) (wait time.Duration, err error)
	// Forget forgets the failed tries of key.
	Forget(ctx context.Context, key string) error
	// Hold takes one of the most slots of key, if one is free; release gives it
	// back, and may be called more than once. A slot of a process that died is
	// free again after SlotTime.
	Hold(ctx context.Context, key string, most int) (release func(), held bool, err error)
}

// Rate is a bucket of Burst units that fills up in Per. The zero value is no
// limit.
type Rate struct {
	Burst int
	Per   time.Duration
}

// The bounds of a Rate, within which no figure overflows, in Redis either.
const (
	MostBurst = 100_000_000
	MostPer   = 24 * time.Hour
)

// Limits says whether there is a limit.
func (r Rate) Limits() bool { return r.Burst > 0 && r.Per > 0 }

// Bucket is one that a Charge is taken from.
type Bucket struct {
	Name string
	Rate Rate
}

// Charge is what is to be taken. Buckets without a limit are left out.
type Charge struct {
	// Scope is whose buckets they are: an organization's id, for example.
	Scope string
	// Cost counts as a bucket's burst where it is higher, so that it passes when
	// the bucket is full; below 0 it is 0.
	Cost    int
	Buckets []Bucket
}

// Quota is how things stand after a charge, in the bucket that is the nearest
// to its end. Of no limits it is the zero value but for OK.
type Quota struct {
	OK        bool
	Limit     int           // the bucket's burst
	Per       time.Duration // in which it fills up
	Remaining int           // the units in it
	Reset     time.Duration // until it is full
	// RetryAfter is when there will be enough in all buckets; 0 where OK.
	RetryAfter time.Duration
}

// Pauses are those after failed tries: none after the first Free ones, then
// First, twice as long after each further one, Most at last. What failed is
// forgotten when ten times Most passed without a try.
type Pauses struct {
	Free        int
	First, Most time.Duration
}

// after is the pause after a number of failed tries.
func (p Pauses) after(failed int) time.Duration {
	if failed < p.Free {
		return 0
	}
	return min(p.First<<min(failed-p.Free, 20), p.Most)
}

// SlotTime is how long a slot is kept for a process that doesn't say any more
// that it needs it.
const SlotTime = 30 * time.Second

// Throttled is the error of who has to wait; it tells how long.
func Throttled(wait time.Duration, fix, format string, args ...any) *license.Error {
	e := license.Errorf(license.CodeThrottled, fix, format, args...)
	e.Details = map[string]any{"retryAfterSeconds": Seconds(wait)}
	return e
}

// RetryAfter is how many seconds a Throttled error has to wait; 0 when err isn't
// one.
func RetryAfter(err error) int {
	if e, ok := errors.AsType[*license.Error](err); ok && e.Code == license.CodeThrottled {
		seconds, _ := e.Details["retryAfterSeconds"].(int)
		return seconds
	}
	return 0
}

// Seconds is a wait as HTTP's Retry-After tells it: whole seconds, at least one.
func Seconds(wait time.Duration) int {
	return int(max((wait+time.Second-1)/time.Second, 1))
}
