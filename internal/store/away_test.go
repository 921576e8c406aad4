package store_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/testenv"
)

// A connection that breaks is told apart from a statement that fails, and a change
// that may have been kept from one that was not; why is for operators.
func TestAway(t *testing.T) {
	var log strings.Builder
	logged := store.Logged(slog.New(slog.NewTextHandler(&log, nil)))
	_, err := store.Open(t.Context(), "postgres://quorate@127.0.0.1:1/canary?sslmode=disable", logged)
	if why := store.Away(err); license.CodeOf(err) != license.CodeUnavailable || why == nil || !strings.Contains(why.Error(), "127.0.0.1:1") || log.Len() > 0 {
		t.Errorf("it never was there: %v, as %v\n%s", err, why, &log)
	}
	s, err := store.Open(t.Context(), testenv.Postgres(t), logged)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.DB().ExecContext(system(t), "SELECT 1/0"); err == nil || store.Away(err) != nil {
		t.Errorf("a statement: %v", err)
	}
	if _, err := s.DB().ExecContext(system(t), "SELECT pg_terminate_backend(pg_backend_pid())"); store.Away(err) == nil || strings.Contains(err.Error(), "terminat") {
		t.Errorf("a connection: %v", err)
	}
	cut := func(tx *store.Tx) error {
		var pid int
		if err := tx.SQL().QueryRowContext(system(t), "SELECT pg_backend_pid()").Scan(&pid); err != nil {
			return err
		}
		_, err := s.DB().ExecContext(system(t), "SELECT pg_terminate_backend($1, 5000)", pid)
		return err
	}
	err = s.WithTx(system(t), cut)
	if license.CodeOf(err) != license.CodeUnavailable || !strings.Contains(err.Error(), "look whether it is done") {
		t.Errorf("a commit: %v", err)
	}
	if err := s.WithTx(system(t), func(*store.Tx) error { return nil }); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "level=WARN") {
		t.Errorf("log:\n%s", &log)
	}
}

// tardy is a context whose deadline has passed and that doesn't say so yet, as it
// is for a moment on a busy machine.
type tardy struct{ context.Context }

func (tardy) Deadline() (time.Time, bool) { return time.Now().Add(-time.Millisecond), true }

// Who had no time left is not told that the database is away, nor are operators.
func TestLateIsNotAway(t *testing.T) {
	var log strings.Builder
	s, err := store.Open(t.Context(), testenv.Postgres(t), store.Logged(slog.New(slog.NewTextHandler(&log, nil))))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	held := s.DB().Stats().Idle + 1
	for range held { // so that the next one connects
		conn, err := s.DB().Conn(system(t))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	_, err = s.DB().Conn(tardy{system(t)})
	if !errors.Is(err, context.DeadlineExceeded) || store.Away(err) != nil {
		t.Errorf("%v", err)
	}
	if log.Len() > 0 {
		t.Errorf("log:\n%s", &log)
	}
}
