//go:build unix

package borrowed

import (
	"os"

	"golang.org/x/sys/unix"
)

// Lock locks a file for as long as it is open, for this program alone or shared;
// false where another one has it.
func Lock(f *os.File, shared bool) bool {
	how := unix.LOCK_EX
	if shared {
		how = unix.LOCK_SH
	}
	return unix.Flock(int(f.Fd()), how|unix.LOCK_NB) == nil //nolint:gosec // a descriptor
}
