package live_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/live"
	"github.com/quorate/quorate/internal/live/livetest"
)

func TestMemLog(t *testing.T) {
	livetest.RunLog(t, func(*testing.T) func() live.Log {
		l := live.NewMemLog()
		return func() live.Log { return l }
	})
}

func TestMemLogForgetsWhatNobodyTouches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live.NewMemLog()
		put := func(stream string) live.Position {
			at, err := l.Append(t.Context(), stream, live.Position{}, []live.Entry{{Upserted: live.Items{"a": 1}}})
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
		left, touched := put("left"), put("touched")
		for range 5 {
			time.Sleep(live.KeptFor/4 + time.Second)
			if _, err := l.Since(t.Context(), "touched", touched); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := l.Since(t.Context(), "left", left); err == nil {
			t.Error("a log is kept for ever")
		}
	})
}

func FuzzPosition(f *testing.F) {
	f.Add("ABCDEFGHIJKL.12")
	f.Add("a.-1")
	f.Add(".1")
	f.Fuzz(func(t *testing.T, s string) {
		p, ok := live.ParsePosition(s)
		if ok && (p.String() != s || p.Epoch == "" || p.Number < 0 || len(s) > 64) {
			t.Errorf("%q was read as %+v", s, p)
		}
		if !ok && p != (live.Position{}) {
			t.Errorf("%q was refused, and gives %+v", s, p)
		}
	})
}
