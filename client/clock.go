package client

import (
	"context"
	"time"
)

// instant is a moment by both clocks. The monotonic one stands still while the
// machine sleeps, the wall clock may be set.
type instant struct {
	mono time.Duration // since the client was opened
	wall time.Time
}

// since is how long ago u was: the larger of what the two clocks say.
func (t instant) since(u instant) time.Duration {
	return max(t.mono-u.mono, t.wall.Sub(u.wall))
}

// clock reads both clocks; a test puts its own in.
type clock func() instant

func systemClock() clock {
	start := time.Now()
	return func() instant {
		now := time.Now()
		return instant{mono: now.Sub(start), wall: now.Round(0)}
	}
}

// wait returns after d, or with an error when ctx ends before.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
