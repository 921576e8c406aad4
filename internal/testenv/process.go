package testenv

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// starter runs functions on one locked thread that never ends. It is the one
// package-level value: the kernel ties a parent death signal to the thread
// that started the child, and a process has to have exactly one such thread.
//
//nolint:gochecknoglobals // see above
var starter = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// start starts a child that gets sig when this process ends.
func start(cmd *exec.Cmd, sig syscall.Signal) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = sig
	cmd.SysProcAttr.Setpgid = true // a Ctrl-C in the terminal is for the tests
	done := make(chan error, 1)
	starter() <- func() { done <- cmd.Start() }
	return <-done
}

// folder makes a short temporary folder (unix socket paths are limited to 107
// bytes) that is removed when this process ends, however it ends.
func folder(prefix string) (string, *watchdog, error) {
	dir, err := os.MkdirTemp(shortTemp(), prefix)
	if err != nil {
		return "", nil, err
	}
	w, err := watch(dir)
	if err != nil {
		_ = os.RemoveAll(dir)
		return "", nil, err
	}
	return dir, w, nil
}

func shortTemp() string {
	if dir := os.TempDir(); len(dir) <= 40 {
		return dir
	}
	return "/tmp"
}

// watchdog removes a folder, after killing the processes that it was told of,
// once its standard input ends: that is when this process ends.
type watchdog struct {
	pipe io.WriteCloser
	done chan struct{}
}

const watchdogScript = `trap "" HUP INT TERM
pids=""
while read -r pid; do pids="$pids $pid"; done
[ -z "$pids" ] || kill -QUIT $pids 2>/dev/null
for i in 1 2 3 4 5 6 7 8 9 10; do
	alive=""
	for pid in $pids; do kill -0 "$pid" 2>/dev/null && alive="$alive $pid"; done
	[ -z "$alive" ] && break
	[ "$i" = 9 ] && kill -KILL $alive 2>/dev/null
	sleep 0.1
done
rm -rf -- "$1"
rm -rf -- "$1"
`

func watch(dir string) (*watchdog, error) {
	cmd := exec.Command("/bin/sh", "-c", watchdogScript, "testenv", dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	w := &watchdog{pipe: pipe, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(w.done)
	}()
	return w, nil
}

// guard has the watchdog kill a process before it removes the folder. A pid is
// told once and only for a child that is reaped after release: pids of others
// are never signalled.
func (w *watchdog) guard(pid int) error {
	_, err := fmt.Fprintln(w.pipe, pid)
	return err
}

// release removes the folder now and waits until that is done.
func (w *watchdog) release() {
	_ = w.pipe.Close()
	<-w.done
}

// program finds a server's program: in PATH, or in one of the folders (glob
// patterns, the last match first, so that the newest version wins).
func program(name, install string, folders ...string) (string, error) {
	for _, pattern := range folders {
		found, _ := filepath.Glob(filepath.Join(pattern, name))
		slices.SortFunc(found, func(a, b string) int { return version(b) - version(a) })
		for _, p := range found {
			if info, err := os.Stat(p); err == nil && info.Mode()&0o111 != 0 {
				return p, nil
			}
		}
	}
	p, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s is missing: install it, on Debian or Ubuntu with: apt-get install %s", name, install)
	}
	return p, nil
}

// version is the number that a path such as /usr/lib/postgresql/15/bin/x has.
func version(path string) int {
	for part := range strings.SplitSeq(path, "/") {
		if n, err := strconv.Atoi(part); err == nil {
			return n
		}
	}
	return 0
}

// servant is the account that servers run under: nil means the caller's own,
// which must not be root (PostgreSQL refuses root).
func servant() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errU := strconv.ParseUint(u.Uid, 10, 32)
		gid, errG := strconv.ParseUint(u.Gid, 10, 32)
		if errU == nil && errG == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, fmt.Errorf("running as root, and there is neither a user postgres nor nobody to run PostgreSQL as")
}
