package boltfile

import (
	"math"
	"os"

	"golang.org/x/sys/windows"
)

// locked takes the lock that bbolt takes (its last possible byte, so that
// reading isn't hindered), until the file is closed; false while another has it.
func locked(f *os.File) bool {
	at := &windows.Overlapped{Offset: math.MaxUint32, OffsetHigh: math.MaxUint32}
	const how = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	return windows.LockFileEx(windows.Handle(f.Fd()), how, 0, 1, 0, at) == nil
}
