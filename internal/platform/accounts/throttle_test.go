package accounts

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
)

func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		for i := range freeTries {
			if err := th.allow("a@example.com"); err != nil {
				t.Fatalf("try %d: %v", i+1, err)
			}
		}
		// From here on a pause that doubles, up to a minute.
		pause := time.Second
		for range 8 {
			if err := th.allow("A@example.com"); license.CodeOf(err) != license.CodeThrottled {
				t.Fatalf("at once: %v", err)
			}
			time.Sleep(pause - time.Nanosecond)
			if err := th.allow("a@example.com"); license.CodeOf(err) != license.CodeThrottled {
				t.Fatalf("just before %s: %v", pause, err)
			}
			time.Sleep(time.Nanosecond)
			if err := th.allow("a@example.com"); err != nil {
				t.Fatalf("after %s: %v", pause, err)
			}
			pause = min(2*pause, mostPause)
		}
		if err := th.allow("b@example.com"); err != nil {
			t.Errorf("another account: %v", err)
		}
		time.Sleep(mostPause)
		th.succeeded("a@example.com")
		for range freeTries {
			if err := th.allow("a@example.com"); err != nil {
				t.Errorf("after a success: %v", err)
			}
		}
	})
}

func TestThrottleIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		for i := range core.MostTracked + 100 {
			_ = th.allow(fmt.Sprint(i))
			time.Sleep(time.Millisecond)
		}
		if n := len(th.accounts); n > core.MostTracked {
			t.Errorf("%d accounts are remembered", n)
		}
		if err := th.allow("new"); err != nil {
			t.Error(err)
		}
		time.Sleep(11 * mostPause)
		for i := range core.MostTracked / 5 {
			_ = th.allow("later" + fmt.Sprint(i))
		}
		if n := len(th.accounts); n > core.MostTracked/5 {
			t.Errorf("%d forgotten accounts are remembered", n-core.MostTracked/5)
		}
	})
}
