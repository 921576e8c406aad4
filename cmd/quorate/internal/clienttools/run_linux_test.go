package clienttools

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal makes one, and gives its two ends.
func terminal(t *testing.T) (keyboard, screen *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { _ = keyboard.Close() })
	fd := int(keyboard.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	return keyboard, screen
}

// The program has the terminal: it reads from it, gets Ctrl-C once, and stops
// and goes on together with quorate.
func TestRunInATerminal(t *testing.T) {
	l := newProtectLab(t)
	script := l.write("s.sh", `trap 'echo interrupted' INT
echo ready
while :; do read line && echo "read $line"; [ "$line" = end ] && exit 3; done`)
	for name, screenToo := range map[string]bool{"alone": true, "in a pipeline": false} {
		t.Run(name, func(t *testing.T) {
			keyboard, screen := terminal(t)
			out, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd := asQuorate(script)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = screen, w, os.Stderr
			if screenToo {
				cmd.Stdout, out = screen, keyboard
			}
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = cmd.Process.Kill() }()
			_ = w.Close()
			seen := make(chan string, 64)
			go func() {
				defer close(seen)
				for s := bufio.NewScanner(out); s.Scan(); {
					seen <- strings.TrimSpace(s.Text())
				}
			}()
			var all []string
			until := func(want string) {
				t.Helper()
				for {
					select {
					case s, ok := <-seen:
						if !ok {
							t.Fatalf("it ended with %q before %q", all, want)
						}
						if all = append(all, s); strings.HasSuffix(s, want) { // the terminal shows ^C before
							return
						}
					case <-time.After(10 * time.Second):
						t.Fatalf("%q and no %q", all, want)
					}
				}
			}
			write := func(s string) {
				t.Helper()
				if _, err := keyboard.WriteString(s); err != nil {
					t.Fatal(err)
				}
			}
			wait := func(options int) (s syscall.WaitStatus) {
				t.Helper()
				if _, err := syscall.Wait4(cmd.Process.Pid, &s, options, nil); err != nil {
					t.Fatal(err)
				}
				return s
			}
			until("ready")
			write("one\n")
			until("read one")
			write("\x03")
			until("interrupted")
			write("two\n")
			until("read two")
			write("\x1a")
			if s := wait(syscall.WUNTRACED); !s.Stopped() {
				t.Fatalf("it did not stop: %v", s)
			}
			if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			write("end\n")
			until("read end")
			if s := wait(0); s.ExitStatus() != 3 {
				t.Errorf("exit status %d", s.ExitStatus())
			}
			n := 0
			for _, s := range all {
				if strings.HasSuffix(s, "interrupted") {
					n++
				}
			}
			if n != 1 {
				t.Errorf("interrupted %d times: %q", n, all)
			}
		})
	}
}

// A license server's word can't reach a program whose quorate was killed.
func TestProgramEndsWithQuorate(t *testing.T) {
	l := newProtectLab(t)
	script := l.write("s.sh", "echo ready; exec sleep 600")
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := asQuorate(script)
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	ended := make(chan struct{})
	go func() {
		_, _ = lines.ReadString('\n')
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("the program runs on")
	}
}
