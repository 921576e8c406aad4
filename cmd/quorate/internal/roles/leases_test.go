package roles

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/cmd/quorate/internal/filetools"
	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/testenv"
)

// A Redis that hangs, with its connections open, holds a call up no longer than
// the caller allows.
func TestHangingRedisHoldsNobodyUp(t *testing.T) {
	redis := testenv.Redis(t, testenv.Durable()...)
	store, err := openLeases(t.Context(), redis.URL(), 0, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	group := license.Serial{Mask: 131, Number: 1}
	claim := func(most time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), most)
		defer cancel()
		_, err := store.Claim(ctx, group, "a")
		return err
	}
	if err := claim(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	redis.Pause()
	defer redis.Resume()
	began := time.Now()
	if err := claim(200 * time.Millisecond); license.CodeOf(err) != license.CodeUnavailable {
		t.Errorf("a hanging Redis: %v", err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("200 ms took %s", took)
	}
}

// With --redis-replicas nothing is answered that the replicas don't have.
func TestReplicasHaveTheSeats(t *testing.T) {
	primary := testenv.Redis(t, append(testenv.Durable(), "--repl-diskless-sync-delay", "0")...)
	store, err := openLeases(t.Context(), primary.URL(), 1, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	group := license.Serial{Mask: 140, Number: 1}
	_, err = store.Join(t.Context(), group, "a")
	if license.CodeOf(err) != license.CodeUnavailable || !strings.Contains(err.Error(), "--redis-replicas") {
		t.Errorf("without a replica: %v", err)
	}
	testenv.Redis(t, "--replicaof", strings.Replace(primary.Addr, ":", " ", 1))
	testenv.Eventually(t, 20*time.Second, func() error {
		_, err := store.Join(t.Context(), group, "a")
		return err
	})
}

func TestReplicasAreOfARedisAlone(t *testing.T) {
	for name, err := range map[string]error{
		"fewer than none": openError(openLeases(t.Context(), "redis://127.0.0.1:1/0", -1, slog.New(slog.DiscardHandler))),
		"of a file":       openError(openLeases(t.Context(), "leases.db", 1, slog.New(slog.DiscardHandler))),
		"of a journal": (&Server{programFlags: programFlags{MinAge: "0s"}, BorrowMax: "0s", TMR: true, Replicas: 1}).
			Run(t.Context(), cli.Streams{}, slog.New(slog.DiscardHandler), filetools.Site{}, Build{}),
	} {
		if license.CodeOf(err) != license.CodeInvalidInput || !strings.Contains(err.Error(), "--redis-replicas") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func openError(_ lease.Store, err error) error { return err }

func TestSeatsAreNotKeptInMemoryAlone(t *testing.T) {
	store, err := openLeases(t.Context(), "", 0, slog.New(slog.DiscardHandler))
	if license.CodeOf(err) != license.CodeInvalidInput {
		t.Errorf("%v, %v", store, err)
	}
}

// A platform whose Redis is away says so, and what to do.
func TestRedisOfThePlatformIsAway(t *testing.T) {
	at := func(name string) string { return filepath.Join(t.TempDir(), name) }
	f := databaseFlags{cli.DatabaseFlags{Database: at("quorate.db"), MasterKey: at("master.key"), Redis: "redis://:canary@127.0.0.1:1/0"}}
	_, err := f.open(t.Context(), slog.New(slog.DiscardHandler), 0)
	if license.CodeOf(err) != license.CodeUnavailable || !strings.Contains(err.Error(), "Redis can't be used") || !strings.Contains(err.Error(), "--redis") || strings.Contains(err.Error(), "canary") {
		t.Error(err)
	}
}
