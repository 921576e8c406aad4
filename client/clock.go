package client

import (
	"context"
	"sync/atomic"
	"time"
)

// instant is a moment by what the clocks tell. The monotonic one stands still
// while the machine sleeps, the wall clock may be set; how long the machine has
// slept nobody can set, but not every system tells.
type instant struct {
	mono   time.Duration // since the client was opened
	asleep time.Duration // since the system was started; 0 where it isn't told
	wall   time.Time
}

// since is how long ago u was: the larger of what the clocks say.
func (t instant) since(u instant) time.Duration {
	return max(t.mono-u.mono+max(0, t.asleep-u.asleep), t.wall.Sub(u.wall))
}

// clock reads the clocks; a test puts its own in.
type clock func() instant

// nap is a sleep too short to be told from the time that reading two clocks
// takes. Naps add up.
const nap = 10 * time.Millisecond

func systemClock() clock {
	start := time.Now()
	var slept atomic.Int64
	return func() instant {
		known := slept.Load()
		if d := int64(asleep()); d >= known+int64(nap) {
			slept.CompareAndSwap(known, d)
			known = d
		}
		now := time.Now()
		return instant{mono: now.Sub(start), asleep: time.Duration(known), wall: now.Round(0)}
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
