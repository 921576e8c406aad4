package memlease

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

func benchRequest(station string) lease.Request {
	return lease.Request{
		ID: uuid.NewString(), Pool: lease.Pool{Container: license.Serial{Mask: 130, Number: 1}, Product: license.Product{Firm: 6000010, Code: 14}},
		Mode: license.UserLimit, Station: station, Client: lease.Client{Address: "192.0.2.7", User: "ada", Application: "bench"},
		Quantity: 1 << 30, Lease: 6 * time.Hour,
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC() // what finalizers let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkHeld is access, renewal and release, from callers side by side, while
// handles are outstanding; cost-growth is the time by that with 10 of them.
func BenchmarkHeld(b *testing.B) {
	for _, kind := range []string{"memory", "file"} {
		var first float64
		for _, held := range []int{10, 100_000} {
			path := ""
			if kind == "file" {
				path = filepath.Join(b.TempDir(), "seats")
			}
			s, err := Open(path, Options{MostEvents: 1_000})
			if err != nil {
				b.Fatal(err)
			}
			seats, err := s.Claim(context.Background(), benchRequest("").Pool.Container, "bench")
			if err != nil {
				b.Fatal(err)
			}
			before := heap()
			benchHold(b, seats, held)
			perHandle := (float64(heap()) - float64(before)) / float64(held)
			b.Run(fmt.Sprintf("%s/handles=%d", kind, held), func(b *testing.B) {
				b.SetParallelism(32)
				b.RunParallel(func(p *testing.PB) {
					for p.Next() {
						if err := benchCycle(seats, benchRequest("ws-7")); err != nil {
							b.Error(err)
							return
						}
					}
				})
				cost := b.Elapsed().Seconds() / float64(b.N)
				if held == 10 {
					first = cost
					return
				}
				b.ReportMetric(cost/first, "cost-growth")
				b.ReportMetric(perHandle, "B/handle")
			})
			_ = s.Close()
		}
	}
}

func benchHold(b *testing.B, seats lease.Seats, n int) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 256 {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if _, err := seats.Access(context.Background(), benchRequest(fmt.Sprint("held-", i))); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if b.Failed() {
		b.FailNow()
	}
}

func benchCycle(seats lease.Seats, r lease.Request) error {
	ctx := context.Background()
	g, err := seats.Access(ctx, r)
	if err != nil {
		return err
	}
	ref := lease.Ref{Pool: r.Pool, Handle: r.ID, Seat: g.Seat, Epoch: g.Epoch, N: g.N}
	if _, err := seats.Renew(ctx, ref); err != nil {
		return err
	}
	return seats.Release(ctx, ref)
}
