package clocks

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/ratelimit"
)

func TestClocksAreThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewClocks(ratelimit.NewMemory())
		allow := func(ids ...string) error { return c.allow(t.Context(), ids) }
		note := func(id string) bool { return c.note(t.Context(), id) }
		if err := allow("a", "b"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Second)
		if err := allow("c", "b"); license.CodeOf(err) != license.CodeThrottled {
			t.Errorf("within ten seconds: %v", err)
		}
		if err := allow("c"); err != nil {
			t.Errorf("a refused question counts: %v", err)
		}
		time.Sleep(time.Second)
		if err := allow("a", "b"); err != nil {
			t.Error(err)
		}
		if !note("a") || note("a") || !note("b") {
			t.Error("a clock is not noted once")
		}
		time.Sleep(time.Hour)
		if !note("a") {
			t.Error("a clock that stays wrong is not noted an hour later")
		}
	})
}
