package store

import (
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// notSilent bounds how long the other host may acknowledge nothing, with or
// without a context.
func notSilent(network, _ string, c syscall.RawConn) (err error) {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	told := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silentTime.Milliseconds()))
	})
	if told != nil {
		return told
	}
	return err
}
