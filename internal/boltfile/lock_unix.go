//go:build unix

package boltfile

import (
	"os"

	"golang.org/x/sys/unix"
)

// locked takes the lock that bbolt takes, until the file is closed; false while
// another has it.
func locked(f *os.File) bool {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil //nolint:gosec // a descriptor
}
