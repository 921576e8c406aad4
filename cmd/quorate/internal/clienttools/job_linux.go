package clienttools

import "syscall"

// endWithParent has the program end when quorate is killed, and with it the
// license that it runs under.
func endWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGTERM }
