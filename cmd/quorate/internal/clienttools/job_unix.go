//go:build unix

package clienttools

import (
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// forwarded are the signals that go on to the program.
var forwarded = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGTSTP}

// job is a program and all that it starts: a process group of its own, so that
// a script ends together with what it runs. Where quorate has the terminal to
// itself the group gets it, and with it Ctrl-C and Ctrl-Z, once.
type job struct {
	cmd     *exec.Cmd
	tty     *os.File // nil: there is no terminal
	handed  bool     // the group has it
	stopped chan syscall.Signal
	ended   chan int // the exit status
}

func startJob(cmd *exec.Cmd) (*job, error) {
	j := &job{cmd: cmd, stopped: make(chan syscall.Signal), ended: make(chan int, 1)}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	endWithParent(cmd.SysProcAttr)
	if tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0); err == nil {
		j.tty = tty
	}
	// In a pipeline others need the terminal: a pager behind it, say.
	if j.leads() && controls(cmd.Stdin) && controls(cmd.Stdout) {
		cmd.SysProcAttr.Foreground, cmd.SysProcAttr.Ctty, j.handed = true, int(j.tty.Fd()), true //nolint:gosec // a descriptor
	}
	started := make(chan error, 1)
	go func() {
		// Linux takes the end of the thread that started a program for its parent's.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			j.wait()
		}
	}()
	if err := <-started; err != nil {
		j.handed = false
		j.close()
		return nil, err
	}
	return j, nil
}

// controls says whether a stream is the terminal that quorate runs in.
func controls(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCGPGRP) //nolint:gosec // a descriptor
	return err == nil
}

// leads says whether quorate's own group has the terminal.
func (j *job) leads() bool { return j.foreground() == unix.Getpgrp() }

// foreground gives the group that has the terminal, 0 where there is none.
func (j *job) foreground() int {
	if j.tty == nil {
		return 0
	}
	group, err := unix.IoctlGetInt(int(j.tty.Fd()), unix.TIOCGPGRP) //nolint:gosec // a descriptor
	if err != nil {
		return 0
	}
	return group
}

// give gives a group the terminal. A background group that does it would be
// stopped.
func (j *job) give(group int) {
	signal.Ignore(syscall.SIGTTOU)
	defer signal.Reset(syscall.SIGTTOU)
	_ = unix.IoctlSetPointerInt(int(j.tty.Fd()), unix.TIOCSPGRP, group) //nolint:gosec // a descriptor
	j.handed = group == j.cmd.Process.Pid
}

func (j *job) takeBack() {
	if j.handed && j.foreground() == j.cmd.Process.Pid {
		j.give(unix.Getpgrp())
	}
	j.handed = false
}

// wait tells how the program stops and ends.
func (j *job) wait() {
	for {
		var s syscall.WaitStatus
		_, err := syscall.Wait4(j.cmd.Process.Pid, &s, syscall.WUNTRACED, nil)
		switch {
		case err == syscall.EINTR:
			continue
		case err == nil && s.Stopped():
			j.stopped <- s.StopSignal()
			continue
		}
		_ = j.cmd.Wait() // ends what copies its streams: it is gone already
		switch {
		case err != nil:
			j.ended <- 1
		case s.Signaled():
			j.ended <- 128 + int(s.Signal())
		default:
			j.ended <- s.ExitStatus()
		}
		return
	}
}

func (j *job) signal(s syscall.Signal) { _ = syscall.Kill(-j.cmd.Process.Pid, s) }

// forward passes a signal on. A terminal that is lost tells the group that has it
// by itself.
func (j *job) forward(s os.Signal) {
	if s == syscall.SIGHUP && j.handed {
		return
	}
	j.signal(s.(syscall.Signal))
}

// end asks all to end, also those that are stopped.
func (j *job) end() {
	j.signal(syscall.SIGTERM)
	j.signal(syscall.SIGCONT)
}

func (j *job) kill() { j.signal(syscall.SIGKILL) }

// alive says whether any of them runs. The group's number isn't used again
// before.
func (j *job) alive() bool { return syscall.Kill(-j.cmd.Process.Pid, 0) == nil }

// suspend stops quorate with its program, as the shell has it for one job, and
// goes on with it. A program that needs the terminal gets it instead, where
// quorate has it.
func (j *job) suspend(s syscall.Signal) {
	wants := s == syscall.SIGTTIN || s == syscall.SIGTTOU
	switch {
	case wants && j.leads():
		j.give(j.cmd.Process.Pid)
		j.signal(syscall.SIGCONT)
		return
	case s == syscall.SIGSTOP && !j.handed:
		return // whoever stopped it lets it go on
	}
	wants = wants || j.handed
	j.takeBack()
	goOn := make(chan os.Signal, 1)
	signal.Notify(goOn, syscall.SIGCONT)
	_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	<-goOn
	signal.Stop(goOn)
	if wants && j.leads() {
		j.give(j.cmd.Process.Pid)
	}
	j.signal(syscall.SIGCONT)
}

func (j *job) close() {
	if j.tty != nil {
		j.takeBack()
		_ = j.tty.Close()
	}
}
