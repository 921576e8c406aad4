package event_test

import (
	"testing"

	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/event/eventtest"
)

func TestLocal(t *testing.T) {
	eventtest.Run(t, func(t *testing.T) func() event.Bus {
		return func() event.Bus {
			b := event.NewLocal()
			t.Cleanup(func() { _ = b.Close() })
			return b
		}
	})
}
