package roles

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/testenv"
)

// A Redis that hangs, with its connections open, holds a call up no longer than
// the caller allows.
func TestHangingRedisHoldsNobodyUp(t *testing.T) {
	redis := testenv.Redis(t, testenv.Durable()...)
	store, err := openLeases(t.Context(), redis.URL(), slog.New(slog.DiscardHandler))
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

func TestSeatsAreNotKeptInMemoryAlone(t *testing.T) {
	store, err := openLeases(t.Context(), "", slog.New(slog.DiscardHandler))
	if license.CodeOf(err) != license.CodeInvalidInput {
		t.Errorf("%v, %v", store, err)
	}
}
