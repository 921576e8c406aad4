package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the quorate binary that TestMain builds, with the race detector.
var binary string //nolint:gochecknoglobals // set once, before any test runs

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "quorate-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "quorate")
	flag.Parse()
	args := []string{"build", "-o", binary}
	if flag.Lookup("test.bench").Value.String() == "" { // figures are of what users run
		args = append(args, raceBuild()...)
	}
	build := exec.Command("go", append(args, "github.com/quorate/quorate/cmd/quorate")...)
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// raceBuild are the flags with which the Makefile compiles tests, its UNWATCHED
// too: with any others everything would be compiled a second time.
func raceBuild() []string {
	return []string{"-race", "-gcflags=modernc.org/...=-d=checkptr=0 -race=false", "-gcflags=crypto/internal/...=-race=false", "-ldflags=-s -w"}
}

// process is a running quorate.
type process struct {
	name string
	cmd  *exec.Cmd
	// ready is the JSON line that the process printed when it was.
	ready map[string]string

	mu     sync.Mutex
	log    bytes.Buffer
	exited chan struct{}
	err    error // of Wait, once exited is closed
}

const startTime = 60 * time.Second

// raceDetector ends a process at its first race. By itself it has each one
// linger for a second at its end.
const raceDetector = "GORACE=halt_on_error=1 atexit_sleep_ms=0"

// start runs quorate and waits until it prints its JSON line. It is killed at
// the test's end; its log is shown if the test failed.
func start(t testing.TB, name string, args ...string) *process {
	t.Helper()
	p := launch(t, name, args...)
	if err := p.awaitReady(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, p.output())
	}
	return p
}

func (p *process) awaitReady() error {
	deadline := time.NewTimer(startTime)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		p.mu.Lock()
		ready := p.ready
		p.mu.Unlock()
		if ready != nil {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("ended before it was ready: %w", p.err)
		case <-deadline.C:
			return fmt.Errorf("not ready after %s", startTime)
		case <-tick.C:
		}
	}
}

func launch(t testing.TB, name string, args ...string) *process {
	t.Helper()
	p := &process{name: name, exited: make(chan struct{})}
	p.cmd = exec.Command(binary, args...)
	p.cmd.Env = append(os.Environ(), raceDetector)
	p.cmd.Stderr = writerFunc(p.write)
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	// The kernel kills the child when the thread that started it ends, so the
	// thread is kept until the child has ended.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			p.line(lines.Bytes())
		}
		_, _ = io.Copy(io.Discard, out)
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("--- %s %s\n%s", name, strings.Join(args, " "), p.output())
		}
		if strings.Contains(p.output(), "DATA RACE") {
			t.Errorf("%s: data race\n%s", name, p.output())
		}
	})
	return p
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func (p *process) write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *process) line(b []byte) {
	var ready map[string]string
	isReady := json.Unmarshal(b, &ready) == nil
	p.mu.Lock()
	defer p.mu.Unlock()
	if isReady && p.ready == nil {
		p.ready = ready
		return
	}
	p.log.Write(append(bytes.Clone(b), '\n'))
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// kill ends the process by SIGKILL and waits for its end.
func (p *process) kill() { p.end(syscall.SIGKILL) }

// end sends a signal and waits for the end.
func (p *process) end(s syscall.Signal) error {
	_ = p.cmd.Process.Signal(s)
	<-p.exited
	return p.err
}

// stop asks the process to end and fails the test if it doesn't do so cleanly.
func (p *process) stop(t testing.TB) {
	t.Helper()
	_ = p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.exited:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s did not end within 20 s of an interrupt\n%s", p.name, p.output())
	}
	if p.err != nil {
		t.Fatalf("%s ended with %v\n%s", p.name, p.err, p.output())
	}
}

// quorate runs a command to its end.
func quorate(t testing.TB, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Env = append(os.Environ(), raceDetector, "QUORATE_TOKEN=") // not the token of whoever runs the tests
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("quorate %s: still running after 60 s\n%s%s", strings.Join(args, " "), out.String(), errs.String())
	}
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// must is quorate for a command that has to succeed.
func must(t testing.TB, args ...string) string {
	t.Helper()
	out, errs, status := quorate(t, args...)
	if status != 0 {
		t.Fatalf("quorate %s: exit status %d\n%s", strings.Join(args, " "), status, errs)
	}
	return out
}
