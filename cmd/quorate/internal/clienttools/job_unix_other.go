//go:build unix && !linux

package clienttools

import "syscall"

// endWithParent does nothing: this system can't.
func endWithParent(*syscall.SysProcAttr) {}
