package clienttools

import (
	"bytes"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		var read atomic.Int64
		stop := showProgress(&out, "model.bin", 4<<20, &read)
		time.Sleep(patient - time.Millisecond)
		if out.Len() != 0 {
			t.Errorf("short work is shown: %q", out.String())
		}
		read.Store(1 << 20)
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if got, want := out.String(), "\rmodel.bin: 1.0 MiB of 4.0 MiB, 25 %, 1.0 MiB/s\x1b[K"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		read.Store(3 << 20)
		time.Sleep(redraw)
		stop()
		if got := out.String(); !strings.Contains(got, "\r"+"model.bin: 3.0 MiB of 4.0 MiB, 75 %, 2.0 MiB/s\x1b[K") || !strings.HasSuffix(got, "\r\x1b[K") {
			t.Errorf("%q", got)
		}
		out.Reset()
		showProgress(&out, "x", -1, &read)()
		if out.Len() != 0 {
			t.Errorf("short work is shown: %q", out.String())
		}
	})
	for _, tt := range []struct {
		total, read int64
		want        string
	}{
		{-1, 100, "x: 100 bytes, 50 bytes/s"},
		{0, 0, "x: 0 bytes, 0 bytes/s"},
		{10, 20, "x: 20 bytes of 10 bytes, 100 %, 10 bytes/s"},
		{1 << 50, 1 << 40, "x: 1.0 TiB of 1.0 PiB, 0 %, 512.0 GiB/s"},
	} {
		if got := progressLine("x", tt.total, tt.read, 2*time.Second); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
