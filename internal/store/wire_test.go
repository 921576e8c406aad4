package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/testenv"
)

// cuttable stands before PostgreSQL, as a network does that may be cut: what is
// sent goes nowhere then, and nobody is told.
type cuttable struct {
	dsn      string
	cut      atomic.Bool
	mu       sync.Mutex
	accepted int
	over     chan struct{}
}

func newCuttable(t *testing.T, dsn string) *cuttable {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	socket := filepath.Join(q.Get("host"), ".s.PGSQL.5432")
	dir, err := os.MkdirTemp("", "cut") // the test's own is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, filepath.Base(socket)))
	if err != nil {
		t.Fatal(err)
	}
	q.Set("host", dir)
	u.RawQuery = q.Encode()
	c := &cuttable{dsn: u.String(), over: make(chan struct{})}
	var all sync.WaitGroup
	var open []net.Conn
	t.Cleanup(func() {
		_ = l.Close()
		close(c.over)
		c.mu.Lock()
		for _, conn := range open {
			_ = conn.Close()
		}
		c.mu.Unlock()
		all.Wait()
	})
	all.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("unix", socket)
			if err != nil {
				_ = near.Close()
				continue
			}
			c.mu.Lock()
			open = append(open, near, far)
			c.accepted++
			c.mu.Unlock()
			for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
				all.Go(func() { c.carry(way[0], way[1]) })
			}
		}
	})
	return c
}

func (c *cuttable) carry(from, to net.Conn) {
	defer to.Close()
	part := make([]byte, 4096)
	for {
		n, err := from.Read(part)
		if err != nil {
			return
		}
		if c.cut.Load() { // nothing is read any more, so that buffers fill
			<-c.over
			return
		}
		if _, err := to.Write(part[:n]); err != nil {
			return
		}
	}
}

// TestCutNetwork: nobody waits longer than his context for a PostgreSQL that
// doesn't answer, whether he has a connection or needs one, in a transaction or
// not; and when it answers again, all goes on.
func TestCutNetwork(t *testing.T) {
	t.Parallel()
	c := newCuttable(t, testenv.Postgres(t))
	var log strings.Builder
	s, err := store.Open(t.Context(), c.dsn, store.Logged(slog.New(slog.NewTextHandler(&log, nil))))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	const patience = 100 * time.Millisecond
	ends := func(what string, ctx context.Context, most time.Duration, f func(ctx context.Context) error) {
		t.Helper()
		began := time.Now()
		err := f(ctx)
		if took := time.Since(began); took > most {
			t.Errorf("%s took %v", what, took)
		}
		if !errors.Is(err, ctx.Err()) || err == nil || store.Away(err) != nil {
			t.Errorf("%s: %v", what, err)
		}
		if maybe := strings.Contains(fmt.Sprint(err), "look whether it is done"); maybe != (what == "a commit") {
			t.Errorf("%s, of which it is said that it may be done: %v", what, err)
		}
	}
	prepared := func(last string) func(ctx context.Context, cut func()) error {
		return func(ctx context.Context, cut func()) error {
			conn, err := s.DB().Conn(ctx)
			if err != nil {
				return err
			}
			defer conn.Close()
			for range 3 { // what comes again is prepared
				if _, err := conn.ExecContext(ctx, "SELECT length($1)", "x"); err != nil {
					t.Error(err)
				}
			}
			cut()
			_, err = conn.ExecContext(ctx, "SELECT length($1)", last)
			return err
		}
	}
	for what, f := range map[string]func(ctx context.Context, cut func()) error{
		"a statement": func(ctx context.Context, cut func()) error {
			cut()
			_, err := s.DB().ExecContext(ctx, "SELECT 1")
			return err
		},
		"a statement that is prepared":                        prepared(""),
		"a prepared one that is too large to be sent at once": prepared(strings.Repeat("x", 20<<20)),
		"rows": func(ctx context.Context, cut func()) error {
			rows, err := s.DB().QueryContext(ctx, "SELECT repeat('x', 1000) FROM generate_series(1, 100000)")
			if err != nil {
				return err
			}
			defer rows.Close()
			cut()
			for rows.Next() {
			}
			return rows.Err()
		},
		"a transaction": func(ctx context.Context, cut func()) error {
			return s.WithTx(ctx, func(tx *store.Tx) error {
				cut()
				_, err := tx.SQL().ExecContext(ctx, "SELECT 1")
				return err
			})
		},
		"a commit": func(ctx context.Context, cut func()) error {
			return s.WithTx(ctx, func(*store.Tx) error {
				cut()
				return nil
			})
		},
	} {
		ctx, cancel := context.WithCancel(system(t))
		ends(what, ctx, 6*time.Second, func(ctx context.Context) error {
			return f(ctx, func() {
				c.cut.Store(true)
				time.AfterFunc(patience, cancel)
			})
		})
		c.cut.Store(false)
		if _, err := s.DB().ExecContext(system(t), "SELECT 1"); err != nil {
			t.Errorf("after %s: %v", what, err)
		}
	}
	held := s.DB().Stats().Idle + 1
	for range held { // so that the next one connects
		conn, err := s.DB().Conn(system(t))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	c.cut.Store(true)
	before := c.connections()
	ctx, cancel := context.WithCancel(system(t))
	time.AfterFunc(patience, cancel)
	ends("a new connection", ctx, 5*time.Second, func(ctx context.Context) error {
		conn, err := s.DB().Conn(ctx)
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
	if c.connections() == before {
		t.Error("none was made")
	}
	if strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("the database is said to be away:\n%s", &log)
	}
	// Without a context's end a new connection has a time of its own.
	if _, err := s.DB().Conn(system(t)); license.CodeOf(err) != license.CodeUnavailable {
		t.Errorf("a connection that is never opened: %v", err)
	}
}

func (c *cuttable) connections() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.accepted
}

// A time for connecting that the address names ends with that.
func TestConnectTimeout(t *testing.T) {
	s, err := store.Open(t.Context(), testenv.Postgres(t)+"&connect_timeout=5")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}
