package client

import (
	"time"

	"golang.org/x/sys/unix"
)

// asleep is how long the system has slept since it was started: the clock of its
// boot goes on then, the monotonic one doesn't, and nobody can set either. It is
// never more than that, also where the program is stopped while it reads them.
func asleep() (d time.Duration) {
	for range 4 {
		before, awake, after := read(unix.CLOCK_BOOTTIME), read(unix.CLOCK_MONOTONIC), read(unix.CLOCK_BOOTTIME)
		d = before - awake
		if after-before < time.Millisecond {
			break
		}
	}
	return max(0, d)
}

func read(clock int32) time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(clock, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
