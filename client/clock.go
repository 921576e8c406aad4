package client

import (
	"context"
	"time"
)

// instant is a moment by three clocks. The monotonic one stands still while the
// machine sleeps, the wall clock may be set; that of the system's boot does
// neither, but not every system has it.
type instant struct {
	mono time.Duration // since the client was opened
	boot time.Duration // since the system was started; 0 where it isn't told
	wall time.Time
}

// since is how long ago u was: the largest of what the clocks say.
func (t instant) since(u instant) time.Duration {
	return max(t.mono-u.mono, t.boot-u.boot, t.wall.Sub(u.wall))
}

// clock reads the clocks; a test puts its own in.
type clock func() instant

func systemClock() clock {
	start := time.Now()
	return func() instant {
		boot := bootTime()
		now := time.Now()
		return instant{mono: now.Sub(start), boot: boot, wall: now.Round(0)}
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
