package testenv

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/lib/pq"
)

// cluster is the private PostgreSQL of this process.
type cluster struct {
	dir     string // unix socket folder
	process *os.Process
	admin   *sql.DB
	// strategy: from version 15 on the faster way without fsync must be asked for.
	strategy string
	end      func()
	next     atomic.Uint64
	command  func() *exec.Cmd    // makes the server's process
	gone     chan struct{}       // closed when it has ended
	guard    func(pid int) error // nil: nobody else ends it

	mu        sync.Mutex
	templates map[string]*template
}

type template struct {
	once sync.Once
	err  error
}

// postgres is started once per test process, on first use.
//
//nolint:gochecknoglobals // initdb takes a second; sharing it is the purpose
var postgres = sync.OnceValues(func() (*cluster, error) {
	return startCluster(true, "fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off")
})

// Postgres gives the DSN of an empty database of the test's own. It is dropped
// at the end of the test. Its owner, as whom one connects, is an ordinary role:
// row-level security binds it.
func Postgres(t testing.TB) string {
	t.Helper()
	return database(t, "template1")
}

// PostgresFrom gives the DSN of a database of the test's own, cloned from a
// template that prepare has filled. prepare runs once per test process and
// name; it must close its connections.
func PostgresFrom(t testing.TB, name string, prepare func(dsn string) error) string {
	t.Helper()
	c, err := postgres()
	if err != nil {
		t.Fatalf("PostgreSQL for tests: %v", err)
	}
	c.mu.Lock()
	tpl := c.templates[name]
	if tpl == nil {
		tpl = &template{}
		c.templates[name] = tpl
	}
	c.mu.Unlock()
	db := "template_" + name
	tpl.once.Do(func() {
		if tpl.err = c.create(db, "template1"); tpl.err == nil {
			tpl.err = prepare(c.dsn(db))
		}
	})
	if tpl.err != nil {
		t.Fatalf("PostgreSQL template %s: %v", name, tpl.err)
	}
	return database(t, db)
}

// Superuser gives the DSN of the same database as a role that row-level security
// doesn't bind.
func Superuser(t testing.TB, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(administrator)
	return u.String()
}

// DurablePostgres gives the DSN of an empty database on a server of the test's
// own, which has every commit on disk as by PostgreSQL's defaults. It is ended at
// the end of the test.
func DurablePostgres(t testing.TB) string {
	t.Helper()
	c, err := startCluster(true)
	if err != nil {
		t.Fatalf("PostgreSQL for tests: %v", err)
	}
	t.Cleanup(c.end)
	if err := c.create("durable", "template1"); err != nil {
		t.Fatalf("PostgreSQL for tests: %v", err)
	}
	return c.dsn("durable")
}

// PostgresServer is a PostgreSQL of a test's own that can be away. Its methods are
// for the test's goroutine.
type PostgresServer struct {
	t testing.TB
	c *cluster
	// DSN is that of an empty database.
	DSN string
}

// OwnPostgres starts a server of the test's own, for the time of the test.
func OwnPostgres(t testing.TB) *PostgresServer {
	t.Helper()
	c, err := startCluster(false, "fsync=off")
	if err != nil {
		t.Fatalf("PostgreSQL for tests: %v", err)
	}
	t.Cleanup(c.end)
	if err := c.create("own", "template1"); err != nil {
		t.Fatalf("PostgreSQL for tests: %v", err)
	}
	return &PostgresServer{t, c, c.dsn("own")}
}

// Stop ends the server and every connection to it, in good order.
func (s *PostgresServer) Stop() { s.c.stop(syscall.SIGINT) }

// Start starts it again, with what it held.
func (s *PostgresServer) Start() {
	s.t.Helper()
	if err := s.c.start(); err != nil {
		s.t.Fatalf("PostgreSQL for tests: %v", err)
	}
}

func database(t testing.TB, from string) string {
	t.Helper()
	c, err := postgres()
	if err != nil {
		t.Fatalf("PostgreSQL for tests: %v", err)
	}
	name := fmt.Sprintf("test_%d", c.next.Add(1))
	if err := c.create(name, from); err != nil {
		t.Fatalf("PostgreSQL for tests: %v", err)
	}
	t.Cleanup(func() {
		_, err := c.admin.ExecContext(context.WithoutCancel(t.Context()),
			"DROP DATABASE IF EXISTS "+pq.QuoteIdentifier(name)+" WITH (FORCE)")
		if err != nil {
			t.Logf("dropping the test's database: %v", err)
		}
	})
	return c.dsn(name)
}

// The roles of a cluster.
const (
	administrator = "administrator" // a superuser, for testenv alone
	owner         = "quorate"
)

func (c *cluster) dsn(database string) string { return c.dsnAs(owner, database) }

