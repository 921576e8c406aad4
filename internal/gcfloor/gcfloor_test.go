package gcfloor

import (
	"fmt"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/testenv"
)

func read(name string) uint64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

var sink []byte //nolint:gochecknoglobals // what is made must not be left out

// garbage makes 256 MiB of it, and tells how often it was collected meanwhile.
func garbage() uint64 {
	before := read("/gc/cycles/total:gc-cycles")
	for range 4096 {
		sink = make([]byte, 64<<10)
	}
	return read("/gc/cycles/total:gc-cycles") - before
}

// TestSmallHeapsAreCollectedSeldom, large ones as ever, and all as ever once it is over.
func TestSmallHeapsAreCollectedSeldom(t *testing.T) {
	t.Setenv("GOGC", "") // empty: not set
	percentIs := func(ok func(uint64) bool) {
		t.Helper()
		testenv.Eventually(t, 10*time.Second, func() error {
			runtime.GC()
			if p := read("/gc/gogc:percent"); !ok(p) {
				return fmt.Errorf("%d percent", p)
			}
			return nil
		})
	}
	runtime.GC()
	often := garbage()
	stop := Keep(64 << 20)
	percentIs(func(p uint64) bool { return p > 2*ofGo })
	if seldom := garbage(); seldom*3 > often {
		t.Errorf("collected %d times instead of %d", seldom, often)
	}
	alive := make([]byte, 96<<20)
	percentIs(func(p uint64) bool { return p == ofGo })
	runtime.KeepAlive(alive)
	percentIs(func(p uint64) bool { return p > 2*ofGo })
	stop()
	stop()
	percentIs(func(p uint64) bool { return p == ofGo })
}

func TestASettingOfTheEnvironmentHolds(t *testing.T) {
	t.Setenv("GOGC", "100")
	defer Keep(64 << 20)()
	for range 3 {
		runtime.GC()
	}
	if p := read("/gc/gogc:percent"); p != ofGo {
		t.Errorf("%d percent", p)
	}
}

func TestPercent(t *testing.T) {
	for _, c := range []struct {
		bytes, heap, rest uint64
		want              int64
	}{
		{64, 4, 0, 1500}, {64, 4, 2, 1000}, {64, 32, 0, 100}, {64, 31, 2, 100}, {64, 63, 0, 100}, {64, 64, 0, 100}, {64, 500, 1, 100}, {64, 0, 0, 100},
	} {
		if got := percent(c.bytes, c.heap, c.rest); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
