package testenv

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// RedisServer is a private Redis of one test. Its data survive Kill, Stop and
// Restart as far as its persistence settings say.
type RedisServer struct {
	Addr string // host:port; the same after a restart

	t       testing.TB
	program string
	dir     string
	args    []string
	mu      sync.Mutex
	running *exec.Cmd
	ended   chan error
}

// Durable are the arguments with which Redis has every answered write on disk.
func Durable() []string {
	return []string{"--appendonly", "yes", "--appendfsync", "always"}
}

// Redis starts a Redis server for the test, without persistence unless args
// (as on redis-server's command line) say otherwise. It is stopped and its
// folder removed at the end of the test.
func Redis(t testing.TB, args ...string) *RedisServer {
	t.Helper()
	path, err := program("redis-server", "redis-server")
	if err != nil {
		t.Fatalf("Redis for tests: %v", err)
	}
	dir, dog, err := folder("qrd")
	if err != nil {
		t.Fatalf("Redis for tests: %v", err)
	}
	r := &RedisServer{t: t, program: path, dir: dir, args: args}
	t.Cleanup(func() {
		r.Kill()
		dog.release()
	})
	// A port found free may be taken before Redis has it: try others.
	for attempt := 1; ; attempt++ {
		r.Addr, err = freeAddr()
		if err == nil {
			err = r.start()
		}
		if err == nil {
			return r
		}
		if attempt == 5 {
			t.Fatalf("Redis for tests: %v", err)
		}
	}
}

// URL is the server's address as a redis:// URL.
func (r *RedisServer) URL() string { return "redis://" + r.Addr + "/0" }

// Kill ends the server as a crash would (SIGKILL).
func (r *RedisServer) Kill() { r.signal(syscall.SIGKILL) }

// Stop ends the server in good order.
func (r *RedisServer) Stop() { r.signal(syscall.SIGTERM) }

func (r *RedisServer) signal(s syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running == nil {
		return
	}
	_ = r.running.Process.Signal(s)
	_ = r.running.Process.Signal(syscall.SIGCONT)
	<-r.ended
	r.running = nil
}

// Pause stops the server from answering, with its connections open, until
// Resume.
func (r *RedisServer) Pause() { r.tell(syscall.SIGSTOP) }

// Resume ends a Pause.
func (r *RedisServer) Resume() { r.tell(syscall.SIGCONT) }

func (r *RedisServer) tell(s syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running != nil {
		_ = r.running.Process.Signal(s)
	}
}

// Restart starts the server again, after ending one that runs in good order,
// and waits until it answers.
func (r *RedisServer) Restart() {
	r.t.Helper()
	r.Stop()
	// The port may be in use for a moment as some outgoing connection's.
	var err error
	for range 5 {
		if err = r.start(); err == nil {
			return
		}
	}
	r.t.Fatalf("restarting Redis: %v", err)
}

func (r *RedisServer) start() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	host, port, err := net.SplitHostPort(r.Addr)
	if err != nil {
		return err
	}
	args := append([]string{"--bind", host, "--port", port, "--dir", r.dir, "--save", "", "--daemonize", "no"}, r.args...)
	cmd := exec.Command(r.program, args...)
	cmd.Dir = r.dir
	said := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := start(cmd, syscall.SIGKILL); err != nil {
		return err
	}
	ended := make(chan error, 1)
	gone := make(chan struct{})
	go func() {
		ended <- cmd.Wait()
		close(gone)
	}()
	err = poll(20*time.Second, func() error {
		select {
		case <-gone:
			return fmt.Errorf("%w: %s", errEnded, strings.TrimSpace(said.String()))
		default:
			return r.answers(cmd.Process.Pid)
		}
	})
	if err != nil {
		_ = cmd.Process.Kill()
		<-ended
		return fmt.Errorf("redis-server does not come up: %w", err)
	}
	r.running, r.ended = cmd, ended
	return nil
}

// answers says whether the server of that process (and not another that has
// the port) is up and has its data loaded.
func (r *RedisServer) answers(pid int) error {
	conn, err := net.DialTimeout("tcp", r.Addr, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, "INFO\r\nQUIT\r\n"); err != nil {
		return err
	}
	mine, loaded := false, false
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		mine = mine || lines.Text() == "process_id:"+strconv.Itoa(pid)
		loaded = loaded || lines.Text() == "loading:0"
	}
	if !mine || !loaded {
		return fmt.Errorf("on %s: ours %t, loaded %t", r.Addr, mine, loaded)
	}
	return nil
}
