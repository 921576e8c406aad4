package store_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/store"
)

// TestWaitingEndsWithItsContext: who waits for another's transaction on SQLite
// waits no longer than he wants to, and others go on.
func TestWaitingEndsWithItsContext(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "x.db"))
	nothing := func(*store.Tx) error { return nil }
	err := s.WithTx(system(t), func(*store.Tx) error {
		ctx, cancel := context.WithTimeout(system(t), 10*time.Millisecond)
		defer cancel()
		if err := s.WithTx(ctx, nothing); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while another writes: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.WithTx(system(t), nothing); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
