package workers_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/rollout"
)

// The child is this test binary as a worker process. It stops in a state, if
// it is told to, until it is killed.
const (
	childDSN  = "QUORATE_TEST_DSN"
	childKey  = "QUORATE_TEST_KEY"
	childStop = "QUORATE_TEST_STOP"
	// childTicket has the child activate a ticket instead (ticket_test.go).
	childTicket = "QUORATE_TEST_TICKET"
)

func TestMain(m *testing.M) {
	if dsn := os.Getenv(childDSN); dsn != "" {
		if err := worker(dsn); err != nil {
			fmt.Fprintln(os.Stderr, "worker:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func label(s rollout.State) string {
	if s.Backend == 0 {
		return string(s.Phase)
	}
	return fmt.Sprintf("%s%d", s.Phase, s.Backend)
}

// worker runs until its standard input ends, so it never outlives the test.
func worker(dsn string) error {
	if ask := os.Getenv(childTicket); ask != "" {
		return activator(dsn, ask)
	}
	p, err := open(context.Background(), dsn, os.Getenv(childKey))
	if err != nil {
		return err
	}
	p.queue.Register(p.Platform, func(_ context.Context, s rollout.State) {
		if label(s) == os.Getenv(childStop) {
			fmt.Println(label(s))
			select {}
		}
	})
	p.queue.RegisterWebhooks(p.Platform)
	fmt.Println("ready")
	if err := p.queue.Start(context.Background()); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

type child struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
	once  sync.Once
}

// child starts a worker process that stops in a state; "" for none.
func (l *lab) child(stop string, more ...string) *child {
	l.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDSN+"="+l.dsn, childKey+"="+l.key, childStop+"="+stop)
	cmd.Env = append(cmd.Env, more...)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		l.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	c := &child{t: l.t, cmd: cmd, lines: make(chan string, 100)}
	go func() {
		defer close(c.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			c.lines <- strings.TrimSpace(s.Text())
		}
	}()
	l.t.Cleanup(c.kill)
	c.expect("ready")
	return c
}

func (c *child) expect(line string) {
	c.t.Helper()
	limit := time.After(30 * time.Second)
	for {
		select {
		case got, open := <-c.lines:
			if !open {
				c.t.Fatalf("the worker ended before %s", line)
			}
			if got == line {
				return
			}
		case <-limit:
			c.t.Fatalf("the worker did not come to %s", line)
		}
	}
}

// kill ends the worker as a power failure would.
func (c *child) kill() {
	c.once.Do(func() {
		_ = c.cmd.Process.Signal(syscall.SIGKILL)
		for range c.lines { //nolint:revive // until the pipe is closed
		}
		_ = c.cmd.Wait()
	})
}
