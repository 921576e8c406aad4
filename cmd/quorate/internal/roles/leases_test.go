package roles

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/testenv"
)

// A Redis that hangs, with its connections open, holds a call up no longer than
// the caller allows: a leader must notice in time that it isn't confirmed.
func TestHangingRedisHoldsNobodyUp(t *testing.T) {
	redis := testenv.Redis(t, testenv.Durable()...)
	store, err := openLeases(t.Context(), redis.URL(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	group := license.Serial{Mask: 131, Number: 1}
	campaign := func(most time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), most)
		defer cancel()
		_, err := store.Campaign(ctx, group, "a", time.Minute)
		return err
	}
	if err := campaign(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	redis.Pause()
	defer redis.Resume()
	began := time.Now()
	if err := campaign(200 * time.Millisecond); license.CodeOf(err) != license.CodeUnavailable {
		t.Errorf("a hanging Redis: %v", err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("200 ms took %s", took)
	}
}

// Two TMR servers with a file each would both hand out the whole quantity.
func TestTMRServerRefusesAFileForSeats(t *testing.T) {
	dir := t.TempDir()
	for _, where := range []string{"leases.db", "redis.db", dir + "/leases.db", ""} {
		c := TMR{Name: "tmr-a", Virtual: "131-1"}
		c.Leases = where
		err := c.Run(t.Context(), cli.Streams{}, slog.New(slog.DiscardHandler))
		if license.CodeOf(err) != license.CodeInvalidInput || !strings.Contains(err.Error(), "--leases") {
			t.Errorf("%q: %v", where, err)
		}
	}
}

func TestSeatsAreNotKeptInMemoryAlone(t *testing.T) {
	store, err := openLeases(t.Context(), "", slog.New(slog.DiscardHandler))
	if license.CodeOf(err) != license.CodeInvalidInput {
		t.Errorf("%v, %v", store, err)
	}
}
