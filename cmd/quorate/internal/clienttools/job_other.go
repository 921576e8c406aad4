//go:build !unix

package clienttools

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

var forwarded = []os.Signal{os.Interrupt, syscall.SIGTERM}

// job is a program. What it starts is none of this system's business.
type job struct {
	cmd     *exec.Cmd
	stopped chan syscall.Signal
	ended   chan int // the exit status
}

func startJob(cmd *exec.Cmd) (*job, error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	j := &job{cmd: cmd, ended: make(chan int, 1)}
	go func() {
		err := cmd.Wait()
		var exit *exec.ExitError
		switch {
		case errors.As(err, &exit):
			j.ended <- exit.ExitCode()
		case err != nil:
			j.ended <- 1
		default:
			j.ended <- 0
		}
	}()
	return j, nil
}

// forward does nothing: Ctrl-C reaches the program from the console.
func (j *job) forward(os.Signal) {}

func (j *job) suspend(syscall.Signal) {}

// end ends it at once: this system has no way to ask.
func (j *job) end() { j.kill() }

func (j *job) kill() { _ = j.cmd.Process.Kill() }

func (j *job) alive() bool { return false }

func (j *job) close() {}
