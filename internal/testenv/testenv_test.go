package testenv_test

import (
	"bufio"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/lib/pq"

	"github.com/quorate/quorate/internal/testenv"
)

func open(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestPostgresGivesEachTestItsOwnDatabase(t *testing.T) {
	a, b := open(t, testenv.Postgres(t)), open(t, testenv.Postgres(t))
	if _, err := a.Exec("CREATE TABLE seats (n int)"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Exec("SELECT n FROM seats"); err == nil {
		t.Fatal("a table of one test's database is in another's")
	}
}

func TestPostgresTemplateIsPreparedOnceAndCloned(t *testing.T) {
	prepared := 0
	prepare := func(dsn string) error {
		prepared++
		db, err := sql.Open("postgres", dsn)
		if err != nil {
			return err
		}
		_, err = db.Exec("CREATE TABLE seats (n int); INSERT INTO seats VALUES (20)")
		return errors.Join(err, db.Close())
	}
	for range 2 {
		db := open(t, testenv.PostgresFrom(t, "once", prepare))
		var n int
		if err := db.QueryRow("UPDATE seats SET n = n + 1 RETURNING n").Scan(&n); err != nil || n != 21 {
			t.Fatalf("n = %d, %v; want 21 in each clone", n, err)
		}
	}
	if prepared != 1 {
		t.Fatalf("prepared %d times, want once", prepared)
	}
}

func ask(addr, command string) (string, error) {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		return "", err
	}
	r := bufio.NewReader(conn)
	line, err := r.ReadString('\n')
	if err == nil && strings.HasPrefix(line, "$") && !strings.HasPrefix(line, "$-1") {
		line, err = r.ReadString('\n')
	}
	return strings.TrimSpace(line), err
}

func TestRedisKeepsItsDataOverAKillWhenDurable(t *testing.T) {
	r := testenv.Redis(t, testenv.Durable()...)
	if got, err := ask(r.Addr, "SET seat 7"); err != nil || got != "+OK" {
		t.Fatalf("SET: %q, %v", got, err)
	}
	addr := r.Addr
	r.Kill()
	if _, err := ask(addr, "PING"); err == nil {
		t.Fatal("answers after Kill")
	}
	r.Restart()
	if got, err := ask(addr, "GET seat"); err != nil || got != "7" {
		t.Fatalf("GET after the restart: %q, %v", got, err)
	}
	r.Pause()
	if _, err := ask(addr, "PING"); err == nil {
		t.Fatal("answers while paused")
	}
	r.Resume()
	testenv.Eventually(t, 5*time.Second, func() error {
		_, err := ask(addr, "PING")
		return err
	})
}

func TestFreeAddrIsNoOutgoingConnections(t *testing.T) {
	ports, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		t.Fatal(err)
	}
	var first int
	if _, err := fmt.Sscan(string(ports), &first); err != nil {
		t.Fatal(err)
	}
	addr, err := net.ResolveTCPAddr("tcp", testenv.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	if addr.Port >= first || !addr.IP.IsLoopback() {
		t.Errorf("%s, outgoing connections have ports from %d on", addr, first)
	}
}

const childEnv = "TESTENV_CHILD"

// TestServersDieWithAKilledTestProcess runs this test binary again, lets it
// start both servers, kills it with SIGKILL and looks for what it left.
func TestServersDieWithAKilledTestProcess(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		r := testenv.Redis(t)
		dsn := testenv.Postgres(t)
		u, err := url.Parse(dsn)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("READY %s %s\n", r.Addr, u.Query().Get("host"))
		select {}
	}
	child := exec.Command(os.Args[0], "-test.run=^TestServersDieWithAKilledTestProcess$", "-test.timeout=60s")
	child.Env = append(os.Environ(), childEnv+"=1")
	child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	child.Stderr = child.Stdout
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var addr, socket string
	var said []string
	lines := bufio.NewScanner(out)
	for addr == "" && lines.Scan() {
		said = append(said, lines.Text())
		_, _ = fmt.Sscanf(lines.Text(), "READY %s %s", &addr, &socket)
	}
	_ = child.Process.Kill()
	_ = child.Wait()
	if addr == "" {
		t.Fatalf("the child did not get ready:\n%s", strings.Join(said, "\n"))
	}
	testenv.Eventually(t, 20*time.Second, func() error {
		if _, err := ask(addr, "PING"); err == nil {
			return errors.New("redis is still up")
		}
		if conn, err := net.Dial("unix", socket+"/.s.PGSQL.5432"); err == nil {
			_ = conn.Close()
			return errors.New("postgres is still up")
		}
		if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("the folder %s is left: %v", socket, err)
		}
		return nil
	})
}

// A server of a test's own keeps its data while it is away.
func TestOwnPostgresIsStoppedAndStarted(t *testing.T) {
	s := testenv.OwnPostgres(t)
	db := open(t, s.DSN)
	if _, err := db.Exec("CREATE TABLE kept (x integer)"); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	if err := db.Ping(); err == nil {
		t.Error("it answers while it is away")
	}
	s.Start()
	if _, err := db.Exec("SELECT x FROM kept"); err != nil {
		t.Error(err)
	}
}
