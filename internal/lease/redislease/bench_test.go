package redislease_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/internal/lease/redislease"
	"github.com/quorate/quorate/internal/testenv"
)

// BenchmarkHeld is access, renewal and release, from callers side by side, while
// handles are outstanding; cost-growth is the time by that with 10 of them, and
// B/handle what Redis needs for each.
func BenchmarkHeld(b *testing.B) {
	var first float64
	for _, held := range []int{10, 100_000} {
		server := testenv.Redis(b)
		s := connect(b, server.Addr, redislease.Options{MostEvents: 1_000})
		rdb := redis.NewClient(&redis.Options{Addr: server.Addr})
		b.Cleanup(func() { _ = rdb.Close() })
		used := func() float64 {
			info, err := rdb.InfoMap(context.Background(), "memory").Result()
			if err != nil {
				b.Fatal(err)
			}
			n, err := strconv.ParseFloat(info["Memory"]["used_memory"], 64)
			if err != nil {
				b.Fatal(err)
			}
			return n
		}
		seats, err := s.Claim(b.Context(), group, "bench")
		if err != nil {
			b.Fatal(err)
		}
		before := used()
		var next atomic.Int64
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				for i := next.Add(1); i <= int64(held); i = next.Add(1) {
					r := request(1 << 30)
					r.Station = fmt.Sprint("held-", i)
					if _, err := seats.Access(context.Background(), r); err != nil {
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
		perHandle := (used() - before) / float64(held)
		b.Run(fmt.Sprintf("handles=%d", held), func(b *testing.B) {
			b.SetParallelism(16)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					r := request(1 << 30)
					g, err := seats.Access(context.Background(), r)
					if err == nil {
						_, err = seats.Renew(context.Background(), ref(r, g))
					}
					if err == nil {
						err = seats.Release(context.Background(), ref(r, g))
					}
					if err != nil {
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
	}
}
