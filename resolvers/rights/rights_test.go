package rights

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/event"
)

// Who watches looks at his rights when he is told to, and each minute: of what
// ends by time nobody tells, and signals can be lost.
func TestRightsAreLookedAtEachMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := event.NewLocal()
		g := New(nil, bus)
		defer bus.Close() //nolint:errcheck // it ends the listener
		if err := g.listen(); err != nil {
			t.Fatal(err)
		}
		var woken atomic.Int32
		w := g.Join(func() { woken.Add(1) }, "here")
		l := g.now()
		step := func(what string, wait time.Duration, topic, key string, want int) {
			t.Helper()
			if topic != "" {
				if err := bus.Publish(t.Context(), topic, key); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(wait)
			synctest.Wait()
			if got := g.FreshFor(w, l); int(woken.Load()) != want || got != (want == 0) {
				t.Errorf("%s: woken %d times, fresh: %t", what, woken.Load(), got)
			}
			if want > 0 && !g.FreshFor(w, g.now()) {
				t.Errorf("%s: not fresh after a look", what)
			}
			woken.Store(0)
			l = g.now()
		}
		step("nothing happened", 59*time.Second, "", "", 0)
		step("a minute is over", time.Second, "", "", 1)
		step("another's session ended", time.Second, event.Sessions, "there", 0)
		step("the session ended", time.Second, event.Sessions, "here", 1)
		step("rights changed", time.Second, event.Rights, "", 1)
		g.Leave(w)
		time.Sleep(time.Hour)
		if synctest.Wait(); woken.Load() != 0 {
			t.Error("woken after it has left")
		}
	})
}
