package client

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootTime is how long the system has been up, asleep or awake; 0 where it
// doesn't tell. Nobody can set it.
func bootTime() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