func (c *cluster) dsnAs(role, database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(role), Path: "/" + database}
	u.RawQuery = url.Values{"host": {c.dir}, "sslmode": {"disable"}}.Encode()
	return u.String()
}

// create clones a database. PostgreSQL refuses while somebody is connected to
// the template, so clones wait for each other.
func (c *cluster) create(name, from string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := c.admin.ExecContext(ctx, "CREATE DATABASE "+pq.QuoteIdentifier(name)+
		" OWNER "+owner+" TEMPLATE "+pq.QuoteIdentifier(from)+c.strategy)
	return err
}

// startCluster starts a server with settings NAME=VALUE. The watchdog guards its
// process, unless it is stopped and started: then another may get the number.
func startCluster(guarded bool, settings ...string) (*cluster, error) {
	const install, folders = "postgresql", "/usr/lib/postgresql/*/bin"
	initdb, err := program("initdb", install, folders)
	if err != nil {
		return nil, err
	}
	server, err := program("postgres", install, filepath.Dir(initdb))
	if err != nil {
		return nil, err
	}
	as, err := servant()
	if err != nil {
		return nil, err
	}
	dir, dog, err := folder("qpg")
	if err != nil {
		return nil, err
	}
	c, err := runCluster(dir, initdb, server, as, dog, guarded, settings)
	if err != nil {
		dog.release()
		return nil, err
	}
	return c, nil
}

func runCluster(dir, initdb, server string, as *syscall.Credential, dog *watchdog, guarded bool, settings []string) (*cluster, error) {
	if as != nil {
		if err := os.Chown(dir, int(as.Uid), int(as.Gid)); err != nil {
			return nil, err
		}
	}
	data := filepath.Join(dir, "data")
	run := func(program string, args ...string) *exec.Cmd {
		cmd := exec.Command(program, args...)
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TZ=UTC", "HOME=" + dir}
		return cmd
	}
	init := run(initdb, "--pgdata="+data, "--username="+administrator, "--auth=trust", "--encoding=UTF8",
		"--locale=C.UTF-8", "--no-sync", "--no-instructions")
	if out, err := init.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	args := []string{"-D", data, "-k", dir}
	for _, s := range append([]string{"listen_addresses=", "max_connections=300", "shared_buffers=32MB", "max_wal_size=4GB"}, settings...) {
		args = append(args, "-c", s)
	}
	c := &cluster{dir: dir, templates: map[string]*template{}, command: func() *exec.Cmd { return run(server, args...) }}
	if guarded {
		c.guard = dog.guard
	}
	c.end = sync.OnceFunc(func() {
		if c.admin != nil {
			_ = c.admin.Close()
		}
		if !guarded {
			c.stop(syscall.SIGQUIT)
		}
		dog.release() // ends the server first
		<-c.gone
	})
	connector, err := pq.NewConnector(c.dsnAs(administrator, "postgres"))
	if err != nil {
		return nil, err
	}
	c.admin = sql.OpenDB(connector)
	c.admin.SetMaxIdleConns(1)
	if err := c.start(); err != nil {
		return nil, err
	}
	var version int
	if err := c.admin.QueryRow("SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return nil, err
	}
	if version >= 150000 {
		c.strategy = " STRATEGY FILE_COPY"
	}
	if _, err := c.admin.Exec("CREATE ROLE " + owner + " LOGIN"); err != nil {
		return nil, err
	}
	return c, nil
}

// start starts the server, and waits until it answers.
func (c *cluster) start() error {
	logPath := filepath.Join(c.dir, "log")
	logFile, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer logFile.Close()
	cmd := c.command()
	cmd.Stdout, cmd.Stderr = logFile, logFile
	// SIGQUIT is PostgreSQL's immediate shutdown: the children go too.
	if err := start(cmd, syscall.SIGQUIT); err != nil {
		return err
	}
	ended, gone := make(chan error, 1), make(chan struct{})
	go func() {
		ended <- cmd.Wait()
		close(gone)
	}()
	c.process, c.gone = cmd.Process, gone
	if c.guard != nil {
		if err := c.guard(cmd.Process.Pid); err != nil {
			return err
		}
	}
	up := func() error {
		select {
		case err := <-ended:
			return errors.Join(errEnded, err)
		default:
			return c.admin.Ping()
		}
	}
	if err := poll(30*time.Second, up); err != nil {
		said, _ := os.ReadFile(logPath)
		return fmt.Errorf("postgres does not come up: %w\n%s", err, strings.TrimSpace(string(said)))
	}
	return nil
}

// stop ends the server with a signal, and waits until it has ended.
func (c *cluster) stop(sig syscall.Signal) {
	_ = c.process.Signal(sig) // none once it has ended
	<-c.gone
}
